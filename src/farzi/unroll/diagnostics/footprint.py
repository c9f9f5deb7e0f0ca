"""Peak bytes of a call's tensors, and its floating-point operations.

On CUDA PyTorch's allocator records the peak. On the CPU its profiler reports every block that the allocator
hands out and takes back, including those of compiled code. Not included is scratch memory that a kernel
library allocates for itself, and memory that the C library's allocator cannot use again; for these there is
`resident_bytes`, from the kernel. On other devices tensors are watched as operations return them, which does
not see inside compiled code.
"""

import ctypes
import gc
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.profiler import profile

from farzi.unroll.torch_private import (
    TorchDispatchMode,
    allocations,
    flop_formula,
    storage_key,
    tree_leaves,
)


def added_bytes(operation: Callable[[], Any], device: torch.device) -> int:
    """The most bytes that a call holds on `device` at any time, beyond what was held before it.

    Its result counts. Call it once before: what is created only once, such as a compiled graph, should not
    count.
    """
    # each result is held until the end
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = operation()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    if device.type == "cpu":
        record = profile(use_kineto=False, profile_memory=True)
        with _quiet(), record:
            result = operation()
        return max(accumulate(allocations(record), initial=0))
    with Live(device) as live:
        result = operation()  # noqa: F841
    return live.most


def resident_bytes(operation: Callable[[], Any]) -> int | None:
    """The most resident memory that a call adds to the process; None where the system has no such figure.

    Linux resets its peak on request. Before, the C library returns its idle memory.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
    except (OSError, AttributeError, KeyError):  # another system, another C library, or not allowed
        return None
    result = operation()  # noqa: F841
    return max(0, _status("VmHWM") - before)


def _status(name: str) -> int:
    """An entry of /proc/self/status, in bytes."""
    sizes = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(sizes[name].split()[0]) * 1024


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the profiler, which reports its start and stop on stderr."""
    name = "KINETO_LOG_LEVEL"
    if name in os.environ:
        yield
        return
    os.environ[name] = "6"  # above the levels that it uses
    try:
        yield
    finally:
        del os.environ[name]


class Live(TorchDispatchMode):
    """Counts the bytes of tensors created inside, on one device, until they are freed: `now` and `most`.

    Older tensors in `known` do not count, nor do their views.
    """

    def __init__(self, device: torch.device, known: list[Tensor] | None = None) -> None:
        super().__init__()
        self.device, self.now, self.most = device, 0, 0
        self._seen = {storage_key(tensor.untyped_storage()) for tensor in known or []}

    def note(self, more: int) -> None:
        """Count `more` bytes that are held for a moment."""
        self.most = max(self.most, self.now + more)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type == self.device.type:
                self._enter(leaf.untyped_storage())
        return result

    def _enter(self, storage: torch.UntypedStorage) -> None:
        key, size = storage_key(storage), storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._leave, key, size).atexit = False

    def _leave(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


class _Flops(TorchDispatchMode):
    """Adds up PyTorch's formulas, by shapes; `FlopCounterMode` refuses `torch.autograd.grad` of leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        formula = flop_formula(func)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=result)
        return result


def flops(operation: Callable[[], Any]) -> int:
    """The floating-point operations of a call, run eagerly.

    Products of matrices, convolutions and attention are counted, elementwise work is not. A custom operation
    counts if `torch.utils.flop_counter.register_flop_formula` gave it a formula.
    """
    with _Flops() as count:
        operation()
    return count.total
