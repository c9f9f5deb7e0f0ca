"""The metagradient of every model against autograd through the loop of its training."""

from typing import Any

import pytest
import torch
from torch import Tensor

from farzi.models import build_model
from farzi.training import NextEvent
from farzi.unroll import (
    Adam,
    Compiled,
    Eager,
    Execution,
    ForwardOverReverse,
    inductor,
    interpreter,
    stack,
    stacked_loss,
    unroll,
    unstack,
)
from tests.unroll.problems import fresh, gradient, relative_error
from tests.unroll.reference import adam, train_by_autograd

from .kinds import TYPES, settings
from .plain import plain_gru, plain_lstm

VOCABULARY, LENGTH, STEPS = 9, 6, 8
KINDS = {
    **{name: {"type": name} for name in TYPES},
    **{f"{name}, 2 layers, untied": {"type": name, "layers": 2, "tied": False} for name in TYPES},
    **{f"sasrec, {block}": {"type": "sasrec", "block": block} for block in ("published", "gated")},
    "sasrec, gated, rotary, 2 layers": {
        "type": "sasrec",
        "block": "gated",
        "positions": "rotary",
        "feed_forward": 6,
        "layers": 2,
    },
}
EXECUTIONS: dict[str, Any] = {
    "eager": Eager,
    "eager, forward over reverse": lambda: Eager(ForwardOverReverse()),
    "graph": lambda: Compiled(compiler=interpreter),
    "graph, forward over reverse": lambda: Compiled(ForwardOverReverse(), interpreter),
}
HYPERS = {
    name: torch.tensor(value, dtype=torch.float64)
    for name, value in {
        "learning_rate": 0.01,
        "beta1": 0.8,
        "beta2": 0.9,
        "epsilon": 0.1,
        "weight_decay": 0.02,  # where a gradient is 0 the reference's square root has no derivative
    }.items()
}


def problem(kind: str) -> tuple[NextEvent, dict[str, Tensor], Tensor, list[Tensor]]:
    """A loss, first weights, soft events, and the rows of each step."""
    torch.manual_seed(3)
    loss = NextEvent(build_model(settings(**{"hidden": 4, **KINDS[kind]}), VOCABULARY, LENGTH - 1).double())
    with torch.no_grad():
        loss.student.embedding.normal_()
    logits = 2 * torch.randn(5, LENGTH, VOCABULARY, dtype=torch.float64)
    logits[..., 0] = -torch.inf
    rows = [torch.randperm(5)[:3] for _ in range(STEPS)]
    return loss, loss.parameters_of(loss.student), logits.softmax(-1), rows


def outer(theta: dict[str, Tensor]) -> Tensor:
    return torch.stack([(leaf.sin() * (1 + leaf)).sum() for leaf in theta.values()]).sum()


def by_engine(kind: str, execution: Execution) -> list[Tensor]:
    loss, theta0, events, rows = problem(kind)
    theta0, events = fresh(theta0), fresh(events)
    outer(unroll(loss.at, theta0, events, Adam(**HYPERS), rows, execution=execution)).backward()
    return [gradient(leaf) for leaf in (events, *theta0.values())]


def cases() -> list[Any]:
    """Every kind by every execution; those that take seconds to trace among the long tests."""
    return [
        pytest.param(
            kind,
            how,
            marks=pytest.mark.long if "graph" in how and (kind not in TYPES or "forward" in how) else (),
        )
        for kind in KINDS
        for how in EXECUTIONS
    ]


@pytest.mark.parametrize(("kind", "execution"), cases())
def test_equals_autograd_through_the_loop(kind: str, execution: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = by_engine(kind, EXECUTIONS[execution]())
    monkeypatch.setattr("farzi.models.recurrent.gru", plain_gru)
    monkeypatch.setattr("farzi.models.recurrent.lstm", plain_lstm)
    loss, theta0, events, rows = problem(kind)
    theta0, events = fresh(theta0), fresh(events)
    outer(train_by_autograd(adam, loss.at, theta0, events, lambda *_: HYPERS, rows)).backward()
    right = [gradient(leaf) for leaf in (events, *theta0.values())]
    assert all(leaf.isfinite().all() for leaf in (*found, *right))
    assert relative_error(found[0], right[0]) <= 1e-12
    together = [torch.cat([leaf.flatten() for leaf in leaves[1:]]) for leaves in (found, right)]
    assert relative_error(*together) <= 1e-12


@pytest.mark.long
@pytest.mark.parametrize("kind", TYPES)
def test_compiled_is_as_exact(kind: str) -> None:
    pairs = zip(by_engine(kind, Compiled(compiler=inductor)), by_engine(kind, Eager()), strict=True)
    for mine, right in pairs:
        assert relative_error(mine, right) <= 1e-10


@pytest.mark.filterwarnings("ignore:.*There is a performance drop.*:UserWarning")
@pytest.mark.parametrize("kind", TYPES)
def test_several_runs_at_once_are_single_ones(kind: str) -> None:
    loss, theta0, events, rows = problem(kind)
    starts = [theta0, {name: 0.9 * leaf for name, leaf in theta0.items()}]
    ends = unroll(stacked_loss(loss.at), stack(starts), events, Adam(**HYPERS), rows)
    for start, end in zip(starts, unstack(ends), strict=True):
        right = unroll(loss.at, start, events, Adam(**HYPERS), rows)
        for name, leaf in right.items():
            assert relative_error(end[name], leaf) <= 1e-12
