"""From a trained network to something that runs without torch: ONNX Runtime and LiteRT.

Export and quantization, one way to run every kind of file, and what each way costs: accuracy,
milliseconds, start-up, memory, and an estimate of energy. The runtimes are imported where they
are used, so this room can be looked at without any of them.
"""

from __future__ import annotations

from .onnx_files import export_onnx, quantize_onnx
from .runners import ModelFileError, Runner, open_runner

__all__ = [
    "ModelFileError",
    "Runner",
    "export_onnx",
    "open_runner",
    "quantize_onnx",
]
