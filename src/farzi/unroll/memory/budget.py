"""The fastest strategy that fits in given bytes."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from farzi.unroll.memory.checkpoints import Checkpoints, StoreGradients
from farzi.unroll.memory.tape import Memory, Store

UNITS = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip

BARE = 0.3
"""Extra time of a reverse step without its intermediates, in gradients; a rough figure."""


def bytes_of(size: str) -> int | None:
    """A size as "2GiB", "500 MB" or "1.5 GB" as a whole number of bytes; None if it cannot be read."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", size)
    return None if match is None or match[2] not in UNITS else int(Decimal(match[1]) * UNITS[match[2]])


@dataclass(frozen=True)
class Budget:
    """Bytes for the record of a run on its device; the fastest strategy that fits is chosen.

    They bound what grows with the run: what the strategy stores. The model, the data and the current step
    with its activations come on top, as in plain training. Host memory is never used: `OnHost` does that.

    Attributes:
        size: a number and a unit, as in "2GiB", "500 MB" or "1.5 GB".
    """

    size: str

    def __post_init__(self) -> None:
        if not isinstance(self.size, str):
            raise TypeError(f'memory={self.size!r}: write a number and a unit, as in "2GiB" or "500 MB"')
        self.bytes  # noqa: B018 (raises where it cannot be read)

    @property
    def bytes(self) -> int:
        """The size as a whole number of bytes."""
        size = bytes_of(self.size)
        if size is None:
            words = f'write a number and a unit, as in "2GiB"; units are {", ".join(UNITS)}'
            raise ValueError(f"memory={self.size!r}: {words}")
        return size

    def choose(
        self, steps: int, parameters: int, slots: int, bytes_per_float: int, intermediates: int = 0
    ) -> Memory:
        """The strategy that recomputes the fewest gradients, and of these the one with the fewest updates.

        A reverse step whose intermediates were not stored counts as `BARE` gradients.

        Args:
            steps: T.
            parameters: P.
            slots: number of the optimizer's slots, each (P,).
            bytes_per_float: 4 for float32.
            intermediates: floats of a step's intermediates.

        Raises:
            ValueError: nothing fits, not even one checkpoint; the message names the smallest size that does.
        """
        most = self.bytes // bytes_per_float
        fitting = list(_fitting(steps, parameters, slots, intermediates, most))
        if not fitting:
            store = _stores(intermediates)[-1]
            candidates = store, Checkpoints(slots=1, within=store)
            least = min(candidates, key=lambda memory: memory.cost(steps, 1, slots).device)
            needed = least.cost(steps, parameters, slots, intermediates).device * bytes_per_float
            raise ValueError(
                f"memory={self.size!r} is too little: {steps} steps of {parameters:,} parameters and {slots} "
                f"slots take at least {_written(needed)}, with {least}"
            )

        def slowness(memory: Memory) -> tuple[float, int, int]:
            cost = memory.cost(steps, parameters, slots, intermediates)
            return cost.gradients + BARE * cost.bare, cost.updates, cost.device

        return min(fitting, key=slowness)


def _fitting(steps: int, parameters: int, slots: int, intermediates: int, most: int) -> Iterator[Memory]:
    """Strategies that take at most `most` floats: the fastest for each length of pieces."""
    if steps == 0:
        yield Store()
    state = (1 + slots) * parameters
    for length in range(steps, 0, -1):
        earlier = math.ceil(steps / length) - 1  # pieces that need a checkpoint
        for within in (*_stores(intermediates), StoreGradients(slots=1)):
            held = within.cost(length, parameters, slots, intermediates).device
            states = (most - held) // state  # that fit besides
            checkpoints = min(states, earlier)
            if checkpoints < min(1, earlier):
                continue
            if isinstance(within, StoreGradients):
                within = StoreGradients(slots=max(1, min(1 + states - checkpoints, length - 1)))
            yield Checkpoints(checkpoints, length, within) if earlier else within


def _stores(intermediates: int) -> tuple[Store, ...]:
    """Ways to store whole steps, the smallest last."""
    return (Store(), Store(intermediates=False)) if intermediates else (Store(),)


def _written(size: int) -> str:
    """Bytes in the largest fitting unit, rounded up."""
    for unit in ("GiB", "MiB", "KiB"):
        if size >= UNITS[unit]:
            return f"{math.ceil(10 * size / UNITS[unit]) / 10:g} {unit}"
    return f"{size} B"
