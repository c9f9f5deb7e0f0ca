"""How much memory one call takes, above what the process holds at rest. On the CPU: of Linux."""

import ctypes
import gc
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Meter:
    """Counts from `start` on.

    On the CPU the kernel's own high-water mark of the resident set is reset, and the allocator gives back
    what it kept, so that neither imports nor compilation nor earlier calls are in the figure. On a GPU it is
    PyTorch's allocator that counts.

    Attributes:
        device: "cpu", or a CUDA device of PyTorch.
        rest: bytes in use at the start.
    """

    device: str
    rest: int = 0

    def start(self) -> None:
        """Set the high-water mark to what is in use now."""
        gc.collect()
        if self.device == "cpu":
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
            self.rest = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        elif "torch" in sys.modules:
            import torch

            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            self.rest = torch.cuda.memory_allocated(self.device)

    def added(self) -> int | None:
        """Bytes from what was in use at the start to the high-water mark since; None where nobody counts."""
        if self.device == "cpu":
            return max(0, process_peak() - self.rest)
        if "torch" in sys.modules:
            import torch

            return torch.cuda.max_memory_allocated(self.device) - self.rest
        return None


def process_peak() -> int:
    """The process's largest resident set since it began, or since a meter was last started, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def limit(bytes_: int | None) -> None:
    """Refuse this process more address space than that; None: as much as the system lets it have."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard if bytes_ is None else bytes_, hard))
