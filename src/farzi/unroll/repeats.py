"""Steps that repeat themselves: what a loss drew, which buffers it read, and whether it gives the same again.

The reverse pass recomputes steps. A recomputed step draws the same random numbers from PyTorch's generators,
runs under the same autocast, and reads the module buffers that it read first; afterwards generators and
buffers are as they were. Whatever else may change between two calls of a loss shows in its value: the values
are compared, which costs nothing where both passes compute them anyway.
"""

import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from farzi.unroll.torch_private import outside_modes

ROUNDING = 128
"""Units in the last place by which a recomputed loss may differ: other kernels add in another order."""


Value = Tensor | float


class RepeatError(RuntimeError):
    """The loss of a step gave another value when the reverse pass called it again."""


@dataclass(frozen=True)
class RandomState:
    """The state of PyTorch's default generators: the CPU's, and that of the run's device if it is CUDA."""

    cpu: Tensor
    cuda: Tensor | None
    device: torch.device

    @staticmethod
    def now(device: torch.device) -> "RandomState":
        """The current state of the generators from which operations on `device` draw."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return RandomState(torch.get_rng_state(), cuda, device)

    def same(self, other: "RandomState") -> bool:
        """Whether nothing was drawn between the two."""
        same_cuda = self.cuda is None or (other.cuda is not None and torch.equal(self.cuda, other.cuda))
        return same_cuda and torch.equal(self.cpu, other.cpu)


@contextmanager
def replayed(state: RandomState | None) -> Iterator[None]:
    """Draw within the block from `state` on; afterwards the generators are as they were before it.

    Without a state the block draws as usual.
    """
    if state is None:
        yield
        return
    with torch.random.fork_rng([] if state.cuda is None else [state.device]):
        torch.set_rng_state(state.cpu)
        if state.cuda is not None:
            torch.cuda.set_rng_state(state.cuda, state.device)
        yield


@dataclass
class Buffer:
    """A module's buffer, and what it held before a step."""

    module: nn.Module
    name: str
    tensor: Tensor  # the buffer itself
    value: Tensor  # a copy
    rebound: bool = False  # whether the module puts another tensor in its place

    def changed(self) -> bool:
        """Whether the step changed it."""
        return self.rebound or not torch.equal(self.tensor, self.value)

    def now(self) -> "Buffer":
        """The same buffer with what it holds now."""
        tensor = getattr(self.module, self.name) if self.rebound else self.tensor
        return replace(self, tensor=tensor, value=tensor.clone())

    def restore(self) -> None:
        """Put back what it held."""
        if self.rebound:
            setattr(self.module, self.name, self.tensor)
        if not torch.equal(self.tensor, self.value):
            with torch.no_grad():
                self.tensor.copy_(self.value)


@contextmanager
def watched(seen: dict[nn.Module, list[Buffer]]) -> Iterator[None]:
    """Enter in `seen` each module that is called within the block and isn't there yet, with its buffers."""
    thread = threading.get_ident()

    def enter(module: nn.Module, args: object) -> None:
        if module not in seen and threading.get_ident() == thread:
            own = module.named_buffers(recurse=False)
            with outside_modes():  # a graph may be being traced
                seen[module] = [Buffer(module, name, tensor, tensor.clone()) for name, tensor in own]

    def leave(module: nn.Module, args: object, result: object) -> None:
        for buffer in seen.get(module, ()):  # here, since functional_call puts other buffers in for a while
            buffer.rebound = buffer.rebound or getattr(module, buffer.name) is not buffer.tensor

    hooks = register_module_forward_pre_hook(enter), register_module_forward_hook(leave)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class Repeats:
    """What is needed to recompute the steps of a run as they were, and to notice where that fails."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._autocast = torch.is_autocast_enabled(device.type) if device.type != "meta" else None
        self._autocast_dtype = torch.get_autocast_dtype(device.type) if self._autocast else None
        self._draws: dict[int, RandomState] = {}  # before each step whose loss drew random numbers
        self._buffers: dict[int, list[Buffer]] = {}  # before each step, those that training changes
        self._changing: list[Buffer] = []
        self._modules: dict[nn.Module, list[Buffer]] = {}
        self._dtype = torch.float32  # of the loss
        self._values: dict[int, Value] = {}  # the loss of each step in the run, ()
        self._anew: dict[int, Value | None] = {}  # the same at other parameters than the run's
        self._pairs: list[tuple[int, Value, Value]] = []  # a step, its value, and the one given again
        self._before = RandomState.now(device)

    def seen(self, index: int, value: Tensor) -> None:
        """Take note of a value of step `index`'s loss: the first, or one to compare with it."""
        if value.ndim == 0 and not value.is_meta:
            self._dtype = value.dtype
            # a copy: it may be a view of something large. A GPU isn't waited for
            kept: Value = value.item() if value.device.type == "cpu" else value.clone()
            values = self._anew if index in self._anew else self._values
            first = values.get(index)
            if first is None:
                values[index] = kept
            else:
                self._pairs.append((index, first, kept))

    def forget(self, index: int) -> None:
        """The next value of a step is the one to compare with: its parameters are not those of the run."""
        self._anew[index] = None

    @contextmanager
    def first(self, index: int) -> Iterator[None]:
        """Compute step `index` for the first time."""
        if self._changing:
            self._buffers[index] = [buffer.now() for buffer in self._changing]
        known = len(self._modules)
        with watched(self._modules):
            yield
        for buffers in list(self._modules.values())[known:]:  # modules that were called for the first time
            changed = [buffer for buffer in buffers if buffer.changed()]
            self._changing += changed
            self._buffers.setdefault(index, []).extend(changed)
            buffers.clear()
        after = RandomState.now(self._device)
        if not after.same(self._before):
            self._draws[index] = self._before
        self._before = after

    @contextmanager
    def again(self, index: int) -> Iterator[None]:
        """Recompute step `index`."""
        held = [buffer.now() for buffer in self._changing]
        for buffer in self._buffers.get(index, ()):
            buffer.restore()
        try:
            with replayed(self._draws.get(index)):
                if self._autocast is None or self._autocast == torch.is_autocast_enabled(self._device.type):
                    yield
                else:
                    with torch.autocast(self._device.type, self._autocast_dtype, enabled=self._autocast):
                        yield
        finally:
            for buffer in held:
                buffer.restore()

    def check(self) -> None:
        """Compare the values of all recomputed steps.

        Raises:
            RepeatError: the loss did not repeat itself; the message names the step and what to do.
        """
        largest = max(map(abs, _numbers(self._values.values())), default=0.0)
        firsts, seconds = (_numbers([pair[k] for pair in self._pairs]) for k in (1, 2))
        indices = [pair[0] for pair in self._pairs]
        for index, first, second in sorted(zip(indices, firsts, seconds, strict=True)):
            # a loss near 0 has the rounding errors of larger terms
            gap, size = abs(first - second), max(largest, abs(first))
            if gap <= self._tolerance() * size or not (math.isfinite(first) or math.isfinite(second)):
                continue
            raise RepeatError(
                f"the loss of step {index} was {first:.9g} when first computed and {second:.9g} when the "
                "reverse pass computed it again, so its gradient would be wrong: draw random numbers by "
                "PyTorch's default generators, and pass whatever else changes between two calls (numbers, "
                "masks, choices of rows) in data or batches"
            )

    def _tolerance(self) -> float:
        """The largest difference of a loss and its recomputation, as a fraction of the run's largest loss."""
        eps = torch.finfo(self._dtype).eps
        if self._autocast_dtype is not None:
            eps = max(eps, torch.finfo(self._autocast_dtype).eps)
        if torch.get_float32_matmul_precision() != "highest":
            eps = max(eps, 2.0**-8)
        # kernels of a GPU may add in another order at each call, which training amplifies
        ordered = self._device.type == "cpu" or torch.are_deterministic_algorithms_enabled()
        return min(ROUNDING * eps, eps**0.5) if ordered else eps**0.5


def _numbers(values: Iterable[Value]) -> list[float]:
    """The values as numbers, fetched from a GPU at once."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    return torch.stack(tensors).tolist() if tensors else [float(value) for value in values]
