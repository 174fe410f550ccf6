"""What a network is trained for: the loss, and the score that it is judged by.

The labels of an image set say which task it is (see `Split`). Classification is one of three;
the training loop, the evaluation and the records are the same for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.data import ImageSet


@dataclass(frozen=True)
class Judged:
    """A score in percent, counts behind it, and what else was found out about the answers.

    `confusion` counts (true, predicted): images, or pixels; for boxes (class; found, missed).
    `details` are plain values that go into a record beside the score.
    """

    score: float
    confusion: Tensor
    details: dict[str, Any] = field(default_factory=dict)


class Tally(Protocol):
    """Collects answers batch by batch, then judges all of them."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in a batch: float32 outputs of a network, and labels as in `Split`."""

    def judged(self) -> Judged:
        """The score of everything that was added."""


class Task(Protocol):
    """How outputs (b, ...) of a network are compared with labels (b, ...) as in `Split`.

    `measure` names the score. So many images are evaluated at once as `batch` says.
    """

    name: str
    measure: str
    batch: int

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean over a batch, to be made small."""

    def counted(self, outputs: Tensor, targets: Tensor) -> Tensor | None:
        """How much the mean of `loss` is over, for processes that share a batch.

        A number in float64. None where it is the number of images: their parts are equal.
        """

    def summed_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The sum over a batch, without label smoothing."""

    def share_right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A cheap measure in training, 0 to 1: the share of single answers that are right."""

    def tally(self, data: ImageSet) -> Tally:
        """A fresh tally for a split of `data`."""


class Classification:
    """One class for each image: cross-entropy in nats, accuracy in percent."""

    name, measure, batch = "classification", "accuracy", 500

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean cross-entropy of logits (b, classes) and labels (b,)."""
        return F.cross_entropy(outputs, targets, label_smoothing=smoothing)

    def counted(self, outputs: Tensor, targets: Tensor) -> None:
        """Images, which parts of a batch have equally many of."""

    def summed_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The same as a sum."""
        return F.cross_entropy(outputs, targets, reduction="sum")

    def share_right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The share of images whose largest logit is that of their class."""
        return (outputs.argmax(1) == targets).float().mean()

    def tally(self, data: ImageSet) -> Tally:
        """Counts true against predicted classes."""
        return ClassCounts(data.num_classes)


class ClassCounts:
    """How often each class is taken for each."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.counts = torch.zeros(classes**2, dtype=torch.long)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch of logits (b, at least classes) and labels (b,)."""
        self._count(targets, outputs[:, : self.classes].argmax(1))

    def _count(self, targets: Tensor, predicted: Tensor) -> None:
        pairs = (targets.long() * self.classes + predicted).cpu()
        self.counts += torch.bincount(pairs, minlength=self.classes**2)

    @property
    def confusion(self) -> Tensor:
        """The counts (true, predicted)."""
        return self.counts.view(self.classes, self.classes)

    def judged(self) -> Judged:
        """Accuracy in percent and the confusion counts."""
        hits, count = int(self.confusion.diagonal().sum()), int(self.confusion.sum())
        return Judged(100 * hits / count, self.confusion)


def only_classes(data: ImageSet, what: str) -> None:
    """Raise unless each image of `data` has one class; `what` says what is done so only.

    >>> import squeeze_utils as sq
    >>> only_classes(sq.load_images("digits", size=8), "answers are noted")
    """
    _only_classification(data.task, what)


def only_classifiers(model: nn.Module, what: str) -> None:
    """The same of a network: raise unless its answer is one class for each image."""
    _only_classification(getattr(model, "task", "classification"), what)


def _only_classification(task: str, what: str) -> None:
    if task != "classification":
        raise ValueError(f"{what} for classification only, not for {task}")


def task_of(data: ImageSet) -> Task:
    """The task that the labels of `data` are made for.

    >>> import squeeze_utils as sq
    >>> task_of(sq.load_images("digits", size=8)).measure
    'accuracy'
    """
    if data.task == "detection":
        from squeeze_utils.training.detection import Detection

        return Detection()
    if data.task == "segmentation":
        from squeeze_utils.training.segmentation import Segmentation

        return Segmentation.of(data)
    return Classification()
