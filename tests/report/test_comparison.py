"""The comparison as a table, as sentences and as results.json."""

import json
from pathlib import Path

import numpy as np
import pytest

from farzi.evaluation import Comparison, RecommendationTask, Result
from farzi.report import save_report

METRICS = ("HR@10", "nDCG@10", "HR@100")


def measured(name: str, level: float, seconds: float) -> Result:
    rng = np.random.default_rng(0)
    per_unit = {metric: (rng.random((3, 200)) < level).astype(float) for metric in METRICS}
    return Result(name, 50, 1000, 20_480, seconds, per_unit, 0.01)


@pytest.fixture
def comparison() -> Comparison:
    kinds = measured("full", 0.4, 20.0), measured("summary", 0.3, 0.5), measured("random", 0.1, 1.0)
    return Comparison("sasrec", RecommendationTask(), 20, 1682, kinds, distilling=117.0)


def shown(comparison: Comparison) -> str:
    return str(comparison)


def test_results_are_the_rows_of_the_comparison(comparison: Comparison, tmp_path: Path):
    rows = save_report(comparison, tmp_path, [])
    assert json.loads((tmp_path / "results.json").read_text()) == rows == comparison.rows()
    assert set(rows[0]) == {
        *("trained_on", "student", "sequences", "events", "bytes", "metric", "unit", "mean", "low", "high"),
        *("seeds", "train_seconds", "relative_to_full", "events_share", "bytes_share", "seconds_share"),
    }


def test_a_share_of_nothing_is_null(tmp_path: Path):
    nothing = Comparison(
        "sasrec", RecommendationTask(), 20, 9, (measured("full", 0.0, 2.0), measured("summary", 0.3, 0.5))
    )
    rows = save_report(nothing, tmp_path, [])
    assert {row["relative_to_full"] for row in rows} == {None}
    assert "–" in shown(nothing)


def test_each_kind_has_its_row_with_its_share(comparison: Comparison):
    lines = shown(comparison).splitlines()
    at = next(index for index, line in enumerate(lines) if line.strip().startswith("summary"))
    mean = 100 * comparison.result("summary").per_unit["HR@10"].mean()
    assert f"{mean:.1f} ±" in lines[at]
    assert f"{100 * comparison.relative('summary', 'HR@10').mean:.0f} %" in lines[at + 1]
    assert "20" in lines[at]  # KiB


def test_the_sentences_say_what_it_saves(comparison: Comparison):
    text = " ".join(shown(comparison).split())
    assert "40 times faster" in text
    assert "Distilling took 117 s, paid for after 6 trainings." in text  # 117 / (20 − 0.5)
    assert "200 users ranked among all 1,682 items, seen items included" in text


def test_an_unknown_cost_is_not_spoken_of(comparison: Comparison):
    unknown = Comparison("sasrec", RecommendationTask("exclude"), 20, 1682, comparison.results)
    assert "Distilling" not in shown(unknown)
    assert "seen items excluded" in shown(unknown)


def test_a_cost_that_is_never_paid_back_is_told():
    kinds = measured("full", 0.4, 2.0), measured("summary", 0.3, 2.5)
    text = " ".join(
        shown(Comparison("sasrec", RecommendationTask(), 20, 1682, kinds, distilling=117.0)).split()
    )
    assert "Distilling took 117 s, never paid for." in text


def test_the_page_holds_the_table_the_sentences_and_the_source(comparison: Comparison, tmp_path: Path):
    save_report(comparison, tmp_path, [])
    page = (tmp_path / "comparison.md").read_text()
    assert "| summary | 1,000 (100 %) | 20 (100 %) |" in page
    assert "40 times faster" in page
    assert "farzi" in page.splitlines()[-1]
    facts = json.loads((tmp_path / "comparison.json").read_text())
    assert (facts["seen"], facts["speedup"], facts["break_even_trainings"]) == ("keep", 40, 6)
    assert set(facts["relative_to_full"]) == {"summary", "random"}


def test_files_of_two_comparisons_never_stand_side_by_side(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_report(comparison, tmp_path, [])
    assert len(list(tmp_path.iterdir())) == 4

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("farzi.report.comparison.plot_comparison", killed)
    with pytest.raises(KeyboardInterrupt):
        save_report(comparison, tmp_path, [])
    assert {path.name for path in tmp_path.iterdir()} == {"comparison.json", "comparison.md"}
