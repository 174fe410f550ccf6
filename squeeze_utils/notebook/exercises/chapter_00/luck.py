"""The properties of right answers in notebook 00: what luck does to an accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import integrate, stats

from squeeze_utils.notebook.exercises.answers import as_number, ask, close, named, number
from squeeze_utils.notebook.exercises.exercise import Claims
from squeeze_utils.results.statistics import binomial_interval


def lazy_classifier(answer: Any) -> Claims:
    given = named(answer, "even", "largest_class", "balanced_accuracy")
    shares = np.array([0.95, 0.05])
    blind = {"even": shares.mean(), "largest_class": shares.max()}
    for name, right in blind.items():
        mistakes = {
            float(shares @ shares): "that is a third guesser, who draws a class by its share.",
            100 * right: "give a share between 0 and 1.",
        }
        yield from number(name, given[name], float(right), mistakes)

    def found(*rows: list[int]) -> float:
        return as_number(ask(given["balanced_accuracy"], torch.tensor(rows)), "balanced_accuracy")

    perfect = found([950, 0], [0, 50])
    yield "no error", close(perfect, 1), f"for a table without errors it is {perfect:g}, not 1."
    lazy = found([950, 0], [50, 0])
    plain = "this is the accuracy: the larger class decides it. Count each class by itself."
    yield "lazy", not close(lazy, 0.95), plain
    yield "lazy", close(lazy, 0.5), f"for 'nothing wrong' every time it is {lazy:g}, not one half."
    mixed = found([90, 10], [30, 70])
    columns = "divide by the sums of the rows, the images of each true class."
    yield "rows", not close(mixed, (90 / 120 + 70 / 80) / 2), columns
    yield "rows", close(mixed, 0.8), f"90 % and 70 % of the two classes give {mixed:g}, not 0.8."
    three = found([8, 1, 1], [0, 20, 0], [3, 3, 24])
    yield "three classes", close(three, 0.8667, 1e-3), "it has to work for three classes as well."


def how_many_images(answer: Any) -> Claims:
    given = named(answer, "images", "cifar10")
    low, high = 1_000, 100_000  # by Wilson's interval of the package
    while high - low > 1:
        middle = (low + high) // 2
        ends = binomial_interval(round(0.9 * middle), middle)
        low, high = (middle, high) if ends[1] - ends[0] > 1 else (low, middle)
    quarter = "half a point to each side makes an interval of one point."
    mistakes = {
        low / stats.norm.ppf(0.975) ** 2: "this is for one standard error, not for 95 %.",
        4 * low: quarter,
        low / 4: "half a point to each side, not one.",
    }
    yield from number("images", given["images"], low, mistakes, relative=0.02)
    ends = binomial_interval(9_000, 10_000)
    half = (ends[1] - ends[0]) / 2
    mistakes = {
        2 * half: "this is the whole interval. Give its half.",
        half / 100: "give points.",
        half / stats.norm.ppf(0.975): "this is one standard error. Multiply by z.",
    }
    yield from number("cifar10", given["cifar10"], half, mistakes, relative=0.02)


def coverage(answer: Any) -> Claims:
    given = named(answer, "coverage", "wilson", "plain")

    def share(interval: Callable[[int, int], tuple[float, float]], n: int, p: float) -> float:
        return as_number(ask(given["coverage"], interval, n, p), "coverage")

    whole = share(lambda h, n: (0.0, 1.0), 30, 0.9)
    last = "the interval from 0 to 1 must give 1. Does h go from 0 to n, both included?"
    yield "all h", close(whole, 1, 1e-9), last
    never = share(lambda h, n: (2.0, 3.0), 30, 0.9)
    yield "no h", close(never, 0), "an interval that never holds p has no coverage."
    one = share(lambda h, n: (0.0, 1.0) if h == 27 else (2.0, 3.0), 30, 0.9)
    uneven = "weigh each h by its binomial probability: not every h counts the same."
    yield "one h", not close(one, 1 / 31, 1e-3), uneven
    yield "one h", close(one, stats.binom.pmf(27, 30, 0.9)), "with h = 27 alone it is P(h = 27)."

    def wilson(h: int, n: int) -> tuple[float, float]:
        low, high = binomial_interval(h, n)
        return low / 100, high / 100

    hits = np.arange(101)
    spread = stats.norm.ppf(0.975) * np.sqrt(hits / 100 * (1 - hits / 100) / 100)
    holds = {
        "wilson": [wilson(int(h), 100)[0] <= 0.98 <= wilson(int(h), 100)[1] for h in hits],
        "plain": list(np.abs(hits / 100 - 0.98) <= spread),
    }
    probabilities = stats.binom.pmf(hits, 100, 0.98)
    for name, inside in holds.items():
        right = float(probabilities[inside].sum())
        mistakes = {100 * right: "give a share between 0 and 1.", 0.95: "this is the promise."}
        yield from number(name, given[name], right, mistakes, absolute=2e-3)


def deviation(answer: Any) -> Claims:
    given = named(answer, "by_three", "by_two", "s")
    exact = {"by_three": 2 / 3, "by_two": 1.0}
    for name, right in exact.items():
        other = exact["by_two" if name == "by_three" else "by_three"]
        mistakes = {other: "the two divisors are exchanged."}
        yield from number(name, given[name], right, mistakes, absolute=0.015, relative=0)
    draws = torch.randn(400_000, 3).double()
    right = float(draws.std(1).mean())
    mistakes = {
        1.0: "this is the root of the mean of s². Average the roots.",
        float(draws.std(1, correction=0).mean()): "divide by r − 1 before you take the root.",
    }
    yield from number("s", given["s"], right, mistakes, absolute=0.01, relative=0)


def same_key(answer: Any) -> Claims:
    given = named(answer, "million", "experiments")

    def bound(experiments: int) -> float:
        return math.comb(experiments, 2) / 2**64

    right = bound(10**6)
    mistakes = {
        2 * right: "each pair is counted twice.",
        10**6 / 2**64: "this is the probability that one given key is met again.",
        10**12 / 2**33: "a key has 64 bits.",
    }
    yield from number("million", given["million"], right, mistakes, relative=0.01)
    found = as_number(given["experiments"], "experiments")
    yield "experiments", found > 1, "give a number of experiments."
    risk = bound(int(found))
    said = f"{found:.2e} experiments have a bound of {risk:.1e}, not of one in a thousand."
    yield "experiments", close(risk, 1e-3, 0.02), said


def best_of_ten(answer: Any) -> Claims:
    given = named(answer, "best_of", "mean_deviation")

    def exact(k: int) -> float:
        """The expectation of the largest of k, by integrating over its distribution."""
        density = stats.norm.pdf
        return integrate.quad(lambda x: x * k * density(x) * stats.norm.cdf(x) ** (k - 1), -9, 9)[0]

    one = as_number(ask(given["best_of"], 1), "best_of(1)")
    size = "one seed alone has the expectation 0: keep the sign of what you draw."
    yield "one seed", abs(one) < 0.02, size
    for k in (2, 10):
        found = as_number(ask(given["best_of"], k), f"best_of({k})")
        once = f"for {k} seeds it is {found:.2f}. Draw often: a hundred thousand rows."
        yield f"{k} seeds", abs(found - exact(k)) < 0.02, once
    mistakes = {
        0.1: "the variance of a mean falls as 1 / r, its deviation as the root of it.",
        1.0: "this is one seed, not the mean of ten.",
    }
    right = float(torch.eye(10).mean(0).norm())
    yield from number("mean_deviation", given["mean_deviation"], right, mistakes, relative=0.02)
