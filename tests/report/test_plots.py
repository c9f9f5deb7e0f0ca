"""The picture of a comparison, by what stands on its axes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from farzi.evaluation import Comparison, RecommendationTask, Result
from farzi.report.plots import _draw_bars, plot_comparison, validation_shares

SHOWN = ("HR@10", "nDCG@10", "HR@100")
KINDS = (
    *("full", "summary", "initial summary", "random, teachers' labels", "random", "random, equal bytes"),
    *("teachers", "popularity"),
)


def made(**levels: float) -> Comparison:
    """Every user of a kind at its level, 0.4 if not given; at 0.4 in HR@100 whatever is given."""

    def entry(kind: str) -> Result:
        level = levels.get(kind, 0.4)
        per_unit = {name: np.full((2, 30), level if name != "HR@100" else 0.4) for name in SHOWN}
        return Result(kind, 1234, 24_680, 20_480, 1.0, per_unit, 0.01)

    return Comparison("sasrec", RecommendationTask(), 20, 40, tuple(entry(kind) for kind in KINDS))


def drawn(comparison: Comparison, name: str = "HR@10") -> tuple[list[str], float]:
    """The texts beside the bars and the end of the axis."""
    axes = Figure().subplots()
    _draw_bars(axes, comparison, name)
    shown = [label.get_text().partition(":")[0] for label in axes.get_yticklabels()]
    assert shown == list(KINDS[1:])
    return [text.get_text() for text in axes.texts], axes.get_xlim()[1]


def test_each_bar_has_its_figure():
    comparison = made(summary=0.3, random=0.1)
    texts, top = drawn(comparison)
    assert texts == ["75", "100", "100", "25", "100", "100", "100"]
    assert 105 < top < 125
    assert drawn(comparison, "HR@100")[0] == 7 * ["100"]


def test_the_axis_reaches_as_far_as_the_bars():
    texts, top = drawn(made(full=0.1))
    assert texts == 7 * ["400"]
    assert top > 420


def test_a_ratio_that_is_not_defined_is_told():
    texts, top = drawn(made(full=0.0))
    assert texts == ["undefined: full data at 0"]
    assert np.isfinite(top)


def history(**ratios: float | None) -> list[dict[str, Any]]:
    return [{"outer_step": k, "relative_to_full": {name: 0.5 for name in SHOWN} | ratios} for k in (0, 50)]


def test_the_history_leaves_out_what_is_not_defined():
    assert validation_shares(history()) == {name: [50, 50] for name in SHOWN}
    assert list(validation_shares(history(**{"HR@10": None}))) == ["nDCG@10", "HR@100"]
    assert validation_shares([]) == {}


@pytest.mark.parametrize("lines", [[], history(), history(**dict.fromkeys(SHOWN))])
@pytest.mark.parametrize("full", [0.4, 0.0])
def test_every_case_gives_a_picture(tmp_path: Path, full: float, lines: list[dict[str, Any]]):
    plot_comparison(made(full=full), lines, tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
