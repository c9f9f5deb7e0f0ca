"""Damaged and generated inputs, a few of them; and the faults that the command must find."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import farzi
from farzi.data import Log
from scripts.fuzz import logs
from scripts.fuzz.__main__ import Worker, table
from scripts.fuzz.case import Fault, Unreadable, Unsure, changed_value, damaged
from scripts.fuzz.packing import unzstd, zstd
from scripts.fuzz.worker import Outcome, run_case


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(4, tmp_path, None)
    yield made
    made.stop()


def test_no_input_leads_to_a_fault(worker: Worker):
    outcomes = [worker.run(number) for number in range(200)]
    assert not [one for one in outcomes if one.verdict == "fault"], table(outcomes)
    assert sum(one.verdict == "accepted" for one in outcomes) > 50


def cases(tmp_path: Path, name: str, count: int = 12) -> list[Outcome]:
    made = []
    for number in range(count):
        folder = tmp_path / str(number)
        folder.mkdir()
        made.append(run_case(1, number, folder, [name]))
    return made


def kinds(outcomes: list[Outcome]) -> set[str]:
    return {one.kind for one in outcomes if one.verdict == "fault"}


def test_what_is_no_error_of_the_package_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(*given: Any, **settings: Any) -> Log:
        raise ValueError("no")

    monkeypatch.setattr(farzi, "load_log", failing)
    assert all(one.verdict == "fault" for one in cases(tmp_path, "log, as written"))


def test_events_that_are_not_in_the_file_are_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    right = farzi.load_log

    def wrong(*given: Any, **settings: Any) -> Log:
        log = right(*given, **settings)
        return replace(log, train=replace(log.train, items=log.train.items[::-1].copy()))

    monkeypatch.setattr(farzi, "load_log", wrong)
    assert any(one.startswith("events differ") for one in kinds(cases(tmp_path, "log, as written")))


def test_a_crash_is_a_fault_and_the_next_case_is_run(worker: Worker):
    assert worker.run(0).verdict != "fault"
    assert worker.process is not None
    worker.process.kill()
    worker.process.wait()
    assert "ends with status -9" in worker.run(1).kind
    assert worker.run(2).verdict != "fault"


def test_a_strict_reading():
    text = 'user,item,time\nu,"a,b",3\nu,c,1\n'
    assert logs.read_csv(text.encode(), ",", False) == [("u", "a,b", 3.0), ("u", "c", 1.0)]
    assert logs.histories([("u", "b", 3.0), ("u", "a", 1.0), ("v", "c", 0.0)]) == {
        "u": ["a", "b"],
        "v": ["c"],
    }
    assert logs.read_json(b'{"user": 1, "item": "a", "time": 2}\n\n') == [("1", "a", 2.0)]
    for wrong in (
        'user,item,time\nu,"a,3\n',
        "user,item,time\nu,a\n",
        "user,item,time\nu,,3\n",
        "user,item,time\nu,a,\n",
    ):
        with pytest.raises(Unreadable):
            logs.read_csv(wrong.encode(), ",", False)
    with pytest.raises(Unsure):
        logs.read_csv(b"user,thing,time\nu,a,1\n", ",", False)
    for size in (0, 5, 250_000):
        assert unzstd(zstd(b"x" * size)) == b"x" * size


def test_a_reading_of_zstd_is_that_of_the_package(tmp_path: Path):
    rows = logs.made(random.Random(0), False)
    data = "user,item,time\n" + "".join(f"{user},{item},{int(time)}\n" for user, item, time in rows)
    path = tmp_path / "log.csv.zst"
    path.write_bytes(zstd(data.encode()))
    logs.check_log(farzi.load_log(path, **logs.SETTINGS), rows)
    with pytest.raises(Fault, match="events differ"):
        logs.check_log(farzi.load_log(path, **logs.SETTINGS), rows[:-1])


def test_damage_depends_on_the_numbers_drawn_alone():
    data = b"user,item\na,b\nc,d\n"
    assert [damaged(data, random.Random(k)) for k in range(50)] == [
        damaged(data, random.Random(k)) for k in range(50)
    ]
    assert sum(damaged(data, random.Random(k)) != data for k in range(200)) > 150
    value = {"a": [1, {"b": None}], "c": "x"}
    changed = [changed_value(value, random.Random(k)) for k in range(50)]
    assert json.loads(json.dumps(value)) == value == {"a": [1, {"b": None}], "c": "x"}
    assert sum(one != value for one in changed) > 40
