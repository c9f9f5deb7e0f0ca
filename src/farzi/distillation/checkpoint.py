"""The state of an unfinished run, in its folder."""

from pathlib import Path
from typing import Any

import torch

from farzi.data import Data
from farzi.data.fingerprint import fingerprint
from farzi.errors import FarziError
from farzi.recipe import Recipe, differences
from farzi.states import read_state, write_state
from farzi.summary import CHECKPOINT as NAME

FORMAT = "farzi-checkpoint-6"
ADVICE = "restart=True starts the run again"


def save_checkpoint(state: dict[str, Any], folder: Path) -> None:
    """Replace the folder's checkpoint; where it cannot be written the one before is still there."""
    write_state(folder / NAME, FORMAT, state)


def load_checkpoint(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The folder's checkpoint with its tensors on a device; None if there is none.

    Raises:
        FarziError: it is damaged.
    """
    path = folder / NAME
    return read_state(path, FORMAT, ADVICE, device) if path.exists() else None


def remove_checkpoint(folder: Path) -> None:
    """Delete the folder's checkpoint, if there is one."""
    (folder / NAME).unlink(missing_ok=True)


def refuse_another(
    recipe: Recipe, ours: Recipe, data: str | None, dataset: Data, out: Path, what: str
) -> None:
    """Raise FarziError where `out` holds `what` of another recipe than `ours`, or not of `dataset`.

    `recipe` and `data`, a fingerprint, are those in the folder.
    """
    advice = "choose another folder, or restart=True"
    if changed := differences(recipe, ours):
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise FarziError(f"{out} holds {what} of another recipe ({'; '.join(changed[:3])}{more}); {advice}")
    if data != fingerprint(dataset):
        raise FarziError(f"{out} holds {what} of other data than {ours.source} is now; {advice}")
