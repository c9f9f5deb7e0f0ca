"""How many bytes of tensors are there at one time: measured around a call, or counted as it runs.

On CUDA PyTorch's allocator keeps the high-water mark. On the CPU its profiler reports every block that the
allocator gives and takes back, those of compiled code included; scratch memory that a kernel library takes
for itself is not in it, nor what the C library's allocator cannot use again: for these the kernel is asked
(`resident_bytes`). On other devices tensors are watched as operations give them back, which does not see
inside compiled code.
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
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def added_bytes(operation: Callable[[], Any], device: torch.device) -> int:
    """The most bytes that a call holds on `device` at one time, beyond what was held before it.

    What it returns counts. The call should not be its first: what is made once, as a compiled graph is, does
    not belong here.
    """
    match device.type:
        case "cuda":
            return _on_cuda(operation, device)
        case "cpu":
            return _on_cpu(operation)
        case _:
            with Live(device) as live:
                result = operation()  # noqa: F841 (held until the end)
            return live.most


def _on_cuda(operation: Callable[[], Any], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    result = operation()  # noqa: F841
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _on_cpu(operation: Callable[[], Any]) -> int:
    record = profile(use_kineto=False, profile_memory=True)
    with _quiet(), record:
        result = operation()  # noqa: F841
    results: Any = record.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(accumulate((event.nbytes() for event in events), initial=0))


def resident_bytes(operation: Callable[[], Any]) -> int | None:
    """How much resident memory a call adds to the process at most; None where the kernel does not tell.

    Linux resets its high-water mark on request; the C library is asked first to give back what lies idle.
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
    """A size that the kernel tells of this process, bytes."""
    lines = (line.partition(":") for line in Path("/proc/self/status").read_text().splitlines())
    sizes = {key: rest for key, _, rest in lines}
    return int(sizes[name].split()[0]) * 1024


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the profiler, which tells stderr that it starts and stops, from doing so."""
    name = "KINETO_LOG_LEVEL"
    if name in os.environ:
        yield
        return
    os.environ[name] = "6"  # above all that it says
    try:
        yield
    finally:
        del os.environ[name]


class Live(TorchDispatchMode):
    """Counts the bytes of tensors made inside, on one device, as they come and go.

    Args:
        device: the device that counts.
        known: tensors that were there before, which do not count, nor do their views.

    Attributes:
        now: bytes there now.
        most: bytes there at one time, at most.
    """

    def __init__(self, device: torch.device, known: list[Tensor] | None = None) -> None:
        super().__init__()
        self.device, self.now, self.most = device, 0, 0
        self._seen = {tensor.untyped_storage()._cdata for tensor in known or []}

    def note(self, more: int) -> None:
        """`more` bytes are there for a moment."""
        self.most = max(self.most, self.now + more)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type == self.device.type:
                self._enter(leaf.untyped_storage())
        return result

    def _enter(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._leave, key, size).atexit = False

    def _leave(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size
