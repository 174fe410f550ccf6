"""The last four exercises of notebook 06: pooling, dead units, SELU, the linear squeeze layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import integrate, optimize, stats

from squeeze_utils.notebook.exercises.answers import (
    array,
    as_number,
    ask,
    close,
    items,
    named,
    number,
)
from squeeze_utils.notebook.exercises.exercise import Claims


def _factor(c: float) -> float:
    """Mean square of the largest of nine ReLU outputs over that of one; inputs correlate by c."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    v = np.linspace(-8, 8, 8001)
    largest = 9 * stats.norm.pdf(v) * stats.norm.cdf(v) ** 8
    z = np.sqrt(c) * nodes[:, None] + np.sqrt(1 - c) * v
    inner = integrate.trapezoid(np.maximum(z, 0) ** 2 * largest, v, axis=1)
    return float(2 * (weights * inner).sum())  # one ReLU output has the mean square 1/2


def what_max_pooling_does(answer: Any) -> Claims:
    given = named(answer, "factor", "correlation")

    def factor(c: float) -> float:
        return as_number(ask(given["factor"], c), f"factor({c:g})")

    free, spread = factor(0.0), stats.norm
    mean = integrate.quad(lambda v: 9 * v * spread.pdf(v) * spread.cdf(v) ** 8, -8, 8)[0]
    squared = "this is the square of the mean. Square first, then average."
    yield "independent", abs(free - 2 * mean**2) > 0.05, squared
    over = "divide by the mean square of one ReLU output, which is not 1."
    yield "independent", abs(free - _factor(0.0) / 2) > 0.05, over
    yield "independent", abs(free / _factor(0.0) - 1) < 0.02, f"factor(0) gives {free:.2f}."
    same = f"with c = 1 all nine are equal, so the factor is 1, not {factor(1.0):.2f}."
    yield "equal", abs(factor(1.0) - 1) < 0.01, same
    half = factor(0.5)
    root = "the common part is √c times a number: c is a correlation, its root a factor."
    yield "correlated", abs(half / _factor(0.25) - 1) > 0.03, root
    yield "correlated", abs(half / _factor(0.5) - 1) < 0.03, f"factor(0.5) gives {half:.2f}."
    c = as_number(given["correlation"], "correlation")
    yield "correlation", 0 <= c <= 1, "a correlation of neighbours lies between 0 and 1."
    right = optimize.brentq(lambda c: _factor(c) - 2, 0.5, 0.99)
    off = f"with c = {c:g} the factor is {_factor(c):.2f}, not 2."
    yield "correlation", abs(c - right) < 0.012, off


def killing_units(answer: Any) -> Claims:
    names = ("relu", "leaky_relu")
    given = named(answer, *names)
    found = {name: named(given[name], 0.01, 0.1, what=name) for name in names}
    dead = {(n, r): as_number(v, f"{n}, {r}") for n, one in found.items() for r, v in one.items()}
    percent = "these are percent of the units: between 0 and 100."
    yield "per cent", all(0 <= value <= 100 for value in dead.values()), percent
    leaky = "by the definition of dead_percent a unit with a slope of 0.1 never dies."
    yield "leaky ReLU", dead["leaky_relu", 0.01] == dead["leaky_relu", 0.1] == 0, leaky
    slow, fast = dead["relu", 0.01], dead["relu", 0.1]
    share = "give per cent, not shares."
    yield "ReLU", slow == 0 or not (slow < 1 and fast < 1), share
    swapped = "the larger rate kills more units. Are the two exchanged?"
    yield "ReLU", fast > slow, swapped
    worst = "this is the worst layer. Take the mean over the layers."
    yield "ReLU, 0.01", slow < 18, f"{slow:.0f} % is too much. {worst}"
    yield "ReLU, 0.01", slow > 1, "some units are dead from the start. Did you measure after fit?"
    yield "ReLU, 0.1", fast < 80, f"{fast:.0f} % is too much. {worst}"
    few = f"{fast:.0f} % is too little: without normalisation this rate kills a quarter or more."
    yield "ReLU, 0.1", fast > 15, few


def own_function(answer: Any) -> Claims:
    given = named(answer, "alpha", "lambda", "chi", "s")
    alpha = as_number(given["alpha"], "alpha")
    known = as_number(given["lambda"], "lambda")

    def mean(what: Any) -> float:
        """E over a standard normal u, from values on a fine grid."""
        u = np.linspace(-10, 10, 40_001)
        return float(integrate.trapezoid(what(u) * stats.norm.pdf(u), u))

    def f(u: Any, scale: float = known) -> Any:
        return scale * np.where(u > 0, u, alpha * np.expm1(np.minimum(u, 0)))

    def balance(a: float) -> float:
        return mean(lambda u: np.where(u > 0, u, a * np.expm1(np.minimum(u, 0))))

    elu = "with α = 1 this is ELU. Its mean is not zero."
    yield "mean 0", abs(alpha - 1) > 0.01, elu
    inverse = "this is 1/α: the negative part must balance the positive one."
    yield "mean 0", alpha <= 0 or abs(balance(1 / alpha)) > 2e-3, inverse
    off = balance(alpha)
    yield "mean 0", abs(off) < 1e-3, f"with this α the mean is {off:.3f} λ."
    variance = mean(lambda u: f(u) ** 2)
    root = "this is the square of λ, or E[f²] itself: take 1 over the root."
    square = mean(lambda u: f(u, 1.0) ** 2)
    wrong = [square, 1 / square, square**0.5]
    yield "variance 1", not any(abs(known - one) < 1e-3 for one in wrong), root
    yield "variance 1", abs(variance - 1) < 2e-3, f"with this λ the variance is {variance:.3f}."

    def slope(u: Any) -> Any:
        return np.where(u > 0, known, f(np.minimum(u, 0)) + known * alpha)

    chi, s = mean(lambda u: slope(u) ** 2), mean(lambda u: u * f(u) * slope(u))
    swapped = {
        s: "this is s, which multiplies the signal.",
        chi**0.5: "χ is the mean square of f′.",
    }
    yield from number("χ", given["chi"], chi, swapped, relative=0.005)
    swapped = {chi: "this is χ, which multiplies the gradient."}
    yield from number("s", given["s"], s, swapped, relative=0.005)


def linear_squeeze(answer: Any) -> Claims:
    given = named(answer, "merged", "rank", "gaps")
    squeeze, expand = torch.randn(4, 6, 1, 1), torch.randn(5, 4, 3, 3)
    found = array(ask(given["merged"], squeeze, expand), (5, 6, 3, 3), "merged").float()
    x = torch.randn(2, 6, 7, 7)
    right = F.conv2d(F.conv2d(x, squeeze), expand, padding=1)

    def like(weight: torch.Tensor) -> bool:
        return close(F.conv2d(x, weight, padding=1), right, 1e-3, 1e-3)

    mirrored = "the offsets are mirrored. Two convolutions in a row need no flip here."
    yield "one convolution", not like(found.flip(2, 3)), mirrored
    yield "one convolution", like(found), "it differs from squeeze and expand in a row."
    wide = torch.linalg.matrix_rank(torch.randn(64 * 9, 16) @ torch.randn(16, 128))
    yield from number(
        "rank",
        given["rank"],
        int(wide),
        {
            128: "this would be the rank without the squeeze layer.",
            64: "these are the filters. Everything passes through the squeeze channels.",
            16
            * 9: "a squeeze channel carries one combination of the channels to all nine offsets.",
        },
    )
    gaps = [as_number(gap, "a gap") for gap in items(given["gaps"], 3, "gaps")]
    points = "give points of accuracy: per cent minus per cent."
    yield "gaps", max(map(abs, gaps)) >= 1, points
    sign = "this is ReLU minus linear, or from a few images only: on digits linear leads."
    yield "gaps", all(3 < gap < 45 for gap in gaps), sign
