"""A study whose rows cost nothing, and a log in a file that real rows are done on in a second."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from farzi.data import Log
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.recipe.variants import LogData
from research.studies import Bench, Done, Findings, Row, Setting, Study, Table
from research.studies.conclusions import table
from research.studies.study import Demand, Job, Repeat

CALLS: list[str] = []


@dataclass(frozen=True)
class Toy:
    """Figures from a formula; it fails at the level 13."""

    level: int
    recipe: Recipe

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        CALLS.append(f"{self.level}/{repeat.number}/{repeat.summary}")
        if self.level == 13:
            raise FarziError("thirteen cannot be done")
        return {"HR@10": self.level / 100 + repeat.number / 1000, "distil seconds": float(self.level)}

    @property
    def demand(self) -> Demand:
        return Demand(distil=(Job(self.recipe),))


def toy_grid(levels: Sequence[int]) -> Callable[[Setting], Sequence[Row]]:
    def grid(setting: Setting) -> Sequence[Row]:
        return [setting.row(f"level-{k}", {"level": k}, Toy(k, setting.recipe)) for k in levels]

    return grid


def toy_conclude(rows: Sequence[Done]) -> Findings:
    shown: Table = table(rows, ("level",), ("HR@10", "distil seconds"))
    return Findings((shown,), (), f"{len(rows)} rows. That is all.")


@pytest.fixture
def calls() -> list[str]:
    CALLS.clear()
    return CALLS


@pytest.fixture
def toy() -> Study:
    """Rows at the levels 1, 2 and 13."""
    return Study("toy", "What is a row?", toy_grid((1, 2, 13)), toy_conclude)


@pytest.fixture
def log(tmp_path: Path, tiny: Log) -> Path:
    """The events of `tiny` as a file."""
    path = tmp_path / "log.csv"
    histories = [[*history, *target] for history, target in zip(tiny.test.histories, tiny.test.targets)]
    rows = [f"u{user},i{item},{t}" for user, one in enumerate(histories) for t, item in enumerate(one)]
    path.write_text("user,item,time\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def small(log: Path, recipe: Recipe) -> Recipe:
    """A distillation of that log in half a second."""
    return recipe.changed({"data": LogData(source=str(log), unseen="keep")})


@pytest.fixture
def done() -> Callable[..., Done]:
    """`done(key, labels, HR@100=[...])`: a row with these figures, as if it had been measured."""

    def make(key: str, labels: dict[str, object], seconds: float = 1.0, **figures: Sequence[float]) -> Done:
        values = {name: [None if np.isnan(one) else one for one in few] for name, few in figures.items()}
        return Done(
            key,
            labels,
            values,
            seconds,
            f"python -m research toy --row {key}",
            {"farzi": "1"},
            {"summaries": 1},
        )

    return make
