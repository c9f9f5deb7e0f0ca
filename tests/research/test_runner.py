"""Rows are done one by one, each once; what is there stays; a rerun is held against what is there."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from farzi.errors import FarziError
from farzi.evaluation.controls import Random
from farzi.recipe import Recipe
from farzi.recipe.variants import SASRec
from research.studies import (
    Bench,
    Done,
    Setting,
    Study,
    append_row,
    current,
    left,
    measure,
    read_rows,
    rerun,
    row_named,
)
from research.studies.study import Study as StudyType
from research.studies.study import same_values, values_of
from research.studies.trainings import OnReal


def do(study: Study, setting: Setting, folder: Path, only: int | None = None) -> None:
    bench = Bench(folder)
    for row in left(study.grid(setting), read_rows(folder))[:only]:
        append_row(folder, measure(row, bench, f"again {row.key}"))


def test_each_row_is_done_once_and_a_stopped_study_goes_on(tmp_path, toy, calls):
    setting = Setting(Recipe(), seeds=2, summaries=2)
    do(toy, setting, tmp_path, only=1)
    assert calls == ["1/0/0", "1/1/1"]
    do(toy, setting, tmp_path)
    do(toy, setting, tmp_path)
    assert calls == ["1/0/0", "1/1/1", "2/0/0", "2/1/1", "13/0/0"]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["key"] for row in rows] == ["level-1", "level-2", "level-13"]
    assert rows[0]["figures"] == {"HR@10": [0.01, 0.011], "distil seconds": [1.0, 1.0]}
    assert rows[0]["command"] == "again level-1"
    assert {"commit", "date", "machine", "farzi"} <= set(rows[0]["origin"])


def test_repetitions_take_the_summaries_in_turn(tmp_path, toy, calls):
    do(toy, Setting(Recipe(), seeds=3, summaries=2), tmp_path, only=1)
    assert calls == ["1/0/0", "1/1/1", "1/2/0"]


def test_what_cannot_be_done_is_a_row_that_says_why(tmp_path, toy):
    do(toy, Setting(Recipe()), tmp_path)
    failed = read_rows(tmp_path)["level-13"]
    assert failed.figures == {}
    assert failed.failure == "thirteen cannot be done"
    shown = toy.conclude(current(toy.grid(Setting(Recipe())), read_rows(tmp_path)))
    assert shown.tables[0].lines[2].cells[1] == "failed: thirteen cannot be done"


@pytest.mark.parametrize(
    ("error", "row"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("a bug"), False),
    ],
)
def test_memory_that_is_refused_is_a_finding_and_a_bug_is_not(tmp_path, toy, monkeypatch, error, row):
    def work(self, bench, repeat):
        raise error

    (first, *_) = toy.grid(Setting(Recipe()))
    monkeypatch.setattr(type(first.work), "__call__", work)
    if row:
        assert measure(first, Bench(tmp_path), "c").failure == "out of memory"
    else:
        with pytest.raises(RuntimeError, match="a bug"):
            measure(first, Bench(tmp_path), "c")


def test_rows_of_other_settings_are_left_to_do_and_not_shown(tmp_path, toy):
    do(toy, Setting(Recipe()), tmp_path)
    other = Setting(Recipe(seed=3))
    assert len(left(toy.grid(other), read_rows(tmp_path))) == 3
    assert current(toy.grid(other), read_rows(tmp_path)) == []
    do(toy, other, tmp_path, only=1)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 4  # none is lost
    assert [done.key for done in current(toy.grid(other), read_rows(tmp_path))] == ["level-1"]


def test_where_the_data_lie_changes_nothing(toy):
    data = Recipe().data
    there, here = (Recipe(data=data.model_copy(update={"file": file})) for file in ("a", "b"))
    rows = [study.values() for study in (toy.grid(Setting(there))[0], toy.grid(Setting(here))[0])]
    assert rows[0] == rows[1]


def test_a_training_on_real_events_is_the_same_row_whatever_is_said_of_distillation():
    def values(changed: Mapping[str, object], control: Random | None = None) -> dict[str, object]:
        return values_of(OnReal(Recipe().changed(dict(changed)), control))

    distilling: Mapping[str, object] = {
        "inner.steps": 70,
        "outer.minutes": 3.0,
        "summary.parametrization.dim": 5,
        "seed": 9,
    }
    for control in (None, Random()):
        assert values(distilling, control) == values({}, control)
        for bears in (
            {"student.hidden": 8},
            {"summary.length": 7},
            {"select.seen": "exclude"},
            {"data.min_user_events": 9},
        ):
            assert values(bears, control) != values({}, control)
    assert values({"summary.sequences": 3}) == values({})
    assert values({"summary.sequences": 3}, Random()) != values({}, Random())
    other = SASRec(hidden=8)
    assert values_of(OnReal(Recipe(), student=other)) == values_of(OnReal(Recipe(student=other)))


def test_settings_that_came_later_leave_rows_as_they_are_while_they_have_their_default():
    whole, brief = {"a": 1, "inner": {"b": 2, "new": 0}}, {"a": 1, "inner": {"b": 2}}
    recorded = {"a": 1, "inner": {"b": 2}}
    assert same_values(recorded, whole, brief)
    assert not same_values(
        recorded, {"a": 1, "inner": {"b": 2, "new": 5}}, {"a": 1, "inner": {"b": 2, "new": 5}}
    )
    assert not same_values(recorded, {"a": 1, "inner": {"b": 3, "new": 0}}, {"a": 1, "inner": {"b": 3}})
    # a default that changed since: what was recorded is another value, though today's is its default
    assert not same_values({"inner": {"b": 2}}, {"inner": {"b": 9}}, {"inner": {}})
    assert not same_values({"gone": 1}, {}, {})
    assert not same_values([1, 2], [1], [1])


def test_a_field_that_came_later_leaves_rows_as_they_are():
    @dataclass(frozen=True)
    class Then:
        a: int = 1

    @dataclass(frozen=True)
    class Now:
        a: int = 1
        later: tuple[str, ...] = ("x",)

    def recorded(value: object) -> dict[str, object]:
        return values_of(value) | {"kind": "Same"}

    def brief(value: object) -> dict[str, object]:
        return values_of(value, brief=True) | {"kind": "Same"}

    assert same_values(recorded(Then(2)), recorded(Now(2)), brief(Now(2)))
    assert not same_values(recorded(Then(2)), recorded(Now(2, ("y",))), brief(Now(2, ("y",))))


def test_a_rerun_is_held_against_the_recorded_interval(tmp_path, toy):
    setting = Setting(Recipe(), seeds=3)
    do(toy, setting, tmp_path, only=1)
    row, recorded = toy.grid(setting)[0], read_rows(tmp_path)["level-1"]
    (found,) = rerun(row, recorded, Bench(tmp_path))
    assert found.figure == "HR@10"  # not the seconds, which are the machine's
    assert found.within
    low = {"HR@10": [0.001, 0.0012, 0.0011], "distil seconds": [1.0]}
    (missed,) = rerun(row, replace(recorded, figures=low), Bench(tmp_path))
    assert not missed.within
    assert (tmp_path / "rows.jsonl").read_text().count("\n") == 1


def test_an_unknown_row_names_those_that_are_near(toy: StudyType):
    with pytest.raises(FarziError, match="no such row; there are level-1"):
        row_named(toy, Setting(Recipe()), "levl-1")


def test_a_damaged_file_of_rows_is_one_line_with_its_place(tmp_path):
    (tmp_path / "rows.jsonl").write_text(Done("a", {}, {}, 1.0, "x").line() + "{]\n")
    with pytest.raises(FarziError, match=r"rows\.jsonl:2: not a row"):
        read_rows(tmp_path)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\u001c", "\u000b", "\r", "\n", "\r\n"])
def test_a_row_is_read_as_it_was_written(tmp_path, done, separator):
    row = done(f"a{separator}b", {"name": f"log{separator}.csv"}, x=[1.0])
    append_row(tmp_path, row)
    append_row(tmp_path, done("b", {}, x=[2.0]))
    assert read_rows(tmp_path)[row.key].labels == row.labels
    assert list(read_rows(tmp_path)) == [row.key, "b"]


def test_rows_of_several_writers_are_all_there(tmp_path, done):
    def write(name: str) -> None:
        for k in range(10):
            append_row(tmp_path, done(f"{name}{k}", {}, x=[1.0]))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_rows(tmp_path)) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
