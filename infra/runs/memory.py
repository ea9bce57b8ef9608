"""Memory of the process: measure its peak, return freed memory to the system, collect garbage rarely."""

import ctypes
import gc
import re
import resource
from contextlib import suppress
from pathlib import Path

PROCESS = Path("/proc/self")
KIB = 1024
COLLECT_AFTER = 50_000
"""Allocations between two garbage collections: Python's default of 700 comes with every other list or 700 rows."""


def reset_peak(process: Path = PROCESS) -> None:
    """Reset the peak; where the system cannot, it stays that of the whole life of the process."""
    with suppress(OSError):
        (process / "clear_refs").write_text("5", encoding="ascii")


def peak_bytes(process: Path = PROCESS) -> int:
    """Return the most memory the process held since the peak was reset."""
    try:
        peak = re.search(r"^VmHWM:\s+(\d+) kB", (process / "status").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        peak = None
    return KIB * (int(peak[1]) if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def trim() -> None:
    """Return freed memory to the system, where the C library keeps it: glibc does, of arrays of up to 32 MB."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def collect_rarely() -> None:
    """Collect garbage less often than Python would, in a process of our own."""
    gc.set_threshold(COLLECT_AFTER)
