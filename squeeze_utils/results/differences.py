"""Differences between trained networks, with an interval and one of four verdicts.

A value is one number of one finished network, such as its test accuracy in per cent; an arm is
the networks that differ by their seed only. Each function here returns a `Difference`, in the
unit of the values. `statistics` offers all of it, and more, under one name.

The interval decides. p, the interval and the verdict of a `Difference` belong to one level, so
they cannot contradict each other:

- "higher" or "lower": the interval excludes zero, which is the same as p < 1 - confidence.
- "equal within ±m": the whole interval lies inside the margin m, which must be stated before
  the networks are trained. This word comes first: a difference whose interval excludes zero and
  still lies inside the margin is too small to matter, and is called equal.
- "undecided": neither. It does not say that there is no difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
from scipy import special

from squeeze_utils.base.verdicts import verdict_of

Label = TypeVar("Label", bound=Hashable)
Interval = tuple[float, float]
Limits = Callable[[float], Interval]
ROUNDING = 1e-12  # relative; what varies less is constant


@dataclass(frozen=True)
class Difference:
    """An arm minus its control: estimate, interval from `low` to `high`, and two-sided p.

    `error` is the standard error of the estimate and `df` its degrees of freedom (infinite for a
    normal interval). `n` and `n_control` count networks, or pictures where pictures are counted.
    After `family`, `comparisons` is the size of the family; `p` and the interval are corrected
    for it, and `confidence` holds for all intervals of the family together.
    """

    estimate: float
    low: float
    high: float
    p: float
    error: float
    df: float
    n: int
    n_control: int
    method: str
    limits: Limits = field(repr=False, compare=False)  # the interval at any confidence
    confidence: float = 0.95
    comparisons: int = 1

    def verdict(self, margin: float | None = None) -> str:
        """Exactly one of "higher", "lower", "equal within ±m" and "undecided", see the module.

        >>> found = welch([91.2, 91.5, 91.4], [91.3, 91.4, 91.2])
        >>> found.verdict(), found.verdict(margin=1), found.verdict(margin=0.1)
        ('undecided', 'equal within ±1', 'undecided')
        """
        return verdict_of(self.low, self.high, margin)


def welch(
    values: Iterable[float], control: Iterable[float], confidence: float = 0.95
) -> Difference:
    """Difference of two means whose deviations s and t may differ (Welch 1947).

    The error is sqrt(s²/n + t²/m); Satterthwaite's formula gives the degrees of freedom, between
    min(n, m) - 1 and n + m - 2. This is the interval for arms that share nothing, such as equal
    seeds of different networks. Where no arm varies, as with sizes in bytes, it is one point.

    It needs two networks an arm and equal numbers serve it best. Simulated without a difference,
    the 95 % interval excludes zero in 2 to 6 % of cases with 2 to 5 networks in each arm, but in
    10 % with two against five, if the two deviate three times as much.

    >>> found = welch([92.1, 92.4, 92.0, 92.5, 92.2], [91.2, 91.6, 91.1, 91.9, 91.3])
    >>> f"{found.estimate:.2f}, {found.low:.2f} to {found.high:.2f}, df {found.df:.1f}"
    '0.82, 0.41 to 1.23, df 6.8'
    >>> found.verdict()
    'higher'
    """
    a, b = checked_sample(values, "the arm", 2), checked_sample(control, "the control", 2)
    error, df = error_of_means(a, b)
    return student(_gap(a, b), error, df, len(a), len(b), "Welch", confidence)


def interaction(
    arms: tuple[Iterable[float], Iterable[float]],
    others: tuple[Iterable[float], Iterable[float]],
    confidence: float = 0.95,
) -> Difference:
    """How much more the first arm gains on its control than the second arm on another control.

    Each pair is (values, control). The four groups share nothing, so the error is Welch's, of
    four means instead of two. `n` and `n_control` are the smallest numbers of the two pairs.

    >>> strong = [81.0, 81.6, 81.3], [78.0, 78.5, 78.1]
    >>> weak = [79.0, 79.4, 79.2], [78.2, 78.4, 78.9]
    >>> found = interaction(strong, weak)
    >>> f"{found.estimate:.2f}, {found.low:.2f} to {found.high:.2f}, df {found.df:.1f}"
    '2.40, 1.61 to 3.19, df 6.9'
    """
    named = ("the arm", "its control", "the other arm", "the other control")
    a, b, c, d = (
        checked_sample(values, name, 2)
        for values, name in zip((*arms, *others), named, strict=True)
    )
    error, df = error_of_means(a, b, c, d)
    one, other = _gap(a, b), _gap(c, d)
    estimate = 0.0 if math.isclose(one, other, rel_tol=ROUNDING) else one - other
    n, m = min(len(a), len(c)), min(len(b), len(d))
    return student(estimate, error, df, n, m, "Welch, four arms", confidence)


def error_of_means(*groups: np.ndarray) -> tuple[float, float]:
    """The error of a sum or difference of means, and Satterthwaite's degrees of freedom."""
    parts = [(variance(group) / len(group), len(group) - 1) for group in groups]
    whole = sum(part for part, _ in parts)
    if not whole:
        return 0.0, float(sum(free for _, free in parts))
    return math.sqrt(whole), 1 / sum((part / whole) ** 2 / free for part, free in parts)


def pooled(
    groups: Mapping[Label, Iterable[float]], label: Label, control: Label, confidence: float = 0.95
) -> Difference:
    """Difference of two arms with one deviation s for all k arms of a study, df = N - k.

    s² is the mean of the arms' variances, weighted by n - 1; the error is s sqrt(1/n + 1/m). With
    few seeds this is much sharper than Welch's interval, if all arms deviate alike. Where they do
    not, it is too short for the arms that deviate most: with deviations from 1 to 3 the nominal
    5 % of false findings become 13 % if the control is the arm of 3. So a study declares this
    choice before training. An arm of one network is allowed; it adds nothing to s.

    >>> groups = {"wide": [92.1, 92.5], "narrow": [91.0, 91.5], "deep": [91.8, 92.1]}
    >>> found = pooled(groups, "wide", "narrow")
    >>> f"{found.low:.2f} to {found.high:.2f}, df {found.df:g}"
    '0.13 to 1.97, df 3'
    """
    if missing := {label, control} - groups.keys():
        raise ValueError(f"no arm {missing}; there are: {', '.join(map(str, groups))}")
    arms = {name: checked_sample(values, f"arm {name!r}", 1) for name, values in groups.items()}
    df = sum(len(arm) - 1 for arm in arms.values())
    if df < 1:
        raise ValueError("one network an arm: a pooled deviation needs at least one arm of two")
    squares = sum((len(arm) - 1) * variance(arm) for arm in arms.values())
    a, b = arms[label], arms[control]
    error = math.sqrt(squares / df * (1 / len(a) + 1 / len(b)))
    return student(_gap(a, b), error, float(df), len(a), len(b), "pooled deviation", confidence)


def paired(
    values: Sequence[float], control: Sequence[float], confidence: float = 0.95
) -> Difference:
    """Mean of differences within pairs (Student 1908), df = n - 1; pairs in the same order.

    Only for networks that share something: a trained prefix, or one network before and after a
    step. What a pair shares drops out. Pairs that share only a seed lose degrees of freedom and
    gain nothing; see `statistics.seed_correlation`.

    >>> found = paired([90.1, 91.0, 90.4], [90.6, 91.6, 90.8])
    >>> f"{found.estimate:.2f}, {found.low:.2f} to {found.high:.2f}"
    '-0.50, -0.75 to -0.25'
    """
    a, b = checked_sample(values, "the arm", 2), checked_sample(control, "the control", 2)
    if len(a) != len(b):
        raise ValueError(f"pairs need equal lengths, not {len(a)} and {len(b)}")
    error = math.sqrt(variance(a - b) / len(a))
    return student(_gap(a, b), error, len(a) - 1.0, len(a), len(a), "paired", confidence)


def family(
    differences: Mapping[Label, Difference], comparisons: int = 0
) -> dict[Label, Difference]:
    """The same k differences, corrected for being judged together (Bonferroni).

    With `comparisons`, they are the first of so many that are planned, and k is that number.

    Each interval is widened to 1 - (1 - confidence)/k, so that all k hold at once with the stated
    confidence, and p becomes k p. Verdicts are read off these intervals. In 95 % of studies or
    more no verdict of the family is wrong, be it higher, lower or equal.

    Why not Holm's p? It is smaller, so a row could read "p = 0.03" beside an interval that
    includes zero. Intervals that follow Holm's steps differ in level from row to row, do not all
    hold at once, and do not cover "equal". One level for all rows fits in one caption. The price,
    simulated with four arms of five networks: where all four differ from the control by two
    deviations, this finds 47 % of them and Holm 59 %; where one differs, both find 47 %.

    >>> control = [91.0, 91.3, 91.1, 91.4]
    >>> arms = {"a": [91.5, 91.6, 91.4, 91.9], "b": [91.2, 91.1, 91.3, 91.5]}
    >>> alone = {name: welch(values, control) for name, values in arms.items()}
    >>> together = family(alone)
    >>> [(d.verdict(), round(d.p, 3)) for d in (alone["a"], together["a"])]
    [('higher', 0.031), ('undecided', 0.062)]
    """
    if any(d.comparisons > 1 for d in differences.values()):
        raise ValueError("these differences are corrected for a family already")
    if len({d.confidence for d in differences.values()}) != 1:
        raise ValueError("a family needs at least one difference, and all of the same confidence")
    size = max(comparisons, len(differences))
    return {label: _one_of(size, d) for label, d in differences.items()}


def _one_of(k: int, difference: Difference) -> Difference:
    low, high = difference.limits(1 - (1 - difference.confidence) / k)
    return replace(difference, low=low, high=high, p=min(1.0, k * difference.p), comparisons=k)


def student(
    estimate: float, error: float, df: float, n: int, m: int, method: str, confidence: float
) -> Difference:
    """An estimate with its standard error and degrees of freedom, as `Difference` explains them."""
    check_confidence(confidence)
    limits = partial(_student_limits, estimate, error, df)
    p = 2 * float(special.stdtr(df, -abs(estimate) / error)) if error else float(estimate == 0)
    low, high = limits(confidence)
    return Difference(estimate, low, high, p, error, df, n, m, method, limits, confidence)


def _student_limits(centre: float, error: float, df: float, confidence: float) -> Interval:
    half = -float(special.stdtrit(df, (1 - confidence) / 2)) * error
    return centre - half, centre + half


def checked_sample(values: Iterable[float], name: str, least: int) -> np.ndarray:
    """The values as an array, of at least that many, all finite."""
    found = np.array([float(value) for value in values])
    if len(found) < least:
        raise ValueError(f"{name} has n = {len(found)}; this needs at least {least}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name} has a missing or infinite value: {found.tolist()}")
    return found


def variance(values: np.ndarray) -> float:
    """Of a sample (n - 1); exactly zero where the values differ by rounding only."""
    same = np.ptp(values) <= ROUNDING * np.abs(values).max()
    return 0.0 if same else float(values.var(ddof=1))


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    """Difference of the means; exactly zero where they differ by rounding only."""
    same = math.isclose(a.mean(), b.mean(), rel_tol=ROUNDING)
    return 0.0 if same else float(a.mean() - b.mean())


def check_confidence(confidence: float) -> None:
    """Refuse what is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, such as 0.95, not {confidence}")
