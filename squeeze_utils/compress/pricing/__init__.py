"""Fewest bytes for least change, after training from a few images, and while a network trains."""

from __future__ import annotations

from squeeze_utils.compress.pricing.after_training import Squeezed, frontier, squeeze
from squeeze_utils.compress.pricing.frozen_codes import FreezeCodes
from squeeze_utils.compress.pricing.in_training import PriceBits
from squeeze_utils.compress.pricing.silent_units import RemoveSilent
from squeeze_utils.compress.pricing.steps import Squeeze

__all__ = [
    "FreezeCodes",
    "PriceBits",
    "RemoveSilent",
    "Squeeze",
    "Squeezed",
    "frontier",
    "squeeze",
]
