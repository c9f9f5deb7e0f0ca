"""A summary in a folder, and its log in a file, whose trials take a fraction of a second."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import farzi
from farzi.progress import Progress
from farzi.recipe import Recipe
from farzi.recipe.variants import LogData
from tests.docs.small import write_events

SPACE = {
    "student.type": {"choices": ["sasrec", "gru4rec"]},
    "student.hidden": {"type": "int", "min": 4, "max": 12, "step": 4},
    "inner.optimizer.learning_rate": {"type": "float", "min": 0.005, "max": 0.08, "scale": "log"},
}


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Optuna's journal waits for the disk after each of its many lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def distilled(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Path:
    """The folder of a summary."""
    place = tmp_path_factory.mktemp("tuning")
    write_events(place / "events.csv")
    changes = {"data": LogData(source=str(place / "events.csv")), "outer.steps": 2}
    recipe = recipe.changed({**changes, "summary.parametrization.label_decoder": True})
    log = farzi.load_log(place / "events.csv")
    farzi.distill(log, recipe, out=place / "summary", progress=Progress())
    return place / "summary"
