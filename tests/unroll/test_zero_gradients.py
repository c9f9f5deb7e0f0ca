"""Adam and its relatives where a parameter's gradients are exactly zero: v = 0, plain ε, nothing under the
root.

g / (|g| + ε) has the derivative 1/ε at g = 0, which is large and right; autograd through √v gives NaN there.
"""

import pytest
import torch
from torch import Tensor

from farzi.unroll import Adagrad, Adam, AdamW, Optimizer, RMSprop, train, unroll

from .problems import fresh, gradient, relative_error, tied_student
from .reference import Hypers, Tensors, train_by_autograd

RATE, EPSILON = 0.01, 1e-8

ADAPTIVE: list[Optimizer] = [
    Adam(RATE, epsilon=EPSILON),
    AdamW(RATE, epsilon=EPSILON, weight_decay=0.0),
    Adagrad(RATE, epsilon=EPSILON),
    RMSprop(RATE, epsilon=EPSILON),
]


def pull(theta: Tensor, data: Tensor, row: int) -> Tensor:
    """A loss whose gradient is one number of the data."""
    return (theta * data[row]).sum()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("optimizer", ADAPTIVE, ids=lambda o: type(o).__name__)
def test_gradients_that_stay_zero(optimizer: Optimizer, steps: int, dtype: torch.dtype) -> None:
    """With the same gradient x at every step.

    Adam has m̂ = x and v̂ = x²: θT = θ0 − T α x / (|x| + ε), with derivative −T α / ε at x = 0. At x = 0 the
    others' roots are 0 too, and each step's derivative is −α / ε.
    """
    theta0 = torch.ones(1, dtype=dtype, requires_grad=True)
    data = torch.zeros(1, dtype=dtype, requires_grad=True)
    unroll(pull, theta0, data, optimizer, [0] * steps).sum().backward()
    assert gradient(theta0).item() == 1.0
    assert gradient(data).item() == pytest.approx(-steps * RATE / EPSILON, rel=1e-6)


def test_adam_where_the_first_gradients_are_zero() -> None:
    """Gradients x0 = 0, x1 = 0, x2 = 3, by hand: the roots of the first two steps are 0, that of the third is
    not.

    m̂2 = (β1 x0 + x1) / (1 + β1) and m̂3 = (1 − β1) (β1² x0 + β1 x1 + x2) / (1 − β1³), and v3 does not change
    with x0 and x1 to first order.
    """
    beta1, beta2 = 0.9, 0.999
    data = torch.tensor([0.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    theta0 = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = Adam(RATE, beta1, beta2, EPSILON)
    unroll(pull, theta0, data, optimizer, [0, 1, 2]).sum().backward()

    scale = (1 - beta2) / (1 - beta2**3)
    mean3 = (1 - beta1) * 3.0 / (1 - beta1**3)
    root3 = 3.0 * scale**0.5
    late = (1 - beta1) / (1 - beta1**3) / (root3 + EPSILON)
    right = [
        -RATE * (1 / EPSILON + beta1 / (1 + beta1) / EPSILON + beta1**2 * late),
        -RATE * (1 / (1 + beta1) / EPSILON + beta1 * late),
        -RATE * (late - mean3 * scale**0.5 / (root3 + EPSILON) ** 2),
    ]
    assert gradient(theta0).item() == 1.0
    assert gradient(data).tolist() == pytest.approx(right, rel=1e-12)

    def end(values: list[float]) -> float:
        return train(
            pull, theta0, torch.tensor(values, dtype=torch.float64), optimizer, [0, 1, 2]
        ).theta.item()

    h = 1e-13  # far below ε; θ moves by α h / ε = 1e-7, of which float64 sees nine digits
    for k in range(2):
        up, down = [0.0, 0.0, 3.0], [0.0, 0.0, 3.0]
        up[k], down[k] = h, -h
        assert (end(up) - end(down)) / (2 * h) == pytest.approx(right[k], rel=1e-4)


def test_a_curved_loss_at_its_minimum() -> None:
    """θ1 = θ0 − α d θ0 / (|d θ0| + ε): at θ0 = 0 the derivative is 1 − α d / ε, and that by d is 0."""
    theta0 = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    data = torch.full((1,), 2.0, dtype=torch.float64, requires_grad=True)
    end = unroll(lambda th, d, _: 0.5 * (d * th * th).sum(), theta0, data, Adam(RATE, epsilon=EPSILON), [0])
    end.sum().backward()
    assert gradient(theta0).item() == pytest.approx(1 - RATE * 2.0 / EPSILON, rel=1e-12)
    assert gradient(data).item() == 0.0


@pytest.mark.parametrize("optimizer", ADAPTIVE, ids=lambda o: type(o).__name__)
def test_squares_that_underflow(optimizer: Optimizer) -> None:
    """In float32 the square of 1e-30 is 0 while the mean is not."""
    data = torch.full((1,), 1e-30, requires_grad=True)
    unroll(pull, torch.ones(1), data, optimizer, [0, 0, 0]).sum().backward()
    assert gradient(data).item() == pytest.approx(-3 * RATE / EPSILON, rel=1e-5)


def test_parameters_that_the_loss_never_touches() -> None:
    """They stay, their gradient is that of the outer loss, and nothing of theirs spoils the others."""
    hypers = {name: torch.tensor(v, dtype=torch.float64) for name, v in _plain().items()}
    leaves = {name: value.requires_grad_() for name, value in hypers.items()}
    theta0 = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    data = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    end = unroll(lambda th, d, _: (th[0] - d) ** 2, theta0, data, Adam(**leaves), range(4))
    (end * torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)).sum().backward()
    assert end[1:].tolist() == [2.0, 3.0]
    assert gradient(theta0)[1:].tolist() == [10.0, 100.0]
    assert all(gradient(leaf).isfinite().all() for leaf in [theta0, data, *leaves.values()])


def guarded_adam(g: Tensor, w: Tensor, memory: Tensors, t: int, h: Hypers) -> Tensor:
    """The textbook's Adam, with a constant root where no gradient was ever seen: m / (0 + ε)."""
    zero = torch.zeros_like(g)
    memory["m"] = h["beta1"] * memory.get("m", zero) + (1 - h["beta1"]) * g
    memory["v"] = h["beta2"] * memory.get("v", zero) + (1 - h["beta2"]) * g**2
    seen = memory["v"] > 0
    root = torch.where(seen, torch.where(seen, memory["v"], 1.0).sqrt(), 0.0) / (1 - h["beta2"] ** t) ** 0.5
    return w - h["learning_rate"] * memory["m"] / (1 - h["beta1"] ** t) / (root + h["epsilon"])


def test_the_padding_row_of_a_student() -> None:
    """Row 0 of the table has no gradient at any step; all others are right beside it, with plain ε.

    It would have one if a soft event had mass on padding, so that the derivative with respect to that mass is
    of the order of 1/ε. A softmax over masked logits multiplies it by 0.
    """
    problem = tied_student().to(torch.float64)
    hypers = {name: torch.tensor(value, dtype=torch.float64) for name, value in _plain().items()}
    found, right = (fresh(problem.theta0), fresh(problem.data)), (fresh(problem.theta0), fresh(problem.data))
    end = unroll(problem.loss, *found, Adam(**hypers), problem.batches(5))
    problem.outer(end).backward()
    wide = train_by_autograd(
        guarded_adam, problem.loss, *right, lambda key, index: hypers, problem.batches(5)
    )
    problem.outer(wide).backward()

    row = "student.embedding"
    assert torch.equal(end[row][0], problem.theta0[row][0])  # type: ignore[index]
    assert relative_error(gradient(found[1]), gradient(right[1])) < 1e-10
    for key in found[0]:
        assert relative_error(gradient(found[0][key]), gradient(right[0][key])) < 1e-10


def _plain() -> dict[str, float]:
    return {"learning_rate": RATE, "beta1": 0.9, "beta2": 0.999, "epsilon": EPSILON, "weight_decay": 0.0}
