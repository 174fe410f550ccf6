"""What an image set is: three splits of uint8 images in memory, and the one error of this room."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from squeeze_utils.base.checks import whole_number


class DataError(ValueError):
    """Something is wrong with the images or with how they were asked for."""


def checked_count(name: str, value: object, least: int, most: int | None = None) -> int:
    """``whole_number`` with this room's error; it takes NumPy's whole numbers too."""
    plain = value.item() if isinstance(value, np.integer) else value
    return whole_number(name, plain, least, most, DataError)


@dataclass(frozen=True)
class Split:
    """One part of an image set.

    ``images`` is uint8 of shape (n, channels, size, size); its memory is laid out
    channels-last, so that channels-last batches are cut from it without a transposition.
    ``labels`` is int64 of shape (n,).
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                "images must be uint8 of shape (n, channels, size, size), not "
                f"{self.images.dtype} of shape {tuple(self.images.shape)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"labels must be int64 of shape ({len(self.images)},), not "
                f"{self.labels.dtype} of shape {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Split:
        """The same split on another device (itself when it is there already)."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class ImageSet:
    """A named image set, cut into train, validation and test.

    ``mean`` and ``std`` hold one number per channel on the scale 0..1. They come from the whole
    training split, also when ``train_limit`` returned only a part of it, so that studies of
    different sizes normalise alike. ``fingerprint`` is a hash of all pixels and labels: two
    machines that show the same fingerprint have the same images in the same splits.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str

    @property
    def channels(self) -> int:
        return self.train.images.shape[1]

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return self.train.images.shape[2]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set with all three splits on another device."""
        return replace(
            self,
            train=self.train.to(device),
            validation=self.validation.to(device),
            test=self.test.to(device),
        )
