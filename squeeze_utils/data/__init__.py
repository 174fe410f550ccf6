"""Image sets in memory: ``load_images`` gives the splits, ``Batches`` cuts batches of them."""

from __future__ import annotations

from squeeze_utils.data.batches import Augment, Batches, normalise
from squeeze_utils.data.sets import find_root, load_images
from squeeze_utils.data.types import DataError, ImageSet, Split

__all__ = [
    "Augment",
    "Batches",
    "DataError",
    "ImageSet",
    "Split",
    "find_root",
    "load_images",
    "normalise",
]
