"""The properties of right answers in notebook 11: steps, lengths and seeds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import integrate, stats

from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named, number
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong
from squeeze_utils.results.named_study import study


def count_the_steps(answer: Any) -> Claims:
    given = named(answer, "short", "long", "share_of_steps", "share_of_rate")
    for key, name, images in (("short", "dsd", 20_000), ("long", "dsd_long", 45_000)):
        plan = study(name).recipe(recipe="dense control")
        found = [as_number(n, key) for n in items(given[key], len(plan), key)]
        exact = [images / step.batch_size * step.epochs for step in plan]
        dropped = "the incomplete batch of each epoch is dropped."
        up = [math.ceil(images / step.batch_size) * step.epochs for step in plan]
        yield key, found not in (up, exact), dropped
        steps = [images // step.batch_size * step.epochs for step in plan]
        yield key, found == steps, "steps in an epoch times the epochs of each phase."
    plan = study("dsd").recipe(recipe="dense control")
    steps = np.array([as_number(n) for n in given["short"]])
    peaks = np.array([step.lr for step in plan])
    share = float(steps[-1] / steps.sum())
    mistakes = {100 * share: "give a share between 0 and 1."}
    yield from number("share_of_steps", given["share_of_steps"], share, mistakes, relative=0.01)
    weighed = float((steps * peaks)[-1] / (steps @ peaks))
    mistakes = {
        share: "the last phase has a lower rate than the others.",
        float(peaks[-1] / peaks.sum()): "weigh the rates by the steps.",
        100 * weighed: "give a share between 0 and 1.",
    }
    yield from number("share_of_rate", given["share_of_rate"], weighed, mistakes, relative=0.02)


def other_shapes(answer: Any) -> Claims:
    given = named(answer, "uniform", "laplace", "smallest")
    densities = {"uniform": stats.uniform, "laplace": stats.expon, "normal": stats.halfnorm}

    def right(name: str, s: float) -> float:
        """By integrating the density of the sizes."""
        sizes = densities[name]
        top = 1.0 if name == "uniform" else 60.0
        parts = [
            integrate.quad(lambda w: w * w * sizes.pdf(w), 0, end, epsabs=1e-12, limit=200)[0]
            for end in (float(sizes.ppf(s)), top)
        ]
        return parts[0] / parts[1]

    for name in ("uniform", "laplace"):
        for s in (0.5, 0.9):
            found = as_number(ask(given[name], s), f"{name}({s:g})")
            exact = right(name, s)
            both = "this is the share of the length. The squared length is asked for."
            yield name, not close(found, math.sqrt(exact), 1e-3), both
            stays = "this is the share that stays. Pruning removes the rest."
            yield name, not close(found, 1 - exact, 1e-3), stays
            off = f"at {s:g} it is {found:.3f}. Integrate w² times the density."
            yield name, close(found, exact, 2e-3), off
    smallest = str(given["smallest"]).lower()
    if smallest not in densities:
        raise Wrong("smallest is 'normal', 'uniform' or 'Laplace'.")
    least = min(densities, key=lambda name: right(name, 0.5))
    near = "more weights near zero make the share smaller: compare the three at 50 %."
    yield "smallest", smallest == least, near


def missing_control(answer: Any) -> Claims:
    given = named(answer, "power", "seeds_80", "seeds_95", "arms")

    def right(effect: float, n: int) -> float:
        """By the square of t, a noncentral F."""
        bound = stats.f.isf(0.05, 1, n - 1)
        return float(stats.ncf.sf(bound, 1, n - 1, n * effect**2))

    for n in (3, 6):
        found = as_number(ask(given["power"], 2.0, n), "power")
        normal = float(stats.norm.sf(1.96 - 2 * math.sqrt(n)))
        few = "with so few seeds the bound comes from Student's t, not from the normal curve."
        yield "power", not close(found, normal, 5e-3), few
        yield "power", close(found, right(2.0, n), 0.02), f"for {n} seeds it is {found:.2f}."
    for key, wanted in (("seeds_80", 0.8), ("seeds_95", 0.95)):
        exact = next(n for n in range(2, 99) if right(2.0, n) >= wanted)
        raw = next(n for n in range(2, 9999) if right(0.3, n) >= wanted)
        mistakes = {
            raw: "the effect is in units of the deviation: 0.3 / 0.15.",
            exact - 1: "the power is still too small here.",
        }
        yield from number(key, given[key], exact, mistakes)
    mistakes = {2: "two arms show the sum of all effects.", 3: "three arms have two differences."}
    yield from number("arms", given["arms"], 1 + len(("zeros", "epochs", "rate")), mistakes)
