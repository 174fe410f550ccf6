"""Scenes composed of the embedded digits, whose boxes and masks are known exactly."""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from squeeze_utils.data import sources
from squeeze_utils.data.packing import PARTS, pack
from squeeze_utils.data.sources import DIGITS
from squeeze_utils.data.types import Rows, padded_boxes

MASKED = ("background", *DIGITS)
COUNTS = {"train": 1200, "validation": 200, "test": 300}  # scenes
MOST = 4  # digits in a scene; some scenes have none
SIDES = (0.28, 0.5)  # of a digit, as shares of the scene's
INK = 64  # grey levels, from which on a pixel belongs to a digit
TRIES = 20
NOISE = 40  # grey levels that the background may reach

Scene = tuple[np.ndarray, np.ndarray, Rows]


def with_boxes(root: Path, height: int, width: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scenes with the boxes of their digits: the smallest rectangles around the ink."""
    made = {part: _scenes(part, height, width) for part in PARTS}
    return {part: (images.copy(), boxes.copy()) for part, (images, boxes, _) in made.items()}


def with_masks(root: Path, height: int, width: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The same scenes with the class of each pixel: 0 is background, digit d has d + 1."""
    made = {part: _scenes(part, height, width) for part in PARTS}
    return {part: (images.copy(), masks.copy()) for part, (images, _, masks) in made.items()}


@lru_cache(maxsize=6)
def _scenes(part: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (n, h, w, 1), boxes (n, MOST, 5) and masks (n, h, w) of one part.

    Each part has the digits of its own part: no digit is trained on and tested.
    """
    digits, labels = _digits(part)
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(part.encode())))
    made = [_compose(digits, labels, height, width, generator) for _ in range(COUNTS[part])]
    boxes = padded_boxes([found for _, _, found in made], MOST)
    images, masks = (np.stack([scene[i] for scene in made]) for i in (0, 1))
    return images[..., None], boxes, masks


@lru_cache(maxsize=3)
def _digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    packed = pack(DIGITS, sources.digits(8, 1))
    start = sum(packed.counts[: PARTS.index(part)])
    stop = start + packed.counts[PARTS.index(part)]
    return packed.images[start:stop, :, :, 0], packed.labels[start:stop]


def _compose(
    digits: np.ndarray, labels: np.ndarray, height: int, width: int, generator: np.random.Generator
) -> Scene:
    """A dim, rough background, and on it up to MOST digits that do not touch each other."""
    image = generator.integers(0, NOISE, (height, width)).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    taken = np.zeros((height, width), bool)
    boxes: Rows = []
    low, high = (round(share * min(height, width)) for share in SIDES)
    for _ in range(generator.integers(0, MOST + 1)):
        pick, side = generator.integers(len(digits)), int(generator.integers(low, high + 1))
        place = _free_place(taken, side, generator)
        if place is None:
            continue
        taken[place] = True
        ink = np.asarray(Image.fromarray(digits[pick]).resize((side, side), Image.BILINEAR))
        image[place] = np.maximum(image[place], ink)
        mask[place][ink >= INK] = labels[pick] + 1
        boxes.append((float(labels[pick]), *_around(ink >= INK, place, height, width)))
    return image, mask, boxes


def _free_place(
    taken: np.ndarray, side: int, generator: np.random.Generator
) -> tuple[slice, slice] | None:
    """A square that no other one covers, or None where none was found."""
    height, width = taken.shape
    for _ in range(TRIES):
        top, left = generator.integers(height - side + 1), generator.integers(width - side + 1)
        place = slice(top, top + side), slice(left, left + side)
        if not taken[place].any():
            return place
    return None


def _around(
    ink: np.ndarray, place: tuple[slice, slice], height: int, width: int
) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the ink, as shares of width and height."""
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    top, left = place[0].start, place[1].start
    return (
        float(left + columns[0]) / width,
        float(top + rows[0]) / height,
        float(left + columns[-1] + 1) / width,
        float(top + rows[-1] + 1) / height,
    )
