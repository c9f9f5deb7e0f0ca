"""Random small losses: whatever is drawn, the metagradient is autograd's."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from farzi.unroll import (
    Curvature,
    Eager,
    ForwardOverReverse,
    Memory,
    ReverseOverReverse,
    Store,
    Window,
    unroll,
)

from .problems import CASES, fresh, gradient
from .reference import train_by_autograd

Terms = list[tuple[str, float, int, int]]
"""Terms of a loss: kind, coefficient, and which entries of θ and of the data they are of."""

terms = st.lists(
    st.tuples(
        st.sampled_from(["bilinear", "square", "quartic", "softmax", "sine"]),
        st.floats(-0.5, 0.5, width=16),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=5,
)


def mixture(chosen: Terms, theta: dict[str, Tensor], x: Tensor, batch: int) -> Tensor:
    """A sum of the terms, twice differentiable.

    The squares keep every parameter's gradient from 0, where the textbook's formulas give NaN.
    """
    value = 0.01 * (theta["a"] ** 2).sum() + 0.01 * (theta["b"] ** 2).sum()
    for kind, c, i, j in chosen:
        w, b = theta["a"][i], theta["b"]
        value = (
            value
            + c
            * {
                "bilinear": lambda w=w, b=b, j=j: w * x[j] * b[0],
                "square": lambda w=w, j=j: (w - x[j]) ** 2,
                "quartic": lambda w=w, b=b, j=j: (w * x[j] + b[1]) ** 4 / 24,
                "softmax": lambda w=w, j=j: (w * x + batch * x[j]).logsumexp(0),
                "sine": lambda w=w, b=b, j=j: (w + x[j] * b).sin().sum(),
            }[kind]()
        )
    return value


@settings(max_examples=60, derandomize=True)
@given(
    chosen=terms,
    optimizer=st.sampled_from(sorted(CASES)),
    steps=st.integers(0, 6),
    last=st.none() | st.integers(1, 7),
    curvature=st.sampled_from([ReverseOverReverse(), ForwardOverReverse()]),
    seed=st.integers(0, 2**16),
)
def test_random_mixtures(
    chosen: Terms, optimizer: str, steps: int, last: int | None, curvature: Curvature, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    theta0 = {key: torch.randn(n, generator=generator).double() for key, n in (("a", 3), ("b", 2))}
    data = torch.randn(4, generator=generator).double()
    case, batches = CASES[optimizer], list(range(steps))
    hypers, right_hypers = case.tensors(None, torch.float64), case.tensors(None, torch.float64)
    mine, right = (fresh(theta0), fresh(data)), (fresh(theta0), fresh(data))
    memory: Memory = Store() if last is None else Window(last=last)

    def loss(theta: dict[str, Tensor], x: Tensor, batch: int) -> Tensor:
        return mixture(chosen, theta, x, batch)

    end = unroll(loss, *mine, case.optimizer(**hypers), batches, memory, execution=Eager(curvature))
    (end["a"].sin().sum() + (end["b"] ** 2).sum()).backward()
    wide = train_by_autograd(case.textbook, loss, *right, lambda key, index: right_hypers, batches, last)
    (wide["a"].sin().sum() + (wide["b"] ** 2).sum()).backward()

    scale = 1 + max(gradient(leaf).abs().max().item() for leaf in [*right[0].values(), right[1]])
    for a, b in zip([*mine[0].values(), mine[1]], [*right[0].values(), right[1]], strict=True):
        assert (gradient(a) - gradient(b)).abs().max().item() <= 1e-12 * scale
    for name, h in hypers.items():
        wanted = gradient(right_hypers[name]).item()
        assert abs(gradient(h).item() - wanted) <= 1e-11 * (scale + abs(wanted)), name
