"""Image sets in memory: ``load_images`` gives the splits, ``Batches`` cuts batches of them."""

from __future__ import annotations

from squeeze_utils.data.augmenting import Augment
from squeeze_utils.data.batches import Batches, normalise
from squeeze_utils.data.sets import load_images
from squeeze_utils.data.types import DataError, ImageSet, Split

__all__ = [
    "Augment",
    "Batches",
    "DataError",
    "ImageSet",
    "Split",
    "load_images",
    "normalise",
]
