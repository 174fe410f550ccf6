"""The properties of right answers in notebook 12: grids, zero points and ranges."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from squeeze_utils.notebook.exercises.answers import (
    array,
    ask,
    close,
    items,
    named,
    number,
    same,
)
from squeeze_utils.notebook.exercises.exercise import Claims


def cutting_off(answer: Any) -> Claims:
    given = named(answer, "cut", "mean_square", "bits_lost", "after_bias")
    x = torch.tensor([0.26, 0.49, 0.5, -0.26, -0.01], dtype=torch.float64)
    found = array(ask(given["cut"], x, 0.25), (5,), "cut")
    toward_zero = "below zero it goes up to 0: cutting off goes to the next level below."
    yield "cut", not close(found, torch.trunc(x / 0.25) * 0.25), toward_zero
    rounded = "this rounds to the nearest level."
    yield "cut", not close(found, torch.round(x / 0.25) * 0.25), rounded
    yield "cut", close(found, x - torch.remainder(x, 0.25)), "it is not the next level below."
    fine = torch.linspace(0, 1, 200_001, dtype=torch.float64)[:-1]  # the error in units of s
    mean_square, spread = float(fine.square().mean()), float(fine.var(correction=0))
    mistakes = {
        spread: "this is the variance of the error. Its mean is not zero.",
        float(fine.mean()) ** 2: "this is the square of the mean error.",
        float(fine.mean()): "this is the mean of the error.",
    }
    yield from number("mean_square", given["mean_square"], mean_square, mistakes, relative=0.01)
    bits = math.log2(mean_square / spread) / 2
    mistakes = {2.0: "a bit halves the step, and the noise is the square of it."}
    yield from number("bits_lost", given["bits_lost"], bits, mistakes, relative=0.02)
    mistakes = {mean_square: "the bias takes the mean error away."}
    yield from number("after_bias", given["after_bias"], spread, mistakes, relative=0.01)


def off_grid(answer: Any) -> Claims:
    given = named(answer, "step", "zero_point", "error_of_zero", "error_of_sum")
    levels = torch.linspace(-0.3, 1.0, 8, dtype=torch.float64)
    step = float(levels[1] - levels[0])
    mistakes = {1.3 / 8: "eight levels have seven steps between them."}
    yield from number("step", given["step"], step, mistakes, relative=1e-3)
    place = int((levels - 0.0).abs().argmin())
    mistakes = {0.3 / step: "a zero point is a whole number: round.", 1: "round, do not cut off."}
    yield from number("zero_point", given["zero_point"], place, mistakes)
    off = float(levels[place])
    mistakes = {step: "this is the step. How far from 0 is the nearest level?"}
    yield from number("error_of_zero", given["error_of_zero"], off, mistakes, relative=1e-3)
    mistakes = {
        9 * off: "the window has 64 channels as well.",
        math.sqrt(576) * off: "the errors are all the same, so they do not average out.",
        0.0: "this is the grid with the rounded zero point.",
    }
    yield from number("error_of_sum", given["error_of_sum"], 576 * off, mistakes, relative=5e-3)


def affine_weights(answer: Any) -> Claims:
    given = named(answer, "from_sums", "depend_on_image", "additions")
    n, q = torch.randint(0, 256, (6, 16)), torch.randint(0, 256, (16,))
    z_w, z_x = torch.randint(1, 256, (6,)), 7
    sums = {"products": n @ q, "q_sum": q.sum(), "n_sum": n.sum(1)}
    found = array(ask(given["from_sums"], *sums.values(), z_w, z_x, 16), (6,), "from_sums")
    right = torch.stack([((row - z) * (q - z_x)).sum() for row, z in zip(n, z_w, strict=True)])
    gap = found - right
    last = "the last term is missing: N times the product of both zero points."
    yield "from_sums", not close(gap, -16.0 * z_w * z_x), last
    once = "the product of the zero points is added for each of the N inputs."
    yield "from_sums", not close(gap, -15.0 * z_w * z_x), once
    sign = "minus times minus is plus: the last term is added."
    yield "from_sums", not close(gap, -32.0 * z_w * z_x), sign
    yield "from_sums", not gap.any(), "it differs from the sum of (n − z_w)(q − z_x)."
    extra = "{} is known before any image."
    depend = [name for name in sums if "n_" not in name]
    yield from same("depend_on_image", given["depend_on_image"], depend, "one is missing.", extra)
    mistakes = {
        64 * 15: "the sum over q is the same for all 64 outputs.",
        16: "sixteen numbers need one addition less.",
        64 * 16: "these are the multiplications of the products.",
    }
    yield from number("additions", given["additions"], len(q) - 1, mistakes)


def equalisation(answer: Any) -> Claims:
    first = torch.randn(6, 4, dtype=torch.float64) * torch.logspace(-1, 1, 6).double()[:, None]
    second = torch.randn(3, 6, dtype=torch.float64)

    def both(*layers: Tensor) -> tuple[Tensor, Tensor]:
        parts = items(ask(answer, *layers), 2, "the answer of equalised")
        return array(parts[0], (6, 4), "the first layer"), array(parts[1], (3, 6), "the second")

    a, b = both(first, second)
    x = torch.randn(4, 50, dtype=torch.float64)
    before, after = second @ (first @ x).relu(), b @ (a @ x).relu()
    yield "same outputs", close(before, after, 1e-6), "the two layers compute something else."
    ranges = a.abs().amax(1), b.abs().amax(0)
    spread = [float(r.max() / r.min()) for r in (ranges[0], first.abs().amax(1))]
    worse = spread[0] > 1.5 * spread[1]
    apart = "the ranges are farther apart now: divide the first layer where it is large."
    yield "equal ranges", not worse, apart
    exchanged = close(ranges[0], second.abs().amax(0)) and close(ranges[1], first.abs().amax(1))
    root = "the two ranges of a channel are exchanged: take the root of their ratio."
    yield "equal ranges", not exchanged, root
    axes = "a channel is a row of the first layer and a column of the second: their ranges differ."
    yield "equal ranges", close(*ranges, 1e-6), axes
    again = both(a, b)
    yield "stops", close(again[0], a, 1e-6), "a second round changes something."
