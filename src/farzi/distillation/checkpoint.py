"""The state of an unfinished run in one file, which is whole or the one before it.

A state is nested dicts of tensors and JSON values. Tensors are stored by their path, everything else as JSON
beside them. Python writes floats so that they are read back exactly: a resumed run continues from the very
same state.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from farzi.tensorfile import read_tensors, write_tensors

FORMAT = "farzi-checkpoint-2"
NAME = "checkpoint.safetensors"
ADVICE = "restart=True starts the run again"


def save_checkpoint(state: dict[str, Any], folder: Path) -> None:
    """Replace the folder's checkpoint.

    Raises:
        OSError: the disk is full or the folder cannot be written; the checkpoint before is then still there.
    """
    tensors, values = flatten(state)
    write_tensors(folder / NAME, FORMAT, tensors, {"values": json.dumps(values)})


def load_checkpoint(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The folder's checkpoint with its tensors on a device; None if there is none.

    Raises:
        FarziError: it is damaged.
    """
    if not (folder / NAME).exists():
        return None
    tensors, words = read_tensors(folder / NAME, FORMAT, ADVICE)
    there = {name: value.to(device) for name, value in tensors.items()}
    return unflatten(there, json.loads(words["values"]))


def remove_checkpoint(folder: Path) -> None:
    """Delete the folder's checkpoint, if there is one."""
    (folder / NAME).unlink(missing_ok=True)


def flatten(state: dict[str, Any], path: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of nested dicts by their path, names joined by "//", and the dicts without them."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, Tensor):
            tensors[f"{path}{name}"] = value
        elif isinstance(value, dict):
            below, values[name] = flatten(value, f"{path}{name}//")
            tensors |= below
        else:
            values[name] = value
    return tensors, values


def unflatten(tensors: dict[str, Tensor], values: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`; the values' dicts get the tensors back."""
    for path, value in tensors.items():
        *groups, name = path.split("//")
        place = values
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return values
