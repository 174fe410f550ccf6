"""Whose gain is it? Shapley's way to share what several techniques gain together.

With v(S) the response when the techniques in S are applied and the others are not, technique i of n
gets its gain averaged over all orders in which the techniques may come,

    phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! * (v(S + i) - v(S)),

and the shares add up to v(all) - v(none) exactly (Shapley 1953).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from squeeze_utils.results.differences import family, paired
from squeeze_utils.results.factorial.cells import HALVINGS, check_factors

MOST = 10  # techniques: 1,024 cells
TOTAL = "all together"
COLUMNS = ["share", "low", "high", "alone", "last", "n"]


def shapley(
    techniques: Iterable[Hashable], worth: Callable[[frozenset], float]
) -> dict[Hashable, float]:
    """The share of each technique; `worth` is v.

    >>> v = {"": 0.0, "p": 2.0, "r": 3.0, "pr": 4.0}
    >>> shapley("pr", lambda applied: v["".join(sorted(applied))])
    {'p': 1.5, 'r': 2.5}
    """
    names = list(techniques)
    if len(set(names)) != len(names) or not 1 <= len(names) <= MOST:
        raise ValueError(f"1 to {MOST} different techniques are needed, not {names}")
    n, known = len(names), {}
    for size in range(n + 1):
        known.update(
            {frozenset(s): worth(frozenset(s)) for s in itertools.combinations(names, size)}
        )
    found = {}
    for name in names:
        found[name] = math.fsum(
            math.factorial(len(s))
            * math.factorial(n - len(s) - 1)
            / math.factorial(n)
            * (known[s | {name}] - value)
            for s, value in known.items()
            if name not in s
        )
    return found


def attribution(
    frame: pd.DataFrame, start: Mapping[str, Any], end: Mapping[str, Any], value: str = HALVINGS
) -> pd.DataFrame:
    """The share of each factor in the way from the cell `start` to the cell `end`.

    A row for each factor whose level changes, and one for all together. `alone` is what the
    factor gives as the only one, `last` what it adds to all others. A share is that of the means
    over the seeds which have a cell; the 95 % intervals, which hold all at once, come from
    the `n` seeds that have all cells. The table is empty while a cell has no seed at all.
    """
    if start.keys() != end.keys():
        raise ValueError(f"both cells need the same factors, not {list(start)} and {list(end)}")
    factors = [name for name in start if start[name] != end[name]]
    if not factors:
        raise ValueError("both cells are the same: there is nothing to share")
    check_factors(frame, start, "the start")
    table = _ways(frame, start, end, factors, value)
    if len(table) < 2 ** len(factors) or table.isna().all(axis=1).any():
        return _empty()
    whole = _row(table.mean(axis=1), factors)
    complete = [_row(table[seed], factors) for seed in table if table[seed].notna().all()]
    out = pd.DataFrame.from_dict(whole, orient="index").rename_axis("factor")
    half = pd.Series(_halves(complete) if len(complete) > 1 else {}, dtype=float).reindex(out.index)
    out = out.assign(low=out["share"] - half, high=out["share"] + half, n=len(complete))
    return out[COLUMNS]


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=COLUMNS).rename_axis("factor")


def _ways(
    frame: pd.DataFrame,
    start: Mapping[str, Any],
    end: Mapping[str, Any],
    factors: list[str],
    value: str,
) -> pd.DataFrame:
    """Rows: the sets of applied techniques that have a cell; columns: seeds."""
    seeds, rows = sorted(frame["seed"].unique()), {}
    fixed = frame
    for name in start:
        if name not in factors:
            fixed = fixed[fixed[name] == start[name]]
    for size in range(len(factors) + 1):
        for applied in itertools.combinations(factors, size):
            part = fixed
            for name in factors:
                part = part[part[name] == (end if name in applied else start)[name]]
            if part["seed"].duplicated().any():
                raise ValueError("more than one row for one cell and seed: is a factor left out?")
            if len(part):
                rows[frozenset(applied)] = part.set_index("seed")[value].reindex(seeds)
    return pd.DataFrame(
        list(rows.values()), index=pd.Index(list(rows), tupleize_cols=False), columns=seeds
    )


def _row(worths: pd.Series, factors: list[str]) -> dict[str, dict[str, float]]:
    """Share, worth alone and worth as the last of each factor; all together at the end."""
    known = dict(zip(worths.index, worths, strict=True))
    shares, everything = shapley(factors, known.__getitem__), frozenset(factors)
    none = known[frozenset()]
    found = {
        name: {
            "share": share,
            "alone": known[frozenset((name,))] - none,
            "last": known[everything] - known[everything - {name}],
        }
        for name, share in shares.items()
    }
    total = known[everything] - none
    return found | {TOTAL: {"share": total, "alone": np.nan, "last": np.nan}}


def _halves(complete: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    """Half of each interval's length, from the shares of each complete seed."""
    values: dict[str, list[float]] = {}
    for row in complete:
        for name, numbers in row.items():
            values.setdefault(name, []).append(numbers["share"])
    together = family({name: paired(v, [0.0] * len(v)) for name, v in values.items()})
    return {name: (found.high - found.low) / 2 for name, found in together.items()}
