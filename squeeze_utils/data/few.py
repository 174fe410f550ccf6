"""A few images of each class, drawn at random: what it is to have little to learn from."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from squeeze_utils.data.types import DataError, ImageSet, Split


def of_each_class(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Positions of `count` images of each class, or of all of a class that has fewer."""
    order = torch.randperm(len(labels), generator=generator)
    return torch.cat([order[labels[order] == c][:count] for c in labels.unique()])


def few_images(data: ImageSet, per_class: int, draw: int) -> ImageSet:
    """The set with so many training and validation images of each class, and all test images.

    `draw` is the seed: another one draws other images.
    """
    if data.task != "classification":
        raise DataError(f"{data.name} has no classes of whole images: per_class must be 0")
    generator = torch.Generator().manual_seed(draw)

    def few(split: Split) -> Split:
        at = of_each_class(split.labels.cpu(), per_class, generator).to(split.labels.device)
        return Split(split.images[at], split.labels[at])

    return replace(data, train=few(data.train), validation=few(data.validation))
