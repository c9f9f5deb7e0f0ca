"""A product cut in two: what the forward step keeps, and that nothing else changes."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farzi.models import SASRec
from farzi.training import NextEvent
from farzi.unroll import (
    Adam,
    Budget,
    Checkpoints,
    Compiled,
    Memory,
    SquareRoot,
    Store,
    StoreGradients,
    Window,
    interpreter,
    unroll,
)
from farzi.unroll.compile.graph import trace
from farzi.unroll.compile.partition import heavy_work, partition

from .graphs import graphs, targets

VOCABULARY, WIDTH, BATCH, LENGTH = 1200, 8, 4, 6


def student() -> tuple[NextEvent, dict[str, Tensor], Tensor]:
    """With so many events X E and the loss's gradient are worth keeping, its blocks' products are not."""
    torch.manual_seed(0)
    loss = NextEvent(SASRec(VOCABULARY, LENGTH - 1, WIDTH))
    return loss, loss.parameters_of(loss.student), torch.randn(BATCH, LENGTH, VOCABULARY).softmax(-1)


def metagradient(
    memory: Memory | str | None, execution: Compiled, dtype: torch.dtype = torch.float32, steps: int = 7
) -> Tensor:
    loss, theta0, events = student()
    theta0, data = {name: leaf.to(dtype) for name, leaf in theta0.items()}, events.to(dtype).requires_grad_()
    end = unroll(loss.at, theta0, data, Adam(0.01, epsilon=1e-3), [None] * steps, memory, execution=execution)
    (bar,) = torch.autograd.grad(torch.stack([leaf.sin().sum() for leaf in end.values()]).sum(), data)
    return bar


def split_of(execution: Compiled) -> Any:
    (split,) = graphs(execution)["split"]
    return split


def test_a_students_forward_step_keeps_what_takes_the_vocabulary_to_make() -> None:
    execution = Compiled(compiler=interpreter)
    metagradient(None, execution)
    split = split_of(execution)
    assert split.kept == 4 * (BATCH * LENGTH + BATCH * (LENGTH - 1)) * WIDTH
    forward, reverse = targets(split.forward), targets(split.reverse.call)
    assert [name for name in forward if "farzi" in name] == ["farzi.log_partition.default"]
    assert [name for name in reverse if "farzi" in name] == ["farzi.log_partition_tangent.default"]
    assert split.reverse.pairs == [2]


@pytest.mark.parametrize(
    "memory",
    [
        Store(intermediates=False),
        StoreGradients(),
        Checkpoints(slots=2),
        Checkpoints(2, every=3, within=StoreGradients(1)),
        SquareRoot(),
        "2 MiB",
    ],
    ids=repr,
)
def test_strategies_that_keep_less_give_the_same(memory: Memory | str) -> None:
    right = metagradient(Store(), Compiled(compiler=interpreter), torch.float64)
    found = metagradient(memory, Compiled(compiler=interpreter), torch.float64)
    assert float((found - right).norm() / right.norm()) < 1e-12


@pytest.mark.parametrize("memory", [Store(), Window(last=9), Checkpoints(slots=2), SquareRoot()], ids=repr)
def test_strategies_that_keep_steps_whole_agree_bit_for_bit(memory: Memory) -> None:
    """Steps that are run again give the same intermediates again."""
    right = metagradient(Store(), Compiled(compiler=interpreter))
    assert torch.equal(metagradient(memory, Compiled(compiler=interpreter)), right)


def test_in_deterministic_mode_all_strategies_agree_bit_for_bit() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        execution = Compiled(compiler=interpreter)
        right = metagradient(Store(), execution)
        for memory in (StoreGradients(), Checkpoints(slots=2), SquareRoot(StoreGradients(1)), "600 KiB"):
            assert torch.equal(metagradient(memory, execution), right)
        assert "split" not in graphs(execution)
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_budget_counts_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    _, theta0, _ = student()
    parameters = sum(leaf.numel() for leaf in theta0.values())
    chosen: list[Memory] = []
    choose = Budget.choose
    monkeypatch.setattr(Budget, "choose", lambda *args: chosen.append(choose(*args)) or chosen[-1])
    execution = Compiled(compiler=interpreter)
    metagradient(None, execution)
    whole = 7 * (4 * 4 * parameters + split_of(execution).kept)
    metagradient(f"{whole} B", execution)
    metagradient(f"{whole - 1} B", execution)
    assert chosen == [Store(), Checkpoints(slots=1, every=6)]


def test_nothing_is_kept_where_the_gradient_goes_another_way() -> None:
    """Fused attention has no second derivative: the product goes by plain matrix products instead."""
    torch.manual_seed(0)
    q = torch.randn(1, 1, 8, 4)

    def loss(theta: Tensor, data: Tensor, batch: None) -> Tensor:
        heads = (data @ theta).view(1, 1, 8, 4)
        return F.scaled_dot_product_attention(q, heads, heads).square().mean()

    execution, data = Compiled(compiler=interpreter), torch.randn(8, 2000, requires_grad=True)
    theta = torch.randn(2000, 4) * 0.01
    unroll(loss, theta, data, Adam(0.01), [None] * 2, execution=execution).sum().backward()
    assert graphs(execution)["split"] == [None]
    assert len(graphs(execution)["gradient"]) == len(graphs(execution)["product"]) == 1


def test_a_cut_graph_does_what_the_whole_did() -> None:
    torch.manual_seed(0)
    x, w = torch.randn(30, 600), torch.randn(600, 3)
    u = torch.randn(600, 3)

    def whole(x: Tensor, u: Tensor, w: Tensor) -> list[Tensor]:
        y = x @ w
        z = x @ u
        return [y.sin().sum(0), y.cos() * z, y.T @ z]

    module = trace(whole, [x, u, w])
    cut = partition(module, 1)
    assert cut is not None
    assert [tuple(kept.shape) for kept in cut.kept] == [(30, 3)]
    first, *kept = cut.forward(x, w)
    for found, right in zip([first, *cut.reverse(x, u, w, *kept)], whole(x, u, w), strict=True):
        assert torch.equal(found, right)
    assert sum(heavy_work(cut.reverse).values()) == 2
    assert partition(trace(lambda x, u: [x.sum(0), x @ u], [x, u]), 1) is None
