"""The same comparison in several parts of a study, judged as one family.

A question such as "are pruned filters better than narrow networks?" may be asked at three sizes.
Then its three answers are corrected together: their intervals hold all at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from squeeze_utils.base.checks import choose
from squeeze_utils.results.comparison import (
    COLUMNS,
    arms_that_pool,
    arms_that_share,
    comparison_sentence,
    comparisons_of,
    differences_table,
    planned_networks,
    prediction_sentence,
)
from squeeze_utils.results.study_results import Results, Sentence
from squeeze_utils.results.tables import ACCURACY, NO_RECORDS


def compare(
    parts: Mapping[str, Results], by: str, control: Any, margin: float | None = None
) -> pd.DataFrame:
    """A row for each part and arm: difference from the part's own control, interval, n, verdict.

    Rows are called as the parts, or "arm, part" where a part has several arms. Intervals hold for
    all comparisons of all parts together, also for those that are not trained yet. Test accuracy.

    >>> import squeeze_utils as sq
    >>> found = sq.study("pruning_filters").records()
    >>> parts = {f"{share:.0%}": found.where(filters_removed=share) for share in (0.25, 0.5)}
    >>> compare(parts, "kind", "narrow")["verdict"].tolist()
    ['undecided', 'lower']
    """
    if not parts:
        raise ValueError("a family needs at least one part: give a dict of names and results")
    together = sum(
        comparisons_of(_planned(part, by, control), control, part.study.certain)
        for part in parts.values()
    )
    tables = [
        _one_part(name, part, by, control, together, margin)
        for name, part in parts.items()
        if len(part) and control in set(part.frame[by])
    ]
    return pd.concat(tables) if tables else pd.DataFrame(columns=COLUMNS)


def _planned(part: Results, by: str, control: Any) -> dict[Any, int]:
    counts = planned_networks(part.study, by)
    if control not in counts:
        known = ", ".join(map(str, counts))
        raise ValueError(f"no {by} is called {control!r}; there are: {known}")
    return counts


def _one_part(
    name: str,
    part: Results,
    by: str,
    control: Any,
    together: int,
    margin: float | None,
) -> pd.DataFrame:
    """The differences of one part, whose family has so many comparisons `together`."""
    planned = _planned(part, by, control)
    found = differences_table(
        part.frame.dropna(subset=[ACCURACY]),
        by,
        control,
        shared=arms_that_share(part.study, by, control),
        pools=arms_that_pool(part.study, by),
        certain=part.study.certain,
        margin=margin,
        planned=planned,
        comparisons=together,
    )
    return found.rename(index=_row_names(name, planned, control))


def _row_names(part: str, counts: Mapping[Any, int], control: Any) -> dict[Any, str]:
    arms = [arm for arm in counts if arm != control]
    return {arm: part if len(arms) == 1 else f"{arm}, {part}" for arm in arms}


def verdict(
    parts: Mapping[str, Results], by: str, control: Any, margin: float | None = None
) -> Sentence:
    """`compare` in one sentence."""
    gaps = compare(parts, by, control, margin)
    return Sentence(NO_RECORDS if gaps.empty else comparison_sentence(gaps, control))


def prediction(
    parts: Mapping[str, Results], by: str, control: Any, predicted: Mapping[str, str]
) -> Sentence:
    """Whether `compare` gives each row its predicted verdict: `{"50%": "lower"}`."""
    gaps = compare(parts, by, control)
    if gaps.empty:
        return Sentence(f"The prediction is still open: {NO_RECORDS}.")
    rows = [
        row
        for name, part in parts.items()
        for row in _row_names(name, _planned(part, by, control), control).values()
    ]
    for name in predicted:
        choose("row", name, rows)
    return Sentence(prediction_sentence(gaps, predicted))
