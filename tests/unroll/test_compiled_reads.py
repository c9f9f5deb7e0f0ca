"""Graphs and what the loss reads besides its arguments: changes are seen, and cost a graph only then."""

import gc
import types
import warnings
import weakref
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from farzi.unroll import SGD, Adam, Compiled, Eager, ExecutionWarning, ForwardOverReverse, interpreter, unroll
from farzi.unroll.compile import cache
from farzi.unroll.compile.cache import GRAPHS, reads_of

COMPILED = Compiled(compiler=interpreter)
Loss = Callable[[Any, Any, Any], Tensor]
GLOBAL: Any = torch.tensor([1.0])


def square(theta: Tensor, data: Tensor) -> Tensor:
    return ((theta - data) ** 2).mean() + (theta * data).sin().mean()


def bar(loss: Loss, execution: Any, steps: int = 3) -> Tensor:
    data = torch.linspace(0.0, 1.0, 5, requires_grad=True)
    unroll(loss, torch.ones(5), data, SGD(0.05), [None] * steps, execution=execution).sum().backward()
    assert data.grad is not None
    return data.grad


def follows(loss: Loss) -> None:
    torch.testing.assert_close(bar(loss, COMPILED), bar(loss, Eager()))


def traced() -> dict[Any, int]:
    return {what: id(graph) for what, graph in GRAPHS.of(COMPILED)}


class Holder:
    """A loss with a state: numbers, tensors, containers, and a counter that it does not read."""

    def __init__(self) -> None:
        self.scale, self.tensor, self.numbers = 1.0, torch.ones(5), [1.0, 2.0]
        self.nested = {"inner": types.SimpleNamespace(value=1.0)}
        self.outer_steps = 0

    def loss(self, theta: Tensor, data: Tensor, batch: None) -> Tensor:
        factor = self.scale * sum(self.numbers) * self.nested["inner"].value
        return factor * (self.tensor * square(theta, data)).sum()


def replace_number(holder: Holder) -> None:
    holder.scale = 5.0


def replace_tensor(holder: Holder) -> None:
    holder.tensor = torch.full((5,), 2.0)


def change_tensor_in_place(holder: Holder) -> None:
    holder.tensor.mul_(3)


def change_list(holder: Holder) -> None:
    holder.numbers[1] = 7.0


def grow_list(holder: Holder) -> None:
    holder.numbers.append(7.0)


def change_deep_inside(holder: Holder) -> None:
    holder.nested["inner"].value = 4.0


@pytest.mark.parametrize(
    "change",
    [replace_number, replace_tensor, change_tensor_in_place, change_list, grow_list, change_deep_inside],
)
def test_a_change_of_what_a_loss_holds_is_seen(change: Callable[[Holder], None]) -> None:
    holder = Holder()
    loss = holder.loss
    follows(loss)
    before = bar(loss, COMPILED)
    change(holder)
    follows(loss)
    assert not torch.equal(bar(loss, COMPILED), before)


def test_a_change_that_the_loss_does_not_read_makes_no_new_graph() -> None:
    holder = Holder()
    follows(holder.loss)
    graphs = traced()
    holder.outer_steps += 1
    follows(holder.loss)
    assert traced() == graphs


def test_a_counter_of_the_loss_itself_makes_no_new_graph() -> None:
    calls = 0

    def loss(theta: Tensor, data: Tensor, batch: None) -> Tensor:
        nonlocal calls
        calls += 1
        return square(theta, data)

    bar(loss, COMPILED, steps=9)
    graphs, count = traced(), calls
    bar(loss, COMPILED, steps=9)
    assert (traced(), calls) == (graphs, count + 1)  # one call a run compares the loss of its last step


def test_tensors_and_numbers_in_closures_globals_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, power = {"w": torch.tensor(1.0)}, 2.0

    def helper(theta: Tensor) -> Tensor:
        return GLOBAL.sum() * theta.abs().pow(power).mean()

    def loss(theta: Tensor, data: Tensor, batch: None, scale: list[float] = [1.0]) -> Tensor:  # noqa: B006
        return scale[0] * square(theta, data) * weight["w"] + helper(theta)

    follows(loss)
    weight["w"] = torch.tensor(5.0)
    follows(loss)
    power = 3.0
    follows(loss)
    assert loss.__defaults__ is not None
    loss.__defaults__[0][0] = 4.0
    follows(loss)
    monkeypatch.setitem(globals(), "GLOBAL", torch.tensor([9.0]))
    follows(loss)


def test_a_small_tensor_that_is_read_as_a_number() -> None:
    scale = torch.tensor(2.0)

    def loss(theta: Tensor, data: Tensor, batch: None) -> Tensor:
        return float(scale) * square(theta, data)

    follows(loss)
    scale.fill_(8.0)
    follows(loss)


class Scaled(nn.Module):
    """A module with a buffer, a flag, and a part of PyTorch's."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0] * 8))
        self.dropout = nn.Dropout(0.0)
        self.flat = nn.Flatten(0)

    def forward(self, theta: Tensor, data: Tensor, batch: None) -> Tensor:
        value = (self.get_buffer("mask")[:5] * square(theta, self.flat(self.dropout(data)))).sum()
        return value if self.training else 3 * value


def test_buffers_and_modes_of_modules() -> None:
    module = Scaled()
    follows(module)
    graphs = traced()
    module.get_buffer("mask").add_(2.0)  # the graph holds the buffer itself
    follows(module)
    assert traced() == graphs
    module.register_buffer("mask", torch.full((40,), 0.5))
    follows(module)
    module.eval()
    follows(module)
    module.train()
    follows(module)


def test_a_place_that_changes_again_and_again_runs_eagerly_in_the_end() -> None:
    scale = 0.0

    def loss(theta: Tensor, data: Tensor, batch: None) -> Tensor:
        return scale * square(theta, data)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(cache.REMADE + 1):
            scale += 1.0
            bar(loss, COMPILED, steps=1)
    scale += 1.0
    with pytest.warns(ExecutionWarning, match=r"loss\.scale, which the loss reads, has changed 8 times"):
        right = bar(loss, COMPILED, steps=1)
    torch.testing.assert_close(right, bar(loss, Eager(), steps=1))
    scale += 1.0
    follows(loss)


def test_compiled_is_a_value() -> None:
    assert Compiled(compiler=interpreter) == COMPILED
    assert hash(Compiled(compiler=interpreter)) == hash(COMPILED)
    assert Compiled(ForwardOverReverse(), interpreter) != COMPILED != Compiled()
    with pytest.raises(FrozenInstanceError):
        COMPILED.compiler = interpreter  # type: ignore[misc]
    assert set(vars(COMPILED)) == {"curvature", "compiler"}


def test_equal_values_share_graphs_and_losses_do_not() -> None:
    calls: list[str] = []

    def loss_named(name: str) -> Loss:
        def loss(theta: Tensor, data: Tensor, batch: None) -> Tensor:
            calls.append(name)
            return square(theta, data)

        return loss

    first, second = loss_named("first"), loss_named("second")
    bar(first, Compiled(compiler=interpreter))
    once = len(calls)
    bar(first, Compiled(compiler=interpreter))
    assert len(calls) == once + 1  # to compare the loss of the last step
    bar(second, Compiled(compiler=interpreter))
    assert calls[once + 1 :] == ["second"] * once


def test_a_loss_is_not_kept_alive_by_its_graphs() -> None:
    def run() -> weakref.ref[Any]:
        held = Holder()
        bar(held.loss, COMPILED)
        return weakref.ref(held)

    gone = run()
    gc.collect()
    assert gone() is None
    other = Holder()
    bar(other.loss, COMPILED)
    entries = GRAPHS._entries.values()
    assert all(entry.alive() for entry in entries)
    assert any(read.holder is other.numbers for entry in entries for read in entry.reads)


def test_updates_see_their_numbers() -> None:
    def loss(theta: Tensor, data: Tensor, batch: None) -> Tensor:
        return square(theta, data)

    for rate in (0.1, 0.2):
        ends = [
            unroll(loss, torch.ones(5), torch.zeros(5), Adam(rate), range(1), execution=how)
            for how in (COMPILED, Eager())
        ]
        torch.testing.assert_close(*ends)


def test_the_search_ends_in_large_and_cyclic_objects() -> None:
    holder: Any = Holder()
    holder.scale, holder.numbers = holder, list(range(5000))
    assert len(reads_of(holder.loss)) < 1000
