"""The exercises of notebook 18; those about trained parts and heads are in `chapter_18_heads`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from squeeze_utils.data import copies, load_images
from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, named, number
from squeeze_utils.notebook.exercises.chapter_18_heads import (
    balanced_head,
    leaked_images,
    which_layers,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise

SHIFTS = (1, 2, 4)  # pixels
SOME = 60  # pictures on which the reader's function is tried
FASTEST = copies.LOWEST - 1  # half-waves on a side of a small version
FIRST, LAST = "activation first", "mean first"
SCORES = (  # at four positions
    (1.0, 2, 3, 4),
    (-1.0, -2, -3, -4),
    (0.0, 1, 0, 2),
    (0.0, -1, -2, 0),
    (3.0, -1, 2, 1),
    (-3.0, 1, 1, -2),
    (2.0, -2, 1, -1),
)
TRUE_TEMPERATURES = (2.5, 0.7)


def _cut(small: np.ndarray, at: int, axis: int) -> np.ndarray:
    """The pictures cut in two, with the parts exchanged."""
    return np.concatenate(np.split(small, [at], axis=axis)[::-1], axis=axis)


def _turned(small: np.ndarray, other: np.ndarray) -> torch.Tensor:
    """Bits of the hash that differ, counted one by one."""
    rows = zip(copies.perceptual_hash(small), copies.perceptual_hash(other), strict=True)
    counts = [sum(x != y for x, y in zip(*map(list, row), strict=True)) for row in rows]
    return torch.tensor(counts, dtype=torch.float64)


def hidden_copy(answer: Any) -> Claims:
    given = named(answer, "function", "means", "half")
    every = copies.small_versions(load_images("digits", size=16).test.images)
    small = every[:SOME]
    for shift in SHIFTS:
        found = array(ask(given["function"], small, shift), (SOME,), "bits_turned")
        right = _turned(small, _cut(small, copies.SIDE - shift, 2))
        yield "bits", not close(found, right / copies.BITS), "count bits, not their share."
        yield "bits", not close(found, copies.BITS - right), "these are the bits that stay."
        down = "this moves the pictures up or down. The last axis holds the columns."
        for at in (shift, copies.SIDE - shift):
            yield "bits", not close(found, _turned(small, _cut(small, at, 1))), down
        left = "this moves the pictures to the left."
        yield "bits", not close(found, _turned(small, _cut(small, shift, 2))), left
        off = f"moved by {shift}, some digits get another count. Do the columns come in again?"
        yield "bits", close(found, right), off
    for shift, found in named(given["means"], *SHIFTS, what="means").items():
        counts = _turned(every, _cut(every, copies.SIDE - shift, 2))
        known = {
            float(counts[0]): "this is the first picture. Take the mean over all test digits.",
            float(counts.mean()) / copies.BITS: "count bits, not their share.",
        }
        off = f"for {shift} pixels, {as_number(found, 'a mean'):.2f} is not the mean of all."
        mean = float(counts.mean())
        yield from number("means", found, mean, known, off, absolute=0.06)
    known = {
        2 * copies.SIDE / FASTEST: "this is a whole period.",
        copies.SIDE / copies.LOWEST: "the 8 lowest frequencies are 0 to 7 half-waves.",
    }
    yield from number("half a period", given["half"], copies.SIDE / FASTEST, known, relative=0.01)


def mean_and_activation(answer: Any) -> Claims:
    given = named(answer, "features", "weights", "larger", "equal")
    rows = array(given["features"], (2, 2), "features").tolist()
    weights = array(given["weights"], (2,), "weights").tolist()
    scores = [sum(x * w for x, w in zip(row, weights, strict=True)) for row in rows]
    shown = " and ".join(f"{score:g}" for score in scores)
    alike = f"the scores {shown} are both positive or zero: the activation changes neither."
    yield "example", min(scores) < 0, alike
    none = f"the scores {shown} are both negative or zero: 0 comes out in either order."
    yield "example", max(scores) > 0, none
    larger = answers.one_of(given["larger"], "larger", FIRST, LAST)
    before, after = sum(max(s, 0.0) for s in scores) / 2, max(sum(scores) / 2, 0.0)
    order = f"in your example the activation first gives {before:g}, the mean first {after:g}."
    yield "larger", larger == (FIRST if before > after else LAST), order
    for listed in SCORES:
        found = answers.yes_or_no(ask(given["equal"], torch.tensor(listed)), "what equal returns")
        same = sum(max(s, 0.0) for s in listed) == max(sum(listed), 0.0)
        below = "if all scores are negative, both are 0."
        yield "equal", found or not same or max(listed) >= 0, below
        zero = f"a score of 0 has no sign that could differ from the others: {listed}."
        yield "equal", found or not same or 0 not in listed, zero
        off = f"for the scores {listed} the two {'are equal' if same else 'differ'}."
        yield "equal", found == same, off


def _best(z: torch.Tensor, labels: torch.Tensor) -> float:
    """The T with the smallest cross-entropy: where the derivative by 1 / T is zero, halved down."""
    low, high = 0.05, 20.0  # of 1 / T; the derivative rises
    for _ in range(40):
        middle = (low * high) ** 0.5
        expected = ((middle * z).softmax(1) * z).sum(1)
        rises = float((expected - z.gather(1, labels[:, None])[:, 0]).mean()) > 0
        low, high = (low, middle) if rises else (middle, high)
    return 1 / low


def temperature(answer: Any) -> Claims:
    given = named(answer, "function", "errors", "change")
    for true in TRUE_TEMPERATURES:
        z = 3 * torch.randn(2000, 10)
        labels = torch.multinomial((z / true).softmax(1), 1)[:, 0]
        right = _best(z, labels)
        found = as_number(ask(given["function"], z, labels), "best_temperature")
        yield "temperature", found > 0, "T is positive."
        turned = "this is 1 / T. The scores are divided by T."
        yield "temperature", not close(found, 1 / right, 0.05), turned
        larger = f"with T = {found:.2f} the cross-entropy is larger than with T = 1."
        worse = float(F.cross_entropy(z / found, labels) - F.cross_entropy(z, labels))
        yield "temperature", worse < 1e-4, larger
        off = f"these scores were made with T = {true}, your function finds {found:.2f}."
        yield "temperature", close(found, right, 0.05), off
    errors = named(given["errors"], "before", "after", what="errors")
    values = [as_number(value, f"errors[{name!r}]") for name, value in errors.items()]
    yield "errors", min(values) >= 0 and max(values) <= 100, "an error lies from 0 to 100 points."
    yield "errors", max(values) > 0.5, "give points: 100 times the share."
    kept = "T changes no order of scores, so no answer changes."
    yield "change", abs(as_number(given["change"], "change")) < 1e-6, kept


EXERCISES = {
    1: Exercise(
        "A copy that is hard to find",
        hidden_copy,
        "np.roll(small, shift, axis=2) moves the pictures, copies.perceptual_hash gives the bits. "
        "The fastest wave of the hash has 7 half-periods on 32 pixels.",
    ),
    2: Exercise(
        "Mean and activation",
        mean_and_activation,
        "Let the first position have a negative score, and the second a positive one. The two are "
        "equal if ReLU keeps all scores, or sets all of them to zero.",
    ),
    3: Exercise(
        "Which layers to train?",
        which_layers,
        "model.named_parameters() gives names and tensors; a parameter is trained if its name "
        'begins with one of the parts and a dot. The start is live.experiment(images="digits_'
        'noisy", way="all").recipe; replace its last step.',
    ),
    4: Exercise(
        "A balanced head",
        balanced_head,
        "The weight of a class is proportional to 1 / count. Choose the factor so that the weights "
        "of all n images add up to n. sq.evaluate(...).confusion has a row for each true class.",
    ),
    5: Exercise(
        "A temperature",
        temperature,
        "F.cross_entropy(z / t, labels) for t in torch.linspace(0.3, 5, 95). For the errors, the "
        "probability of an answer is (z / t).softmax(1).max(1).values.",
    ),
    6: Exercise(
        "How many copies are needed to mislead?",
        leaked_images,
        "torch.cat joins images and labels. Subtract from the rise of the first 40 the rise of the "
        "others.",
    ),
}
