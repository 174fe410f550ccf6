"""Copies of one photograph in two splits: exact, resized, compressed anew, or mirrored.

A perceptual hash finds candidates, and the correlation of small versions of both decides. An image
becomes 32x32 grey pixels. Whether each of the lowest frequencies of its cosine transform lies above
their median is a bit of its hash (Zauner 2010). Small changes of the pixels turn few bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.fft import dctn
from torch import Tensor
from torch.nn import functional as F

from squeeze_utils.data.distortions import grey_levels
from squeeze_utils.data.types import ImageSet, Split

SIDE = 32  # pixels of the small version
LOWEST = 8  # frequencies in each direction
BITS = LOWEST**2 - 1  # of a hash; the constant is left out
MOST_BITS = 10  # that differ in a candidate
LEAST_CORRELATION = 0.95  # of the pixels of the small versions, to be called a copy
LEAST_CONTRAST = 4.0  # levels (deviation): flatter images have no structure to compare
BLOCK = 1000  # images compared at a time


@dataclass(frozen=True)
class Copy:
    """Image `first` of one split and image `second` of another show nearly the same pixels."""

    first: int
    second: int
    bits: int
    correlation: float
    mirrored: bool


def small_versions(images: Tensor) -> np.ndarray:
    """uint8 images (n, c, h, w) as grey ones of 32x32 pixels, float32 in 0..255."""
    found = []
    for block in images.split(BLOCK):
        small = F.interpolate(grey_levels(block), (SIDE, SIDE), mode="bilinear", antialias=True)
        found.append(small)
    return torch.cat(found)[:, 0].numpy()


def perceptual_hash(small: np.ndarray) -> np.ndarray:
    """The hash of small versions (n, 32, 32): bool (n, 63), the constant left out.

    >>> ramp = np.tile(np.arange(32.0), (1, 32, 1))
    >>> int((perceptual_hash(ramp) != perceptual_hash(0.5 * ramp + 40)).sum())
    0
    """
    waves = dctn(small, axes=(1, 2))[:, :LOWEST, :LOWEST].reshape(len(small), -1)[:, 1:]
    return waves > np.median(waves, axis=1, keepdims=True)


def find_copies(first: Split, second: Split) -> list[Copy]:
    """Pairs of an image of `first` and one of `second` that show nearly the same, closest first.

    An image may occur in several pairs. Images without structure have no copies.
    """
    a, b = small_versions(first.images), small_versions(second.images)
    found: dict[tuple[int, int], Copy] = {}
    for mirrored in (False, True):
        for copy in _pairs(a[:, :, ::-1] if mirrored else a, b, mirrored):
            known = found.get((copy.first, copy.second))
            if known is None or copy.correlation > known.correlation:
                found[copy.first, copy.second] = copy
    return sorted(found.values(), key=lambda c: (-c.correlation, c.first, c.second))


def _pairs(a: np.ndarray, b: np.ndarray, mirrored: bool) -> list[Copy]:
    """Pairs whose hashes are near and whose pixels correlate."""
    hash_a, hash_b = (perceptual_hash(x).astype(np.float32) for x in (a, b))
    za, zb = _standardised(a), _standardised(b)
    found = []
    for start in range(0, len(a), BLOCK):
        block = hash_a[start : start + BLOCK]
        differ = block @ (1 - hash_b).T + (1 - block) @ hash_b.T
        for i, j in zip(*np.nonzero(differ <= MOST_BITS), strict=True):
            correlation = float(za[start + i] @ zb[j])
            if correlation >= LEAST_CORRELATION:
                pair = (int(start + i), int(j))
                found.append(Copy(*pair, int(differ[i, j]), correlation, mirrored))
    return found


def _standardised(small: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and length 1, so that a product is a correlation; flat images become 0."""
    rows = small.reshape(len(small), -1)
    rows = rows - rows.mean(1, keepdims=True)
    deviation = rows.std(1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(deviation >= LEAST_CONTRAST, rows / np.maximum(lengths, 1e-9), 0.0)


def without_copies(data: ImageSet) -> ImageSet:
    """The set without training and validation images that are copies of test images.

    The test split stays whole, so that accuracies can be compared on the same pictures.
    """
    train, validation = (_without(part, data.test) for part in (data.train, data.validation))
    return replace(data, train=train, validation=validation)


def _without(split: Split, test: Split) -> Split:
    kept = torch.ones(len(split), dtype=torch.bool)
    kept[[copy.first for copy in find_copies(split, test)]] = False
    return Split(split.images[kept], split.labels[kept])
