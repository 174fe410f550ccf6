"""From a trained network to something that runs without torch: ONNX Runtime and LiteRT.

Export and quantization, one way to run every kind of file, and what each way costs: accuracy,
milliseconds, start-up, memory, and an estimate of energy. The runtimes are imported where they
are used, so this room can be looked at without any of them; torch is imported for what needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from squeeze_utils.deploy.runners import ModelFileError, Runner, open_runner

__all__ = [
    "ModelFileError",
    "Runner",
    "export_onnx",
    "open_runner",
    "quantize_onnx",
]


def __getattr__(name: str) -> Any:
    """`export_onnx` and `quantize_onnx` bring torch along, so they are imported when asked for."""
    if name in ("export_onnx", "quantize_onnx"):
        return getattr(import_module(".onnx_files", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
