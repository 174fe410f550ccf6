"""What a model is: per-layer shapes, parameters, multiply-adds, memory and receptive field."""

from __future__ import annotations

from squeeze_utils.anatomy.memory import peak_activation_bytes, written_bytes
from squeeze_utils.anatomy.tables import by_module, layer_table, memory_profile, summary
from squeeze_utils.anatomy.tracing import AnatomyError

__all__ = [
    "AnatomyError",
    "by_module",
    "layer_table",
    "memory_profile",
    "peak_activation_bytes",
    "summary",
    "written_bytes",
]
