"""Lossy compression after training: fewest bytes for least change, from a few images."""

from __future__ import annotations

from squeeze_utils.compress.pricing.after_training import Squeezed, frontier, squeeze

__all__ = ["Squeezed", "frontier", "squeeze"]
