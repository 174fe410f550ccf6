"""Two typical mistakes for each exercise of notebook 03, and what the check has to say."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F

import squeeze_utils as sq

LOSSES = {"half": 0.693, "tenth": 2.303, "thousandth": 6.908, "images": 687}


def probabilities(d):
    return torch.cat([d, torch.zeros_like(d[:, :1])], 1).softmax(1)


def with_one(d):
    return torch.cat([d, torch.ones_like(d[:, :1])], 1).softmax(1)


def overflowing(d):
    e = torch.cat([d, torch.zeros_like(d[:, :1])], 1).exp()
    return e / e.sum(1, keepdim=True)


FLAT = {"gradient_sum": 0.0, "change": 0.0, "probabilities": probabilities}


def trained(optimizer, lr):
    from squeeze_utils.notebook.exercises.chapter_03.trainings import trained as one

    return one(optimizer, lr)["train_loss"]


PLAIN = {"factor": 10, "plain_loss": lambda lr: trained("sgd", lr), "rate": 0.7}
DIGITS = sq.load_images("digits", size=8)
ORDER = torch.randperm(len(DIGITS.train), generator=torch.Generator().manual_seed(0))


def relabelled(labels, images=DIGITS.train.images, **others):
    return replace(DIGITS, train=replace(DIGITS.train, labels=labels, images=images), **others)


SHUFFLED = DIGITS.train.labels[ORDER]
DRAWN = torch.randint(10, SHUFFLED.shape, generator=torch.Generator().manual_seed(0))
RANDOM = {"data": relabelled(SHUFFLED), "train_accuracy": 99.9, "validation_accuracy": 9.1}
CURVE = {0.001: 71, 0.01: 94, 0.1: 97, 1.0: 78, 10.0: math.nan}
FAST = {"curve": CURVE, "more_epochs_help": "left"}


def bias_gradient(net, last, x, y, first=True, reduction="mean", of="bias"):
    if first:
        net.classifier[2] = last
    F.cross_entropy(net(x), y, reduction=reduction).backward()
    return getattr(net.classifier[1], of).grad


ERROR = {"standard_error": lambda a, n: math.sqrt(a * (100 - a) / n), "images": 40_000}
BEST = {"SqueezeNet": 70.9, "AlexNet": 71.1, "seeds": 1, "chosen_on": "validation"}

MISTAKES = {
    1: [
        (LOSSES | {"half": -0.693}, "take minus the logarithm"),
        (LOSSES | {"tenth": 1.0}, "base 10"),
        (LOSSES | {"images": 990}, "Losses do"),
    ],
    2: [
        (FLAT | {"gradient_sum": 1}, "What does the target add up to?"),
        (FLAT | {"probabilities": lambda d: d.softmax(1)}, "the shape (4, 9), not (4, 10)"),
        (FLAT | {"probabilities": with_one}, "it is zero, not e⁰ = 1"),
        (FLAT | {"probabilities": overflowing}, "the exponential overflows"),
    ],
    3: [
        (PLAIN | {"factor": 1.9}, "the whole series"),
        (PLAIN | {"plain_loss": lambda lr: trained("nesterov", lr)}, "Is µ = 0 used?"),
        (PLAIN | {"rate": 0.05}, "at 0.05 the loss is"),
        (PLAIN | {"rate": 50.0}, "training diverges"),
    ],
    4: [
        (RANDOM | {"data": relabelled(DRAWN)}, "do not draw new ones"),
        (RANDOM | {"data": relabelled(SHUFFLED, DIGITS.train.images[ORDER])}, "images moved"),
        (RANDOM | {"data": DIGITS}, "100% of the labels"),
        (RANDOM | {"train_accuracy": 20.0}, "learn the list by heart"),
        (RANDOM | {"validation_accuracy": 99.9}, "says nothing about other images"),
    ],
    5: [
        (FAST | {"curve": {k: v for k, v in CURVE.items() if k < 10}}, "the rate 10 is missing"),
        (FAST | {"curve": {k: v / 100 for k, v in CURVE.items()} | {10.0: 0.1}}, "in per cent"),
        (FAST | {"curve": CURVE | {10.0: 97}}, "Keep that result"),
        (FAST | {"more_epochs_help": "right"}, "jumps over the minimum"),
    ],
    6: [
        (lambda net, last, x, y: bias_gradient(net, last, x, y, first=False), "still zero"),
        (lambda net, last, x, y: bias_gradient(net, last, x, y, reduction="sum"), "the mean loss"),
        (lambda net, last, x, y: bias_gradient(net, last, x, y, of="weight"), "has the shape"),
    ],
    7: [
        (ERROR | {"standard_error": lambda a, n: a * (100 - a) / n}, "Take its square root"),
        (ERROR | {"standard_error": lambda a, n: math.sqrt(a * (100 - a) / n) / 100}, "a share"),
        (ERROR | {"images": 20_000}, "twice the images do not halve it"),
    ],
    8: [
        (BEST | {"SqueezeNet": 77.2}, "another optimizer"),
        (BEST | {"AlexNet": 0.711}, "give per cent"),
        (BEST | {"chosen_on": "test"}, "the columns of the records"),
    ],
}

RIGHT_TOO = {1: [LOSSES | {"images": 691}]}  # by -log(1 - e) = e, as the hint says
