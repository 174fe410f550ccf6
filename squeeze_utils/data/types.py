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


VOID = 255  # in masks: a pixel without a class, which neither loss nor score counts
NO_BOX = -1  # the class in a row of boxes that only fills it up
Rows = list[tuple[float, ...]]  # of boxes, as in `Split`


def padded_boxes(every: list[Rows], most: int) -> np.ndarray:
    """The rows of each image, filled up to `most` rows: float32 (n, most, 5)."""
    boxes = np.zeros((len(every), max(1, most), 5), np.float32)
    boxes[:, :, 0] = NO_BOX
    for row, rows in zip(boxes, every, strict=True):
        row[: len(rows)] = np.array(rows, np.float32).reshape(-1, 5)
    return boxes


@dataclass(frozen=True)
class Split:
    """One part of an image set.

    ``images`` is uint8 of shape (n, channels, height, width); its memory is laid out
    channels-last, so that channels-last batches are cut from it without a transposition.
    The form of ``labels`` says what is to be learnt, the ``task``:

    - classification: a class for each image, int64 (n,);
    - detection: boxes, float32 (n, most, 5), rows (class, left, top, right, bottom) with places
      as shares of width and height; rows that fill up have the class ``NO_BOX``;
    - segmentation: a class for each pixel, uint8 (n, height, width), ``VOID`` where there is none.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                "images must be uint8 of shape (n, channels, height, width), not "
                f"{self.images.dtype} of shape {tuple(self.images.shape)}"
            )
        if self._task() is None:
            count, _, height, width = self.images.shape
            raise DataError(
                f"labels must be int64 of shape ({count},), float32 boxes of shape ({count}, most, "
                f"5) or uint8 masks of shape ({count}, {height}, {width}), not "
                f"{self.labels.dtype} of shape {tuple(self.labels.shape)}"
            )

    def _task(self) -> str | None:
        count, _, height, width = self.images.shape
        shape = tuple(self.labels.shape)
        if self.labels.dtype == torch.int64 and shape == (count,):
            return "classification"
        if self.labels.dtype == torch.float32 and len(shape) == 3 and shape[::2] == (count, 5):
            return "detection"
        if self.labels.dtype == torch.uint8 and shape == (count, height, width):
            return "segmentation"
        return None

    @property
    def task(self) -> str:
        """By the form of the labels "classification", "detection" or "segmentation"."""
        return self._task() or ""

    def first(self, count: int) -> Split:
        """The first ``count`` images, or all where there are fewer."""
        return Split(self.images[:count], self.labels[:count])

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
    different sizes normalise alike. ``fingerprint`` is a hash of all pixels and labels of the
    whole set, before a limit or the removal of copies: two machines that ask for the same and show
    the same fingerprint have the same images in the same splits.
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
        """Channels of an image: 3 in colour, 1 in grey."""
        return self.train.images.shape[1]

    @property
    def size(self) -> int:
        """Height in pixels; of square images the width, too."""
        return self.train.images.shape[2]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return tuple(self.train.images.shape[1:])

    @property
    def task(self) -> str:
        """What is to be learnt: see ``Split``."""
        return self.train.task

    @property
    def num_classes(self) -> int:
        """How many classes the labels tell apart."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set with all three splits on another device."""
        return replace(
            self,
            train=self.train.to(device),
            validation=self.validation.to(device),
            test=self.test.to(device),
        )
