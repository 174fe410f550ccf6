"""Detection: what a detector is trained to do, and how its boxes are judged."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from squeeze_utils.data import ImageSet
from squeeze_utils.models.detector import BOX
from squeeze_utils.training.average_precision import Verdicts, average_precision, joined, judge
from squeeze_utils.training.boxes import Matched, decoded, detect, match
from squeeze_utils.training.tasks import Judged, Tally

THIRDS = ("small", "middle", "large")  # objects by area, as many in each


class Detection:
    """Boxes with classes. The score is mAP50: average precision at overlap 0.5, mean of classes.

    The loss of a batch is, with p the number of cells that answer for an object,

        1/p sum over all cells of H(object, IoU)  +  1/p sum over those p of (1 - GIoU)
        +  1/p sum over those p of the cross-entropy of the class.

    The first term teaches a cell how well its box fits: its target is the overlap of its own box
    with the object (0 for all other cells), as in SqueezeDet.
    """

    name, measure, batch = "detection", "mAP50", 16

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """The sum of `terms`."""
        return sum(self.terms(outputs, targets, smoothing).values(), outputs.new_zeros(()))

    def terms(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> dict[str, Tensor]:
        """The three parts of the loss, of outputs (b, 5 + classes, h, w) and boxes (b, most, 5)."""
        cells = match(targets, *outputs.shape[2:])
        count = max(1, len(cells.label))
        found = decoded(outputs)[cells.image, cells.row, cells.column]
        fits = torch.zeros_like(outputs[:, 0])
        fits[cells.image, cells.row, cells.column] = _overlaps(found.detach(), cells.box)
        named = _named(outputs, cells)
        return {
            "object": F.binary_cross_entropy_with_logits(outputs[:, 0], fits, reduction="sum")
            / count,
            "box": generalized_box_iou_loss(found, cells.box, reduction="sum") / count,
            "class": F.cross_entropy(named, cells.label, reduction="sum", label_smoothing=smoothing)
            / count,
        }

    def counted(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The number p of cells that answer for an object."""
        cells = match(targets, *outputs.shape[2:])
        return outputs.new_tensor(len(cells.label), dtype=torch.float64)

    def summed_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss times the number of images."""
        return len(outputs) * self.loss(outputs, targets)

    def share_right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Of the cells that answer for an object the share that name its class."""
        cells = match(targets, *outputs.shape[2:])
        if not len(cells.label):
            return outputs.new_ones(())
        return (_named(outputs, cells).argmax(1) == cells.label).float().mean()

    def tally(self, data: ImageSet) -> Tally:
        """Collects the verdicts on the detections of each class."""
        return BoxTally(data.num_classes)


def _named(outputs: Tensor, cells: Matched) -> Tensor:
    """The logits of the classes (cells, classes) where a cell answers for an object."""
    return outputs[cells.image, BOX:, cells.row, cells.column]


def _overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of boxes (n, 4), pair by pair."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    inside = (high - low).clamp(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (one, other)]
    return inside / (areas[0] + areas[1] - inside).clamp(min=1e-9)


class BoxTally:
    """Verdicts on detections, class by class and image by image."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.verdicts: list[list[Verdicts]] = [[] for _ in range(classes)]
        self.areas: list[list[Tensor]] = [[] for _ in range(classes)]

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Judge the detections in outputs (b, 5 + classes, h, w)."""
        found, targets = detect(outputs.cpu()), targets.cpu()
        for image, rows in enumerate(targets):
            here = found.of(image)
            for label in range(self.classes):
                truth, own = rows[rows[:, 0] == label, 1:], here.label == label
                if len(truth) or own.any():
                    self.verdicts[label].append(judge(here.score[own], here.box[own], truth))
                    self.areas[label].append((truth[:, 2:] - truth[:, :2]).prod(1))

    def judged(self) -> Judged:
        """mAP50 in percent over classes that occur; by class, and by size of the objects."""
        every = [joined(parts) if parts else None for parts in self.verdicts]
        precisions = [average_precision(v) if v else float("nan") for v in every]
        known = [value for value in precisions if value == value]
        found = torch.cat([v.found for v in every if v] or [torch.zeros(0, dtype=torch.bool)])
        areas = torch.cat([torch.cat(parts) for parts in self.areas if parts] or [torch.zeros(0)])
        counts = torch.tensor([[int(v.found.sum()), v.objects] if v else [0, 0] for v in every])
        counts[:, 1] -= counts[:, 0]
        details = {
            "per_class": [None if p != p else round(100 * p, 4) for p in precisions],
            "found_by_size": _by_size(found, areas),
        }
        return Judged(100 * sum(known) / len(known) if known else 0.0, counts, details)


def _by_size(found: Tensor, areas: Tensor) -> dict[str, float]:
    """Percent of objects that some detection finds: the smallest third of them, and so on."""
    thirds = found[areas.argsort()].float().tensor_split(len(THIRDS))
    return {
        name: round(100 * float(part.mean()), 4)
        for name, part in zip(THIRDS, thirds, strict=True)
        if len(part)
    }
