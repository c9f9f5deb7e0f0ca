"""What notebooks show: HTML whose figures are those of the text, and in which names stay names."""

from pathlib import Path

import numpy as np
import pytest

from farzi.data import Log
from farzi.distillation import plan_run
from farzi.errors import visible
from farzi.evaluation import Evaluation
from farzi.recipe import Recipe
from tests.report.pages import HOSTILE, Page, compared, made, named, shown


def test_a_summary_shows_its_first_sequence(tiny: Log, recipe: Recipe):
    summary = made(named(tiny, HOSTILE * 6), recipe)
    page = Page(summary._repr_html_())
    kinds = {"p", "b", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert {name for name, _ in page.elements} <= kinds
    for cell, at in zip(page.text["td"][::2], summary.top_events(3, 1)[0]):
        assert cell == ", ".join(
            f"{visible(one['name'])} {100 * one['probability']:.1f} %" for one in at["input"]
        )
    assert repr(summary) == page.text["b"][0]


def test_a_comparison_shows_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("farzi.report.comparison.plot_comparison", lambda *_: None)
    comparison = compared(tmp_path)
    page = Page(comparison._repr_html_())
    _, rows = comparison.table()
    assert [*page.text["td"]] == [cell for row in rows for cell in row[1:]]
    assert page.text["li"] == comparison.conclusions()


def test_an_evaluation_shows_its_figures():
    evaluation = Evaluation(
        {"HR@10": np.array([0.0, 1.0]), "perplexity": np.log([2.0, 2.0])}, "2 users <all>"
    )
    page = Page(evaluation._repr_html_())
    assert [one.strip() for one in page.text["td"]] == ["50.0 %", "2.00"]
    assert page.text["caption"] == ["2 users <all>"]


def test_a_plan_shows_its_parts(tiny: Log, recipe: Recipe):
    plan = plan_run(recipe, tiny)
    page = Page(plan._repr_html_())
    assert page.text["li"] == plan.lines()
    marked = [one for one in page.all("tr") if one.get("class") == "marked"]
    assert len(marked) == 1
    assert "total" in shown(plan._repr_html_())
