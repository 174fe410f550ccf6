"""The exercises of notebook 14; the first two are in `chapter_14_codes`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, named, number
from squeeze_utils.notebook.exercises.chapter_14_codes import best_gap, price_of_adapting
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise

AT = 0.4  # steps, of each of the three weights
ALIKE = 0.8  # their correlation


def _moves(covariance: torch.Tensor, made: list[float]) -> torch.Tensor:
    """By how much the weights still to come have to move, given the errors that were made."""
    n = len(made)
    wanted = -(covariance[n:, :n] @ torch.tensor(made, dtype=covariance.dtype))
    return torch.linalg.solve(covariance[n:, n:], wanted)


def three_weights(answer: Any) -> Claims:
    given = named(answer, "before", "numbers", "error", "order_matters")
    covariance = torch.full((3, 3), ALIKE, dtype=torch.float64).fill_diagonal_(1.0)
    before: list[float] = []
    made: list[float] = []
    for _ in range(3):
        move = float(_moves(covariance, made)[0]) if made else 0.0
        before.append(AT + move)
        made.append(round(before[-1]) - AT)
    found = array(given["before"], (3,), "before")
    yield "before", close(found[0], AT), "the first weight is rounded before anything has moved."
    alone = "each takes over less than if it were alone: the two others share the error."
    yield "before", abs(float(found[1]) - AT * (1 + ALIKE)) > 0.01, alone
    away = "the others move to the other side: an error of −0.4 needs +."
    yield "before", float(found[1]) > AT, away
    off = f"the second weight is not at {float(found[1]):.3f} before it is rounded."
    yield "before", close(found[1], before[1], absolute=2e-3), off
    off = f"the third weight is not at {float(found[2]):.3f} before it is rounded."
    yield "before", close(found[2], before[2], absolute=2e-3), off
    numbers = array(given["numbers"], (3,), "numbers")
    nearest = "each weight is rounded from where it is after it has moved."
    yield "numbers", close(numbers, [round(at) for at in before]), nearest
    delta = torch.tensor(made, dtype=torch.float64)
    still = torch.full((3,), -AT, dtype=torch.float64)
    known = {
        float(still @ covariance @ still): "this is the error to the nearest.",
        float(delta @ delta): "the correlations count as well: this is without them.",
        float(delta @ covariance @ delta) ** 0.5: "the error is squared.",
    }
    right = float(delta @ covariance @ delta)
    yield from number("error", given["error"], right, known, relative=5e-3)
    alike = "all weights and all correlations are equal."
    yield "order", not answers.yes_or_no(given["order_matters"], "order_matters"), alike


def _entropy(numbers: list[int]) -> float:
    shares = [numbers.count(value) / len(numbers) for value in set(numbers)]
    return sum(share * math.log2(1 / share) for share in shares)


def _laplace(step: float) -> tuple[float, float]:
    """Bits and mean squared error of Laplace's weights, rounded to multiples of a step."""
    grid = torch.linspace(0, 40, 400_001, dtype=torch.float64)
    share = (-grid).exp() / (-grid).exp().sum()
    numbers = (grid / step).round()
    error = float((share * (grid - numbers * step).square()).sum())
    sides = torch.zeros(int(numbers.max()) + 1, dtype=torch.float64)
    sides.scatter_add_(0, numbers.long(), share)
    sides = torch.cat((sides[:1], sides[1:] / 2, sides[1:] / 2)).clamp(min=1e-300)
    return float(-(sides * sides.log2()).sum()), error


def _nearest_at(bits: float) -> float:
    low, high = 0.5, 6.0
    for _ in range(25):
        step = (low + high) / 2
        low, high = (step, high) if _laplace(step)[0] > bits else (low, step)
    return _laplace(low)[1]


def wide_zone(answer: Any) -> Claims:
    given = named(answer, "function", "nearest", "price", "better")
    for step in (0.5, 1.5):
        weights = torch.distributions.Laplace(0.0, 1.0).sample((6, 7))
        pair = answers.items(ask(given["function"], weights, step), 2, "The result of to_nearest")
        bits, error = (as_number(part, "to_nearest") for part in pair)
        numbers = (weights / step).round().flatten().long().tolist()
        off = weights.flatten() - step * torch.tensor(numbers)
        right = _entropy(numbers)
        natural = "the logarithm has base 2."
        yield "bits", not close(bits, right * math.log(2), 1e-3), natural
        every = "give bits for one weight, not for all of them."
        yield "bits", not close(bits, right * 42, 1e-3), every
        yield "bits", close(bits, right, 1e-3), f"{bits:.3f} is not the entropy of the numbers."
        mean = float(off.square().mean())
        unit = "the error is that of the weights. Multiply the numbers by the step again."
        yield "error", step == 1 or not close(error, mean / step**2, 1e-3), unit
        root = "this is the root. Give the mean squared error."
        yield "error", not close(error, mean**0.5, 1e-3), root
        yield "error", close(error, mean, 1e-3), f"{error:.3f} is not the mean squared error."
    nearest, priced = (as_number(given[name], name) for name in ("nearest", "price"))
    theory = _nearest_at(1.0)
    yield "nearest", nearest > 0.9 * theory, f"{nearest:.3f} is too small at one bit per weight."
    yield "nearest", nearest < 1.1 * theory, f"{nearest:.3f} is too large at one bit per weight."
    best = math.e / (2 * math.pi)  # Shannon's bound at one bit
    yield "price", priced > best, f"no code reaches {priced:.3f} with one bit per weight."
    worse = "a rounding that may choose the nearest number cannot be worse. Are they exchanged?"
    yield "price", priced < nearest, worse
    said = answers.one_of(given["better"], "better", "nearest", "price")
    yield "better", said == "price", "the better one has the smaller error."


def how_many_pictures(answer: Any) -> Claims:
    for loss, differing in ((0.01, 0.04), (0.02, 0.1), (0.0031, 0.05)):
        n = as_number(ask(answer, loss, differing), "the number of pictures")
        exact = 1.96**2 * differing / loss**2
        root = "σ² = differing / n: n grows with the square of 1 / loss."
        yield "pictures", not close(n, math.ceil(1.96 * differing**0.5 / loss), 0.02), root
        square = "1.96 is squared as well."
        yield "pictures", not close(n, math.ceil(1.96 * differing / loss**2), 0.02), square
        one = "a 95 % interval has two sides: 1.96, not 1.645."
        yield "pictures", not close(n, math.ceil(1.645**2 * differing / loss**2), 0.02), one
        whole = "round up to whole pictures."
        yield "pictures", n == int(n) and n != math.floor(exact), whole
        yield "pictures", n == math.ceil(exact), f"for {loss} and {differing} it gives {n:g}."


def on_noise(answer: Any) -> Claims:
    given = named(answer, "function", "agrees")
    for _ in range(3):
        one, other = nn.Linear(3, 4), nn.Linear(3, 4)
        with torch.no_grad():
            other.weight.copy_(one.weight + 0.3 * torch.randn(4, 3))
        pictures = torch.randn(50, 3)
        pairs = zip(one(pictures).tolist(), other(pictures).tolist(), strict=True)
        count = sum(a.index(max(a)) == b.index(max(b)) for a, b in pairs)
        found = as_number(ask(given["function"], other, one, pictures), "agreement")
        yield "agreement", not close(found, count / 50) or not count, "give per cent."
        rest = "this is how often they differ."
        yield "agreement", count == 25 or not close(found, 100 - 2 * count), rest
        off = f"{found:.1f} % is not the share of pictures with the same answer."
        yield "agreement", close(found, 2 * count, 1e-3), off
    names = ("5 digits", "20 digits", "100 digits", "100 of noise")
    agrees = named(given["agrees"], *names, what="agrees")
    few, some, many, noise = (as_number(share, name) for name, share in agrees.items())
    yield "agrees", max(few, some, many, noise) > 1, "give per cent."
    yield "agrees", max(few, some, many, noise) <= 100, "no share is above 100 %."
    more = "more digits show more of how the inputs vary. Are entries exchanged?"
    yield "agrees", few < many, more
    yield "agrees", noise < many, "100 digits should do better than noise. Are they exchanged?"
    low = f"with 100 digits {many:.0f} % is low. Is the original trained and in eval mode?"
    yield "agrees", many > 80, low


EXERCISES = {
    1: Exercise(
        "The best gap",
        best_gap,
        "len(gaps) entries, fillers included, of 8 + bits bits each. Compare the five numbers of "
        "bits at each density with random symbols.",
    ),
    2: Exercise(
        "The price of adapting",
        price_of_adapting,
        'coders.CODERS["range"].encode(message, 256, None)["codes"] holds bytes; eight bits '
        "each, divided by the symbols of the message.",
    ),
    3: Exercise(
        "Three weights",
        three_weights,
        "After error e the remaining weights move by −e · U[j, j+1:] / U[j, j]. Write down where "
        "each weight is just before it is rounded. The error is δᵀ C δ.",
    ),
    4: Exercise(
        "A wide zone around zero",
        wide_zone,
        "Compute (entropy, error) for a dozen steps and for a dozen prices, and interpolate both "
        "curves at one bit with np.interp, entropies in rising order.",
    ),
    5: Exercise(
        "How many pictures?",
        how_many_pictures,
        "Solve 1.96 · √(differing / n) < loss for n, and round up with math.ceil.",
    ),
    6: Exercise(
        "Calibrating on noise",
        on_noise,
        "Noise: calibration.std() * torch.randn(100, 1, 16, 16) + calibration.mean(). Compare the "
        "argmax of both networks on all test pictures.",
    ),
}
