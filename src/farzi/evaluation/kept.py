"""Finished trainings of a comparison, in files: an interrupted comparison resumes at its next training."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from farzi.processes import current
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
        trained: how many were computed.
    """

    def __init__(self, folder: Path | None = None, common: Mapping[str, Any] | None = None) -> None:
        self.folder, self.common, self.found, self.trained = folder, common or {}, 0, 0

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
        if path is not None and path.exists():
            self.found += 1
            tensors, _ = read_tensors(path, FORMAT, "delete it to train again")
            return {name: value.numpy() for name, value in tensors.items()}
        measured = work()
        self.trained += 1
        if path is None:
            return measured
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, FORMAT, {name: torch.from_numpy(value) for name, value in measured.items()}, {})
        return measured

    def several(self, jobs: Sequence[tuple[Mapping[str, Any], Callable[[], Measured]]]) -> list[Measured]:
        """The same for several trainings, each with its key, which the processes share."""
        before = self.found, self.trained

        def one(job: tuple[Mapping[str, Any], Callable[[], Measured]]) -> tuple[Measured, bool]:
            found = self.found
            return self(*job), self.found > found

        outcomes = current().map(one, jobs)
        found = sum(known for _, known in outcomes)
        self.found, self.trained = before[0] + found, before[1] + len(jobs) - found
        return [measured for measured, _ in outcomes]
