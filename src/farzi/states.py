"""The state of unfinished work in one file, which is whole or the one before it.

A state is nested dicts and lists of tensors and JSON values. Tensors are stored by their path, everything
else as JSON beside them. Python writes floats so that they are read back exactly: what is resumed continues
from the very same state.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from farzi.errors import FarziError, out_of_memory
from farzi.files import remove_leftovers
from farzi.tensorfile import check_tensors, read_tensors, write_tensors

TENSOR, SEPARATOR = "tensor:", "//"
"""The key that stands for a tensor, and what joins the names of its path."""


def write_state(path: Path, format: str, state: dict[str, Any]) -> None:
    """Write a state to one file, as `farzi.tensorfile.write_tensors`."""
    tensors, values = flatten(state)
    write_tensors(path, format, tensors, {"values": json.dumps(values)})


def read_state(path: Path, format: str, advice: str, device: torch.device | str) -> dict[str, Any]:
    """The state in a file, with its tensors on a device, as `farzi.tensorfile.read_tensors`."""
    tensors, words = read_tensors(path, format, advice)
    with restoring(path, advice):
        values = json.loads(words["values"])
        return unflatten({name: value.to(device) for name, value in tensors.items()}, values)


@contextmanager
def restoring(path: Path, advice: str) -> Iterator[None]:
    """Errors of a state that does not fit, raised within the block, become one line that names its file.

    A file that is whole may still come from another version, or from somebody who has changed it.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        reason = f"no {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]
        line = f"{path}: damaged, or of another version of Farzi ({reason}); {advice}"
        raise FarziError(line) from error


def check_like(state: Any, own: Any, *path: object) -> None:
    """Refuse a state that `own`, the same at its beginning, could not have become.

    Dicts must have the same names, lists the same length, tensors the same shape and type, other values the
    same type, and numbers must be finite. Anything may be in place of None, and in an empty list or dict.

    Raises:
        ValueError: they differ; the line names the first place, below `path`.
    """
    name = ".".join(map(str, path)) or "the state"
    if own is None:
        return
    if isinstance(own, Tensor) and isinstance(state, Tensor):
        check_tensors({name: state}, {name: (own.dtype, own.shape)})
    elif isinstance(own, dict) and isinstance(state, dict):
        for key in own.keys() ^ state.keys() if own else ():
            raise ValueError(f"{name} {'lacks' if key in own else 'has'} {key}")
        for key, one in own.items():
            check_like(state[key], one, *path, key)
    elif isinstance(own, list | tuple) and isinstance(state, list):
        if own and len(state) != len(own):
            raise ValueError(f"{name} has {len(state)} parts, not {len(own)}")
        for place, one in enumerate(own):
            check_like(state[place], one, *path, place)
    elif type(state) is not type(own) or (isinstance(own, float) and not math.isfinite(state)):
        raise ValueError(f"{name} is {state!r:.20}")


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
