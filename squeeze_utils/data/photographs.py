"""Photographs that need no download: squares of the two pictures that scikit-learn brings."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def photographs(side: int = 32) -> Tensor:
    """Squares of two photographs, normalised over all of them: (n, 3, side, side).

    Each picture (427 x 640 pixels) is first reduced four times by averaging.

    >>> photographs().shape
    torch.Size([30, 3, 32, 32])
    """
    from sklearn.datasets import load_sample_image

    squares = []
    for name in ("china.jpg", "flower.jpg"):
        picture = torch.tensor(load_sample_image(name)).permute(2, 0, 1).float()
        tiles = F.avg_pool2d(picture, 4).unfold(1, side, side).unfold(2, side, side)
        squares.append(tiles.permute(1, 2, 0, 3, 4).flatten(0, 1))
    x = torch.cat(squares)
    return (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
