"""The example with a loop of its own runs on a small summary."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from tests.tuning.conftest import distilled as distilled

pytest.importorskip("optuna")


def test_it_runs(distilled: Path, capsys: pytest.CaptureFixture[str]):
    example: Any = importlib.import_module("examples.optuna_study")
    study = example.main([str(distilled), "--trials", "2"])
    assert len(study.trials) == 2
    assert capsys.readouterr().out.startswith("trial ")
