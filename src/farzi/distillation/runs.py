"""Inner runs under way: which training the next outer step differentiates, and from where.

Each outer step needs a student that has been trained for some steps on the summary, whose next K steps it
differentiates. `Anew` trains one from its first weights each time, to a random point. `Pool` keeps several
under way, takes one, and puts it back K steps further on; its early steps were then taken on a slightly older
summary, which costs little, while the many undifferentiated steps are saved (as the pool of models in FRePo,
arXiv 2206.00719).
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from farzi.distillation.weights import Theta, Weights
from farzi.unroll import State

Advance = Callable[[Theta, int], "Point"]
"""advance(theta, steps): train so many steps from new weights on today's summary, nothing differentiated."""


class Point(NamedTuple):
    """A student in training.

    Attributes:
        theta: its parameters.
        state: its optimizer's state; `state.step` is its age.
        born: the outer step at which its training began. With the age it says which of the summary's
            sequences the next inner steps read.
    """

    theta: Theta
    state: State
    born: int = 0


class Runs(Protocol):
    """Gives each outer step the point at which its window begins."""

    def take(self, advance: Advance, rng: np.random.Generator) -> Point:
        """A point that can be trained `window` steps further within the T steps of a whole training."""
        ...

    def put(self, point: Point) -> None:
        """Where the window that began at the point last taken has ended."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All that must be kept to go on later, in an order that `restore` needs kept."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `tensors()`."""
        ...


class Anew:
    """A new run for each outer step, its end drawn uniformly.

    Args:
        weights: first weights.
        steps: T, steps of a whole training.
        window: steps from a point on that must be left in a whole training.
        skip: first steps that never are.
    """

    def __init__(self, weights: Weights, steps: int, window: int, skip: int) -> None:
        self._weights, self._first, self._last = weights, min(skip, steps - window), steps - window

    def take(self, advance: Advance, rng: np.random.Generator) -> Point:
        """See `Runs`."""
        age = int(rng.integers(self._first, self._last + 1))
        return advance(self._weights(rng), age)

    def put(self, point: Point) -> None:
        """Forget it."""

    def tensors(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing to do."""


class Pool:
    """`size` runs under way, one of them drawn for each outer step.

    A run enters after its skipped steps; once it cannot be differentiated further, a new one takes its place.

    Args:
        weights: first weights.
        steps: T, steps of a whole training.
        window: steps from a point on that must be left in a whole training.
        skip: first steps that never are.
        size: number of runs.
    """

    def __init__(self, weights: Weights, steps: int, window: int, skip: int, size: int) -> None:
        self._weights, self._first, self._last = weights, min(skip, steps - window), steps - window
        self._points: list[Point | None] = [None] * size
        self._taken = 0

    def take(self, advance: Advance, rng: np.random.Generator) -> Point:
        """See `Runs`."""
        self._taken = int(rng.integers(len(self._points)))
        point = self._points[self._taken]
        if point is None or point.state.step > self._last:
            return advance(self._weights(rng), self._first)
        return point

    def put(self, point: Point) -> None:
        """See `Runs`. A run that has diverged is given up."""
        whole = all(bool(value.isfinite().all()) for value in point.theta.values())
        self._points[self._taken] = point if whole else None

    def tensors(self) -> dict[str, Tensor]:
        """See `Runs`; ages, and the outer steps at which runs began, are in the names."""
        kept: dict[str, Tensor] = {}
        for place, point in enumerate(self._points):
            if point is not None:
                prefix = f"{place}/{point.state.step}@{point.born}/"
                kept |= {f"{prefix}theta/{name}": value for name, value in point.theta.items()}
                kept |= {f"{prefix}slot/{k}": slot for k, slot in enumerate(point.state.slots)}
        return kept

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """See `Runs`."""
        found: dict[tuple[int, int, int], tuple[Theta, dict[int, Tensor]]] = {}
        for name, value in tensors.items():
            place, when, kind, rest = name.split("/", 3)
            age, _, born = when.partition("@")
            born = int(born or 0)  # not there in states saved before steps could read a few sequences
            theta, slots = found.setdefault((int(place), int(age), born), ({}, {}))
            if kind == "theta":
                theta[rest] = value
            else:
                slots[int(rest)] = value
        self._points = [None] * len(self._points)
        for (place, age, born), (theta, slots) in found.items():
            state = State(age, tuple(slots[k] for k in sorted(slots)))
            self._points[place] = Point(theta, state, born)
