"""Tiny image sets for the tests of the data room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from squeeze_utils.data import Split

CLASSES = ("cat", "dog", "eel")


def pixels(count: int, size: int = 8, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (count, size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_folder(folder: Path, images: np.ndarray, suffix: str = ".png") -> None:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(folder / f"{i:03d}{suffix}", lossless=True)


def make_set(root: Path, name: str = "zoo", per_class: int = 10, **options) -> Path:
    for k, label in enumerate(CLASSES):
        write_folder(root / name / "train" / label, pixels(per_class, seed=k, **options))
        write_folder(root / name / "test" / label, pixels(2, seed=10 + k, **options))
    return root / name


def image_keys(split: Split) -> list[bytes]:
    return [image.contiguous().numpy().tobytes() for image in split.images]
