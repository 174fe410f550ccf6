"""The high-water mark of a process's memory. Imports nothing heavy: that would be measured too."""

from __future__ import annotations

import sys


def peak_bytes() -> int:
    """High-water mark of this process's resident memory, in bytes.

    On Linux from ``/proc``: there ``ru_maxrss`` of a new process starts at its parent's value.
    """
    try:
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError as error:
        raise OSError("peak memory needs Linux or macOS: no resource module here") from error
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
