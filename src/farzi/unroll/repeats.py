"""Steps that repeat themselves: what a loss drew, which buffers it read, and whether it gives the same again.

The reverse pass recomputes steps. A recomputed step draws the same random numbers from PyTorch's generators,
runs under the same autocast, and reads the module buffers that it read first; afterwards generators and
buffers are as they were. Whatever else may change between two calls of a loss shows in its gradient: the
gradients are compared, which costs little where both passes compute them anyway.
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
"""Units in the last place by which a recomputed gradient may differ: other kernels add in another order."""


Number = Tensor | float


class RepeatError(RuntimeError):
    """The loss of a step had another gradient when the reverse pass called it again."""


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
        self._weights: Tensor | None = None  # of the digests
        self._digests: dict[int, Number] = {}  # of the gradient of each step in the run
        self._norms: list[Number] = []  # of these gradients
        self._gaps: list[tuple[int, Number]] = []  # a step, and how far off its digest was when recomputed
        self._reversed: dict[int, tuple[Number, Number]] = {}  # the same of its gradient, and that one's norm
        self._terms: Number = 0.0  # a lower bound of the size of the terms that a gradient adds up
        self._before = RandomState.now(device)

    def note(self, index: int, gradient: Tensor) -> None:
        """Take note of a digest of step `index`'s gradient (P,), or compare it with the one noted first."""
        if gradient.is_meta:
            return
        digest = _number(self._digest(gradient))
        if index in self._digests:
            self._gaps.append((index, abs(digest - self._digests[index])))
        else:
            self._digests[index] = digest
            self._norms.append(_number(_norm(gradient)))

    def compare(self, index: int, gradient: Tensor, again: Tensor) -> None:
        """Compare the gradient with which step `index` was made with the one of the reverse pass, (P,)."""
        if gradient.is_meta:  # a plan's
            self._reversed[index] = 0.0, 0.0
        else:
            self._reversed[index] = _number(_norm(again - gradient)), _number(_norm(gradient))

    def compared(self, index: int) -> bool:
        """Whether the reverse pass has compared step `index`."""
        return index in self._reversed

    def doubtful(self, index: int) -> bool:
        """Whether the two gradients of step `index` differ by more than rounding usually does.

        The gradient of a large loss adds up terms far larger than itself, and two programs do so in another
        order. Whether the loss repeats itself is then seen by computing the step as it was first computed.
        A GPU isn't waited for, and may differ by more.
        """
        gap, norm = self._reversed.get(index, (0.0, 0.0))
        if isinstance(gap, Tensor) or isinstance(norm, Tensor) or not self._differs(gap, norm, 0.0):
            return False
        return self._differs(gap, norm, self._largest())

    def seen(self, theta: Tensor, value: Tensor) -> None:
        """Take note of a value of the loss, which tells its precision and the size of its gradient's terms.

        At a minimum these add up to nearly nothing, with the rounding errors of each. Of a homogeneous loss
        of degree k they are k L / ‖θ‖ or larger, since ⟨θ, ∇L⟩ = k L.
        """
        if value.ndim == 0 and not value.is_meta:
            self._dtype = value.dtype
            self._terms = _number(value.abs() / _norm(theta))

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
        """Compare all recomputed gradients with those of the run.

        Raises:
            RepeatError: the loss did not repeat itself; the message names the step and what to do.
        """
        largest = self._largest()
        gaps = zip((index for index, _ in self._gaps), _floats(gap for _, gap in self._gaps), strict=True)
        pairs = [(index, gap, largest) for index, gap in gaps if math.isfinite(gap)]
        off, own = (_floats(pair[k] for pair in self._reversed.values()) for k in (0, 1))
        pairs += zip(self._reversed, off, own, strict=True)
        for index, gap, norm in sorted(pairs):
            if not self._differs(gap, norm, largest):
                continue
            raise RepeatError(
                f"the loss of step {index} had another gradient when the reverse pass computed it again "
                f"(off by {gap:.3g}, where gradients have norms up to {max(largest, norm):.3g}), so the "
                "metagradient would be wrong: draw random numbers by PyTorch's default generators, and pass "
                "whatever else changes between two calls (numbers, masks, choices of rows) in data or batches"
            )

    def _largest(self) -> float:
        """The largest norm of the run's gradients, or the size of the terms that they add up."""
        return max(filter(math.isfinite, _floats([*self._norms, self._terms])), default=0.0)

    def _differs(self, gap: float, norm: float, largest: float) -> bool:
        """Whether a gap is more than rounding, beside a gradient's norm and the largest one."""
        # nothing repeats itself where the gradient isn't finite
        same = gap <= self._tolerance() * max(largest, norm)  # false if the gap isn't a number
        return math.isfinite(norm) and not same

    def _tolerance(self) -> float:
        """The largest difference of a gradient and its recomputation, as a share of the largest norm."""
        eps = precision(self._dtype, self._autocast_dtype)
        # kernels of a GPU may add in another order at each call, which training amplifies
        ordered = self._device.type == "cpu" or torch.are_deterministic_algorithms_enabled()
        return min(ROUNDING * eps, eps**0.5) if ordered else eps**0.5

    def _digest(self, gradient: Tensor) -> Tensor:
        """⟨g, w⟩ with fixed numbers w of no pattern, (): u vᵀ, so that they take √P floats and not P."""
        width = math.isqrt(len(gradient))
        rows = len(gradient) // width
        if self._weights is None:
            count = torch.arange(1, rows + 1, dtype=gradient.dtype, device=gradient.device)
            self._weights = count.sin()
        block, rest = gradient.split([rows * width, len(gradient) - rows * width])
        whole = self._weights @ (block.view(rows, width) @ self._weights[:width])
        return whole + rest @ self._weights[: len(rest)]


def precision(dtype: torch.dtype, autocast: torch.dtype | None = None) -> float:
    """The relative precision of operations in a dtype, under autocast to another one if that is given."""
    eps = max(torch.finfo(kind).eps for kind in (dtype, autocast or dtype))
    return eps if torch.get_float32_matmul_precision() == "highest" else max(eps, 2.0**-8)


def _norm(vector: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vector, dtype=torch.promote_types(vector.dtype, torch.float32))


def _number(value: Tensor) -> Number:
    """A tensor () as a number; a GPU isn't waited for."""
    return value.item() if value.device.type == "cpu" else value.detach().clone()


def _floats(values: Iterable[Number]) -> list[float]:
    """The numbers, fetched from a GPU at once."""
    values = list(values)
    tensors = [value for value in values if isinstance(value, Tensor)]
    return torch.stack(tensors).tolist() if tensors else [float(value) for value in values]
