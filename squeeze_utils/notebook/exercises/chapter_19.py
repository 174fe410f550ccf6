"""The exercises of notebook 19; those about whole sets of scenes are in `chapter_19_scenes`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torchvision import ops

from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, items, named
from squeeze_utils.notebook.exercises.chapter_19_scenes import (
    coarse_masks,
    objects_without_cell,
    without_skips,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise

WIDTH = 0.5  # of soft suppression
FALSE_ALARM = 0.3  # its score


def _overlap(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(ops.box_iou(a[None].float(), b[None].float()))


def one_pixel(answer: Any) -> Claims:
    given = named(answer, "iou", "from")
    for n in (7, 3, 20):
        found = as_number(ask(given["iou"], n), f"iou({n})")
        first = n**2 - (n - 1) * 2 - 1
        sums = "the union counts the shared part once: subtract it from 2 n²."
        yield "IoU", not close(found, first / (2 * n**2)), sums
        own = "divide by the union of both boxes, not by one of them."
        yield "IoU", not close(found, first / n**2), own
        axis = "the box is too low as well: both sides of the shared part are n − 1."
        yield "IoU", not close(found, (n - 1) / (n + 1)), axis
        pixels = {(x, y) for x in range(n) for y in range(n)}
        moved = {(x + 1, y + 1) for x, y in pixels}
        right = len(pixels & moved) / len(pixels | moved)
        yield "IoU", close(found, right), f"iou({n}) gives {found:.3f}."
    n = as_number(given["from"], "from")
    yield "from", n == int(n) and n > 0, "pixels are whole."
    square = torch.tensor([0.0, 0.0, n, n])
    small = f"with {n:g} pixels the IoU is {_overlap(square, square + 1):.3f}."
    yield "from", _overlap(square, square + 1) >= 0.5, small
    less = torch.tensor([0.0, 0.0, n - 1, n - 1])
    yield "from", n > 1 and _overlap(less, less + 1) < 0.5, "a smaller box is found as well."


def dice_and_iou(answer: Any) -> Claims:
    given = named(answer, "dice", "can_differ")
    for _ in range(6):
        a, b = torch.rand(2, 40) < 0.6
        both, either = int((a & b).sum()), int((a | b).sum())
        found = as_number(ask(given["dice"], both / either), "dice")
        right = 2 * both / (int(a.sum()) + int(b.sum()))
        yield "Dice", not close(found, right / 2), "the shared part counts twice."
        inverse = both / (2 * either - both)
        yield "Dice", not close(found, inverse), "this is the way back, from Dice to IoU."
        same = "Dice is larger than IoU, except at 0 and 1."
        yield "Dice", both == either or found > both / either, same
        yield "Dice", close(found, right), "random regions of pixels give another value."
    can_differ = answers.yes_or_no(given["can_differ"], "can_differ")
    grid = [as_number(ask(given["dice"], i / 50), "dice") for i in range(51)]
    rising = all(x < y for x, y in pairwise(grid))
    turn = "your function rises with IoU. Can it turn an order round?"
    yield "order", can_differ != rising, turn


def too_sure(answer: Any) -> Claims:
    given = named(answer, "ranks", "values", "probabilities")
    for _ in range(4):
        scores = torch.rand(9)
        found = array(ask(given["ranks"], scores), (9,), "ranks")
        order = scores.argsort()
        once = "argsort says which score is on which rank. You need the rank of each score."
        yield "ranks", order.tolist() == order.argsort().tolist() or not close(found, order), once
        counted = [sum(other < own for other in scores.tolist()) for own in scores.tolist()]
        turned = "the highest score must get the highest rank."
        yield "ranks", not bool((found.diff() * scores.diff() < 0).all()), turned
        shift = found - torch.tensor(counted, dtype=torch.float64)
        yield "ranks", close(shift, shift[0].expand(9)), "equal steps, from the lowest score up."
    values = [as_number(v, "a value") for v in items(given["values"], 3, "values")]
    yield "values", min(values) > 0, "an average precision of zero shows nothing."
    keep = "squares and ranks keep the order of the scores, so all three values are equal."
    yield "values", max(values) - min(values) < 1e-6, keep
    blind = "mAP50 is the same for scores and for their squares. Both cannot be probabilities."
    yield "probabilities", not answers.yes_or_no(given["probabilities"], "probabilities"), blind


def _softened(boxes: torch.Tensor, scores: torch.Tensor, power: int = 2) -> torch.Tensor:
    """Soft suppression, recursively: the best box lowers the others, then the rest goes on."""
    if len(scores) < 2:
        return scores
    best = int(scores.argmax())
    rest = [i for i in range(len(scores)) if i != best]
    lower = [math.exp(-(_overlap(boxes[best], boxes[i]) ** power) / WIDTH) for i in rest]
    result = scores.clone()
    result[rest] = _softened(boxes[rest], scores[rest] * torch.tensor(lower), power)
    return result


def soft_suppression(answer: Any) -> Claims:
    given = named(answer, "soften", "pair")
    for count in (2, 2, 5, 7):
        corner = torch.rand(count, 2) * 0.3
        boxes, scores = torch.cat((corner, corner + 0.5), 1), 0.1 + 0.9 * torch.rand(count)
        found = array(ask(given["soften"], boxes, scores), (count,), "soften")
        right = _softened(boxes, scores)
        best = "the best box keeps its score."
        yield "soften", close(found.max(), scores.max()), best
        square = "IoU is squared in the exponent."
        yield "soften", not close(found, _softened(boxes, scores, 1), 1e-3), square
        plain = "this drops boxes. Their scores only become lower."
        yield "soften", bool((found > 0).all()), plain
        same = "no score has become lower."
        yield "soften", not close(found, scores, 1e-5), same
        order = "go from the best to the worst by the scores as they are now, not as they were."
        yield "soften", count < 3 or close(found.sort().values, right.sort().values, 1e-3), order
        yield "soften", close(found, right, 1e-3), f"{count} random boxes get other scores."
    pair = array(given["pair"], (2, 4), "pair")
    yield "pair", bool((pair[:, 2:] > pair[:, :2]).all()), "a box is (left, top, right, bottom)."
    shared = _overlap(*pair)
    kept = f"they overlap by {shared:.2f}, so plain suppression at 0.5 keeps both."
    yield "pair", shared > 0.5, kept
    left = float(_softened(pair.float(), torch.tensor([0.9, 0.8]))[1])
    yield "pair", left > FALSE_ALARM, f"the second score becomes {left:.2f}, below the false alarm."


EXERCISES = {
    1: Exercise(
        "One pixel too far",
        one_pixel,
        "(n − 1)² / (2 n² − (n − 1)²). Try n = 1, 2, 3 ... until it is at least one half.",
    ),
    2: Exercise(
        "Dice and IoU",
        dice_and_iou,
        "With i = |A ∩ B| and u = |A ∪ B|: |A| + |B| = u + i. Divide both by u.",
    ),
    3: Exercise(
        "Scores that are too sure",
        too_sure,
        "scores.argsort().argsort() gives ranks. precision.average_precision(precision.judge(s, "
        "boxes, truth)) takes any scores s.",
    ),
    4: Exercise(
        "Soft suppression",
        soft_suppression,
        "Take the best box out of those left, multiply the scores of all others that are left, "
        "and repeat. An overlap above 0.5 and below 0.7 will do for the pair.",
    ),
    5: Exercise(
        "How many objects share a cell?",
        objects_without_cell,
        "cells = match(labels, side, side) has cells.image and cells.box for each cell that "
        "answers; count the different pairs of image and box.",
    ),
    6: Exercise(
        "Without skips",
        without_skips,
        'dict(experiment.model.options) | {"skips": False}, sq.ModelSpec.of("segmenter", '
        "**options), and the same data and recipe.",
    ),
    7: Exercise(
        "What coarse masks lose",
        coarse_masks,
        "F.avg_pool2d(one_hot, times).argmax(1), then repeat_interleave(times, 1) and "
        "repeat_interleave(times, 2).",
    ),
}
