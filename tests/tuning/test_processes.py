"""Several processes on one search: nothing is lost where one is killed, and errors come back in one line."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farzi.errors import FarziError
from farzi.tuning.processes import work
from tests.tuning.test_search import Fake, ignore, search

pytest.importorskip("optuna")


class Killed(Fake):
    """Kills its process in the third training, once; or in each, without a file for the mark."""

    def __init__(self, mark: Path | None) -> None:
        super().__init__()
        self.mark = mark

    def __call__(self, recipe: Any, drawn: Any, seed: int) -> np.ndarray:
        if len(self.asked) == 2 and (self.mark is None or not self.mark.exists()):
            if self.mark is not None:
                self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(recipe, drawn, seed)


class Refused(Fake):
    """Refuses the recipe's own setting."""

    def __call__(self, recipe: Any, drawn: Any, seed: int) -> np.ndarray:
        raise FarziError("no such thing")


def test_what_a_killed_process_did_is_done_again(tmp_path: Path):
    mine, said = search(tmp_path, Killed(tmp_path / "mark"), trials=6, seeds=2), list[str]()
    work(mine, 2, ignore, said.append)
    rows = mine.rows(mine.study())
    assert len(rows) == 6
    assert all(row.figure is not None for row in rows)
    assert [row.default for row in rows].count(True) == 1
    assert len(said) == 1
    assert "signal 9" in said[0]


@pytest.mark.long
def test_a_process_that_is_killed_again_and_again_ends_the_search(tmp_path: Path):
    mine = search(tmp_path, Killed(None), trials=6)
    with pytest.raises(FarziError, match=r"signal 9, and 3 before it"):
        work(mine, 2, ignore, lambda text: None)


def test_an_error_in_a_process_comes_back(tmp_path: Path):
    with pytest.raises(FarziError, match=r"^no such thing$"):
        work(search(tmp_path, Refused()), 2, ignore, lambda text: None)
