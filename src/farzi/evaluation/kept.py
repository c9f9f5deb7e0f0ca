"""Finished trainings of a comparison, in files: an interrupted comparison resumes at its next training."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from farzi.tensorfile import read_tensors, write_tensors

FORMAT = "farzi-compared-1"

Measured = dict[str, np.ndarray]
"""What a training gave, arrays by name."""


class Kept:
    """One file for each training, named by a checksum of all that it depends on.

    Args:
        folder: where the files are, made with the first one; None keeps nothing.
        common: JSON values that all trainings here depend on.

    Attributes:
        found: how many were read.
    """

    def __init__(self, folder: Path | None = None, common: Mapping[str, Any] | None = None) -> None:
        self.folder, self.common, self.found = folder, common or {}, 0

    def path(self, key: Mapping[str, Any]) -> Path | None:
        """The file of a training."""
        words = json.dumps({**self.common, **key}, sort_keys=True)
        name = f"compared-{hashlib.sha256(words.encode()).hexdigest()[:16]}.safetensors"
        return None if self.folder is None else self.folder / name

    def __call__(self, key: Mapping[str, Any], work: Callable[[], Measured]) -> Measured:
        """What the training that `key` determines gave: read, or else computed and written.

        Raises:
            FarziError: its file is damaged.
            OSError: it cannot be written.
        """
        path = self.path(key)
        if path is None:
            return work()
        if path.exists():
            self.found += 1
            tensors, _ = read_tensors(path, FORMAT, "delete it to train again")
            return {name: value.numpy() for name, value in tensors.items()}
        measured = work()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, FORMAT, {name: torch.from_numpy(value) for name, value in measured.items()}, {})
        return measured
