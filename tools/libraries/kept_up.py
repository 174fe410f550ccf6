"""Which libraries still see releases, by the Python Package Index."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import date
from typing import Any

from tools.libraries.bench import Bench

INDEX, INDEX_JSON = "https://pypi.org/simple/", "application/vnd.pypi.simple.v1+json"
FRESH = 365  # days
LIBRARIES = {
    "torch-pruning": "structured pruning by a dependency graph",
    "torchao": "quantization and sparsity for PyTorch",
    "nncf": "quantization and pruning for OpenVINO",
    "optimum-quanto": "quantization of Hugging Face models",
    "neural-compressor": "quantization for Intel processors",
    "brevitas": "quantization-aware training, FPGAs",
    "nncodec": "the coding standard ISO/IEC 15938-17",
    "onnxruntime": "runs and quantizes ONNX files",
    "ai-edge-litert": "runs files for phones and boards",
    "executorch": "runs PyTorch networks on devices",
    "timm": "networks and training recipes",
    "optuna": "hyperparameter search",
}


def kept_up(bench: Bench) -> Iterator[dict[str, Any]]:
    """The newest release of each library on the Python Package Index, and its date."""
    for name, use in LIBRARIES.items():
        request = urllib.request.Request(INDEX + name + "/", headers={"Accept": INDEX_JSON})
        with urllib.request.urlopen(request, timeout=30) as answer:
            files = json.load(answer)["files"]
        newest = max(files, key=lambda file: file["upload-time"])
        days = (date.today() - date.fromisoformat(newest["upload-time"][:10])).days
        state = "kept up" if days <= FRESH else f"no release for {days} days"
        released = newest["upload-time"][:10]
        yield {"tool": name, "last_release": released, "note": f"{use}; {state}"}
