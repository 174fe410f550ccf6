"""The properties of right answers in notebook 03: what trainings show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.data.sets import load_images
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, named, number, one_of
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong
from squeeze_utils.training.failures import DivergedError
from squeeze_utils.training.loop import Train, fit

RATES = (0.001, 0.01, 0.1, 1.0, 10.0)


def _tiny_net() -> nn.Sequential:
    torch.default_generator.manual_seed(0)
    convolution, dense = nn.Conv2d(1, 16, 3, stride=2), nn.Linear(16 * 3 * 3, 10)
    return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), dense)


@cache
def trained(optimizer: str, lr: float) -> dict[str, float]:
    """The fifth epoch; the loss is infinite and the accuracy chance where training diverged."""
    plain = {"schedule": "constant", "weight_decay": 0.0, "precision": "float32"}
    plan = Train(5, lr=lr, optimizer=optimizer, batch_size=64, **plain)
    try:
        return fit(_tiny_net(), load_images("digits", size=8), plan)[-1]
    except DivergedError:
        return {"train_loss": math.inf, "validation_accuracy": 10.0}


def without_momentum(answer: Any) -> Claims:
    given = named(answer, "factor", "plain_loss", "rate")
    mistakes = {
        0.1: "a larger rate has to make up for it.",
        0.9: "this is µ. Add up 1 + µ + µ² + ...",
        1.9: "add up the whole series 1 + µ + µ² + ..., not two terms of it.",
    }
    yield from number("factor", given["factor"], 1 / (1 - 0.9), mistakes)
    plain = as_number(ask(given["plain_loss"], 0.05), "plain_loss(0.05)")
    with_momentum, expected = trained("nesterov", 0.05), trained("sgd", 0.05)["train_loss"]
    kept = "this is about the loss with momentum. Is µ = 0 used?"
    yield "plain_loss", not close(plain, with_momentum["train_loss"], 0.15), kept
    off = f"it gives {plain:.2f} for the rate 0.05. Give the mean training loss of epoch five."
    yield "plain_loss", close(plain, expected, 0.1), off
    rate = as_number(given["rate"], "rate")
    yield "rate", rate > 0, "a rate is positive."
    found = trained("sgd", rate)["train_loss"]
    diverged = f"at {rate:g} training diverges."
    yield "rate", math.isfinite(found), diverged
    far = f"at {rate:g} the loss is {found:.2f}, with momentum {with_momentum['train_loss']:.2f}."
    yield "rate", found <= 1.5 * with_momentum["train_loss"], far


def random_labels(answer: Any) -> Claims:
    given = named(answer, "data", "train_accuracy", "validation_accuracy")
    original, shuffled = load_images("digits", size=8), given["data"]
    parts = [getattr(getattr(shuffled, part, None), "labels", None) for part in ("train", "test")]
    if not all(isinstance(labels, Tensor) for labels in parts):
        raise Wrong("data is not an image set: make one with dataclasses.replace.")
    images, labels = shuffled.train.images, shuffled.train.labels
    moved = "the images moved as well. Leave them where they are."
    same = images.shape == original.train.images.shape and torch.equal(
        images, original.train.images
    )
    yield "images", same, moved
    agree = float((labels == original.train.labels).double().mean())
    yield "shuffled", agree < 0.2, f"{agree:.0%} of the labels are still the right ones."
    counts = [found.bincount(minlength=10) for found in (labels, original.train.labels)]
    drawn = "each class has to keep its number of images: shuffle the labels, do not draw new ones."
    yield "same labels", torch.equal(*counts), drawn
    kept = torch.equal(shuffled.validation.labels, original.validation.labels)
    yield "validation", kept, "the validation labels have to stay true."
    accuracies = {k: as_number(given[k], k) for k in ("train_accuracy", "validation_accuracy")}
    percent = "give per cent."
    yield "per cent", all(value > 1 for value in accuracies.values()), percent
    learnt = "the network can learn the list by heart: 40 epochs, a batch of 32, no weight decay."
    yield "train_accuracy", 60 < accuracies["train_accuracy"] <= 100, learnt
    chance = "a shuffled list says nothing about other images. Is this the validation accuracy?"
    yield "validation_accuracy", accuracies["validation_accuracy"] < 25, chance


def too_fast(answer: Any) -> Claims:
    given = named(answer, "curve", "more_epochs_help")
    curve = given["curve"]
    if not isinstance(curve, Mapping):
        raise Wrong("curve is no dictionary: give {rate: validation accuracy}.")
    curve = {float(rate): value for rate, value in dict(curve).items()}
    for rate in RATES:
        known = any(close(rate, other) for other in curve)
        yield "five rates", known, f"the rate {rate:g} is missing."
    found = {rate: _accuracy(next(v for k, v in curve.items() if close(k, rate))) for rate in RATES}
    yield "per cent", max(found.values()) > 1, "give accuracies in per cent."
    died = "at the rate 10 nothing is learnt: the loss grows, or all units die. Keep that result."
    yield "too fast", found[10.0] < 25, died
    for rate in (0.001, 0.01, 0.1):
        expected = trained("nesterov", rate)["validation_accuracy"]
        off = f"at {rate:g} it is {found[rate]:.0f} %. Is this tiny_net after five epochs?"
        yield f"rate {rate:g}", abs(found[rate] - expected) <= 12, off
    side = one_of(given["more_epochs_help"], "more_epochs_help", "left", "right")
    wrong = "at that end each step jumps over the minimum, so more steps do not help."
    yield "more_epochs_help", side == "left", wrong


def _accuracy(value: Any) -> float:
    """A run that diverged may be None or nan: it is at chance."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return 10.0
    return as_number(value, "an accuracy of the curve")


def same_optimizer(answer: Any) -> Claims:
    from squeeze_utils.results.named_study import study

    given = named(answer, "SqueezeNet", "AlexNet", "seeds", "chosen_on")
    tried = study("baseline_lr").records().frame
    for name in ("SqueezeNet", "AlexNet"):
        own = tried[tried["model"] == name]
        best = own[own["optimizer"] == "nesterov"]["validation_accuracy"].max()
        mistakes = {
            own["validation_accuracy"].max(): "this run has another optimizer.",
            best / 100: "give per cent.",
            own[own["optimizer"] == "nesterov"][
                "validation_accuracy"
            ].mean(): "take the best rate.",
        }
        yield from number(name, given[name], best, mistakes, absolute=0.06)
    yield from number("seeds", given["seeds"], tried["seed"].nunique())
    chosen = one_of(given["chosen_on"], "chosen_on", "train", "validation", "test")
    yield "chosen_on", chosen == "validation", "look at the columns of the records."
