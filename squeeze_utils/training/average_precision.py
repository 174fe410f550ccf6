"""Average precision: how good a list of scored boxes is, whatever threshold is chosen later."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

OVERLAP = 0.5  # that a detection needs, hence mAP50
RECALLS = 101  # at which precision is read off, 0, 0.01, ... 1, as in the COCO benchmark


class Verdicts(NamedTuple):
    """Detections of one class in some images, and the objects that they should find.

    `score` (n,) is that of each detection, `right` (n,) says whether it has found an object, and
    `found` (m,) says for each object whether a detection has found it.
    """

    score: Tensor
    right: Tensor
    found: Tensor

    @property
    def objects(self) -> int:
        """How many objects there are."""
        return len(self.found)


def judge(score: Tensor, boxes: Tensor, truth: Tensor) -> Verdicts:
    """Which detections (n,), (n, 4) of one image and class find one of the objects (m, 4).

    Detections are taken in the order of their scores. Each is matched with the free object that it
    overlaps most, if their intersection over union is at least `OVERLAP`. One without a match is a
    false alarm.
    """
    order = score.argsort(descending=True, stable=True)
    free = torch.ones(len(truth), dtype=torch.bool)
    right = torch.zeros(len(order), dtype=torch.bool)
    shared = box_iou(boxes[order], truth) if len(truth) else boxes.new_zeros(len(order), 0)
    for place in range(len(order) if len(truth) else 0):
        best = torch.where(free, shared[place], -1.0)
        at = int(best.argmax())
        if best[at] >= OVERLAP:
            free[at], right[place] = False, True
    return Verdicts(score[order], right, ~free)


def joined(parts: list[Verdicts]) -> Verdicts:
    """The verdicts of several images as one."""
    return Verdicts(*(torch.cat(list(each)) for each in zip(*parts, strict=True)))


def average_precision(verdicts: Verdicts) -> float:
    """Mean over recalls r = 0, 0.01, ... 1 of the best precision at a recall of r or more.

    With the k best detections kept: precision is the share of them that is right, recall the
    share of objects that is found. NaN where there is no object to find.
    """
    if not verdicts.objects:
        return float("nan")
    right = verdicts.right[verdicts.score.argsort(descending=True, stable=True)]
    hits = right.cumsum(0).double()
    precision = hits / torch.arange(1, len(right) + 1)
    recall = hits / verdicts.objects
    best = precision.flip(0).cummax(0).values.flip(0)  # at this recall or a higher one
    wanted = torch.from_numpy(np.linspace(0, 1, RECALLS))  # torch's differ in their last digit
    at = torch.searchsorted(recall, wanted)
    reached = at < len(recall)
    return float(torch.cat((best, best.new_zeros(1)))[torch.where(reached, at, len(best))].mean())
