"""Farzi's figures are those of RecTools and LensKit, where these are installed, and of a count by hand."""

from typing import Any

import numpy as np
import polars as pl
import pytest

import farzi
from examples import other_evaluators as example
from farzi.data import Log
from farzi.models import build_model
from farzi.recipe.variants import LogData
from tests.models.kinds import settings


@pytest.fixture
def model(tiny: Log) -> farzi.Model:
    """An untrained one, whose ranking is arbitrary."""
    student = settings(type="sasrec", hidden=8)
    return farzi.Model(
        build_model(student, len(tiny.vocabulary), 6), student, tiny.vocabulary, LogData(), "full"
    )


def test_the_split_as_a_frame_has_all_events_in_their_order(tiny: Log):
    frame = tiny.to_frame()
    assert frame.columns == ["user_id", "item_id", "position", "part"]
    ids = tiny.vocabulary.frame["id"].to_list()
    for number, user in enumerate(tiny.test.histories.users or ()):
        rows = frame.filter(pl.col("user_id") == user).sort("position")
        known, target = tiny.test.histories[number], tiny.test.targets[number]
        assert rows["item_id"].to_list() == [ids[item] for item in [*known, *target]]
        assert rows["part"].to_list() == ["train"] * (len(rows) - 2) + ["valid", "test"]


def by_hand(recommended: Any, truth: pl.DataFrame) -> tuple[float, float]:
    ranks = {
        (user, item): rank
        for user, item, rank in recommended[["user_id", "item_id", "rank"]].itertuples(index=False)
    }
    found = [ranks.get(pair) for pair in truth.select("user_id", "item_id").rows()]
    gains = [0.0 if rank is None else 1 / np.log2(rank + 1) for rank in found]
    return float(np.mean([rank is not None for rank in found])), float(np.mean(gains))


@pytest.mark.parametrize("library", [None, "rectools", "lenskit"])
def test_the_figures_are_the_same(tiny: Log, model: farzi.Model, library: str | None):
    pytest.importorskip("pandas")
    pytest.importorskip(library or "polars")
    measure = by_hand if library is None else getattr(example, f"{library}_figures")
    events = tiny.to_frame()
    recommended = example.recommendations(model, events)
    found = measure(recommended, events.filter(pl.col("part") == "test"))
    assert found == pytest.approx(example.farzi_figures(model, tiny), abs=1e-9)
    assert 0 < found[1] < found[0] < 1
