"""Gains of arms over the controls of their own groups: one family of comparisons, one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from squeeze_utils.results.comparison import COLUMNS, differences_table
from squeeze_utils.results.statistics import with_interval
from squeeze_utils.results.study_results import Sentence
from squeeze_utils.results.tables import ACCURACY, NO_RECORDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def gains_in_groups(
    frame: pd.DataFrame, group: str, by: str, control: str, value: str = ACCURACY
) -> pd.DataFrame:
    """A row for each group and arm: the arm minus the control of that group, interval, n, verdict.

    Networks of different seeds share nothing here, so the intervals are Welch's. Those of all
    groups hold at once.

    >>> import squeeze_utils as sq
    >>> short = sq.study("residual").records().frame
    >>> gains_in_groups(short, "recipe", "bypass", "none").loc[("strong", "simple"), "verdict"]
    'undecided'
    """
    if frame.empty:
        return pd.DataFrame(columns=COLUMNS)
    parts = dict(list(frame.groupby(group, sort=False)))
    for name, part in parts.items():
        if control not in set(part[by]):
            known = ", ".join(map(str, part[by].unique()))
            raise ValueError(f"{group} {name} has no {by} called {control!r}; there are: {known}")
    together = len(frame.loc[frame[by] != control, [group, by]].drop_duplicates())
    tables = {
        name: differences_table(part, by, control, value, comparisons=together)
        for name, part in parts.items()
    }
    return pd.concat(tables, names=[group, by])


def gains_sentence(gains: pd.DataFrame) -> Sentence:
    """What `gains_in_groups` found, in words, with the number of comparisons judged together."""
    if gains.empty:
        return Sentence(f"{NO_RECORDS}.")
    group = gains.index.names[0]
    parts = [
        f"{name} {group}, **{arm}** {with_interval(gap['mean'], gap['low'], gap['high'])}, "
        f"*{gap['verdict']}*"
        for (name, arm), gap in gains.iterrows()
    ]
    together = f" for {len(gains)} comparisons together" if len(gains) > 1 else ""
    return Sentence(f"In points (95 % intervals{together}): {'; '.join(parts)}.")


def gains_figure(
    gains: Mapping[str, pd.DataFrame],
    looks: Mapping[str, Mapping[str, Any]],
    title: str,
    published: pd.DataFrame,
) -> Figure:
    """Gains over a control, a line for each study; a table of `gains` has a row for each arm.

    Bars are 95 % intervals. Above them are the `published` gains, a row for each source and a
    column for each arm: single runs, without bars. Studies without rows are left out.
    """
    import matplotlib.pyplot as plt

    known = {name: table for name, table in gains.items() if len(table)}
    fig, ax = plt.subplots(figsize=(7.4, 3.2))
    for i, arm in enumerate(published.columns):
        look = {**looks[arm], "linestyle": ""}
        ax.plot(published[arm], range(len(published)), label=arm, **look)
        for row, table in enumerate(known.values(), len(published)):
            for _, point in table[table.index == arm].iterrows():
                error = point["high"] - point["mean"]
                ax.errorbar(point["mean"], row + 0.2 * (i - 0.5), xerr=error, **look)
    names = [*published.index, *known]
    ax.set_yticks(range(len(names)), labels=names)
    ax.axvline(0, color="0.4", linewidth=1, linestyle=":")
    ax.set(ylim=(len(names) - 0.5, -0.5), xlabel="gain over the control (points)")
    ax.set_title(f"{title} (bars: 95 % intervals; without bar: one run)", fontsize=10)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig
