r"""Is a metagradient right, is its precision sufficient, and is it useful? Three checks of one run.

- **Right**: central differences of the whole run, in float64, along random directions of the data, compared
  with the metagradient's component. They see what training does, so an operation whose backward pass has a
  wrong derivative shows. (A wrong first derivative in the loss does not: training follows it, and the
  metagradient follows training.)
- **Precise**: the metagradient in the working precision, with whatever modes the process has on (TF32,
  autocast), compared with the one in float64 from the same numbers.
- **Useful**: metasmoothness. A gradient that holds only at a point does not guide a step of some length. The
  measure is that of Engstrom et al., "Optimizing ML Training with Metagradient Descent" (arXiv 2503.13751,
  Definition 2): how far two neighbouring differences of the trained parameters agree in sign. With A(X) the
  parameters θT that training gives, v a direction of the data and h a step,

      Δ(X) = (A(X + h v) − A(X)) / h,
      S = Σᵢ |Δᵢ(X)| sign Δᵢ(X) sign Δᵢ(X + h v) / Σᵢ |Δᵢ(X)|,   in [−1, 1], 1 where A is linear.

  Here h is one outer step, v has entries ±1, and S is the mean over several v.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from farzi.unroll.adjoint import Adjoint, AdjointLike, chosen, one_of
from farzi.unroll.diagnostics.rerun import Rerun
from farzi.unroll.diagnostics.verdict import Check, Difference, Precision, Remedy
from farzi.unroll.execution import Execution
from farzi.unroll.memory import Budget, Replay
from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.run import Batches
from farzi.unroll.trees import Tree, TreeLoss, tree_leaves

LIKELY = 0.01
"""The default outer step, as a fraction of each leaf's root mean square."""

FIRST, FACTOR, TRIES = 1e-3, 4.0, 12
"""The largest step of a central difference, its ratio to the next smaller one, and the most steps tried."""
TOLERANCE = 1e-4
"""The spread at which no smaller step is tried, as a fraction of the derivative's expected size."""


def check(
    loss: TreeLoss,
    outer: Callable[[Any], Tensor],
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    memory: AdjointLike | None = None,
    *,
    adjoint: Adjoint | None = None,
    state: State | None = None,
    view: Callable[[Any], Any] | None = None,
    execution: Execution | None = None,
    outer_step: float | None = None,
    directions: int = 3,
    seed: int = 0,
) -> Check:
    """Check the metagradient of a run with respect to its data.

    It costs one metagradient in the working precision, one in float64, and plain runs in float64: 6 to 24 for
    each direction, fewer the smoother the run is, and two more for the metasmoothness. With `Window(last=K)`
    the state before the window counts as constant here too: it is computed once, in the working precision,
    and every run starts from it.

    Random draws of the loss are the same in every run of one precision. In another precision they may differ:
    with dropout the cosine compares two different runs.

    Arguments as for `unroll`; theta0's dtype is the working precision, and all floating leaves of the data
    are checked. The loss must accept float64 as well, in which it always runs eagerly. Also:

    - outer: the outer loss, outer(θT) -> scalar; it must accept float64 as well.
    - view: the loss's view of the data, computed once per run: soft events of their factors, say.
    - outer_step: how far one outer step moves each number of the data; if left out, a hundredth of the
      leaf's root mean square.
    - directions, seed: number of random directions, and their seed.

    Raises:
        ValueError: directions < 1; the data has no floating leaf; both `memory` and `adjoint` are given.
    """
    if directions < 1:
        raise ValueError(f"directions={directions}: at least one is needed")
    run = Rerun(loss, outer, theta0, data, optimizer, batches, state, view)
    exact, precision, value, bars = _compared(run, one_of(memory, adjoint), execution)
    generator = torch.Generator().manual_seed(seed)
    with torch.autocast(exact.device.type, enabled=False):
        differences = tuple(_difference(exact, bars, generator) for _ in range(directions))
        signs = [_signs(exact, outer_step, generator) for _ in range(directions)]
        result = Check(
            loss=value,
            norm=float(_flat(bars).norm()),
            precision=precision,
            differences=differences,
            metasmoothness=_metasmoothness(exact, signs),
            steps=len(exact.batches),
            before=0 if exact.state is None else exact.state.step,
        )
        return result if result.smooth else replace(result, remedies=tuple(_remedies(exact, signs)))


def compare_precision(
    loss: TreeLoss,
    outer: Callable[[Any], Tensor],
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    memory: AdjointLike | None = None,
    *,
    adjoint: Adjoint | None = None,
    state: State | None = None,
    view: Callable[[Any], Any] | None = None,
    execution: Execution | None = None,
) -> Precision:
    """The short form of `check`: only the working precision against float64, two metagradients.

    Arguments and errors as there.
    """
    run = Rerun(loss, outer, theta0, data, optimizer, batches, state, view)
    return _compared(run, one_of(memory, adjoint), execution)[1]


def _compared(
    run: Rerun, adjoint: AdjointLike | None, execution: Execution | None
) -> tuple[Rerun, Precision, float, list[Tensor]]:
    """The differentiated steps in float64, the precision, and in float64 outer loss and metagradient."""
    working = run.later(_constant_steps(run, adjoint), execution)
    exact, device = working.to(torch.float64), run.device.type
    _, bars = working.metagradient(adjoint, execution)
    with torch.autocast(device, enabled=False):
        value, exact_bars = exact.metagradient()
    first, second = _flat(bars), _flat(exact_bars)
    first_norm, norm = float(first.norm()), float(second.norm())
    if first_norm == norm == 0.0:
        cosine, ratio = 1.0, 1.0
    elif math.isfinite(first_norm) and math.isfinite(norm):
        cosine = float(first @ second) / (first_norm * norm) if first_norm * norm else 0.0
        ratio = first_norm / norm if norm else math.inf
    else:
        cosine = ratio = math.nan
    dtype = tree_leaves(run.theta0)[0].dtype
    return exact, Precision(dtype, device, cosine, ratio, _modes(device)), value, exact_bars


def _constant_steps(run: Rerun, adjoint: AdjointLike | None) -> int:
    """How many of a run's first steps are not differentiated."""
    _, memory = chosen(adjoint)
    if isinstance(memory, Budget):
        return 0
    unused: Any = None
    return memory.tape(len(run.batches), Replay(run.optimizer, unused, unused, torch.device("meta"))).first


def _modes(device: str) -> tuple[str, ...]:
    """Modes of the process that make products less precise than their dtype."""
    modes = []
    if torch.is_autocast_enabled(device):
        modes.append(f"autocast to {str(torch.get_autocast_dtype(device)).removeprefix('torch.')}")
    backend: Any = torch.backends.cuda if device == "cuda" else torch.backends.mkldnn
    if (kind := backend.matmul.fp32_precision) not in ("none", "ieee"):
        modes.append(f"float32 products in {kind}")
    return tuple(modes)


def _flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.double().reshape(-1) for part in parts])


def _sizes(run: Rerun) -> list[float]:
    """The root mean square of each leaf of the data; 1 for a leaf of zeros."""
    return [float(leaf.square().mean().sqrt()) or 1.0 if leaf.numel() else 1.0 for leaf in run.floating]


def _difference(run: Rerun, bars: list[Tensor], generator: torch.Generator) -> Difference:
    """Along a Gaussian direction in which each leaf moves in proportion to its size."""
    sizes = _sizes(run)
    direction = [
        size * torch.randn(leaf.shape, generator=generator, dtype=torch.float64).to(leaf.device)
        for leaf, size in zip(run.floating, sizes, strict=True)
    ]
    component = float(_flat(bars) @ _flat(direction))
    expected = float(_flat([size * bar for bar, size in zip(bars, sizes, strict=True)]).norm())

    @torch.no_grad()
    def along(h: float) -> float:
        return float(run.outer(run.end(run.moved([h * part for part in direction]))))

    for tolerance in (TOLERANCE, 0.0):  # a plateau of large steps may average over ripples
        difference = Difference(component, *slope(along, expected, tolerance), expected)
        if difference.agrees:
            break
    return difference


def _signs(run: Rerun, outer_step: float | None, generator: torch.Generator) -> list[Tensor]:
    """A direction in which every number moves by one outer step, up or down."""
    lengths = [LIKELY * size if outer_step is None else outer_step for size in _sizes(run)]
    return [
        length * (2.0 * torch.randint(2, leaf.shape, generator=generator).to(leaf) - 1)
        for leaf, length in zip(run.floating, lengths, strict=True)
    ]


def _metasmoothness(run: Rerun, directions: list[list[Tensor]], factor: float = 1.0) -> float:
    """The mean over directions, each `factor` times as long, of S as defined at the top."""

    def end(direction: list[Tensor], steps: int) -> Tensor:
        shift = [steps * (factor * part) for part in direction]
        return _flat(tree_leaves(run.end(run.moved(shift))))

    here, scores = end(directions[0], 0), []
    for direction in directions:
        there = end(direction, 1)
        first, second = there - here, end(direction, 2) - there
        total = first.abs().sum()
        agreement = (first.abs() * first.sign() * second.sign()).sum()
        scores.append(float(agreement / total) if total > 0 else 1.0)
    return sum(scores) / len(scores)


def _remedies(run: Rerun, directions: list[list[Tensor]]) -> Iterator[Remedy]:
    """Changes that may make a rough run smooth, each with its effect."""
    for name, factor, advice in (
        ("epsilon", 1000.0, "raise epsilon"),
        ("learning_rate", 0.25, "lower the learning rate"),
    ):
        value = getattr(run.optimizer, name, None)
        if value is not None:
            words = f"{factor:g} times"
            if not isinstance(value, Tensor):
                words = f"from {value:g} to {factor * value:g}"
            other = replace(run, optimizer=replace(run.optimizer, **{name: factor * value}))
            yield Remedy(name, factor, _metasmoothness(other, directions), f"{advice} {words}")
    if (steps := len(run.batches)) > 1:
        score = _metasmoothness(run.later(steps - steps // 2), directions)
        advice = f"shorten the window from {steps} to the last {steps // 2} steps"
        yield Remedy("window", 0.5, score, advice)
    score = _metasmoothness(run, directions, 0.1)
    yield Remedy("outer_step", 0.1, score, "take outer steps a tenth as long")


class Slope(NamedTuple):
    """A derivative from central differences."""

    value: float  # the derivative
    # how far the results of the two step sizes that agree best differ, plus the rounding error. If it is not
    # small, differences see no slope
    spread: float
    step: float  # the smaller of those two step sizes. The rougher the function, the smaller it is


def slope(function: Callable[[float], float], scale: float, tolerance: float = TOLERANCE) -> Slope:
    """The derivative of `function` at 0, in float64.

    Central differences at h = 0.001, 0.001/4, 0.001/16, …, each pair of neighbours extrapolated to h = 0
    (Richardson), which leaves an error of O(h⁴) where the function is smooth. Large steps suffer from the
    function's curvature, small ones from rounding. The best value lies on the plateau between, where an
    extrapolated value differs least from the one before.

    Args:
        function: called twice for each step size.
        scale: the derivative's expected size.
        tolerance: the search ends once values agree within this fraction of it; with 0 it tries all steps,
            and looks below ripples over which the first plateau averages.
    """
    best = Slope(math.nan, math.inf, math.nan)
    before = extrapolated = math.nan
    h = FIRST
    moved = False
    for _ in range(TRIES):
        high, low = function(h), function(-h)
        if moved and high == low:  # the difference is lost in rounding, maybe of a lower precision
            break
        moved = moved or high != low
        central = (high - low) / (2 * h)
        last, extrapolated = extrapolated, central + (central - before) / (FACTOR**2 - 1)
        rounding = 4 * 2.0**-52 * max(abs(high), abs(low)) / h
        spread = abs(extrapolated - last) + rounding
        if spread < best.spread:  # False if one of them is nan
            best = Slope(extrapolated, spread, h)
        if best.spread <= tolerance * scale:
            break
        before, h = central, h / FACTOR
    return best
