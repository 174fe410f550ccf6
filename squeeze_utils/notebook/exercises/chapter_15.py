"""The exercises of notebook 15; the last two are in `chapter_15_measured`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch

from squeeze_utils.data import load_images
from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named, number
from squeeze_utils.notebook.exercises.chapter_15_measured import price_at_once, rows_and_columns
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise
from squeeze_utils.studies import priced

NUMBERS, NONZERO, SIZE = 100, 10, 15  # of the layer by hand
WIDTHS = (0.2, 0.5, 1.0, 2.0, 3.0, 4.0)


def by_hand(answer: Any) -> Claims:
    given = named(answer, "z", "q", "bits", "total")
    known = {NONZERO / NUMBERS: "z is the share of zeros, not of the others."}
    yield from number("z", given["z"], (NUMBERS - NONZERO) / NUMBERS, known)
    further = SIZE - NONZERO  # steps beyond one
    known = {
        NONZERO / SIZE: "this is 1 − q, the share of numbers that stop.",
        SIZE / NUMBERS: "this is the mean size m.",
        further / NUMBERS: "a further step follows a nonzero number or another step.",
    }
    yield from number("q", given["q"], further / SIZE, known, relative=1e-3)
    lengths = named(given["bits"], 0, 1, 3, what="bits")
    chances = {0: (NUMBERS - NONZERO) / NUMBERS}
    for k in (1, 3):
        chances[k] = NONZERO / NUMBERS / 2 * NONZERO / SIZE * (further / SIZE) ** (k - 1)
    for k, chance in chances.items():
        bits = math.log2(1 / chance)
        known = {bits * math.log(2): "the logarithm has base 2."}
        if k:
            known[bits - 1] = "the sign takes a bit."
            known[math.log2(2 / chances[1]) - 1 + (k - 1)] = "a further step takes −log₂ q bits."
        yield from number(f"bits of {k}", lengths[k], bits, known, relative=2e-3)
    share = {0: NUMBERS - NONZERO, 1: NONZERO}
    parts = {k: count * math.log2(1 / chances[k]) for k, count in share.items()}
    rest = further * math.log2(SIZE / further)
    known = {
        parts[1] + rest: "the zeros take bits as well.",
        parts[0] + parts[1]: "the further steps take bits as well.",
    }
    total = parts[0] + parts[1] + rest
    yield from number("total", given["total"], total, known, relative=2e-3)


def price_of_digits(answer: Any) -> Claims:
    given = named(answer, "price", "times_lower")
    images = load_images("digits", size=16)
    count = len(images.train)
    known = {
        1 / count: "a bit is ln 2 nats.",
        1 / (count * math.log(2)): "a bit is ln 2 nats: multiply, do not divide.",
        math.log(2) / (count + len(images.validation) + len(images.test)): "N is that of training.",
        math.log(2): "divide by the number of training images.",
    }
    price = math.log(2) / count
    yield from number("price", given["price"], price, known, relative=1e-2)
    times = [as_number(t, "times_lower") for t in items(given["times_lower"], 2, "times_lower")]
    right = [price / live for live in priced.QUICK_PRICES]
    turned = "divide ln 2 / N by the live price, not the other way round."
    yield "times", min(times) > 1, turned
    order = "one entry for each live price, in the order of the notebook."
    yield "times", not close(times[::-1], right, 0.05), order
    yield "times", close(times, right, 0.05), f"{times[0]:.1f} and {times[1]:.1f} are not right."


def fine_grid(answer: Any) -> Claims:
    given = named(answer, "function", "more_bits", "factor")
    weights = torch.randn(20_000)
    found = []
    for step in (0.1, 0.05, 0.025):
        pair = items(ask(given["function"], weights, step), 2, "The result of rate_and_error")
        found.append([as_number(part, "rate_and_error") for part in pair])
        bits, error = found[-1]
        yield "bits", bits < 100, "give bits for one weight, not for all of them."
        yield "error", not close(error, 1 / 12, 0.05), "multiply the whole numbers by the step."
        yield "error", not close(error, step / 12**0.5, 0.05), "this is the root of the error."
        yield (
            "error",
            close(error, step**2 / 12, 0.05),
            f"with a step of {step:g} it is {error:.2e}.",
        )
    for (coarse, _), (fine, _) in pairwise(found):
        rises = f"with half the step the rate of normal weights changes by {fine - coarse:.2f}."
        yield "bits", abs(fine - coarse - 1) < 0.1, rises
    known = {2.0: "the numbers become twice as large. How many bits are that?"}
    yield from number("more bits", given["more_bits"], 1.0, known, relative=0.06)
    known = {
        2.0: "the size of an error halves. What happens to its square?",
        0.25: "by which factor does it fall? Give a number above 1.",
    }
    yield from number("factor", given["factor"], 4.0, known, relative=0.06)


def _first_lengths(width: float) -> tuple[float, float]:
    """Bits of 0 and of 1 for rounded normal numbers of this width, from the normal law."""
    edges = [math.erf((k + 0.5) / (width * 2**0.5)) for k in range(40)]
    nonzero, size = 1 - edges[0], sum(1 - edge for edge in edges)
    one = nonzero / 2 * nonzero / size
    return -math.log2(edges[0]), -math.log2(one)


def lock_in(answer: Any) -> Claims:
    given = named(answer, "lengths", "locks")
    for width in WIDTHS[1:]:
        pair = items(ask(given["lengths"], width), 2, "The result of first_lengths")
        zero, one = (as_number(part, "first_lengths") for part in pair)
        right = _first_lengths(width)
        swapped = abs(right[0] - right[1]) > 0.5 and close([one, zero], right, 0.08)
        yield "lengths", not swapped, "first the zero, then the one."
        guard = "this is with the guard, which keeps the bits of a zero at one. Set it to 0."
        yield "lengths", right[0] < 1.1 or abs(zero - 1) > 0.02, guard
        off = f"for the width {width:g} it gives {zero:.2f} and {one:.2f} bits."
        yield "lengths", close([zero, one], right, 0.08), off
    for width, said in named(given["locks"], *WIDTHS, what="locks").items():
        locks = answers.yes_or_no(said, f"locks[{width}]")
        zero, one = _first_lengths(width)
        dear = f"with the width {width:g} a zero is dearer than a one from the first step on."
        yield "locks", locks or zero < one + 0.05, dear
        ended = f"with the width {width:g} the toy ends without zeros: run it to the end."
        yield "locks", locks or width < 2, ended
        cheap = f"with the width {width:g} a zero is much cheaper than a one."
        yield "locks", not locks or one - zero < 0.6, cheap


EXERCISES = {
    1: Exercise(
        "Lengths by hand",
        by_hand,
        "z = 1 − 10/100 and q = 1 − 10/15. A one takes −log₂((1 − z)/2 · (1 − q)) bits, and each "
        "further step −log₂ q.",
    ),
    2: Exercise(
        "The price of the digits",
        price_of_digits,
        "math.log(2) divided by the number of training images; the live prices are in "
        "priced.QUICK_PRICES.",
    ),
    3: Exercise(
        "Who gains by a fine grid?",
        fine_grid,
        "n = torch.round(w / step); mixture.estimate(rate_model.count(n)) / len(w) are the bits "
        "of a weight, and (w − step · n)² has the mean that you need.",
    ),
    4: Exercise(
        "When does it lock?",
        lock_in,
        "Start only_rate with width * torch.randn(2000) and least_zero 0. A layer is locked if "
        "most numbers are not zero at the end.",
    ),
    5: Exercise(
        "A price at once",
        price_at_once,
        "Compare abs(fmean(a) - fmean(b)) with max(stdev(a), stdev(b)), from the module "
        "statistics.",
    ),
    6: Exercise(
        "Rows and columns",
        rows_and_columns,
        "Two parts: a flag for each column, which costs the entropy of a coin that falls as often "
        'on "empty", and then the model\'s estimate for the columns that are left.',
    ),
}
