"""What lets the pages' code run in seconds: a small log, and small presets."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from farzi.recipe import Recipe, presets

SMALL = {
    "student.hidden": 8,
    "summary.sequences": 6,
    "summary.length": 8,
    "summary.parametrization.dim": 4,
    "init.teachers": 1,
    "inner.steps": 10,
    "inner.batch": 4,
    "outer.steps": 1,
    "outer.batch": 16,
    "outer.window": 3,
    "outer.burn_in": 1,
    "outer.pool": 2,
    "select.students": 1,
    "teach.max_steps": 5,
    "teach.validate_every": 5,
    "teach.grid.learning_rate": (0.003,),
    "compare.seeds": 2,
}


def write_events(path: Path, users: int = 60, films: int = 40, seed: int = 0) -> None:
    """A log in which each film is mostly followed by the next one: user_id, item_id, timestamp."""
    rng = np.random.default_rng(seed)
    lines = ["user_id,item_id,timestamp"]
    for user in range(1, users + 1):
        film = int(rng.integers(films))
        for time in range(int(rng.integers(8, 16))):
            lines.append(f"{user},{_title(film)},{1_700_000_000 + 60 * time}")
            film = (film + 1) % films if rng.random() < 0.9 else int(rng.integers(films))
    path.write_text("\n".join(lines) + "\n")


def _title(film: int) -> str:
    """The films that pages name, then others."""
    named = ("Toy Story (1995)", "Aladdin (1992)")
    return named[film] if film < len(named) else f"Film {film}"


def small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the presets by recipes of the same kind whose runs take seconds."""
    for name in ("log", "text"):
        small = presets.PRESETS[name].changed(SMALL)
        monkeypatch.setattr(presets, name.upper(), small)
        monkeypatch.setitem(cast(dict[str, Recipe], presets.PRESETS), name, small)
