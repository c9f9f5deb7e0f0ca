"""What is kept: as many floats as a strategy says, let go as soon as it can be."""

import gc
import weakref
from dataclasses import dataclass, field
from typing import Any

import pytest
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from farzi.unroll import SGD, Adam, Memory, Store, Tape, Window, train, unroll

from .problems import CASES, fresh, gradient, named, network


@dataclass
class Watched:
    """A strategy that remembers the tape it made."""

    memory: Memory
    tapes: list[Any] = field(default_factory=list)

    def tape(self, steps: int) -> Tape:
        self.tapes.append(self.memory.tape(steps))
        return self.tapes[-1]

    def floats(self, steps: int, parameters: int, slots: int) -> int:
        return self.memory.floats(steps, parameters, slots)

    def kept(self) -> list[Tensor]:
        return [
            tensor
            for step in self.tapes[0].steps.values()
            for tensor in (step.theta, step.gradient, *step.state.slots)
        ]


@pytest.mark.parametrize("memory", [Store(), Window(last=3), Window(last=9)], ids=repr)
@pytest.mark.parametrize("name", CASES)
def test_floats_is_what_is_kept(name: str, memory: Memory) -> None:
    problem, optimizer = network(), CASES[name].optimizer()
    watched = Watched(memory)
    theta0, data = fresh(problem.theta0), fresh(problem.data)
    end = unroll(problem.loss, theta0, data, optimizer, problem.batches(6), watched)
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in watched.kept()}
    parameters = sum(leaf.numel() for _, leaf in named(theta0))
    assert sum(storages.values()) // 4 == memory.floats(6, parameters, optimizer.slots) > 0

    problem.outer(end).backward()
    assert watched.kept() == []


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


def test_the_peak_grows_by_the_documented_floats_and_no_more() -> None:
    parameters = sum(leaf.numel() for _, leaf in named(network().theta0))
    peak(3, Store())  # what is made once
    short, long = peak(10, Store()), peak(50, Store())
    assert long - short == 4 * (Store().floats(50, parameters, 2) - Store().floats(10, parameters, 2))


@pytest.mark.parametrize("backward", [True, False], ids=["window", "train"])
def test_the_peak_of_a_window_and_of_plain_training_does_not_grow(backward: bool) -> None:
    peak(10, Window(last=4), backward)
    assert peak(50, Window(last=4), backward) == peak(10, Window(last=4), backward)


@pytest.mark.parametrize("backward", [True, False])
def test_a_run_is_let_go_without_the_garbage_collector(backward: bool) -> None:
    problem = network()
    watched = Watched(Store())
    gc.disable()
    try:
        end = unroll(problem.loss, fresh(problem.theta0), problem.data, SGD(), problem.batches(3), watched)
        kept = [weakref.ref(tensor) for tensor in watched.kept()]
        watched.tapes.clear()
        assert all(ref() is not None for ref in kept)
        if backward:
            problem.outer(end).backward()
        else:
            del end
        assert all(ref() is None for ref in kept)
    finally:
        gc.enable()


def test_a_window_gives_theta0_no_gradient() -> None:
    problem = network()
    theta0, data = fresh(problem.theta0), fresh(problem.data)
    end = unroll(problem.loss, theta0, data, SGD(), problem.batches(5), Window(last=4))
    problem.outer(end).backward()
    assert all(leaf.grad is None for leaf in theta0.values())
    assert gradient(data["inputs"]).norm() > 0


def test_a_window_of_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Window\(last=0\)"):
        Window(last=0)
