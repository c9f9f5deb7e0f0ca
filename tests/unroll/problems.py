"""Losses, data and hyper-parameters that the tests of the engine share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from farzi.losses import soft_next_event
from farzi.models import SASRec
from farzi.unroll import SGD, Adagrad, Adam, AdamW, Momentum, Muon, Optimizer, RMSprop, ScheduleFree

from . import reference

Tree = Tensor | dict[str, Tensor]


@dataclass(frozen=True)
class Problem:
    """A loss with a starting point, data, an outer loss of the end, and a schedule of minibatches."""

    loss: Callable[[Any, Any, Any], Tensor]
    theta0: Tree
    data: Tree
    outer: Callable[[Any], Tensor]
    rows: int
    per_batch: int

    def batches(self, steps: int) -> list[Tensor]:
        """Rows of each step's minibatch, drawn at random."""
        generator = torch.Generator().manual_seed(steps)
        return [torch.randperm(self.rows, generator=generator)[: self.per_batch] for _ in range(steps)]

    def to(self, dtype: torch.dtype) -> "Problem":
        return replace(self, theta0=to(self.theta0, dtype), data=to(self.data, dtype))


def to(tree: Tree, dtype: torch.dtype) -> Tree:
    return (
        tree.to(dtype) if isinstance(tree, Tensor) else {name: leaf.to(dtype) for name, leaf in tree.items()}
    )


def network() -> Problem:
    """Weighted regression by a small network; dicts of tensors."""
    torch.manual_seed(1)

    def loss(theta: dict[str, Tensor], data: dict[str, Tensor], rows: Tensor) -> Tensor:
        hidden = torch.tanh(data["inputs"][rows] @ theta["weight"] + theta["bias"])
        errors = hidden @ theta["head"] - data["targets"][rows]
        return (data["weights"][rows].exp() * errors**2).mean()

    return Problem(
        loss=loss,
        theta0={"weight": torch.randn(3, 4), "bias": torch.randn(4), "head": torch.randn(4)},
        data={"inputs": torch.randn(12, 3), "targets": torch.randn(12), "weights": 0.3 * torch.randn(12)},
        outer=lambda theta: theta["weight"].sin().sum() + (theta["head"] * theta["bias"]).sum(),
        rows=12,
        per_batch=5,
    )


def mixture() -> Problem:
    """A softmax over rows and a quartic; bare tensors."""
    torch.manual_seed(2)
    return Problem(
        loss=lambda theta, data, rows: (data[rows] @ theta).logsumexp(0) + 0.05 * (theta**4).mean(),
        theta0=torch.randn(6),
        data=torch.randn(8, 6),
        outer=lambda theta: (theta * torch.arange(1.0, 7.0, dtype=theta.dtype)).cos().sum(),
        rows=8,
        per_batch=3,
    )


class SoftLoss(nn.Module):
    """The loss of a student on soft events, as a module: a stranger's way to use the engine."""

    def __init__(self, student: SASRec) -> None:
        super().__init__()
        self.student = student

    def forward(self, events: Tensor) -> Tensor:
        vectors = self.student.embed(events)
        return soft_next_event(self.student.hidden(vectors), self.student.output_table, vectors)


def tied_student() -> Problem:
    """A small SASRec with tied embeddings on soft events."""
    torch.manual_seed(3)
    student = SASRec(vocabulary=7, length=5, hidden=4, layers=1, heads=2)
    assert student.position is not None
    with torch.no_grad():
        student.embedding.mul_(50)
        student.position.mul_(50)
    module = SoftLoss(student)
    logits = torch.randn(6, 5, 7) * 2
    logits[..., 0] = -torch.inf  # padding

    def loss(theta: dict[str, Tensor], events: Tensor, rows: Tensor) -> Tensor:
        return functional_call(module, theta, (events[rows],))

    return Problem(
        loss=loss,
        theta0={name: value.detach().clone() for name, value in module.named_parameters()},
        data=logits.softmax(-1),
        outer=lambda theta: torch.stack([(leaf.sin() * (1 + leaf)).sum() for leaf in theta.values()]).sum(),
        rows=6,
        per_batch=4,
    )


PROBLEMS = {"network": network, "mixture": mixture, "tied_student": tied_student}


@dataclass(frozen=True)
class Case:
    """An optimizer of the engine, its textbook formula, and tame hyper-parameters."""

    optimizer: type[Optimizer]
    textbook: reference.Update
    hypers: dict[str, float]

    def tensors(self, steps: int | None, dtype: torch.dtype) -> dict[str, Tensor]:
        """The hyper-parameters as leaves of shape (), or (steps,) with another value at each step."""
        generator = torch.Generator().manual_seed(0)
        found = {}
        for name, value in self.hypers.items():
            shape = () if steps is None else (steps,)
            factor = 1 - 0.1 * torch.rand(shape, generator=generator)
            found[name] = (value * factor).to(dtype).requires_grad_()
        return found


CASES = {
    "sgd": Case(SGD, reference.sgd, {"learning_rate": 0.02, "weight_decay": 0.02}),
    "momentum": Case(
        Momentum, reference.momentum, {"learning_rate": 0.01, "momentum": 0.6, "weight_decay": 0.02}
    ),
    "adam": Case(
        Adam,
        reference.adam,
        {"learning_rate": 0.01, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.1, "weight_decay": 0.02},
    ),
    "adamw": Case(
        AdamW,
        reference.adamw,
        {"learning_rate": 0.01, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.1, "weight_decay": 0.1},
    ),
    "adagrad": Case(
        Adagrad, reference.adagrad, {"learning_rate": 0.02, "epsilon": 0.1, "weight_decay": 0.02}
    ),
    "rmsprop": Case(
        RMSprop,
        reference.rmsprop,
        {"learning_rate": 0.01, "decay": 0.9, "epsilon": 0.1, "weight_decay": 0.02},
    ),
    "schedule_free": Case(
        ScheduleFree,
        reference.schedule_free,
        {"learning_rate": 0.02, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.1, "weight_decay": 0.1},
    ),
    "muon": Case(
        Muon,
        reference.muon,
        {"learning_rate": 0.002, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.1, "weight_decay": 0.1},
    ),
}


def named(tree: Tree) -> list[tuple[str, Tensor]]:
    """Leaves by name; a bare tensor's name is empty."""
    return [("", tree)] if isinstance(tree, Tensor) else list(tree.items())


def fresh(tree: Tree, grad: bool = True) -> Any:
    """A copy whose tensors are leaves of the graph."""
    if isinstance(tree, Tensor):
        return tree.detach().clone().requires_grad_(grad)
    return {name: leaf.detach().clone().requires_grad_(grad) for name, leaf in tree.items()}


def gradient(leaf: Tensor) -> Tensor:
    """`leaf.grad`, or zero where there is none."""
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def relative_error(found: Tensor, right: Tensor) -> float:
    """‖found − right‖ / ‖right‖ in float64; 0 where they are equal."""
    distance = (found.detach().double() - right.detach().double()).norm().item()
    return 0.0 if distance == 0 else distance / right.detach().double().norm().item()
