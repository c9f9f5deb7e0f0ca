"""How many of the package's files an outer step needs: what one must read to follow it."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import farzi
from farzi.data import Log
from farzi.distillation import OuterLoop, initialise
from farzi.recipe import Recipe

PACKAGE = Path(farzi.__file__).parent
MOST = 24


def test_an_outer_step_enters_few_files(tiny: Log, recipe: Recipe):
    """The default adjoint, eager execution, a SASRec, factored soft inputs with a label decoder."""
    recipe = recipe.changed(
        {
            "summary.parametrization.label_decoder": True,
            "init": "random",
            "inner": {"optimizer": "adamw", "cooldown": 0.5, "batch": 2},
            "outer.execution": "eager",
        }
    )
    loop = OuterLoop(recipe, tiny, initialise(recipe, tiny))
    loop.take_step(0.01)
    steps = [files_of(loop) for _ in range(6)]  # some start a new inner run, some continue one
    files = max(steps, key=len)
    assert len({len(one) for one in steps}) > 1
    assert "distillation/refine.py" in files
    assert len(files) <= MOST, f"{len(files)} files: {', '.join(files)}"


def files_of(loop: OuterLoop) -> list[str]:
    """The package's files of which a function is executed in the next outer step."""
    entered: set[str] = set()

    def called(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            entered.add(frame.f_code.co_filename)

    sys.setprofile(called)
    try:
        loop.take_step(0.01)
    finally:
        sys.setprofile(None)
    paths = (Path(name) for name in entered)
    return sorted(str(path.relative_to(PACKAGE)) for path in paths if path.is_relative_to(PACKAGE))
