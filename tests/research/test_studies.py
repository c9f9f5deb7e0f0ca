"""Every study: its grid is whole, its rows can be done, and whatever rows are there can be told of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farzi.distillation.check import check_parts
from farzi.recipe import Recipe, presets
from farzi.recipe.variants import ClassInit, GRU4Rec, TeacherInit
from research.report import markdown
from research.report.charts import plot_charts
from research.studies import STUDIES, Bench, Done, Row, Setting, Study, base_recipe, limits, measure, price
from research.studies.made import MadeLog
from research.studies.price import planned
from research.studies.study import same_values

QUICK = {
    "teach.max_steps": 4,
    "teach.validate_every": 2,
    "teach.grid.learning_rate": (0.01,),
    "outer.steps": 2,
    "select.every": 2,
}
"""A few steps on the full data, then two outer steps."""


def setting_of(recipe: Recipe, seeds: int = 1) -> Setting:
    return Setting(recipe, seeds, 1)


@pytest.fixture
def quick(small: Recipe) -> Recipe:
    return small.changed(QUICK)


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_a_grid_is_rows_of_their_own_each_with_all_that_it_needs(study: Study):
    rows = list(study.grid(Setting(base_recipe(study.source), study.seeds, study.summaries)))
    assert len({row.key for row in rows}) == len(rows) >= 3
    assert study.seeds >= 3
    assert study.question.endswith("?")
    for row in rows:
        assert all(letter.isalnum() or letter in ".-" for letter in row.key), row.key
        assert same_values(row.values(), row.values(), row.values(brief=True)), row.key
    assert len({str(row.values()) for row in rows}) >= len(rows) - 3  # sweeps may share their middle


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_rows_do_not_say_where_the_data_lie(study: Study):
    rows = study.grid(Setting(base_recipe(study.source, "/somewhere/copy")))
    assert "somewhere" not in str([row.values() for row in rows])


def made_up(rows: list[Row], figures: dict[str, float], failing: int | None = None) -> list[Done]:
    """Rows as if each had been measured, around the same figures."""
    rng, done = np.random.default_rng(0), []
    for place, row in enumerate(rows):
        few: dict[str, list[float | None]] = {
            name: [float(value * (1 + 0.1 * rng.standard_normal())) for _ in range(3)]
            for name, value in figures.items()
        }
        failure = "it cannot be done" if place == failing else ""
        done.append(Done(row.key, row.labels, {} if failure else few, 1.0, "c", {}, row.values(), failure))
    return done


def figures_for(study: Study, rows: list[Row]) -> dict[str, float]:
    """Names of all the figures that a study's rows may have."""
    metrics = (
        ("perplexity", "accuracy") if study.name == "treebank" else ("HR@10", "HR@100", "nDCG@10", "AUC")
    )
    found = {name: 0.3 for name in metrics}
    costs = ("train seconds", "distil seconds", "validation", "validation at start", "step seconds", "KiB")
    found |= dict.fromkeys(
        (*costs, "step MiB", "outer steps", "metagradient norm", "cosine", "length ratio"), 2.0
    )
    found |= {
        f"{who}: {name}": 0.3
        for who in ("full", "summary", "summary of all", "larger summary", "random", "gap", "training")
        for name in metrics
    }
    found |= {f"user {group}: HR@100": 0.3 for group in ("0-9", "10-19")} | {"item 1-4: HR@100": 0.2}
    found |= dict.fromkeys(("share of members above others", "share nearest a member"), 0.55)
    return found | {"share, blind at most": 0.53}


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_any_rows_can_be_told_of(study: Study, tmp_path: Path):
    rows = list(study.grid(Setting(base_recipe(study.source))))
    figures = figures_for(study, rows)
    whole = made_up(rows, figures)
    some = [
        [],
        whole[:1],
        whole[1:2],
        whole[:2],
        whole[-1:],
        whole[::2],
        made_up(rows, figures, failing=1),
        whole,
    ]
    for done in some:
        findings = study.conclude(done)
        assert findings.tables
        for one in findings.tables:
            assert all(len(line.cells) == len(one.columns) for line in one.lines)
            assert "nan" not in markdown(one)
        assert "nan" not in findings.conclusion
    findings = study.conclude(whole)
    assert findings.charts
    assert any(letter.isdigit() for letter in findings.conclusion)
    assert findings.headline in findings.conclusion
    shown = {line.command for one in findings.tables for line in one.lines}
    assert shown == {"c"} or shown == {"c", ""}
    plot_charts(findings.charts, tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("name", "key", "figures"),
    [
        ("headline", "farzi", ("AUC", "HR@100", "distil seconds", "validation at start")),
        ("headline", "head", ("AUC", "learning rate", "train seconds")),
        ("headline", "random-teachers-labels", ("AUC", "windows")),
        ("headline", "random-teachers-labels-equal-bytes", ("AUC", "windows")),
        ("headline", "teachers-ensemble", ("AUC", "train seconds")),
        ("unrolling", "T-20", ("step seconds", "step MiB", "metagradient norm")),
        ("unrolling", "algorithm-1-5", ("cosine", "length ratio in float64")),
        ("weights", "pretrained-steps", ("outer steps",)),
        ("architectures", "all-three-gru4rec", ("HR@100",)),
        ("architectures", "gru4rec-sasrec", ("learning rate",)),
        ("cold-start", "farzi", ("user 0-9: HR@100", "item 5-19: HR@100")),
        ("data-or-kick", "one-student-optimizer-sgd", ("HR@100",)),
        ("data-or-kick", "one-student-width-2", ("HR@100",)),
        ("model-selection", "gru4rec-4-1", ("full: HR@10", "summary: HR@10", "summary of all: HR@10")),
        ("privacy", "summary", ("share nearest a member", "share of members above others")),
        ("privacy", "full", ("share, blind at most",)),
    ],
)
def test_a_row_can_be_done(name: str, key: str, figures: tuple[str, ...], quick: Recipe, tmp_path: Path):
    rows = {row.key: row for row in STUDIES[name].grid(setting_of(quick))}
    done = measure(rows[key], Bench(tmp_path), "c")
    assert done.failure == ""
    assert set(figures) <= set(done.figures)
    assert all(len(values) == 1 for values in done.figures.values())


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_no_row_contradicts_itself(study: Study):
    """Whatever recipe it varies: one that is taught by several, and of so many classes, too."""
    base = base_recipe(study.source)
    for changed in ({}, {"init.others": (GRU4Rec(),), "init.classes": 50}):
        for row in study.grid(Setting(base.changed(changed))):
            for job in row.work.demand.distil:
                check_parts(job.recipe)
                init = job.recipe.init
                assert isinstance(init, TeacherInit | ClassInit) or "classes" not in init.own


@pytest.mark.long
def test_a_summary_of_all_students_has_its_price(quick: Recipe, tmp_path: Path):
    init = {"type": "teacher", "teachers": 1, "classes": 4}
    own = quick.changed({"summary.parametrization.label_decoder": True, "init": init})
    row = STUDIES["model-selection"].grid(setting_of(own))[0]
    cost = price([row], Bench(tmp_path))
    assert cost.distillations == len(row.work.demand.distil) == 2
    assert cost.trainings == len(row.work.demand.real) + 3, (
        "three teachers, one of whom is all of the other's"
    )
    assert all(planned(job, Bench(tmp_path)).teach_step > 0 for job in row.work.demand.distil)


def test_a_made_log_is_done_under_its_own_data(
    quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "BASE", MadeLog(users=30, items=25, length=8))
    rows = {row.key: row for row in STUDIES["limits"].grid(setting_of(quick))}
    done = measure(rows["imbalance-2"], Bench(tmp_path), "c")
    assert done.failure == ""
    kinds = ("full", "summary", "larger summary", "random")
    assert {f"{kind}: HR@10" for kind in kinds} | {"summary: distil seconds"} <= set(done.figures)


def test_a_text_is_done_by_the_same_rows(tmp_path: Path):
    words = ["the cat sat on the mat .", "a dog ran to the cat .", "the mat was red ."]
    (tmp_path / "text.txt").write_text("\n".join(words * 60))
    recipe = presets.TEXT.changed(
        {
            **QUICK,
            "data.source": str(tmp_path / "text.txt"),
            "data.tokens": "words",
            "student.hidden": 8,
            "summary.sequences": 6,
            "summary.length": 6,
            "summary.parametrization.dim": 4,
            "inner.steps": 6,
            "inner.batch": 3,
            "outer.window": 2,
            "outer.burn_in": 1,
            "outer.pool": 2,
            "outer.batch": 8,
            "select.students": 1,
        }
    )
    rows = {row.key: row for row in STUDIES["treebank"].grid(setting_of(recipe))}
    for key in ("summary-6x6", "random-6x6"):
        done = measure(rows[key], Bench(tmp_path / "out"), "c")
        assert done.failure == ""
        assert {"perplexity", "accuracy", "bits per byte"} <= set(done.figures)
    gap = {row.key: row for row in STUDIES["dimension"].grid(setting_of(recipe))}["dim-4"]
    assert "gap: perplexity" in measure(gap, Bench(tmp_path / "out"), "c").figures


def test_summaries_are_distilled_once(quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    from research.studies import bench as module

    def counted(distil: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            place = words[1]
            if not (place / "SHA256SUMS").exists():
                calls.append(1)
            return distil(*words, **named)

        return call

    monkeypatch.setattr(module, "distill", counted(module.distill))
    setting = replace(setting_of(quick, seeds=3), summaries=2)
    rows = {row.key: row for row in STUDIES["data-or-kick"].grid(setting)}
    for key in ("one-student-as-learnt-1", "one-student-steps-2", "one-student-learning-rate-0.5"):
        measure(rows[key], Bench(tmp_path), "c")
    assert len(calls) == 2
