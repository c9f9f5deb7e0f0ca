"""The derivative of a function of one number by differences, with a step size that it finds itself."""

import math
from collections.abc import Callable
from dataclasses import dataclass

FIRST = 1e-3
"""The largest step tried, in units of the caller's own."""
FACTOR = 4.0
"""Between a step and the next smaller one."""
TRIES = 12
"""Steps tried at most: the smallest is 2.4e-10."""
TOLERANCE = 1e-4
"""Of the derivative's expected size: a spread at which no smaller step is tried."""


@dataclass(frozen=True)
class Slope:
    """A derivative as differences see it.

    Attributes:
        value: the derivative.
        spread: how far the two step sizes that agree best are apart, and what rounding adds: where it is not
            small, there is no slope to be seen.
        step: the smaller one of those two step sizes. The rougher the function, the smaller it is.
    """

    value: float
    spread: float
    step: float


def slope(function: Callable[[float], float], scale: float, tolerance: float = TOLERANCE) -> Slope:
    """The derivative of `function` at 0, in float64.

    Central differences at h = 0.001, 0.001/4, 0.001/16, …, each pair of neighbours extrapolated to h = 0
    (Richardson), which leaves an error of O(h⁴) where the function is smooth. A large step sees the
    function's bends, a small one its rounding: the best value is on the plateau between, where an
    extrapolated value differs least from the one before.

    Args:
        function: two calls a step size.
        scale: the derivative's expected size.
        tolerance: once values agree within this part of it the search ends; 0 looks below ripples as well
            that the first plateau does not see.
    """
    best = Slope(math.nan, math.inf, math.nan)
    before = extrapolated = math.nan
    h = FIRST
    moved = False
    for _ in range(TRIES):
        high, low = function(h), function(-h)
        if moved and high == low:  # swallowed by rounding, in a precision that may be less than float64
            break
        moved = moved or high != low
        central = (high - low) / (2 * h)
        last, extrapolated = extrapolated, central + (central - before) / (FACTOR**2 - 1)
        rounding = 4 * 2.0**-52 * max(abs(high), abs(low)) / h
        spread = abs(extrapolated - last) + rounding
        if spread < best.spread:  # never where one of them is nan
            best = Slope(extrapolated, spread, h)
        if best.spread <= tolerance * scale:
            break
        before, h = central, h / FACTOR
    return best
