"""Main effects and interactions of a factorial, each with an interval over seeds.

With y the response of a cell, the effect of a level a against the level 0 of its factor is the mean
of y(a, rest) - y(0, rest) over all settings `rest` of the other factors, and the interaction of
a with a level b of another factor is the mean of

    y(a, b, rest) - y(a, 0, rest) - y(0, b, rest) + y(0, 0, rest).

Each is computed for each seed from the settings whose cells are all there, then averaged over
seeds: a cell that is missing costs the settings that need it, not its seed. Where no setting has
all its cells, as while the level 0 has no record, there is no row.

The rule for the 95 % intervals was declared before the study `combining_long` had a record:

- Contrasts of one kind deviate alike between seeds. The main effects of one factor are a kind, and
  so are the interactions of one pair of factors.
- Within a network, cells of one seed share a training: the contrast is taken seed by seed. Its
  variance is pooled over the rows of the kind; df = rows x (seeds - 1) (`with_one_deviation`).
- Between networks nothing is shared: what the cells of a network give for each seed is a sample of
  its own. Its variance is pooled over the networks, and for interactions over the levels of the
  other factor (`pooled`).
- The intervals of all main effects hold at once, and so do those of one pair (Bonferroni).

Simulated without effects, with three networks, three seeds and nine main effects, 5 % of studies
have an interval that excludes zero, whether dense training, pruning, rounding or coder bring the
most noise. With one variance for all factors it would be 5 to 26 %: an effect of pruning is a mean
over fewer trainings than one of the representation, and deviates more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from squeeze_utils.results.contrast_intervals import sum_of_means, with_one_deviation
from squeeze_utils.results.differences import Difference, family, pooled
from squeeze_utils.results.factorial.cells import HALVINGS, NETWORK, check_factors
from squeeze_utils.results.factorial.contrasts import Contrast, contrast, table_of

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
    kinds: dict[str, dict[tuple, Contrast]] = {}
    others = _others(frame, base)
    table = table_of(frame, list(base), value)
    for factor, level in others:
        found = contrast(table, {factor: (level, base[factor])})
        kinds.setdefault(factor, {})[factor, level] = found
    intervals = {k: d for kind in kinds.values() for k, d in _intervals(kind, base).items()}
    together = family(intervals) if intervals else {}
    return _as_table(kinds.values(), together, ["factor", "level"])


def interactions(
    frame: pd.DataFrame, base: Mapping[str, Any], value: str = HALVINGS
) -> pd.DataFrame:
    """A row for each two levels of different factors: how far their effects do not add up.

    Zero: they add up. Below zero: together they give less than the sum of both.

    >>> found = interactions(example(), {"prune": 0, "round": 0}, "y")
    >>> found["estimate"].tolist(), found["settings"].tolist()
    ([-1.0], [1])
    """
    kinds: dict[tuple[str, str], dict[tuple, Contrast]] = {}
    others = _others(frame, base)
    table = table_of(frame, list(base), value)
    for (f, a), (g, b) in itertools.combinations(others, 2):
        if f != g:
            found = contrast(table, {f: (a, base[f]), g: (b, base[g])})
            kinds.setdefault((f, g), {})[f, a, g, b] = found
    together: dict[tuple, Difference] = {}
    for kind in kinds.values():
        intervals = _intervals(kind, base)
        together |= family(intervals) if intervals else {}
    return _as_table(kinds.values(), together, ["factor", "level", "with", "its level"])


def combined(
    frame: pd.DataFrame,
    base: Mapping[str, Any],
    weights: Mapping[tuple[str, Any], float],
    value: str = HALVINGS,
) -> Difference | None:
    """A sum of main effects, each (factor, level) with its weight; None of fewer than two seeds.

    Taken seed by seed within a network, while networks share nothing: see `sum_of_means`.

    >>> combined(example(), {"prune": 0, "round": 0}, {("prune", 1): 1, ("round", 1): -1}, "y")
    """
    table = table_of(frame, list(base), value)
    every = [
        weight * contrast(table, {factor: (level, base[factor])}).parts
        for (factor, level), weight in weights.items()
    ]
    seeds = sorted(set.intersection(*(set(parts.columns) for parts in every)))
    total = every[0][seeds]
    for parts in every[1:]:
        total = total.add(parts[seeds], fill_value=0)  # a network may have no part in one of them
    return sum_of_means(total.to_numpy()) if len(seeds) > 1 else None


def example() -> pd.DataFrame:
    """Two techniques of which each is worth less where the other is: y = 0, 2, 3, and 4."""
    y = {(0, 0): 0.0, (1, 0): 2.0, (0, 1): 3.0, (1, 1): 4.0}
    rows = [{"prune": a, "round": b, "seed": 0, "y": v} for (a, b), v in y.items()]
    return pd.DataFrame(rows)


def _others(frame: pd.DataFrame, base: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every level but those of the base, in the order of the table."""
    check_factors(frame, base, "the base")
    return [(f, level) for f in base for level in frame[f].unique() if level != base[f]]


def _intervals(kind: Mapping[tuple, Contrast], base: Mapping[str, Any]) -> dict[tuple, Difference]:
    """The interval of each contrast of one kind that has two seeds."""
    several = {key: found for key, found in kind.items() if len(found.values) > 1}
    if any(NETWORK in key[::2] for key in several):  # then in all keys of the kind
        return _between(several, base[NETWORK])
    return with_one_deviation({key: found.values for key, found in several.items()})


def _between(rows: Mapping[tuple, Contrast], control: Any) -> dict[tuple, Difference]:
    """Networks against the network `control`: what each gives is a group that shares nothing."""
    groups: dict[tuple, list[float]] = {}
    pairs = {}
    for key, found in rows.items():
        place = 2 * key[::2].index(NETWORK)
        rest = key[:place] + key[place + 2 :]
        pairs[key] = (key[place + 1], *rest), (control, *rest)
        groups[pairs[key][0]] = found.part(key[place + 1])
        groups[pairs[key][1]] = [-value for value in found.part(control)]
    return {key: pooled(groups, *pair) for key, pair in pairs.items()}


def _as_table(
    kinds: Iterable[Mapping[tuple, Contrast]],
    intervals: Mapping[tuple, Difference],
    names: list[str],
) -> pd.DataFrame:
    """A row for each contrast that a seed has."""
    cells = {}
    for key, row in (pair for kind in kinds for pair in kind.items()):
        if row.values:
            gap = intervals.get(key)
            ends = [gap.low, gap.high] if gap else [np.nan, np.nan]
            cells[key] = [row.estimate, *ends, len(row.values), row.settings]
    index = pd.MultiIndex.from_tuples(list(cells), names=names) if cells else None
    table = pd.DataFrame(list(cells.values()), index=index, columns=COLUMNS)
    return table if cells else table.rename_axis("factor")
