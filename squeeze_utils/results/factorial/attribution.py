"""Whose gain is it? Shapley's way to share what several techniques gain together.

With v(S) the response when the techniques in S are applied and the others are not, technique i of n
gets its gain averaged over all orders in which the techniques may come,

    phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! * (v(S + i) - v(S)),

and the shares add up to v(all) - v(none) exactly (Shapley 1953).

The rule for the 95 % intervals was declared before the study `combining_long` had a record. Cells
of one network and seed share a training, so their part in a share is taken seed by seed. Networks
share nothing: where the way goes from one to another, a share is the sum of a part of each, and
gets Welch's interval (`sum_of_means`). The intervals of a table hold all at once (Bonferroni). No
deviation is pooled over techniques, as one may bring a hundred times the noise of another: a
common one would be too small for pruning and hide what a coder gains.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from squeeze_utils.results.contrast_intervals import sum_of_means
from squeeze_utils.results.differences import family
from squeeze_utils.results.factorial.cells import HALVINGS, NETWORK, check_factors

MOST = 10  # techniques: 1,024 cells
TOTAL = "all together"
COLUMNS = ["share", "low", "high", "alone", "last", "lead", "n"]


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
    known = {
        frozenset(s): worth(frozenset(s))
        for size in range(len(names) + 1)
        for s in itertools.combinations(names, size)
    }
    return {
        name: math.fsum(
            weight(len(names), len(s)) * (known[s | {name}] - value)
            for s, value in known.items()
            if name not in s
        )
        for name in names
    }


def weight(n: int, before: int) -> float:
    """The share of the orders of n techniques in which certain `before` of them come before one.

    >>> weight(3, 0), weight(3, 1)
    (0.3333333333333333, 0.16666666666666666)
    """
    return math.factorial(before) * math.factorial(n - before - 1) / math.factorial(n)


def attribution(
    frame: pd.DataFrame, start: Mapping[str, Any], end: Mapping[str, Any], value: str = HALVINGS
) -> pd.DataFrame:
    """The share of each factor in the way from the cell `start` to the cell `end`.

    A row for each factor whose level changes, and one for all together. `alone` is what the
    factor gives as the only one, `last` what it adds to all others. A share is that of the means
    over the seeds which have a cell; the 95 % intervals, which hold all at once, come from
    the `n` seeds that have all cells. `lead` is by how much at least the largest share is larger
    than this one: the low end of an interval of its own family. The table is empty while a cell
    has no seed at all.
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
    complete = table.loc[:, table.notna().all()]
    out = pd.DataFrame.from_dict(whole, orient="index").rename_axis("factor")
    halves, lead = pd.Series(dtype=float), pd.Series(dtype=float)
    if complete.shape[1] > 1:
        halves, lead = _halves(complete, factors), _leads(complete, factors, out["share"])
    half = halves.reindex(out.index)
    out = out.assign(low=out["share"] - half, high=out["share"] + half)
    return out.assign(lead=lead.reindex(out.index), n=complete.shape[1])[COLUMNS]


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


def _halves(complete: pd.DataFrame, factors: list[str]) -> pd.Series:
    """Half of each interval's length."""
    sets = complete.index
    signs = {name: _signs(sets, factors, name) for name in factors}
    signs[TOTAL] = pd.Series([(len(s) == len(factors)) - (len(s) == 0) for s in sets], sets)
    alone = {name: sum_of_means(_parts(complete, sign)) for name, sign in signs.items()}
    return pd.Series({k: (d.high - d.low) / 2 for k, d in family(alone).items()})


def _leads(complete: pd.DataFrame, factors: list[str], shares: pd.Series) -> pd.Series:
    """By how much the largest share is at least larger than each other one."""
    largest = shares.drop(TOTAL).idxmax()
    top = _signs(complete.index, factors, largest)
    gaps = {
        name: sum_of_means(_parts(complete, top - _signs(complete.index, factors, name)))
        for name in factors
        if name != largest
    }
    return pd.Series({k: d.low for k, d in family(gaps).items()} if gaps else {}, dtype=float)


def _signs(sets: pd.Index, factors: list[str], name: str) -> pd.Series:
    """With what weight and sign each set of techniques stands in the share of one of them."""
    n = len(factors)
    return pd.Series(
        [weight(n, len(s) - 1) if name in s else -weight(n, len(s)) for s in sets], sets
    )


def _parts(complete: pd.DataFrame, signs: pd.Series) -> list[list[float]]:
    """What the cells of each network add to a sum over cells, for each seed."""
    signed = complete.mul(signs, axis=0)
    moved = np.array([NETWORK in applied for applied in complete.index])
    return [list(signed[part].sum()) for part in (moved, ~moved) if part.any()]
