"""Contrasts of a factorial: differences of cells for each seed, in parts that share nothing.

Cells of one network and one seed go on from the same dense training, so their differences are
taken seed by seed. Cells of different networks share nothing, at equal seeds neither. So a contrast
is kept as what the cells of each network add to it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from squeeze_utils.results.factorial.cells import NETWORK


@dataclass(frozen=True)
class Contrast:
    """A contrast of each seed that has it, and in how many settings it was found.

    `parts` has a row for each network and a column for each seed: what the network's cells add.
    Without a factor `NETWORK` there is one row.
    """

    parts: pd.DataFrame
    settings: int

    @property
    def values(self) -> list[float]:
        """The contrast of each seed."""
        return [float(value) for value in self.parts.sum()]

    @property
    def estimate(self) -> float:
        """Its mean over the seeds."""
        return float(np.mean(self.values))

    def part(self, network: Any) -> list[float]:
        """What the cells of one network add to it, for each seed."""
        return [float(value) for value in self.parts.loc[network]]


def table_of(frame: pd.DataFrame, factors: Sequence[str], value: str) -> pd.DataFrame:
    """Cells as rows, seeds as columns."""
    if frame.duplicated([*factors, "seed"]).any():
        raise ValueError(
            f"more than one row for one cell and seed: is a factor left out of {factors}?"
        )
    return frame.pivot(index=list(factors), columns="seed", values=value)


def contrast(table: pd.DataFrame, levels: Mapping[str, tuple[Any, Any]]) -> Contrast:
    """The contrast of the first level of each factor against the second, as a mean over settings.

    A seed has the settings of the other factors in which all its cells are there.
    """
    rest = [name for name in table.index.names if name not in levels]
    by_network: dict[Any, pd.DataFrame] = {}
    for signs in itertools.product((1, -1), repeat=len(levels)):
        at = {name: levels[name][sign < 0] for name, sign in zip(levels, signs, strict=True)}
        signed, network = math.prod(signs) * _at(table, at, rest), at.get(NETWORK)
        known = by_network.get(network)
        by_network[network] = signed if known is None else known + signed  # missing where one is
    total = sum(by_network.values())
    there = total.notna()
    seeds = total.columns[there.any()]
    if NETWORK in rest:
        sums = total.where(there).groupby(level=NETWORK, sort=False).sum()
    else:
        kept = {k: part.reindex(total.index).where(there).sum() for k, part in by_network.items()}
        sums = pd.DataFrame(kept).T
    return Contrast((sums / there.sum())[seeds], int(there.any(axis=1).sum()))


def _at(table: pd.DataFrame, levels: Mapping[str, Any], rest: list[str]) -> pd.DataFrame:
    """The cells with these levels, indexed by the settings of the other factors."""
    frame = table.reset_index()
    for name, level in levels.items():
        frame = frame[frame[name] == level]
    frame = frame.drop(columns=list(levels))
    if not rest:  # a factorial of these factors alone has one setting
        return frame.set_axis([0] * len(frame), axis=0)
    return frame.set_index(rest)
