"""One more seed of an arm, trained by the reader: where it falls among the recorded ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from squeeze_utils.results.tables import numbered


@dataclass(frozen=True)
class OneMoreSeed:
    """A seed that the records do not have, and where it falls among those that they have.

    `low` and `high` bound where 95 % of further seeds fall if accuracies are normally distributed:
    the mean -+ t(n - 1) s sqrt(1 + 1/n) of the `n` known accuracies. For boxes and masks the
    accuracy is the score that `measure` names.

    >>> OneMoreSeed(seed=9, accuracy=90.0, known=(89.0, 90.0, 91.0)).inside
    True
    """

    seed: int
    accuracy: float
    known: tuple[float, ...]
    measure: str = "accuracy"

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % prediction interval; without two known seeds everything is possible."""
        n = len(self.known)
        if n < 2:
            return 0.0, 100.0
        reach = float(stats.t.ppf(0.975, n - 1)) * np.std(self.known, ddof=1) * (1 + 1 / n) ** 0.5
        return float(np.mean(self.known) - reach), float(np.mean(self.known) + reach)

    @property
    def inside(self) -> bool:
        """Whether the new seed falls into the interval."""
        low, high = self.interval
        return low <= self.accuracy <= high

    def _repr_markdown_(self) -> str:
        score = "" if self.measure == "accuracy" else f" {self.measure}"
        got = f"Seed {self.seed} reaches **{self.accuracy:.2f} %**{score} on the test pictures."
        if len(self.known) < 2:
            few = numbered([len(self.known)], "seed")
            return f"{got} The records have {few} of this arm: too few to compare."
        low, high = self.interval
        where = "It lies inside." if self.inside else "It lies outside: one seed in twenty does."
        return (
            f"{got} The {len(self.known)} recorded seeds reach {min(self.known):.2f} to "
            f"{max(self.known):.2f} %, and 95 of 100 further ones are expected between {low:.2f} "
            f"and {high:.2f} %. {where}"
        )
