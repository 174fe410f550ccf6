"""Batches cut, augmented and normalised as tensor operations, on the device of the images."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from squeeze_utils.data.augmenting import Augment, covered, distorted, places
from squeeze_utils.data.moved_labels import moved_boxes, moved_masks
from squeeze_utils.data.types import DataError, Split, checked_count


def normalise(
    images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    """(x / 255 - mean) / std per channel: uint8 (n, c, h, w) to float32, channels-last.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> sq.normalise(digits.test.images[:2], digits.mean, digits.std).dtype
    torch.float32
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DataError(f"expected uint8 (n, c, h, w), not {images.dtype} {tuple(images.shape)}")
    pixels = images.permute(0, 2, 3, 1).contiguous()
    scale, offset = _affine(pixels, mean, std)
    return _normalise(pixels, scale, offset).permute(0, 3, 1, 2)


def _affine(
    pixels: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Factor and summand for one row of pixels (width * channels values each).

    One long row instead of one triple per pixel makes the multiplication seven times faster.
    """
    width, channels = pixels.shape[2:]
    if not len(mean) == len(std) == channels or min(std) <= 0:
        raise DataError(
            f"mean and std need one number for each of {channels} channels, std above 0; "
            f"got mean {mean} and std {std}"
        )
    m, s = (torch.tensor(v, dtype=torch.float64) for v in (mean, std))
    pair = (1 / (255 * s)).float().repeat(width), (-m / s).float().repeat(width)
    return pair[0].to(pixels.device), pair[1].to(pixels.device)


def _normalise(pixels: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """(n, h, w, c), contiguous, to float32 of the same shape; float32 is changed in place."""
    rows = pixels.view(len(pixels), pixels.shape[1], len(scale))
    return rows.to(torch.float32).mul_(scale).add_(offset).view(pixels.shape)


class Batches:
    """Iterable of (x, y): x float32 (b, c, h, w) channels-last, y the labels as in `Split`.

    Shuffled exactly when a CPU ``generator`` is given, anew in each pass; augmentation needs one.
    All random numbers of a pass are drawn at its start, so leaving a pass early changes nothing.
    With `share` = (r, n) each batch is cut into n equal parts, and part r (from 0) of it is given:
    n processes with equal generators then share the very batches that one process would see.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> batches = sq.Batches(digits.validation, 50, mean=digits.mean, std=digits.std)
    >>> [tuple(x.shape) for x, y in batches][0]
    (50, 1, 8, 8)
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        generator: torch.Generator | None = None,
        augment: Augment | None = None,
        drop_last: bool = False,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._check(len(split), batch_size, drop_last)
        self._check_share(share, batch_size, drop_last)
        self.share = share
        self._check_augment(augment, generator, min(split.images.shape[2:]))
        if augment and augment.rotation and split.task != "classification":
            raise DataError(f"rotation would turn images but not the labels of {split.task}")
        self.split = split
        self.batch_size = batch_size
        self.generator = generator
        self.augment = augment or Augment()
        self.drop_last = drop_last
        self._pixels = split.images.permute(0, 2, 3, 1).contiguous()
        self._scale, self._offset = _affine(self._pixels, mean, std)

    @staticmethod
    def _check(count: int, batch_size: int, drop_last: bool) -> None:
        checked_count("batch_size", batch_size, 1)
        if count < 1 or (drop_last and count < batch_size):
            raise DataError(f"{count} images make no batch of {batch_size} (drop_last={drop_last})")

    @staticmethod
    def _check_share(share: tuple[int, int], batch_size: int, drop_last: bool) -> None:
        part, parts = share
        checked_count("parts of a batch", parts, 1)
        checked_count("the part", part, 0, parts - 1)
        if parts > 1 and (batch_size % parts or not drop_last):
            raise DataError(
                f"batches of {batch_size} cannot be shared equally by {parts} processes: choose a "
                f"batch size that {parts} divides (drop_last={drop_last})"
            )

    @staticmethod
    def _check_augment(
        augment: Augment | None, generator: torch.Generator | None, side: int
    ) -> None:
        if augment not in (None, Augment()) and generator is None:
            raise DataError("augmentation needs a generator: evaluation is never augmented")
        if generator is not None and generator.device.type != "cpu":
            raise DataError(f"generator must be on the CPU, not on {generator.device}")
        if augment:
            checked_count("shift", augment.shift, 0, side - 1)
            checked_count("cutout", augment.cutout, 0, side)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.split), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        draws, (part, parts) = self._draw(), self.share
        size = self.batch_size // parts
        for i in range(len(self)):
            start = i * self.batch_size + part * size
            at = slice(start, start + size)
            yield self._batch({name: drawn[at] for name, drawn in draws.items()}, at)

    def _draw(self) -> dict[str, torch.Tensor]:
        """Every random number of one pass, on the device of the images."""
        if self.generator is None:
            return {}
        drawn = self.augment.drawn(len(self.split), self._pixels.shape[1:3], self.generator)
        return {name: numbers.to(self._pixels.device) for name, numbers in drawn.items()}

    def _batch(
        self, draws: dict[str, torch.Tensor], at: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if "index" not in draws:
            pixels, labels = self._pixels[at], self.split.labels[at].clone()
        else:
            pixels, labels = self._gather(draws), self._labels(draws)
            pixels = distorted(pixels, draws)
        x = _normalise(pixels, self._scale, self._offset)
        if "row" in draws:
            under = covered(draws, self._pixels.shape[1:3], self.augment.cutout)
            x.view(-1, x.shape[3]).index_fill_(0, under, 0.0)
        return x.permute(0, 3, 1, 2), labels

    def _labels(self, draws: dict[str, torch.Tensor]) -> torch.Tensor:
        """Classes as they are; boxes and masks moved and mirrored as their images."""
        labels = self.split.labels[draws["index"]]
        if self.split.task == "detection":
            return moved_boxes(labels, draws, self._pixels.shape[1:3])
        if self.split.task == "segmentation" and ("down" in draws or "flip" in draws):
            return moved_masks(labels, *places(draws, self._pixels.shape[1:3]))
        return labels

    def _gather(self, draws: dict[str, torch.Tensor]) -> torch.Tensor:
        """Selection, shift and flip in one gather of whole pixels: uint8 (b, h, w, c)."""
        index = draws["index"]
        if "down" not in draws and "flip" not in draws:
            return self._pixels[index]
        n, height, width, channels = self._pixels.shape
        rows, columns = places(draws, (height, width))
        rows = (index[:, None] * height + rows) * width
        flat = (rows[:, :, None] + columns[:, None, :]).view(-1)
        picked = self._pixels.view(n * height * width, channels).index_select(0, flat)
        return picked.view(len(index), height, width, channels)
