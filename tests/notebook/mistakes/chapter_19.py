"""Typical mistakes for the exercises of notebook 19, and what the check has to say."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F
from torchvision import ops

from squeeze_utils.training import boxes


def moved(n):
    return (n - 1) ** 2 / (2 * n**2 - (n - 1) ** 2)


PIXEL = {"iou": moved, "from": 6}
DICE = {"dice": lambda t: 2 * t / (1 + t), "can_differ": False}
SURE = {
    "ranks": lambda scores: scores.argsort().argsort(),
    "values": [0.785, 0.785, 0.785],
    "probabilities": False,
}


def soft(found, scores, power=2, least=0.0):
    scores, left = scores.clone(), set(range(len(scores)))
    while left:
        best = max(left, key=lambda i: float(scores[i]))
        left.remove(best)
        for other in left:
            shared = float(ops.box_iou(found[best : best + 1], found[other : other + 1]))
            scores[other] *= 0 if least and shared > least else math.exp(-(shared**power) / 0.5)
    return scores


PAIR = [[0.0, 0.0, 0.4, 0.4], [0.1, 0.0, 0.5, 0.4]]
SOFT = {"soften": soft, "pair": PAIR}


def matched(labels, side):
    cells = boxes.match(labels, side, side)
    return torch.cat((cells.image[:, None].float(), cells.box), 1)


def objects(labels):
    return int((labels[:, :, 0] >= 0).sum())


def lost(labels, side):
    return objects(labels) - len(matched(labels, side).unique(dim=0))


def padded(labels, side):
    return labels[:, :, 0].numel() - len(matched(labels, side).unique(dim=0))


CELLS = {"function": lost, "counts": {3: 2, 6: 0, 12: 0}}
SKIPS = {"with": 63.6, "without": 19.2, "saved": 3072}


def coarse(masks, times):
    hot = F.one_hot(masks.long(), 11).movedim(-1, 1).float()
    small = F.avg_pool2d(hot, times).argmax(1)
    return small.repeat_interleave(times, 1).repeat_interleave(times, 2)


def one_pixel(masks, times):
    return masks[:, ::times, ::times].repeat_interleave(times, 1).repeat_interleave(times, 2)


def mean_class(masks, times):
    small = F.avg_pool2d(masks[:, None].float(), times)[:, 0].round()
    return small.repeat_interleave(times, 1).repeat_interleave(times, 2)


MASKS = {"coarse": coarse, "bounds": {2: 83.1, 4: 70.1, 8: 50.1}}

MISTAKES = {
    1: [
        (PIXEL | {"iou": lambda n: (n - 1) ** 2 / (2 * n**2)}, "shared part once"),
        (PIXEL | {"iou": lambda n: (n - 1) ** 2 / n**2}, "by the union of both"),
        (PIXEL | {"iou": lambda n: (n - 1) / (n + 1)}, "too low as well"),
        (PIXEL | {"from": 5}, "with 5 pixels"),
        (PIXEL | {"from": 7}, "a smaller box is found"),
        (PIXEL | {"from": 5.45}, "pixels are whole"),
    ],
    2: [
        (DICE | {"dice": lambda t: t / (1 + t)}, "counts twice"),
        (DICE | {"dice": lambda t: t / (2 - t)}, "the way back"),
        (DICE | {"dice": lambda t: t}, "larger than IoU"),
        (DICE | {"can_differ": True}, "rises with IoU"),
    ],
    3: [
        (SURE | {"ranks": lambda scores: scores.argsort()}, "rank of each score"),
        (SURE | {"ranks": lambda s: s.argsort(descending=True).argsort()}, "highest rank"),
        (SURE | {"ranks": lambda scores: scores**2}, "equal steps"),
        (SURE | {"values": [0.785, 0.7, 0.785]}, "keep the order"),
        (SURE | {"probabilities": True}, "cannot be probabilities"),
    ],
    4: [
        (SOFT | {"soften": lambda b, s: soft(b, s, power=1)}, "squared in the exponent"),
        (SOFT | {"soften": lambda b, s: soft(b, s, least=1e-9)}, "this drops boxes"),
        (SOFT | {"soften": lambda b, s: s}, "no score has become lower"),
        (SOFT | {"soften": lambda b, s: s * math.exp(-2)}, "keeps its score"),
        (SOFT | {"pair": [[0.0, 0.0, 0.4, 0.4], [0.3, 0.0, 0.7, 0.4]]}, "keeps both"),
        (SOFT | {"pair": [[0.0, 0.0, 0.4, 0.4], [0.01, 0.0, 0.41, 0.4]]}, "below the false alarm"),
    ],
    5: [
        (CELLS | {"function": padded}, "are no objects"),
        (CELLS | {"function": lambda b, n: objects(b) - len(matched(b, n))}, "not cells"),
        (CELLS | {"function": lambda b, n: objects(b) - lost(b, n)}, "have a cell"),
        (CELLS | {"counts": {3: 20, 6: 0, 12: 0}}, "not the count for 3 × 3"),
    ],
    6: [
        (SKIPS | {"saved": -3072}, "is positive"),
        (SKIPS | {"saved": 197_939}, "a whole network"),
        (SKIPS | {"saved": 5000}, "change skips only"),
        (SKIPS | {"with": 19.2, "without": 63.6}, "Are the two exchanged"),
        (SKIPS | {"with": 0.636, "without": 0.192}, "per cent"),
    ],
    7: [
        (MASKS | {"coarse": one_pixel}, "one pixel of each block"),
        (MASKS | {"coarse": mean_class}, "most frequent class"),
        (MASKS | {"coarse": lambda masks, times: masks}, "has one class"),
        (MASKS | {"bounds": {2: 0.831, 4: 0.701, 8: 0.501}}, "per cent"),
        (MASKS | {"bounds": {2: 70.1, 4: 50.1, 8: 30.0}}, "2 times smaller"),
    ],
}
