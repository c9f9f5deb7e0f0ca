"""The state of unfinished work in one file, which is whole or the one before it.

A state is nested dicts and lists of tensors and JSON values. Tensors are stored by their path, everything
else as JSON beside them. Python writes floats so that they are read back exactly: what is resumed continues
from the very same state.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from farzi.errors import FarziError
from farzi.files import remove_leftovers
from farzi.tensorfile import read_tensors, write_tensors

TENSOR, SEPARATOR = "tensor:", "//"
"""The key that stands for a tensor, and what joins the names of its path."""


def write_state(path: Path, format: str, state: dict[str, Any]) -> None:
    """Write a state to one file, as `farzi.tensorfile.write_tensors`."""
    tensors, values = flatten(state)
    write_tensors(path, format, tensors, {"values": json.dumps(values)})


def read_state(path: Path, format: str, advice: str, device: torch.device | str) -> dict[str, Any]:
    """The state in a file, with its tensors on a device, as `farzi.tensorfile.read_tensors`."""
    tensors, words = read_tensors(path, format, advice)
    try:
        values = json.loads(words["values"])
        return unflatten({name: value.to(device) for name, value in tensors.items()}, values)
    except (KeyError, ValueError, TypeError, RecursionError):
        raise FarziError(f"{path}: holds no state, or that of another version of Farzi; {advice}") from None


def remove_state(path: Path) -> None:
    """Delete a file of `write_state`, if it is there, and what killed writes of it left."""
    path.unlink(missing_ok=True)
    remove_leftovers(path.parent, path.name)


def flatten(state: Any) -> tuple[dict[str, Tensor], Any]:
    """The tensors of nested dicts and lists by their path, and the rest with these paths in their place."""
    tensors: dict[str, Tensor] = {}

    def without(value: Any, *path: str) -> Any:
        if isinstance(value, Tensor):
            name = SEPARATOR.join(path)
            tensors[name] = value
            return {TENSOR: name}
        if isinstance(value, dict):
            return {name: without(one, *path, name) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [without(one, *path, str(k)) for k, one in enumerate(value)]
        return value

    return tensors, without(state)


def unflatten(tensors: dict[str, Tensor], values: Any) -> Any:
    """The inverse of `flatten`; tuples have become lists."""
    if isinstance(values, dict):
        if TENSOR in values:
            return tensors[values[TENSOR]]
        return {name: unflatten(tensors, one) for name, one in values.items()}
    return [unflatten(tensors, one) for one in values] if isinstance(values, list) else values
