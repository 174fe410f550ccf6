"""The predictions of chapter 16 against the numbers, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from squeeze_utils.results.factorial.attribution import TOTAL
from squeeze_utils.results.factorial.best import best_choice
from squeeze_utils.results.factorial.effects import interactions, main_effects
from squeeze_utils.results.tables import ACCURACY

if TYPE_CHECKING:
    from squeeze_utils.results.study_results import Results

BUDGET = 100_000
OPEN = "still open: cells are missing"


def predictions(found: Results, frame: pd.DataFrame, base: Mapping[str, Any]) -> list[str]:
    """Whether each of the four predictions holds, fails or is not decided; a sentence each.

    `frame` has the cells of `found`. All are open while one of its experiments has no record.
    "Largest" is judged by the estimates, a sign by the 95 % interval.
    """
    if len(found) < len(found.study.arms) or found.study.expected:
        return [f"All four predictions are {OPEN}."]
    sizes, points = (main_effects(frame, base, value) for value in ("halvings", ACCURACY))
    joint = interactions(frame, base)
    judged = (
        ("(1) largest effects on bytes", _largest(sizes, base)),
        ("(2) interactions of pruning", _signs(joint)),
        ("(3) accuracy", _costs(points)),
        (f"(4) best recipe for {BUDGET:,} bytes", _best(frame, base)),
    )
    return [f"Prediction {name}: {text}." for name, text in judged]


def _largest(effects: pd.DataFrame, base: Mapping[str, Any]) -> str:
    known = set(effects.index.get_level_values(0)) if len(effects) else set()
    if known != set(base):
        return OPEN
    top = effects["estimate"].abs().groupby(level=0).max().sort_values(ascending=False)
    order = ", ".join(f"{name} {value:.2f}" for name, value in top.items())
    rest = top.drop("network")
    held = top.index[0] == "network" and rest.index[0] == "representation"
    return f"{'holds' if held else 'fails'}, by the estimates in halvings ({order})"


def _signs(joint: pd.DataFrame) -> str:
    """Pruning with representation below zero, with the coder above."""
    wanted = {"representation": -1, "coder": 1}
    parts = {}
    for other, sign in wanted.items():
        rows = [
            sign * row[["low", "high"]].astype(float)
            for key, row in joint.iterrows()
            if {key[0], key[2]} == {"pruning", other}
        ]
        if not rows:
            return OPEN
        parts[other] = [(row.min(), row.max()) for row in rows]
    ends = [pair for pairs in parts.values() for pair in pairs]
    held = sum(low > 0 for low, _ in ends)
    against = sum(high < 0 for _, high in ends)
    word = "fails" if against else "holds" if held == len(ends) else "is not decided"
    return (
        f"{word}; of {len(ends)} interactions {held} have the predicted sign, {against} the other"
    )


def _costs(effects: pd.DataFrame) -> str:
    wanted = (("pruning", 0.9), ("representation", "4 bits"))
    if not len(effects) or not set(wanted) <= set(effects.index):
        return OPEN
    pruning, bits = (effects.loc[key, "estimate"] for key in wanted)
    word = "holds" if pruning < bits else "fails"
    return f"{word}, by the estimates: 90 % pruning {pruning:+.2f} points, 4 bits {bits:+.2f}"


def _best(frame: pd.DataFrame, base: Mapping[str, Any]) -> str:
    best = best_choice(frame, BUDGET)
    if best is None:
        return "fails, nothing fits"
    changed = [n for n in ("pruning", "representation") if best[n] != base[n]]
    what = " and ".join(changed) or "neither"
    return f"{'holds' if len(changed) == 2 else 'fails'}, it uses {what}"


def largest_share(table: pd.DataFrame) -> str:
    """Which technique has the largest share of a gain: a sentence on a table of `attribution`."""
    if table.empty:
        return f"Whose gain it is on CIFAR-10 is {OPEN}."
    shares = table["share"].drop(TOTAL)
    name, whole = shares.idxmax(), table.loc[TOTAL, "share"]
    return (
        f"On CIFAR-10 **{name}** has the largest share: {shares[name]:.2f} of {whole:.2f} halvings."
    )
