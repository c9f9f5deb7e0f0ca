"""Optimizers as values: their numbers are PyTorch's, their mistakes are named."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from farzi.unroll import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Momentum,
    Optimizer,
    RMSprop,
    ScheduleFree,
    State,
    train,
    unroll,
)

from .problems import fresh, gradient, network, relative_error

PAIRS: dict[str, tuple[Optimizer, Callable[[list[Tensor]], torch.optim.Optimizer]]] = {
    "sgd": (
        SGD(0.05, weight_decay=0.02),
        lambda leaves: torch.optim.SGD(leaves, lr=0.05, weight_decay=0.02),
    ),
    "momentum": (
        Momentum(0.03, 0.8, weight_decay=0.02),
        lambda leaves: torch.optim.SGD(leaves, lr=0.03, momentum=0.8, weight_decay=0.02),
    ),
    "adam": (
        Adam(0.03, 0.85, 0.99, 1e-8, weight_decay=0.02),
        lambda leaves: torch.optim.Adam(leaves, lr=0.03, betas=(0.85, 0.99), eps=1e-8, weight_decay=0.02),
    ),
    "adamw": (
        AdamW(0.03, 0.85, 0.99, 1e-8, weight_decay=0.2),
        lambda leaves: torch.optim.AdamW(leaves, lr=0.03, betas=(0.85, 0.99), eps=1e-8, weight_decay=0.2),
    ),
    "adagrad": (
        Adagrad(0.05, weight_decay=0.02),
        lambda leaves: torch.optim.Adagrad(leaves, lr=0.05, eps=1e-10, weight_decay=0.02),
    ),
    "rmsprop": (
        RMSprop(0.02, 0.95, weight_decay=0.02),
        lambda leaves: torch.optim.RMSprop(leaves, lr=0.02, alpha=0.95, eps=1e-8, weight_decay=0.02),
    ),
}


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_schedule_free_steps_are_those_of_its_authors_package(decay: float) -> None:
    """In training mode theirs holds the point of the gradient, in evaluation the mean of the iterates."""
    theirs_of = pytest.importorskip("schedulefree").AdamWScheduleFree
    problem, beta1 = network().to(torch.float64), 0.85
    batches, theta = problem.batches(30), fresh(problem.theta0)
    theirs = theirs_of(list(theta.values()), lr=0.03, betas=(beta1, 0.99), weight_decay=decay, warmup_steps=0)
    theirs.train()
    for batch in batches:
        theirs.zero_grad()
        problem.loss(theta, problem.data, batch).backward()
        theirs.step()
    ours = ScheduleFree(0.03, beta1, 0.99, 1e-8, decay)
    end = train(problem.loss, problem.theta0, problem.data, ours, batches)
    for key, leaf in theta.items():
        assert relative_error(end.theta[key], leaf) < 1e-13
    theirs.eval()
    gaps = end.state.slots[0].split([leaf.numel() for leaf in theta.values()])
    for (key, leaf), gap in zip(theta.items(), gaps, strict=True):
        mean = end.theta[key] - (1 - beta1) / beta1 * gap.view(leaf.shape)
        assert relative_error(mean, leaf) < 1e-12


@pytest.mark.parametrize("name", PAIRS)
def test_forward_values_are_those_of_torch_optim(name: str) -> None:
    optimizer, make = PAIRS[name]
    problem = network().to(torch.float64)
    batches = problem.batches(30)
    theta = fresh(problem.theta0)
    torch_optimizer = make(list(theta.values()))
    for batch in batches:
        torch_optimizer.zero_grad()
        problem.loss(theta, problem.data, batch).backward()
        torch_optimizer.step()
    end = train(problem.loss, problem.theta0, problem.data, optimizer, batches).theta
    for key, leaf in theta.items():
        assert relative_error(end[key], leaf) < 1e-13


@dataclass(frozen=True)
class Clipped(Optimizer):
    """A user's own: the gradient scaled to a norm, one slot that counts, and a rate for each parameter."""

    rates: Tensor
    norm: float = 0.5

    slots = 1

    def check_hypers(self, steps: int) -> None:
        """`rates` is no schedule."""

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> tuple[Tensor, State]:
        step, (count,) = state
        scaled = self.norm * gradient / gradient.norm()
        return theta - self.rates * scaled, State(step + 1, (torch.ones_like(count) * (step + 1),))


def test_an_optimizer_of_ones_own_is_differentiated_exactly() -> None:
    torch.manual_seed(0)
    theta0, data, rates = (torch.randn(4, dtype=torch.float64).requires_grad_() for _ in range(3))

    def loss(theta: Tensor, data: Tensor, batch: int) -> Tensor:
        return ((theta - data) ** 4).sum() + batch * (theta * data).sum().sin()

    unroll(loss, theta0, data, Clipped(rates), [1, 2, 3]).cos().sum().backward()
    found = [leaf.grad for leaf in (theta0, data, rates)]

    theta = theta0
    for batch in (1, 2, 3):
        (g,) = torch.autograd.grad(loss(theta, data, batch), theta, create_graph=True)
        theta = theta - rates * 0.5 * g / g.norm()
    right = torch.autograd.grad(theta.cos().sum(), [theta0, data, rates])
    for a, b in zip(found, right, strict=True):
        assert a is not None
        assert relative_error(a, b) < 1e-13


@pytest.mark.parametrize(
    ("rate", "error", "words"),
    [
        (torch.tensor([0.1, 0.1]), ValueError, r"learning_rate .* each of the 3 steps .* shape \(2,\)"),
        (torch.ones(3, 2), ValueError, r"learning_rate .* shape \(3, 2\)"),
        (torch.tensor(1), TypeError, "learning_rate must be floating point, got torch.int64"),
    ],
)
@pytest.mark.parametrize("run", [unroll, train])
def test_bad_hyper_parameters_are_named(run: Callable, rate: Tensor, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        run(
            lambda theta, data, batch: (theta * data).sum(), torch.ones(2), torch.ones(2), SGD(rate), range(3)
        )


def test_a_state_of_another_optimizer_is_refused() -> None:
    state = Momentum().init(torch.ones(2))
    with pytest.raises(ValueError, match=r"state holds 1 slots .* Adam on this theta0 wants"):
        train(lambda theta, data, batch: theta.sum(), torch.ones(2), {}, Adam(), range(2), state=state)


def test_a_numbers_gradient_is_not_asked_for() -> None:
    """Hyper-parameters that are tensors without a gradient are used as they are."""
    theta0 = torch.ones(2, requires_grad=True)
    rate = torch.tensor(0.1)
    unroll(lambda theta, data, batch: (theta**2).sum(), theta0, {}, SGD(rate), range(2)).sum().backward()
    assert rate.grad is None
    assert torch.allclose(gradient(theta0), torch.full((2,), 0.8**2))
