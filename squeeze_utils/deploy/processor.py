"""What the speed of int8 depends on: the processor's instructions, and the runtimes' versions."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

KNOWN = {"avx2": "AVX2", "avx512f": "AVX-512", "asimddp": "dot product (ARM)"}


def instructions(info: str | None = None) -> str:
    """Which vector instructions the processor has, for example "AVX2, no VNNI".

    `info` is the text of Linux's /proc/cpuinfo, read by default; "unknown" where there is none.
    """
    path = Path("/proc/cpuinfo")
    if info is None:
        info = path.read_text() if path.is_file() else ""
    line = next((one for one in info.splitlines() if one.startswith(("flags", "Features"))), "")
    flags = set(line.partition(":")[2].split())
    if not flags:
        return "unknown"
    there = [title for flag, title in KNOWN.items() if flag in flags]
    if "asimd" in flags:  # ARM
        there += [] if "asimddp" in flags else ["no dot product"]
    else:
        there.append("VNNI" if flags & {"avx512_vnni", "avx_vnni"} else "no VNNI")
    return ", ".join(there)


def runtimes() -> dict[str, str]:
    """The versions of ONNX Runtime and LiteRT."""
    found = {}
    for name in ("onnxruntime", "ai-edge-litert"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
