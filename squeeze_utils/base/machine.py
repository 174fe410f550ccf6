"""The machine as the training loop sees it: device, number format, allocator, versions."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from squeeze_utils.base.checks import choose, whole_number
from squeeze_utils.base.paths import repository

PRECISIONS: tuple[str, ...] = ("auto", "float32", "bfloat16")


def precision(wanted: str = "auto", device: torch.device | str = "cpu") -> str:
    """What `wanted` ("auto", "float32", "bfloat16") comes to on `device`.

    "auto" is bfloat16 where the processor computes with it, float32 elsewhere.
    """
    if choose("precision", wanted, PRECISIONS) != "auto":
        return wanted
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if native else "float32"
    return "bfloat16" if _processor_has_bfloat16() else "float32"


def _processor_has_bfloat16() -> bool:
    """True where bfloat16 is an instruction; oneDNN also emulates it, which gains nothing."""
    if not torch.backends.mkldnn.is_available():
        return False
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    known = [getattr(torch.cpu, name) for name in checks if hasattr(torch.cpu, name)]
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return not (is_x86 and known) or any(check() for check in known)


def default_device() -> torch.device:
    """CUDA where there is a GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks for the next step instead of returning them.

    A training step frees and asks again for the same large blocks; handed back to the
    system each time, they come back as page faults, which cost a third of a step and more.
    True if the C library took the setting.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    settings = {mmap_threshold: 1 << 30, trim_threshold: (1 << 31) - 1, top_pad: 1 << 26}
    return all([mallopt(option, value) == 1 for option, value in settings.items()])


def device_name(device: torch.device | str) -> str:
    """The hardware in words: a GPU's name, or the processor's with its threads."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'' if threads == 1 else 's'}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that a result depends on."""
    names = ("torch", "torchvision", "numpy", "squeeze_utils")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str:
    """The checkout's commit, marked `+changes` if package code differs from it."""
    root = repository()
    if root is None:
        return f"squeeze_utils {versions()['squeeze_utils']}"
    git = ["git", "-C", str(root)]
    where = ["rev-parse", "--show-toplevel", "HEAD"]
    try:
        found = subprocess.run([*git, *where], capture_output=True, text=True)
        folder, _, head = found.stdout.strip().partition("\n")
        if found.returncode or Path(folder).resolve() != root.resolve():
            return "unknown"  # a folder without git, or inside of someone else's checkout
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "squeeze_utils"], capture_output=True, text=True
        )
    except OSError:
        return "unknown"
    return head[:12] + ("+changes" if changed.stdout.strip() else "")


def facts(device: torch.device | str = "cpu", at_commit: str | None = None) -> dict[str, Any]:
    """What to note about anything measured now: device, versions, commit and date (UTC).

    `at_commit` is the commit where it is known already, for example from the start of a long run.
    """
    return {
        "device": device_name(device),
        "versions": versions(),
        "commit": at_commit or commit(),
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def cores() -> int:
    """The cores that this process may use: in a container, for example, not all there are."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def threads_each(jobs: int) -> int:
    """Threads for each of `jobs` processes that share the processor."""
    return max(1, cores() // whole_number("jobs", jobs, 1))
