"""The exercises of notebook 05, kernels and the squeeze ratio."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import torch
from torch import nn

from squeeze_utils.models import build
from squeeze_utils.models.fire import Fire
from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named, number
from squeeze_utils.notebook.exercises.chapter_05_networks import (
    how_many_seeds,
    nearly_separable,
    no_room,
    spent_differently,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise, Wrong


def one_bill(answer: Any) -> Claims:
    given = named(answer, "squeeze", "expand1x1", "expand3x3", "share_3x3", "half_from")
    fire = Fire(64, 16, 64, 64)
    parts = {
        part: answers.numbers_in(getattr(fire, part), 2)
        for part in ("squeeze", "expand1x1", "expand3x3")
    }
    squeeze, small, large = parts.values()
    wrong = {
        "squeeze": {8 * 64: "ρ multiplies e, the channels that leave: s is 16."},
        "expand1x1": {64 * 64: "the filters read the s squeezed channels, not all 64."},
        "expand3x3": {
            small: "each of these filters has nine weights for a channel.",
            9 * 64 * 64: "the filters read the s squeezed channels, not all 64.",
        },
    }
    for part, right in parts.items():
        yield from number(part, given[part], right, wrong[part])
    total = answers.numbers_in(fire, 2)
    yield from number(
        "share",
        given["share_3x3"],
        large / total,
        {
            100 * large / total: "give a share between 0 and 1.",
            large / (small + large): "the squeeze layer has weights as well.",
        },
        relative=0.01,
    )
    # The weights grow along straight lines in p: all filters 1 x 1 at 0, all 3 x 3 at 1.
    none, every = squeeze + 2 * small, squeeze + 2 * large
    yield from number(
        "more than half from",
        given["half_from"],
        none / (4 * large - (every - none)),
        {
            0.1: "this is half of the expand weights. The squeeze layer counts too.",
            1 / 18: "a larger share of 3 × 3 leaves fewer 1 × 1 filters.",
        },
        relative=0.01,
    )


def three_in_a_row(answer: Any) -> Claims:
    given = named(answer, "sees", "cost", "costlier_from")
    for n in (3, 1, 2, 5):
        rows = torch.zeros(1, 1, 31, 31, requires_grad=True)
        stack = [nn.Conv2d(1, 1, 3, padding=1) for _ in range(n)]
        for layer in stack:
            nn.init.ones_(layer.weight)
        nn.Sequential(*stack)(rows)[0, 0, 15, 15].backward()
        side = int((rows.grad[0, 0, 15] != 0).sum())
        found = as_number(ask(given["sees"], n), f"sees({n})")
        apart = f"{n} layers see {side} pixels, not 3 each: the windows overlap."
        yield "field", n == 1 or found != 3 * n, apart
        yield "field", found == side, f"sees({n}) gives {found:g}."
        share = as_number(ask(given["cost"], n), f"cost({n})")
        right = n * 9 / side**2
        upside = "this is the large kernel over the stack. Divide the other way."
        yield "cost", n == 1 or not close(share, 1 / right), upside
        yield "cost", n == 1 or not close(share, right / n), "all the layers of the stack count."
        yield "cost", close(share, right, 1e-3), f"cost({n}) gives {share:g}."

    def costlier(n: int, channels: int, filters: int) -> bool:
        widths = [channels, *[filters] * n]
        stack = 9 * sum(a * b for a, b in pairwise(widths))
        return stack > (2 * n + 1) ** 2 * channels * filters

    for n, channels in ((4, 3), (2, 3), (3, 3), (2, 1), (3, 16)):
        right = next(filters for filters in range(1, 999) if costlier(n, channels, filters))
        found = as_number(ask(given["costlier_from"], n, channels), "costlier_from")
        case = f"{n} layers on {channels} channels"
        equal = (
            f"for {case}, {found:g} filters cost exactly as much. Give the first that cost more."
        )
        yield "costlier from", (n, found) != (4, 8), equal
        yield "costlier from", found == int(found), f"{found:g} is no number of filters."
        yield "costlier from", found == right, f"for {case}, {found:g} is not the first."


def separable(answer: Any) -> Claims:
    given = named(answer, "largest_e3", "options")
    yield from number(
        "largest e₃",
        given["largest_e3"],
        max(e3 for e3 in range(1, 20) if 9 * 8 + 8 * e3 > 9 * 8 * e3),
        {9 / 8: "e₃ is a number of filters: a whole one.", 2: "9 s + 2 s is less than 18 s."},
    )
    options = given["options"]
    if not isinstance(options, dict):
        raise Wrong("options is no dictionary: for example {'width': 0.5, 'pct3x3': 0.25}.")
    fixed = "expand is what the check compares: leave it out of the options."
    yield "options", "expand" not in options, fixed

    def weights(kind: str) -> list[int]:
        try:
            with torch.device("meta"):
                fires = build("squeezenet_small", expand=kind, **options).fires().values()
        except (TypeError, ValueError) as error:
            raise Wrong(f"sq.build does not take these options: {error}") from None
        return [answers.numbers_in(fire.expand3x3, 2) for fire in fires]

    plain, apart = weights("plain"), weights("depthwise")
    closest = min(a / b for a, b in zip(plain, apart, strict=True))
    none = f"in every module the plain layer has more weights, {closest:.2f} times at least."
    yield "separable costs more", closest < 1, none


def filling_the_holes(answer: Any) -> Claims:
    for dilations in ((1,), (2,), (2, 2), (2, 1), (1, 2), (1, 2, 4), (3, 1), (1, 3)):
        side, seen = items(ask(answer, *dilations), 2, "seen(...)")
        side, seen = as_number(side, "the side"), as_number(seen, "the number of pixels")
        sums = {sum(steps) for steps in product(*[(-d, 0, d) for d in dilations])}
        wide, case = max(sums) - min(sums) + 1, f"with dilations {dilations}"
        stacked = sum(2 * d + 1 for d in dilations)
        overlap = f"{case} the windows overlap: their sides do not just add up."
        yield "side", len(dilations) == 1 or side != stacked, overlap
        yield "side", side == wide, f"{case} it gives {side:g}."
        holes = f"{case} the window has holes: not all of its pixels are seen."
        yield "pixels", len(sums) == wide or seen != wide**2, holes
        row = f"{case} this is one row. The window has two sides."
        yield "pixels", len(sums) == 1 or seen != len(sums), row
        yield "pixels", seen == len(sums) ** 2, f"{case} it gives {seen:g} pixels."


EXERCISES = {
    1: Exercise(
        "One bill",
        one_bill,
        "s = 16 and e₁ = e₃ = 64. The shares grow along straight lines in p: set 9 p e equal to "
        "C + e (1 − p).",
    ),
    2: Exercise(
        "Three in a row",
        three_in_a_row,
        "The stack costs 9 C K + 9 (n − 1) K², the large kernel (2 n + 1)² C K. Solve for K, then "
        "take the next whole number above.",
    ),
    3: Exercise(
        "When separable does not pay",
        separable,
        "A module gets round(pct3x3 · e) filters of 3 × 3, at least one. At which width does the "
        "smallest module get as few of them as you need?",
    ),
    4: Exercise(
        "Filling the holes",
        filling_the_holes,
        "Make a stack of nn.Conv2d(1, 1, 3, padding=d, dilation=d), take the gradient of one "
        "output with respect to the image, and look where it is not zero.",
    ),
    5: Exercise(
        "Nearly separable?",
        nearly_separable,
        "weight.movedim(1, 0).flatten(2) puts a matrix for each input channel side by side; "
        "svdvals takes them all at once. Square before you divide.",
    ),
    6: Exercise(
        "The same weights, spent differently",
        spent_differently,
        "ρ (2 + 8 p) = 3 for each ρ. Build the networks with squeeze_ratio and pct3x3, and read "
        "validation_accuracy from the last entry of what sq.fit returns.",
    ),
    7: Exercise(
        "How many seeds?",
        how_many_seeds,
        "stats.t.ppf(0.975, 2 * n - 2). For the simulation draw 20,000 times three numbers for "
        "each arm; σ is the square root of the mean of the two variances (ddof=1).",
    ),
    8: Exercise(
        "No room at all",
        no_room,
        "The map has two pixels a side. From any of them, a tap that is two pixels away lies "
        "outside, so one tap of nine is left.",
    ),
}
