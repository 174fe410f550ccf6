"""What a model is: per-layer shapes, parameters, multiply-adds, memory and receptive field."""

from __future__ import annotations

from .recorder import FLOAT32, AnatomyError
from .tables import (
    by_module,
    fire_multiply_adds,
    fire_parameters,
    peak_activation_bytes,
    summary,
    table,
)

__all__ = [
    "FLOAT32",
    "AnatomyError",
    "by_module",
    "fire_multiply_adds",
    "fire_parameters",
    "peak_activation_bytes",
    "summary",
    "table",
]
