"""Runs with strategies: what they hold and make again is what they say, and it is let go."""

import gc
from typing import Any

import pytest
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from farzi.unroll import (
    SGD,
    Adam,
    Checkpoints,
    Cost,
    Memory,
    SquareRoot,
    Store,
    StoreGradients,
    Window,
    train,
    unroll,
)

from .problems import CASES, fresh, gradient, named, network
from .tapes import Watched

EXACT: list[Memory] = [
    Store(),
    StoreGradients(slots=2),
    Checkpoints(slots=2),
    Checkpoints(slots=1, every=4, within=StoreGradients(slots=1)),
    SquareRoot(),
    Window(last=3),
    Window(last=9, memory=SquareRoot()),
]


@pytest.mark.parametrize("memory", EXACT, ids=repr)
@pytest.mark.parametrize("name", CASES)
def test_a_run_costs_what_its_strategy_says(name: str, memory: Memory) -> None:
    problem, optimizer, watched = network(), CASES[name].optimizer(), Watched(memory)
    theta0, data = fresh(problem.theta0), fresh(problem.data)
    end = unroll(problem.loss, theta0, data, optimizer, problem.batches(11), watched)
    assert watched.gradients == watched.updates == []
    problem.outer(end).backward()
    parameters = sum(leaf.numel() for _, leaf in named(theta0))
    found = Cost(watched.shelf.most, 0, len(watched.gradients), len(watched.updates))
    assert found == memory.cost(11, parameters, optimizer.slots)
    assert watched.shelf.held == 0


class LiveBytes(TorchDispatchMode):
    """Bytes of the tensors that operations have made and that are still there: now and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                self.live[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.peak = max(self.peak, self.now())
        return result

    def now(self) -> int:
        self.live = {key: entry for key, entry in self.live.items() if not entry[0].expired()}
        return sum(size for _, size in self.live.values())


def peak(steps: int, memory: Memory | None, backward: bool = True) -> int:
    problem = network()
    theta0, data, batches = fresh(problem.theta0), fresh(problem.data), problem.batches(steps)
    with LiveBytes() as bytes_:
        if backward:
            problem.outer(unroll(problem.loss, theta0, data, Adam(), batches, memory)).backward()
        else:
            train(problem.loss, theta0, data, Adam(), batches)
    return bytes_.peak


@pytest.mark.parametrize("memory", [Store(), StoreGradients(slots=3), SquareRoot()], ids=repr)
def test_the_peak_grows_by_what_the_cost_says_and_no_more(memory: Memory) -> None:
    """Of `StoreGradients`: by P floats a step."""
    parameters = sum(leaf.numel() for _, leaf in named(network().theta0))
    peak(3, memory)  # what is made once
    costs = [memory.cost(steps, parameters, 2).device for steps in (10, 50)]
    assert peak(50, memory) - peak(10, memory) == 4 * (costs[1] - costs[0])


@pytest.mark.parametrize(
    ("memory", "backward"),
    [
        (Window(last=4), True),
        (Checkpoints(slots=1), True),
        (Checkpoints(slots=4), True),
        (Checkpoints(slots=2, every=3, within=StoreGradients(slots=1)), True),
        (None, False),
    ],
)
def test_the_peak_without_a_growing_record_does_not_grow(memory: Memory | None, backward: bool) -> None:
    """Nor does that of plain training."""
    peak(20, memory, backward)
    assert peak(60, memory, backward) == peak(20, memory, backward)


@pytest.mark.parametrize("memory", EXACT, ids=repr)
@pytest.mark.parametrize("backward", [True, False])
def test_a_run_is_let_go_without_the_garbage_collector(backward: bool, memory: Memory) -> None:
    problem, watched = network(), Watched(memory)
    gc.disable()
    try:
        end = unroll(problem.loss, fresh(problem.theta0), problem.data, SGD(), problem.batches(7), watched)
        assert watched.shelf.held > 0
        if backward:
            problem.outer(end).backward()
        else:
            del end
        assert watched.shelf.held == 0
    finally:
        gc.enable()


def test_a_window_gives_theta0_no_gradient() -> None:
    problem = network()
    theta0, data = fresh(problem.theta0), fresh(problem.data)
    end = unroll(problem.loss, theta0, data, SGD(), problem.batches(5), Window(last=4))
    problem.outer(end).backward()
    assert all(leaf.grad is None for leaf in theta0.values())
    assert gradient(data["inputs"]).norm() > 0
