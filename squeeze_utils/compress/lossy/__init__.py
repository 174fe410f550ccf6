"""Lossy compression after training: fewest bytes for least change, from a few images."""

from __future__ import annotations

from .pipeline import Squeezed, frontier, squeeze

__all__ = ["Squeezed", "frontier", "squeeze"]
