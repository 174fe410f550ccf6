"""Searches replayed on a table of curves: hundreds of repetitions in seconds.

A method is a function of a `Run`. It asks for points to be trained up to some epoch, and the run
looks the accuracy up in the table and counts the epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from squeeze_utils.base.checks import choose, whole_number


class BudgetSpent(Exception):
    """The epochs of a replayed search, or the points of its table, are used up."""


class Run:
    """One search on a table: what it has trained and spent, and the best point it knows.

    A search sees one seed of each point, drawn at random; the others judge its choice. Runs of one
    `repetition` see the same seeds and the same random order of points, whatever their method.
    """

    def __init__(self, curves: np.ndarray, budget: int, repetition: int = 0, seed: int = 0) -> None:
        *self.shape, seeds, self.epochs = curves.shape
        self.points, self.budget = math.prod(self.shape), budget
        self.rng = np.random.default_rng([seed, repetition])
        self.order = self.rng.permutation(self.points)
        table = curves.reshape(self.points, seeds, self.epochs)
        seen = self.rng.integers(seeds, size=self.points)
        rows = np.arange(self.points)
        self._seen = table[rows, seen]
        last = table[:, :, -1]
        self._others = np.full(self.points, np.nan)  # a single seed has no others
        if seeds > 1:
            self._others = (last.sum(1) - last[rows, seen]) / (seeds - 1)
        self._trained: dict[int, int] = {}
        self._drawn = self.spent = 0
        self.log: list[tuple[int, int, int]] = []  # point, epoch before, epoch after
        self.best = np.full(budget + 1, -1)  # the point, after 0, 1, ... epochs; -1: none yet

    def draw(self, n: int) -> list[int]:
        """The next `n` points of the random order."""
        if self._drawn + n > self.points:
            raise BudgetSpent
        self._drawn += n
        return self.order[self._drawn - n : self._drawn].tolist()

    def train(self, point: int, until: int | None = None) -> float:
        """Validation accuracy of `point` after epoch `until` (the last one, unless given).

        A training that was stopped before goes on: only new epochs are paid.
        """
        until = self.epochs if until is None else until
        before = self._trained.get(point, 0)
        new = max(0, until - before)
        if self.spent + new > self.budget:
            raise BudgetSpent
        self.spent += new
        self._trained[point] = max(before, until)
        self.log.append((point, before, until))
        accuracy = float(self._seen[point, until - 1])
        known = self.best[self.spent]
        if until == self.epochs and (known < 0 or accuracy > self._seen[known, -1]):
            self.best[self.spent :] = point
        return accuracy

    @property
    def measured(self) -> np.ndarray:
        """Validation accuracy of the best point, as the search saw it, after 0, 1, ... epochs."""
        return np.where(self.best < 0, np.nan, self._seen[self.best, -1])

    @property
    def judged(self) -> np.ndarray:
        """The same point's accuracy with the seeds that the search has not seen."""
        return np.where(self.best < 0, np.nan, self._others[self.best])


Method = Callable[[Run], None]


def random_search(run: Run) -> None:
    """Random points, each trained to its end."""
    while True:
        run.train(*run.draw(1))


def median_rule(run: Run, complete: int = 4, start: int = 2) -> None:
    """Random points; one stops whose best so far is below the median of complete trainings.

    The rule begins at the end of epoch `start`, once `complete` trainings have ended.
    """
    ended: list[list[float]] = []
    while True:
        (point,), curve = run.draw(1), []
        for epoch in range(1, run.epochs + 1):
            curve.append(run.train(point, epoch))
            judging = len(ended) >= complete and start <= epoch < run.epochs
            if judging and max(curve) < np.median([other[epoch - 1] for other in ended]):
                break
        else:
            ended.append(curve)


def tpe(run: Run, startup: int = 8, share: float = 0.2, width: float = 1.0) -> None:
    """The point with the largest l/g of all that were not tried yet (Bergstra and others 2011).

    Densities are bells of `width` levels of the table on every point, and an even prior. A choice
    without an order needs an axis of two levels.
    """
    levels = np.indices(run.shape).reshape(len(run.shape), -1)
    bells = np.exp(-(((levels[:, :, None] - levels[:, None]) / width) ** 2).sum(0) / 2)
    bells /= bells.sum(0)  # column j: a density over all points, with its middle at point j
    tried = run.draw(startup)
    scores = [run.train(point) for point in tried]
    while len(tried) < run.points:
        ranked = [tried[i] for i in np.argsort(scores)[::-1]]
        good = math.ceil(share * len(tried))
        best, rest = (
            (bells[:, part].sum(1) + 1 / run.points) / (len(part) + 1)
            for part in (ranked[:good], ranked[good:])
        )
        ratio = best / rest
        ratio[tried] = -np.inf
        tried.append(int(ratio.argmax()))
        scores.append(run.train(tried[-1]))


def rungs(epochs: int, count: int = 3) -> tuple[int, ...]:
    """After which epochs halving looks: the last one, a half, a quarter of it.

    >>> rungs(6)
    (1, 3, 6)
    """
    return tuple(sorted({max(1, epochs // 2**i) for i in range(count)}))


def bracket(run: Run, n: int, at: Sequence[int]) -> None:
    """Train n random points to the first rung, the better half of them to the next, and so on."""
    points = run.draw(n)
    for rung in at:
        scores = [run.train(point, rung) for point in points]
        best = np.argsort(scores)[::-1][: math.ceil(len(points) / 2)]
        points = [points[i] for i in best]


def successive_halving(run: Run, n: int = 16) -> None:
    """One bracket after the other (Jamieson and Talwalkar 2016)."""
    while True:
        bracket(run, n, rungs(run.epochs))


def brackets(epochs: int, n: int = 16) -> list[tuple[int, tuple[int, ...]]]:
    """Hyperband's brackets: how many points, and the rungs. All cost about the same.

    >>> brackets(6)
    [(16, (1, 3, 6)), (10, (3, 6)), (7, (6,))]
    """
    every = rungs(epochs)
    each = [_cost(every[i:]) for i in range(len(every))]
    return [(round(n * each[0] / cost), every[i:]) for i, cost in enumerate(each)]


def _cost(at: Sequence[int]) -> float:
    """Epochs that a bracket spends for each point it starts."""
    steps = np.diff([0, *at])
    return float(sum(step / 2**i for i, step in enumerate(steps)))


def hyperband(run: Run, n: int = 16) -> None:
    """Brackets that begin to judge early, later, and only at the end, in turn (Li and others)."""
    while True:
        for points, at in brackets(run.epochs, n):
            bracket(run, points, at)


METHODS: dict[str, Method] = {
    "random": random_search,
    "random + median rule": median_rule,
    "TPE": tpe,
    "successive halving": successive_halving,
    "Hyperband": hyperband,
}


@dataclass(frozen=True)
class Replayed:
    """Repetitions of a method on a table, each array (repetitions, budget + 1).

    Column e is the state after e epochs: the best point known (-1 before the first complete
    training), its validation accuracy as the search measured it, and with the other seeds.
    """

    best: np.ndarray
    measured: np.ndarray
    judged: np.ndarray


def run_once(
    curves: np.ndarray, method: str | Method, budget: int, repetition: int = 0, seed: int = 0
) -> Run:
    """One repetition of `replay`, with all that it trained."""
    run = Run(curves, budget, repetition, seed)
    search = METHODS[choose("method", method, METHODS)] if isinstance(method, str) else method
    with suppress(BudgetSpent):
        search(run)
    return run


def replay(
    curves: np.ndarray,
    method: str | Method,
    budget: int,
    repetitions: int = 100,
    seed: int = 0,
) -> Replayed:
    """`repetitions` searches of a table, each with `budget` epochs.

    `curves` holds validation accuracies (one axis for each setting, seeds, epochs). A method is
    one of METHODS, or a function that trains points of a `Run` until its budget is spent.

    >>> table = np.array([[[1.0, 5.0]], [[2.0, 7.0]], [[0.0, 9.0]]])  # 3 points, 1 seed, 2 epochs
    >>> replay(table, "random", budget=6, repetitions=2).measured[:, -1]
    array([9., 9.])
    """
    if curves.ndim < 3:
        raise ValueError(f"a table has axes for settings, seeds, epochs, not {curves.shape}")
    whole_number("budget", budget, 1)
    whole_number("repetitions", repetitions, 1)
    runs = [run_once(curves, method, budget, r, seed) for r in range(repetitions)]
    best, measured, judged = (
        np.stack([getattr(run, name) for run in runs]) for name in ("best", "measured", "judged")
    )
    return Replayed(best, measured, judged)
