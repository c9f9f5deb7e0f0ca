"""The state of an unfinished run in one file, so that it is whole or the one before it.

Numbers, history and the recipe lie as JSON beside the tensors. Python writes floats so that they are read
back exactly, hence a resumed run goes on from the very same state.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from farzi.tensorfile import read_tensors, write_tensors

FORMAT = "farzi-checkpoint-1"
NAME = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A state.

    Attributes:
        tensors: all tensors by name; their order is kept.
        values: everything else, as JSON values.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Replace the folder's checkpoint.

        Raises:
            OSError: the disk is full or the folder cannot be written; the checkpoint before it is then still
                there.
        """
        write_tensors(folder / NAME, FORMAT, self.tensors, {"values": json.dumps(self.values)})

    @staticmethod
    def load(folder: Path) -> "Checkpoint | None":
        """The folder's checkpoint, None where there is none.

        Raises:
            FarziError: it is damaged.
        """
        if not (folder / NAME).exists():
            return None
        tensors, words = read_tensors(folder / NAME, FORMAT, "--restart begins the run anew")
        return Checkpoint(tensors, json.loads(words["values"]))

    def to(self, device: torch.device | str) -> "Checkpoint":
        """The same with its tensors on another device."""
        return Checkpoint({name: value.to(device) for name, value in self.tensors.items()}, self.values)

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `name/`, under what follows it."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)
        }

    @staticmethod
    def remove(folder: Path) -> None:
        """Let go of the folder's checkpoint."""
        (folder / NAME).unlink(missing_ok=True)
