"""How much memory a stretch of work needed at most."""

import re
import resource
from pathlib import Path

PROCESS = Path("/proc/self")
KIB = 1024


def reset_peak(process: Path = PROCESS) -> None:
    """Begin a new stretch, where the system can do so: elsewhere the peak stays that of the whole process."""
    try:
        (process / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_bytes(process: Path = PROCESS) -> int:
    """Return the most memory the process held since the stretch began."""
    try:
        told = re.search(r"^VmHWM:\s+(\d+) kB", (process / "status").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        told = None
    return KIB * (int(told[1]) if told else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
