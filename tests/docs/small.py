"""What lets the pages' code run in seconds: a small log, and small presets."""

from pathlib import Path

import numpy as np
import pytest


def write_events(path: Path, users: int = 60, films: int = 40, seed: int = 0) -> None:
    """A log in which each film is mostly followed by the next one: user_id, item_id, timestamp."""
    rng = np.random.default_rng(seed)
    lines = ["user_id,item_id,timestamp"]
    for user in range(users):
        film = int(rng.integers(films))
        for time in range(int(rng.integers(8, 16))):
            lines.append(f"user-{user},film-{film},{1_700_000_000 + 60 * time}")
            film = (film + 1) % films if rng.random() < 0.9 else int(rng.integers(films))
    path.write_text("\n".join(lines) + "\n")


def small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the presets by recipes of the same kind whose runs take seconds."""
