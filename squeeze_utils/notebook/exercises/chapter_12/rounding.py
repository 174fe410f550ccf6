"""The properties of right answers in notebook 12: how to round, and how many bits to take."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from squeeze_utils.compress.quantizing.mixed_bits import Option, assign
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, named, number
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong

BITS = (2, 3, 4, 6, 8)


def largest_weight(answer: Any) -> Claims:
    given = named(answer, "zero_share", "fixed", "largest")
    w = torch.tensor([[1.0, 0.4, -0.6, 0.55], [0.1, 0.04, 0.06, -0.03]], dtype=torch.float64)
    known = {
        0.75: "a weight rounds to the nearest level: half of the largest is the border.",
        0.625: "each row has a largest weight of its own.",
        0.0: "count the weights that become zero.",
        3.0: "give a share, not a number of weights.",
    }
    yield from number("zero_share", ask(given["zero_share"], w), 0.375, known, relative=1e-6)
    normal = torch.randn(4, 10_000)
    below = (normal.abs() < normal.abs().amax(1, keepdim=True) / 2).double().mean()
    off = "for large random rows another share becomes zero."
    found = ask(given["zero_share"], normal)
    yield from number("zero_share", found, float(below), otherwise=off, relative=1e-3)
    shares = {name: as_number(given[name], name) for name in ("fixed", "largest")}
    percent = "give the two shares in per cent."
    yield "per cent", all(1 < share < 100 for share in shares.values()), percent
    more = "with min-max steps more weights become zero: are the two runs exchanged?"
    yield "more zeros", shares["largest"] > shares["fixed"], more


def _draw(rng: np.random.Generator) -> dict[str, dict[int, Option]]:
    layers = {}
    for name in "ABCDE":
        size, weight = float(rng.integers(50, 500)), rng.lognormal()
        layers[name] = {
            bits: Option(size * bits, weight * 4.0 ** (2 - bits) * rng.uniform(0.5, 1.5))
            for bits in BITS
        }
    return layers


def greedy(answer: Any) -> Claims:
    given = named(answer, "optimum", "mean_ratio")
    rng, ratios = np.random.default_rng(1), []
    for _ in range(12):
        layers = _draw(rng)
        budget = sum(options[4].bytes for options in layers.values())
        chosen = ask(given["optimum"], layers, budget)
        if not isinstance(chosen, Mapping) or set(chosen) != set(layers):
            raise Wrong("optimum has to return a dictionary with the bits of each layer.")
        known = all(bits in BITS for bits in chosen.values())
        yield "bits", known, f"each layer has one of {BITS} bits."
        size = sum(layers[name][bits].bytes for name, bits in chosen.items())
        yield "budget", size <= budget, f"{size:,.0f} bytes are over the budget of {budget:,.0f}."
        damage = sum(layers[name][bits].damage for name, bits in chosen.items())
        bought = sum(layers[name][bits].damage for name, bits in assign(layers, budget).items())
        least = _least_damage(layers, budget)
        same = damage > 1.0001 * least and close(damage, bought)
        yield "optimum", not same, "this is what assign buys. Another combination is better."
        off = f"another combination within the budget has {damage / least:.2f} times less damage."
        yield "optimum", damage <= 1.0001 * least, off
        ratios.append(bought / least)
    ratio = as_number(given["mean_ratio"], "mean_ratio")
    yield "mean_ratio", ratio >= 1, "greedy cannot be better than the best: divide by the optimum."
    far = "over many draws, greedy's damage divided by the optimum has a much smaller mean."
    yield "mean_ratio", ratio < 3, far


def _least_damage(layers: dict[str, dict[int, Option]], budget: float) -> float:
    """Over all combinations at once, as five-dimensional tables of sums."""
    tables = []
    for field in ("bytes", "damage"):
        columns = [np.array([getattr(o[b], field) for b in BITS]) for o in layers.values()]
        tables.append(reduce(np.add.outer, columns))
    return float(tables[1][tables[0] <= budget].min())


def compensating(answer: Any) -> Claims:
    step, rows = 0.5, []
    for _ in range(5):
        common = torch.randn(1, 200, dtype=torch.float64)
        X = common + 0.5 * torch.randn(6, 200, dtype=torch.float64)
        w, H = torch.randn(6, dtype=torch.float64), X @ X.T
        found = array(ask(answer, w, H, step), (6,), "the rounded row")
        grid = close(found / step, torch.round(found / step))
        yield "on the grid", grid, f"not every weight is a multiple of {step}."
        alone = array(ask(answer, w, torch.eye(6).double(), step), (6,))
        plain = step * torch.round(w / step)
        free = "for inputs that are not correlated it has to be the nearest level."
        yield "without correlation", close(alone, plain), free
        first = "the first column is rounded to its nearest level."
        yield "first column", close(found[0], plain[0]), first
        rows.append((found, plain, _by_cholesky(w, H, step), w, H))
    nearest = "this rounds each weight by itself: nothing makes up for an error."
    yield "compensates", not all(close(row[0], row[1]) for row in rows), nearest
    for found, _, right, w, H in rows:
        felt, least = (float((d - w) @ H @ (d - w)) for d in (found, right))
        off = (
            f"its error is {felt / least:.2f} times that of the rule. Check the sign, and that "
            "later columns start from the changed weights."
        )
        yield "compensates", close(found, right), off


def _by_cholesky(w: Tensor, H: Tensor, step: float) -> Tensor:
    """The same rounding as GPTQ computes it, from a Cholesky factor of the inverse of H."""
    upper = torch.linalg.cholesky(torch.linalg.inv(H), upper=True)
    w, found = w.clone(), torch.zeros_like(w)
    for i, value in enumerate(w):
        found[i] = step * (value / step).round()
        w[i + 1 :] -= (value - found[i]) / upper[i, i] * upper[i, i + 1 :]
    return found
