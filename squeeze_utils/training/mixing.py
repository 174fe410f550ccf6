"""Mixup: networks trained on images that lie between two others (Zhang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn import functional as F

from squeeze_utils.base.checks import real_number


@dataclass(frozen=True)
class Mixup:
    """Mix every image of a batch with the one before it, with a share of its own:

        x' = s x_i + (1 - s) x_(i-1),    s = max(r, 1 - r),    r from Beta(alpha, alpha).

    Batches are shuffled, so the partner is a random one. The larger share is s because a pair
    means the same either way round; so y_i is always the main label. In the first `growth` of
    training the partner's share 1 - s is multiplied by (share of training done) / growth.
    """

    alpha: float
    growth: float = 0.0

    def __post_init__(self) -> None:
        real_number("mixup", self.alpha, least=0, most=100)
        real_number("mixup_growth", self.growth, least=0, most=1)
        if self.growth and not self.alpha:
            raise ValueError("mixup_growth needs mixup, the alpha of Beta(alpha, alpha)")

    def shares(self, count: int, done: float) -> Tensor:
        """The share s of `count` images (count,), drawn from torch's global generator."""
        drawn = Beta(self.alpha, self.alpha).sample((count,))
        partner = torch.minimum(drawn, 1 - drawn)
        return 1 - partner * (min(1.0, done / self.growth) if self.growth else 1.0)


def mixed(images: Tensor, shares: Tensor) -> Tensor:
    """The images x' of a batch (b, c, h, w) with `shares` (b,)."""
    return torch.lerp(images.roll(1, 0), images, shares[:, None, None, None])


def mixed_loss(
    logits: Tensor, labels: Tensor, shares: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """The two-label loss: the mean of s H(logits_i, y_i) + (1 - s) H(logits_i, y_(i-1)).

    H is the cross-entropy (nats); with `label_smoothing`, that of both smoothed labels.
    """
    options = {"reduction": "none", "label_smoothing": label_smoothing}
    own = F.cross_entropy(logits, labels, **options)
    others = F.cross_entropy(logits, labels.roll(1), **options)
    return (shares * own + (1 - shares) * others).mean()
