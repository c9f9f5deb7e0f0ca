r"""Is a metagradient right, is its precision enough, and is it any use? Three checks of one run, in words.

- **Right**: differences of the whole run, in float64, along random directions of the data, beside the
  metagradient's component there. They see what training does, so that an operation with a wrong derivative
  of its backward pass shows. (A wrong first derivative in the loss does not: training follows it, and the
  metagradient follows training.)
- **Precise**: the metagradient in the working precision, and with whatever modes the process has on (TF32,
  autocast), beside the one in float64 from the very same numbers.
- **Useful**: metasmoothness. A gradient that holds only at a point is no guide for a step of some length.
  The measure is that of Engstrom et al., "Optimizing ML Training with Metagradient Descent" (arXiv
  2503.13751, Definition 2): how far two neighbouring differences of the trained parameters agree in sign.
  With A(X) the parameters θT that training gives, v a direction of the data and h a step,

      Δ(X) = (A(X + h v) − A(X)) / h,
      S = Σᵢ |Δᵢ(X)| sign Δᵢ(X) sign Δᵢ(X + h v) / Σᵢ |Δᵢ(X)|,   in [−1, 1], 1 where A is linear.

  Here h is one outer step, v has entries ±1, and S is the mean over several v.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from farzi.unroll.differences import TOLERANCE, slope
from farzi.unroll.execution import Execution, TreeLoss
from farzi.unroll.memory import Budget, Memory
from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.randomness import RandomState
from farzi.unroll.rerun import Outer, Rerun, View, constant_steps
from farzi.unroll.run import Batches
from farzi.unroll.trees import Tree, check_tree, tree_leaves
from farzi.unroll.verdict import Check, Difference, Precision, Remedy

LIKELY = 0.01
"""One outer step where the caller names none, as a part of the root mean square of each leaf."""


def check(
    loss: TreeLoss,
    outer: Outer,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    memory: Memory | Budget | str | None = None,
    *,
    state: State | None = None,
    view: View | None = None,
    execution: Execution | None = None,
    outer_step: float | None = None,
    directions: int = 3,
    seed: int = 0,
) -> Check:
    """Check the metagradient of a run with respect to its data.

    It costs a metagradient in the working precision and one in float64, and runs in float64 without a record:
    6 to 24 for each direction, fewer the smoother the run is, and two more for the metasmoothness. With
    `Window(last=K)` the state before the window counts as constant here as it does there: it is made once,
    in the working precision, and every run begins with it.

    Random draws of the loss are the same in every run of one precision. Those of another precision may
    differ: the cosine of a loss with dropout compares two different runs.

    Args:
        loss: as for `unroll`; it must take float64 as well, and so must `outer`. Floating tensors among the
            batches are turned into float64 for it.
        outer: the outer loss, outer(θT) -> scalar.
        theta0: the first parameters; their dtype is the working precision.
        data: a tensor or a dict of tensors; all floating leaves are looked at.
        optimizer: as for `unroll`.
        batches: as for `unroll`.
        memory: as for `unroll`; what it does to the metagradient shows in the cosine.
        state: as for `unroll`.
        view: makes of the data what the loss is given, once a run: soft events of their factors, say.
        execution: as for `unroll`, in the working precision; float64 is always run eagerly.
        outer_step: how far one outer step moves each number of the data; a hundredth of the root mean square
            of its leaf if left out.
        directions: number of random directions.
        seed: of these.

    Raises:
        ValueError: `directions` is not positive, or the data has no floating leaf.
    """
    if directions < 1:
        raise ValueError(f"directions={directions}: at least one is needed")
    working, memory = _windowed(loss, outer, theta0, data, optimizer, batches, memory, state, view, execution)
    exact = working.to(torch.float64)
    precision, value, bars = _compared(working, exact, memory, execution)
    generator = torch.Generator().manual_seed(seed)
    with _plain(exact):
        differences = tuple(_difference(exact, bars, generator) for _ in range(directions))
        signs = [_signs(exact, outer_step, generator) for _ in range(directions)]
        found = Check(
            loss=value,
            norm=_norm(bars),
            precision=precision,
            differences=differences,
            metasmoothness=_metasmoothness(exact, signs),
            optimizer=optimizer,
            steps=len(exact.batches),
            before=0 if exact.state is None else exact.state.step,
        )
        return found if found.smooth else replace(found, remedies=tuple(_remedies(exact, signs)))


def compare_precision(
    loss: TreeLoss,
    outer: Outer,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    memory: Memory | Budget | str | None = None,
    *,
    state: State | None = None,
    view: View | None = None,
    execution: Execution | None = None,
) -> Precision:
    """The short form of `check`: only the working precision beside float64, two metagradients.

    Arguments as there.

    Raises:
        ValueError: the data has no floating leaf.
    """
    working, memory = _windowed(loss, outer, theta0, data, optimizer, batches, memory, state, view, execution)
    return _compared(working, working.to(torch.float64), memory, execution)[0]


def _windowed(
    loss: TreeLoss,
    outer: Outer,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    memory: Memory | Budget | str | None,
    state: State | None,
    view: View | None,
    execution: Execution | None,
) -> tuple[Rerun, Memory | Budget | str | None]:
    """The steps that are differentiated, from the state in which they begin."""
    check_tree("theta0", theta0)
    check_tree("data", data)
    draws = RandomState.now(tree_leaves(theta0)[0].device)
    whole = Rerun(loss, outer, theta0, data, optimizer, batches, state, view or _as_it_is, draws)
    if not whole.floating:
        raise ValueError("data has no floating leaf, so there is no metagradient to check")
    return whole.later(constant_steps(memory, len(batches)), execution), memory


def _as_it_is(data: Any) -> Any:
    return data


def _compared(
    working: Rerun, exact: Rerun, memory: Memory | Budget | str | None, execution: Execution | None
) -> tuple[Precision, float, list[Tensor]]:
    """The precision; the outer loss and the metagradient in float64."""
    _, found = working.metagradient(memory, execution)
    with _plain(exact):
        value, right = exact.metagradient()
    ours, theirs = (torch.cat([bar.double().reshape(-1) for bar in bars]) for bars in (found, right))
    ours_norm, norm = float(ours.norm()), float(theirs.norm())
    if ours_norm == norm == 0.0:
        cosine, ratio = 1.0, 1.0
    elif math.isfinite(ours_norm) and math.isfinite(norm):
        cosine = float(ours @ theirs) / (ours_norm * norm) if ours_norm * norm else 0.0
        ratio = ours_norm / norm if norm else math.inf
    else:
        cosine = ratio = math.nan
    precision = Precision(
        dtype=tree_leaves(working.theta0)[0].dtype,
        device=working.draws.device.type,
        cosine=cosine,
        ratio=ratio,
        modes=_modes(working.draws.device.type),
    )
    return precision, value, right


def _modes(device: str) -> tuple[str, ...]:
    """What the process has switched on that makes products less precise than their dtype."""
    modes = []
    if torch.is_autocast_enabled(device):
        modes.append(f"autocast to {_name(torch.get_autocast_dtype(device))}")
    backend: Any = torch.backends.cuda if device == "cuda" else torch.backends.mkldnn
    if (kind := backend.matmul.fp32_precision) not in ("none", "ieee"):
        modes.append(f"float32 products in {kind}")
    return tuple(modes)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@contextmanager
def _plain(run: Rerun) -> Iterator[None]:
    """Without the process's autocast."""
    with torch.autocast(run.draws.device.type, enabled=False):
        yield


def _norm(parts: list[Tensor]) -> float:
    return float(torch.stack([part.norm() for part in parts]).norm())


def _dot(left: list[Tensor], right: list[Tensor]) -> float:
    return float(sum((a * b).sum() for a, b in zip(left, right, strict=True)))


def _sizes(run: Rerun) -> list[float]:
    """The root mean square of each leaf of the data; 1 where all of it is 0."""
    return [float(leaf.square().mean().sqrt()) or 1.0 if leaf.numel() else 1.0 for leaf in run.floating]


def _difference(run: Rerun, bars: list[Tensor], generator: torch.Generator) -> Difference:
    """Along a Gaussian direction in which each leaf moves in proportion to its size."""
    sizes = _sizes(run)
    direction = [
        size * torch.randn(leaf.shape, generator=generator, dtype=torch.float64).to(leaf.device)
        for leaf, size in zip(run.floating, sizes, strict=True)
    ]
    expected = _norm([size * bar for bar, size in zip(bars, sizes, strict=True)])

    def along(h: float) -> float:
        return run.value(run.moved([h * part for part in direction]))

    for tolerance in (TOLERANCE, 0.0):  # a plateau may lie above ripples that the metagradient sees
        found = slope(along, expected, tolerance)
        difference = Difference(_dot(bars, direction), found.value, found.spread, found.step, expected)
        if difference.agrees:
            break
    return difference


def _signs(run: Rerun, outer_step: float | None, generator: torch.Generator) -> list[Tensor]:
    """A direction in which every number moves by one outer step."""
    lengths = [LIKELY * size if outer_step is None else outer_step for size in _sizes(run)]
    return [
        length * (2.0 * torch.randint(2, leaf.shape, generator=generator).to(leaf) - 1)
        for leaf, length in zip(run.floating, lengths, strict=True)
    ]


def _metasmoothness(run: Rerun, directions: list[list[Tensor]]) -> float:
    """The mean over directions of the measure at the top."""

    def end(shift: list[Tensor]) -> Tensor:
        return torch.cat([leaf.reshape(-1) for leaf in tree_leaves(run.end(run.moved(shift)))])

    here, scores = end([torch.zeros_like(part) for part in directions[0]]), []
    for direction in directions:
        there = end(direction)
        first, second = there - here, end([2 * part for part in direction]) - there
        total = first.abs().sum()
        agreement = (first.abs() * first.sign() * second.sign()).sum()
        scores.append(float(agreement / total) if total > 0 else 1.0)
    return sum(scores) / len(scores)


def _remedies(run: Rerun, directions: list[list[Tensor]]) -> Iterator[Remedy]:
    """What may make a rough run smooth, each tried out."""
    optimizer = run.optimizer
    for name, factor in (("epsilon", 1000.0), ("learning_rate", 0.25)):
        if (value := getattr(optimizer, name, None)) is not None:
            other = replace(optimizer, **{name: factor * value})
            score = _metasmoothness(replace(run, optimizer=other), directions)
            yield Remedy(name, factor, score)
    if (steps := len(run.batches)) > 1:
        late = run.later(steps - steps // 2)
        yield Remedy("window", 0.5, _metasmoothness(late, directions))
    yield Remedy("outer_step", 0.1, _metasmoothness(run, [[0.1 * p for p in d] for d in directions]))
