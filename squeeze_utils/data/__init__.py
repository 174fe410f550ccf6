"""Image sets in memory: ``load`` gives train, validation and test; ``Batches`` cuts batches."""

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
