"""The digits of scikit-learn in other styles: new image sets without a download.

Each takes uint8 images (n, side, side, 1), light strokes on black, and gives as many back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

NOISE, NOISE_SEED = 70.0, 2016  # levels (deviation) of the noise, and where its numbers begin


def plain(images: np.ndarray) -> np.ndarray:
    """As they are."""
    return images


def inverted(images: np.ndarray) -> np.ndarray:
    """Dark strokes on white."""
    return 255 - images


def noisy(images: np.ndarray) -> np.ndarray:
    """With normal noise on every pixel, the same in each call."""
    bits = np.random.PCG64(NOISE_SEED)
    noise = np.random.Generator(bits).standard_normal(images.shape) * NOISE
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def thickened(images: np.ndarray) -> np.ndarray:
    """Each pixel takes the lightest value of the 3x3 pixels around it."""
    edged = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    side = images.shape[1]
    moved = [edged[:, i : i + side, j : j + side] for i in range(3) for j in range(3)]
    return np.max(moved, axis=0)


STYLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "digits": plain,
    "digits_inverted": inverted,
    "digits_noisy": noisy,
    "digits_thickened": thickened,
}
