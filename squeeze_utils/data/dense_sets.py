"""Image sets whose labels are boxes or masks: scenes of digits, BCCD and CamVid, by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from squeeze_utils.data import bccd, camvid, scenes
from squeeze_utils.data.packing import PARTS, channel_statistics
from squeeze_utils.data.types import DataError, ImageSet, Split, checked_count

# Of each part ("train", "validation", "test") images uint8 (n, h, w, c) and labels as in `Split`.
Parts = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class DenseSet:
    """What a named set is by nature. ``size`` is its height in pixels, ``ratio`` width / height.

    ``make(root, height, width)`` reads it; a set that is ``built_in`` needs no root.
    """

    name: str
    size: int
    ratio: float
    classes: tuple[str, ...]
    make: Callable[[Path, int, int], Parts]
    channels: int = 3
    built_in: bool = False


SETS = {
    known.name: known
    for known in (
        DenseSet("digit_scenes", 48, 1.0, scenes.DIGITS, scenes.with_boxes, 1, True),
        DenseSet("digit_masks", 48, 1.0, scenes.MASKED, scenes.with_masks, 1, True),
        DenseSet("bccd", 240, 4 / 3, bccd.CLASSES, bccd.read),
        DenseSet("camvid", 180, 4 / 3, camvid.CLASSES, camvid.read),
    )
}
NAMES = tuple(SETS)
BUILT_IN = tuple(known.name for known in SETS.values() if known.built_in)
LEAST, MOST = 32, 1024  # pixels


def load(
    name: str, size: int | None, root: Path, train_limit: int | None, asked: dict[str, Any]
) -> ImageSet:
    """The set called ``name``, ``size`` pixels high.

    Of the other options ``asked``, channels must be the set's own; any other that is set is
    refused.
    """
    known = SETS[name]
    if asked.pop("channels", None) not in (None, known.channels):
        raise DataError(f"{name} has {known.channels} channels and comes with no others")
    for option, value in asked.items():
        if value:
            raise DataError(f"{name} does not take {option}")
    height = known.size if size is None else checked_count("size (pixels)", size, LEAST, MOST)
    parts = known.make(root, height, round(height * known.ratio))
    total = len(parts["train"][0])
    limit = total if train_limit is None else train_limit
    keep = checked_count(f"train_limit of {name}", limit, 1, total)
    mean, std = channel_statistics(parts["train"][0])
    made = {part: _split(*parts[part]) for part in PARTS}
    made["train"] = made["train"].first(keep)
    return ImageSet(name, known.classes, **made, mean=mean, std=std, fingerprint=_hash(parts))


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return Split(pixels, torch.from_numpy(np.ascontiguousarray(labels)))


def _hash(parts: Parts) -> str:
    """First 16 hexadecimal digits of the SHA-256 of shapes, pixels and labels of all parts."""
    digest = hashlib.sha256()
    for part in PARTS:
        for array in parts[part]:
            digest.update(repr((part, array.shape, str(array.dtype))).encode())
            digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:16]
