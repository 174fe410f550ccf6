"""mAP50 and mIoU: ours beside those of torchmetrics, on the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from squeeze_utils.data import ImageSet, load_images
from squeeze_utils.data.types import NO_BOX
from squeeze_utils.training.average_precision import (
    RECALLS,
    Verdicts,
    average_precision,
    joined,
    judge,
)
from squeeze_utils.training.segmentation import PixelCounts

Row = dict[str, Any]
Answers = list[dict[str, Tensor]]


def scores(bench: object = None) -> Iterator[Row]:
    """Both scores of made-up answers to the scenes of digits: the truth, shaken and mixed up."""
    images = load_images("digit_scenes")
    found, truth = shaken_boxes(images)
    yield _row("ours, mAP50", "", lambda: _our_map(found, truth, images.num_classes))
    yield _row("torchmetrics, mAP50", "torchmetrics", lambda: _their_map(found, truth, None))
    yield _row("torchmetrics, recalls in double", "torchmetrics", lambda: _their_map(found, truth))
    images = load_images("digit_masks")
    outputs, masks = shaken_masks(images), images.test.labels
    yield _row("ours, mIoU", "", lambda: _our_iou(outputs, masks))
    yield _row("torchmetrics, mIoU", "torchmetrics", lambda: _their_iou(outputs, masks))


def _row(tool: str, library: str, score: Callable[[], float]) -> Row:
    known = version(library) if library else None
    return {"tool": tool, "version": known, "score": 100 * score()}


def shaken_boxes(images: ImageSet, seed: int = 0) -> tuple[Answers, Answers]:
    """For each test scene its boxes moved a little, some misnamed, and two false alarms; truth."""
    generator = torch.Generator().manual_seed(seed)
    found, truth = [], []
    for rows in images.test.labels:
        rows = rows[rows[:, 0] != NO_BOX]
        labels, boxes = rows[:, 0].long(), rows[:, 1:]
        moved = boxes + 0.03 * torch.randn(boxes.shape, generator=generator)
        near = moved.view(-1, 2, 2).sort(1).values.flatten(1)  # left before right, always
        wrong = torch.rand(len(labels), generator=generator) < 0.2
        drawn = torch.randint(images.num_classes, (len(labels) + 2,), generator=generator)
        named = torch.cat((torch.where(wrong, drawn[:-2], labels), drawn[-2:]))
        corner = 0.7 * torch.rand(2, 2, generator=generator)
        guess = torch.cat((near, torch.cat((corner, corner + 0.3), 1)))
        order = torch.rand(len(named), generator=generator)
        found.append({"boxes": guess, "labels": named, "scores": order})
        truth.append({"boxes": boxes, "labels": labels})
    return found, truth


def shaken_masks(images: ImageSet, seed: int = 0) -> Tensor:
    """Logits for each test scene, which are right for most pixels."""
    generator = torch.Generator().manual_seed(seed)
    right = torch.nn.functional.one_hot(images.test.labels.long(), images.num_classes)
    noise = torch.randn(right.shape, generator=generator)
    return (2.5 * right + noise).movedim(-1, 1)


def _our_map(found: Answers, truth: Answers, classes: int) -> float:
    values = []
    for label in range(classes):
        verdicts: list[Verdicts] = []
        for guess, real in zip(found, truth, strict=True):
            own, there = guess["labels"] == label, real["labels"] == label
            boxes = guess["boxes"][own], real["boxes"][there]
            verdicts.append(judge(guess["scores"][own], *boxes))
        values.append(average_precision(joined(verdicts)))
    return sum(values) / classes


# Its own recalls are float32: where a recall is exactly 0.6, that of float32 lies just above it.
EXACT = tuple(np.linspace(0, 1, RECALLS).tolist())


def _their_map(found: Answers, truth: Answers, recalls: tuple[float, ...] | None = EXACT) -> float:
    from torchmetrics.detection import MeanAveragePrecision

    wanted = None if recalls is None else list(recalls)
    metric = MeanAveragePrecision(iou_thresholds=[0.5], rec_thresholds=wanted)
    metric.update(found, truth)
    return float(metric.compute()["map_50"])


def _our_iou(outputs: Tensor, masks: Tensor) -> float:
    tally = PixelCounts(outputs.shape[1])
    tally.add(outputs, masks)
    return tally.judged().score / 100


def _their_iou(outputs: Tensor, masks: Tensor) -> float:
    from torchmetrics.classification import MulticlassJaccardIndex

    metric = MulticlassJaccardIndex(outputs.shape[1])
    return float(metric(outputs.argmax(1), masks.long()))
