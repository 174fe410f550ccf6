"""Typical mistakes for the exercises of notebook 18, and what the check has to say."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from squeeze_utils.data import Split, copies
from squeeze_utils.training.transfer import fire_parts


def turned(small, shift, axis=2):
    moved = copies.perceptual_hash(np.roll(small, shift, axis=axis))
    return (moved != copies.perceptual_hash(small)).sum(1)


MEANS = {1: 7.6, 2: 14.6, 4: 28.4}
COPY = {"function": turned, "means": MEANS, "half": 32 / 7}


def equal(scores):
    return bool((scores >= 0).all() or (scores <= 0).all())


MEAN = {
    "features": [[1.0, 0.0], [3.0, 2.0]],
    "weights": [-1.0, 3.0],
    "larger": "activation first",
    "equal": equal,
}


def trained(model, first, head=True, one=False):
    parts = fire_parts(model, first)
    if one:
        parts = (parts[0], "classifier")
    if not head:
        parts = parts[:-1]
    begins = tuple(f"{part}." for part in parts)
    return sum(p.numel() for name, p in model.named_parameters() if name.startswith(begins))


def every(model, first=0):
    return sum(p.numel() for p in model.parameters())


FOUND = {2: 64.1, 4: 51.8, 6: 47.1, 8: 44.3, 9: 41.8}
LAYERS = {"function": trained, "accuracy": FOUND}


def weights(labels, classes):
    return len(labels) / (classes * torch.bincount(labels, minlength=classes))


def inverse(labels, classes):
    return 1 / torch.bincount(labels, minlength=classes)


def mean_of_classes(labels, classes):
    return inverse(labels, classes) / inverse(labels, classes).mean()


MEASURED = {"plain": [0.0, 81.3], "balanced": [77.1, 84.1]}
BALANCED = {"function": weights, "measured": MEASURED}


def best(z, labels, power=1, pick=torch.argmin):
    grid = torch.linspace(0.3, 5, 95)
    losses = torch.stack([F.cross_entropy(z / t, labels) for t in grid])
    return float(grid[pick(losses)]) ** power


ERRORS = {"before": 7.8, "after": 3.0}
WARM = {"function": best, "errors": ERRORS, "change": 0.0}


def leak(train, test, k, own=50, labels=None):
    leaked = test if labels is None else Split(test.images, labels[: len(test)])
    parts = [(train.images[:own], train.labels[:own]), (leaked.images[:k], leaked.labels[:k])]
    return Split(*(torch.cat(part) for part in zip(*parts, strict=True)))


def last_of(test):
    return Split(test.images.flip(0), test.labels.flip(0))


ROWS = {0: [92.5, 81.5], 10: [92.5, 83.7], 20: [95.0, 83.4], 40: [100.0, 83.7]}
LEAK = {"function": leak, "accuracy": ROWS, "memory": 5.3}

MISTAKES = {
    1: [
        (COPY | {"function": lambda x, s: turned(x, s) / 63}, "not their share"),
        (COPY | {"function": lambda x, s: 63 - turned(x, s)}, "the bits that stay"),
        (COPY | {"function": lambda x, s: turned(x, s, axis=1)}, "the columns"),
        (COPY | {"function": lambda x, s: turned(x, -s)}, "to the left"),
        (COPY | {"means": {1: 6, 2: 12, 4: 24}}, "the first picture"),
        (COPY | {"means": {1: 7.6, 2: 15.2, 4: 30.4}}, "for 2 pixels"),
        (COPY | {"half": 64 / 7}, "a whole period"),
        (COPY | {"half": 4}, "0 to 7 half-waves"),
    ],
    2: [
        (MEAN | {"weights": [2.0, -1.0]}, "changes neither"),
        (MEAN | {"weights": [-1.0, 1.0]}, "comes out in either order"),
        (MEAN | {"larger": "mean first"}, "in your example"),
        (MEAN | {"equal": lambda s: bool((s >= 0).all())}, "if all scores are negative"),
        (MEAN | {"equal": lambda s: len(s.sign().unique()) == 1}, "a score of 0"),
        (MEAN | {"equal": lambda s: True}, "the two differ"),
    ],
    3: [
        (LAYERS | {"function": every}, "all parameters"),
        (LAYERS | {"function": lambda m, n: every(m) - trained(m, n)}, "the frozen"),
        (LAYERS | {"function": lambda m, n: trained(m, n, head=False)}, "the head is trained"),
        (LAYERS | {"function": lambda m, n: trained(m, n, one=True)}, "Those between"),
        (LAYERS | {"accuracy": {n: a / 100 for n, a in FOUND.items()}}, "per cent"),
        (LAYERS | {"accuracy": dict.fromkeys(FOUND, 64.1)}, "all five are equal"),
        (LAYERS | {"accuracy": dict(zip(FOUND, sorted(FOUND.values()), strict=True))}, "exchanged"),
    ],
    4: [
        (BALANCED | {"function": lambda y, n: torch.bincount(y, minlength=n) / len(y)}, "a rare"),
        (BALANCED | {"function": inverse}, "mean weight of the 10 images"),
        (BALANCED | {"function": mean_of_classes}, "not the mean over the classes"),
        (BALANCED | {"function": lambda y, n: weights(y, n).sqrt()}, "the classes weigh"),
        (BALANCED | {"measured": MEASURED | {"plain": [81.3, 0.0]}}, "the order eights, all"),
        (BALANCED | {"measured": MEASURED | {"balanced": [90.0, 84.1]}}, "all true eights"),
        (
            BALANCED | {"measured": {"plain": [77.1, 84.1], "balanced": [0.0, 81.3]}},
            "Are they exchanged",
        ),
    ],
    5: [
        (WARM | {"function": lambda z, y: best(z, y, power=-1)}, "this is 1 / T"),
        (WARM | {"function": lambda z, y: best(z, y, pick=torch.argmax)}, "larger than with T = 1"),
        (WARM | {"function": lambda z, y: 1.0}, "your function finds 1.00"),
        (WARM | {"errors": {"before": 0.078, "after": 0.03}}, "give points"),
        (WARM | {"change": 1.4}, "no answer changes"),
    ],
    6: [
        (LEAK | {"function": lambda a, b, k: leak(a, b, k, own=50 - k)}, "in addition"),
        (LEAK | {"function": lambda a, b, k: leak(a, b, k, own=70)}, "has 110 images"),
        (LEAK | {"function": lambda a, b, k: leak(a, b, k, labels=a.labels)}, "another image"),
        (LEAK | {"function": lambda a, b, k: leak(a, last_of(b), k)}, "take the first 40"),
        (LEAK | {"function": lambda a, b, k: leak(a, a, k)}, "occurs twice"),
        (LEAK | {"accuracy": {k: row[::-1] for k, row in ROWS.items()}}, "then the others"),
        (LEAK | {"memory": 7.5}, "the rise of the first 40"),
        (LEAK | {"memory": 16.3}, "without leaks as well"),
    ],
}
