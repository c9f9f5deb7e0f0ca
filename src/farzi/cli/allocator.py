"""Keeps freed memory in the process, if the C library is glibc.

Each training step allocates and frees arrays of several megabytes. By default glibc returns them to the
system at once, and the next step maps them again page by page: a reverse step with 3,497 items had 8,900 page
faults and was a third slower.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3)


def keep_freed_memory() -> None:
    """Let the allocator reuse blocks of up to 32 MiB; does nothing without glibc."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_THRESHOLD, 2**25)
    mallopt(_TRIM_THRESHOLD, 2**30)
    mallopt(_TOP_PAD, 2**26)
