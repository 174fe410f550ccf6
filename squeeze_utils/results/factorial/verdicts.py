"""The predictions of chapter 16 against the numbers, in sentences.

A prediction about which of two is larger is decided by the interval of their difference. Where that
includes zero, the means say whether it holds, and "not decided" is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from squeeze_utils.results.differences import Difference, family
from squeeze_utils.results.factorial.attribution import TOTAL
from squeeze_utils.results.factorial.best import best_choice
from squeeze_utils.results.factorial.cells import NETWORK, left_out
from squeeze_utils.results.factorial.effects import combined, interactions, main_effects
from squeeze_utils.results.tables import ACCURACY

if TYPE_CHECKING:
    from squeeze_utils.results.study_results import Results

BUDGET = 100_000
OPEN = "still open: cells are missing"
FEW = "is not decided, as fewer than two seeds are complete"
REPRESENTATION = "representation"


def predictions(found: Results, frame: pd.DataFrame, base: Mapping[str, Any]) -> list[str]:
    """Whether each of the four predictions holds, fails or is not decided; a sentence each.

    `frame` has the cells of `found`. All are open while one of its experiments has no record. A
    last sentence names the experiments that diverged, if there are any: they have no cells.
    """
    if len(found) < len(found.study.arms) or found.study.expected:
        return [f"All four predictions are {OPEN}."]
    joint = interactions(frame, base)
    judged = (
        ("(1) largest effects on bytes", _largest(frame, base)),
        ("(2) interactions of pruning", _signs(joint)),
        ("(3) accuracy", _costs(frame, base)),
        (f"(4) best recipe for {BUDGET:,} bytes", _best(frame, base)),
    )
    said = [f"Prediction {name}: {text}." for name, text in judged]
    return [*said, *filter(None, [left_out(found)])]


def _largest(frame: pd.DataFrame, base: Mapping[str, Any]) -> str:
    """Each factor by its level of largest effect; five differences, whose intervals hold at once.

    The network against each other factor, and the representation against the two that are left.
    """
    effects = main_effects(frame, base)
    if not len(effects) or set(effects.index.get_level_values(0)) != set(base):
        return OPEN
    sizes = effects["estimate"].abs()
    levels = sizes.groupby(level=0).idxmax()
    sign = {key: 1 if effects.loc[key, "estimate"] > 0 else -1 for key in levels}
    pairs = [(NETWORK, other) for other in base if other != NETWORK]
    pairs += [(REPRESENTATION, other) for other in base if other not in (NETWORK, REPRESENTATION)]
    gaps = []
    for large, small in pairs:
        one, other = levels[large], levels[small]
        gaps.append(combined(frame, base, {one: sign[one], other: -sign[other]}))
    top = sizes[list(levels)].sort_values(ascending=False)
    order = ", ".join(f"{factor} {value:.2f}" for (factor, _), value in top.items())
    return f"{_decided(gaps)}; largest effects in halvings: {order}"


def _decided(gaps: Sequence[Difference | None]) -> str:
    """Whether all differences are above zero: by their intervals, or else in the means."""
    known = [gap for gap in gaps if gap is not None]
    if len(known) < len(gaps):
        return FEW
    together = family(dict(enumerate(known))).values()
    if all(gap.low > 0 for gap in together):
        return "holds"
    if any(gap.high < 0 for gap in together):
        return "fails"
    held = all(gap.estimate > 0 for gap in together)
    return f"{'holds' if held else 'fails'} in the means, not decided"


def _signs(joint: pd.DataFrame) -> str:
    """Pruning with representation below zero, with the coder above."""
    wanted = {REPRESENTATION: -1, "coder": 1}
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


def _costs(frame: pd.DataFrame, base: Mapping[str, Any]) -> str:
    """Whether 90 % pruning costs more accuracy than 4 bits."""
    pruning, bits = ("pruning", 0.9), (REPRESENTATION, "4 bits")
    effects = main_effects(frame, base, ACCURACY)
    if not len(effects) or not {pruning, bits} <= set(effects.index):
        return OPEN
    word = _decided([combined(frame, base, {bits: 1, pruning: -1}, ACCURACY)])
    one, other = (effects.loc[key, "estimate"] for key in (pruning, bits))
    return f"{word}; 90 % pruning {one:+.2f} points, 4 bits {other:+.2f}"


def _best(frame: pd.DataFrame, base: Mapping[str, Any]) -> str:
    best = best_choice(frame, BUDGET)
    if best is None:
        return "fails, nothing fits"
    changed = [n for n in ("pruning", REPRESENTATION) if best[n] != base[n]]
    what = " and ".join(changed) or "neither"
    return f"{'holds' if len(changed) == 2 else 'fails'}, it uses {what}"


def largest_share(table: pd.DataFrame) -> str:
    """Which technique has the largest share of a gain: a sentence on a table of `attribution`."""
    if table.empty:
        return f"Whose gain it is on CIFAR-10 is {OPEN}."
    shares = table["share"].drop(TOTAL)
    name, whole = shares.idxmax(), table.loc[TOTAL, "share"]
    decided = (table["lead"].drop([name, TOTAL]) > 0).all()  # not known from one seed
    return (
        f"On CIFAR-10 **{name}** has the largest share: {shares[name]:.2f} of {whole:.2f} "
        f"halvings{'' if decided else ', in the means; the intervals do not decide it'}."
    )
