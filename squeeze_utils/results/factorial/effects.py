"""Main effects and interactions of a factorial, each with an interval over seeds.

With y the response of a cell, the effect of a level a against the level 0 of its factor is the mean
of y(a, rest) - y(0, rest) over all settings `rest` of the other factors, and the interaction of
a with a level b of another factor is the mean of

    y(a, b, rest) - y(a, 0, rest) - y(0, b, rest) + y(0, 0, rest).

Each is computed for each seed from the settings whose cells are all there, then averaged over
seeds: a cell that is missing costs the settings that need it, not its seed. Where no setting has
all its cells, as while the level 0 has no record, there is no row.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from squeeze_utils.results.differences import Difference, family, paired
from squeeze_utils.results.factorial.cells import HALVINGS, check_factors

COLUMNS = ["estimate", "low", "high", "n", "settings"]


def main_effects(
    frame: pd.DataFrame, base: Mapping[str, Any], value: str = HALVINGS
) -> pd.DataFrame:
    """A row for each (factor, level) that is not of `base`: effect, interval, seeds, settings.

    Args:
        frame: cells, one row for each and each seed.
        base: the level 0 of each factor.
        value: the response, a column of the frame.

    >>> found = main_effects(example(), {"prune": 0, "round": 0}, "y")
    >>> found["estimate"].tolist()
    [1.5, 2.5]
    """
    rows, others = {}, _others(frame, base)
    table = _table(frame, list(base), value)
    for factor, level in others:
        rows[factor, level] = _contrast(table, {factor: (level, base[factor])})
    return _with_intervals(rows, ["factor", "level"])


def interactions(
    frame: pd.DataFrame, base: Mapping[str, Any], value: str = HALVINGS
) -> pd.DataFrame:
    """A row for each two levels of different factors: how far their effects do not add up.

    Zero: they add up. Below zero: together they give less than the sum of both.

    >>> found = interactions(example(), {"prune": 0, "round": 0}, "y")
    >>> found["estimate"].tolist(), found["settings"].tolist()
    ([-1.0], [1])
    """
    rows, others = {}, _others(frame, base)
    table = _table(frame, list(base), value)
    for (f, a), (g, b) in itertools.combinations(others, 2):
        if f != g:
            rows[f, a, g, b] = _contrast(table, {f: (a, base[f]), g: (b, base[g])})
    return _with_intervals(rows, ["factor", "level", "with", "its level"])


def example() -> pd.DataFrame:
    """Two techniques of which each is worth less where the other is: y = 0, 2, 3, and 4."""
    y = {(0, 0): 0.0, (1, 0): 2.0, (0, 1): 3.0, (1, 1): 4.0}
    rows = [{"prune": a, "round": b, "seed": 0, "y": v} for (a, b), v in y.items()]
    return pd.DataFrame(rows)


def _others(frame: pd.DataFrame, base: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every level but those of the base, in the order of the table."""
    check_factors(frame, base, "the base")
    return [(f, level) for f in base for level in frame[f].unique() if level != base[f]]


def _table(frame: pd.DataFrame, factors: Sequence[str], value: str) -> pd.DataFrame:
    """Cells as rows, seeds as columns."""
    if frame.duplicated([*factors, "seed"]).any():
        raise ValueError(
            f"more than one row for one cell and seed: is a factor left out of {factors}?"
        )
    return frame.pivot(index=list(factors), columns="seed", values=value)


def _contrast(
    table: pd.DataFrame, levels: Mapping[str, tuple[Any, Any]]
) -> tuple[list[float], int]:
    """The contrast of each seed, over the settings that it has; the settings in all of them."""
    changed = list(levels)
    rest = [name for name in table.index.names if name not in changed]
    total = None
    for signs in itertools.product((1, -1), repeat=len(changed)):
        wanted = [
            levels[name][0 if sign > 0 else 1] for name, sign in zip(changed, signs, strict=True)
        ]
        part = _at(table, dict(zip(changed, wanted, strict=True)), rest)
        signed = int(np.prod(signs)) * part
        total = signed if total is None else total + signed  # missing where either is
    known = total.notna().any()
    means = [float(total[seed].mean()) for seed in total.columns[known]]
    return means, int(total.notna().any(axis=1).sum())


def _at(table: pd.DataFrame, levels: Mapping[str, Any], rest: list[str]) -> pd.DataFrame:
    """The cells with these levels, indexed by the settings of the other factors."""
    frame = table.reset_index()
    for name, level in levels.items():
        frame = frame[frame[name] == level]
    frame = frame.drop(columns=list(levels))
    if not rest:  # a factorial of these factors alone has one setting
        return frame.set_axis([0] * len(frame), axis=0)
    return frame.set_index(rest)


def _with_intervals(
    rows: Mapping[tuple, tuple[list[float], int]], names: list[str]
) -> pd.DataFrame:
    """The rows as a table; the 95 % intervals hold all at once (Bonferroni)."""
    found = {key: value for key, value in rows.items() if value[0]}
    several = {key: paired(v, [0.0] * len(v)) for key, (v, _) in found.items() if len(v) > 1}
    several = family(several) if several else {}
    cells = [
        [*_estimate(values, several.get(key)), len(values), settings]
        for key, (values, settings) in found.items()
    ]
    index = pd.MultiIndex.from_tuples(list(found), names=names) if found else None
    table = pd.DataFrame(cells, index=index, columns=COLUMNS)
    return table if found else table.rename_axis("factor")


def _estimate(values: list[float], difference: Difference | None) -> list[float]:
    if difference is None:
        return [float(np.mean(values)), np.nan, np.nan]
    return [float(np.mean(values)), difference.low, difference.high]
