"""The optional parts of this room: what is installed, and how to get what is not."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from squeeze_utils.base import paths

HOW = {
    "onnx": "python -m pip install onnx onnxscript",
    "onnxscript": "python -m pip install onnx onnxscript",
    "onnxruntime": "python -m pip install onnxruntime",
    "ai_edge_litert": "python -m pip install ai-edge-litert",
}
CONVERTER = ".venv-convert"
CONVERTER_HOW = "make converter (an environment of its own, about 2 GB)"


class PartMissing(ImportError):
    """A library or a tool that this path needs is not there; the message says how to get it."""


def has(name: str) -> bool:
    """Whether a library can be imported."""
    return importlib.util.find_spec(name) is not None


def need(module: str) -> ModuleType:
    """Import a library or a module of one, or say how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise PartMissing(f"{name} is not installed: {HOW[name]}") from error


def missing() -> dict[str, str]:
    """Every part that is not there, with the command that brings it."""
    lacking = {name: how for name, how in HOW.items() if not has(name)}
    if converter_python() is None:
        lacking["LiteRT's converter"] = CONVERTER_HOW
    return lacking


def converter_python() -> Path | None:
    """The interpreter of the converter's own environment, or None where it was not made.

    `make converter` makes it; `SQUEEZE_CONVERTER` may name another environment's folder.
    """
    named = os.environ.get("SQUEEZE_CONVERTER")
    folder = Path(named) if named else (paths.repository() or Path.cwd()) / CONVERTER
    inside = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    python = folder.joinpath(*inside)
    return python if python.is_file() else None
