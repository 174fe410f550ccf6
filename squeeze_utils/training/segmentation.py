"""Segmentation: a class for each pixel, and how well classes cover what they should."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from squeeze_utils.data import ImageSet
from squeeze_utils.data.types import VOID
from squeeze_utils.training.tasks import ClassCounts, Judged, Tally

FLAT = 1.1  # the nearer to 1, the more a rare class weighs


@dataclass(frozen=True)
class Segmentation:
    """Weighted cross-entropy of pixels in nats; the score is mIoU, in percent.

    The weight of a class is 1 / log(FLAT + share of the training pixels) (Paszke et al. 2016,
    ENet): a rare class counts more, up to a limit.
    """

    weights: tuple[float, ...]
    name, measure, batch = "segmentation", "mIoU", 16

    @classmethod
    def of(cls, data: ImageSet) -> Segmentation:
        """The task for `data`, weighted by its training masks."""
        return cls(tuple(class_weights(shares(data)).tolist()))

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean over pixels that have a class, of logits (b, classes, h, w), masks (b, h, w)."""
        weights, labels = self._weights(outputs), targets.long()
        if not (weights[labels[labels != VOID]] > 0).any():  # a mean over nothing
            return outputs.sum() * 0
        return F.cross_entropy(
            outputs, labels, weights, ignore_index=VOID, label_smoothing=smoothing
        )

    def counted(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The sum of the weights of all pixels that have a class."""
        return self._weights(outputs).double()[targets[targets != VOID].long()].sum()

    def _weights(self, outputs: Tensor) -> Tensor:
        """One for each of the outputs' classes, 0 for those that no mask has."""
        weights = outputs.new_tensor(self.weights)
        return F.pad(weights, (0, outputs.shape[1] - len(weights)))

    def summed_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss times the number of images."""
        return len(outputs) * self.loss(outputs, targets)

    def share_right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The share of pixels whose largest logit is that of their class."""
        known = targets != VOID
        right = (outputs.argmax(1) == targets) & known
        return right.sum().float() / known.sum().clamp(min=1)

    def tally(self, data: ImageSet) -> Tally:
        """Counts true against predicted classes of pixels."""
        return PixelCounts(data.num_classes)


def shares(data: ImageSet) -> Tensor:
    """The share of each class among the training pixels that have one."""
    counts = torch.bincount(data.train.labels.flatten(), minlength=256)[: data.num_classes]
    return counts / counts.sum().clamp(min=1)


def class_weights(share: Tensor) -> Tensor:
    """1 / log(FLAT + share) of each class; 0 for one that no training pixel has."""
    return torch.where(share > 0, 1 / torch.log(FLAT + share), 0.0)


class PixelCounts(ClassCounts):
    """How often pixels of each class are taken for each; void does not count."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch of logits (b, classes, h, w) and masks (b, h, w)."""
        known = targets != VOID
        self._count(targets[known], outputs[:, : self.classes].argmax(1)[known])

    def judged(self) -> Judged:
        """mIoU in percent over classes that occur, in truth or in an answer."""
        confusion = self.confusion
        found = ious(confusion)
        known = found[~found.isnan()]
        details = {
            "per_class": [None if v != v else round(100 * v, 4) for v in found.tolist()],
            "pixel_accuracy": 100 * int(confusion.diagonal().sum()) / max(1, int(confusion.sum())),
        }
        return Judged(100 * float(known.mean()) if len(known) else 0.0, confusion, details)


def ious(confusion: Tensor) -> Tensor:
    """Intersection over union of each class from counts (true, predicted); NaN where absent.

    IoU_c = n_cc / (sum of row c + sum of column c - n_cc).
    """
    both = confusion.diagonal().double()
    union = confusion.sum(0) + confusion.sum(1) - both
    return torch.where(union > 0, both / union.clamp(min=1), torch.nan)
