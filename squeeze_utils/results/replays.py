"""Replayed searches of one table against each other: a table, a figure and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from squeeze_utils.base.checks import choose
from squeeze_utils.experiments.search.grid import Grid, curves, read_rows
from squeeze_utils.experiments.search.replay import METHODS, Replayed, replay
from squeeze_utils.results.comparison import (
    comparison_sentence,
    differences_table,
    prediction_sentence,
)
from squeeze_utils.results.differences import family, paired
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.statistics import with_interval
from squeeze_utils.results.study_results import Sentence
from squeeze_utils.results.tables import NO_RECORDS, SET_NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONTROL = "random"
MADE_UP = Sentence("numbers made up in the notebook")


@dataclass(frozen=True)
class Replays:
    """The repetitions of every method on one table; none while the table is missing.

    A choice is judged by its true accuracy where that is known (an array, one axis for each
    setting), and otherwise by the seeds that the search has not seen.
    """

    found: Mapping[str, Replayed]
    truth: np.ndarray | None = None
    source: Sentence = MADE_UP

    @classmethod
    def of(
        cls,
        table: np.ndarray | Grid,
        budget: int,
        repetitions: int = 100,
        truth: np.ndarray | None = None,
    ) -> Replays:
        """Every method of `METHODS` on a table, or on the committed one of a grid.

        >>> table = np.random.default_rng(0).random((40, 2, 6))
        >>> sorted(Replays.of(table, budget=60, repetitions=2).found)[:3]
        ['Hyperband', 'TPE', 'random']
        """
        source = MADE_UP
        if isinstance(table, Grid):
            known = curves(table)
            source = Sentence(_source(table))
            if known is None:
                return cls({}, source=source)
            table = known.reshape(*table.shape, *known.shape[1:])
        found = {name: replay(table, name, budget, repetitions) for name in METHODS}
        return cls(found, truth, source)

    def quality(self, method: str) -> np.ndarray:
        """How good the choice is, in percent: (repetitions, budget + 1); NaN before the first."""
        one = self.found[method]
        if self.truth is None:
            return one.judged
        return np.where(one.best < 0, np.nan, self.truth.ravel()[one.best])

    def frame(self, epochs: int) -> pd.DataFrame:
        """A row for each method and repetition (`seed`): its accuracy after that many epochs."""
        parts = [
            pd.DataFrame({"method": name, "accuracy": self.quality(name)[:, epochs]})
            for name in self.found
        ]
        columns = ["method", "accuracy"]
        frame = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
        return frame.rename_axis("seed").reset_index()

    def compare(self, epochs: int, control: str = CONTROL) -> pd.DataFrame:
        """Each method minus the control; a repetition of all has the same random order of points.

        The intervals say how sure the mean over searches of this one table is, and nothing about
        other tables.
        """
        frame, others = self.frame(epochs), set(self.found) - {control}
        return differences_table(frame, "method", control, "accuracy", shared=others)

    def table(self, epochs: Sequence[int]) -> pd.DataFrame:
        """Mean accuracy after those epochs; at the last of them also the difference and verdict."""
        if not self.found:
            return pd.DataFrame()
        means = {
            f"after {n} epochs": self.frame(n).groupby("method", sort=False)["accuracy"].mean()
            for n in epochs
        }
        gaps = self.compare(epochs[-1])
        rows = {
            name: with_interval(row["mean"], row["low"], row["high"])
            for name, row in gaps.iterrows()
        }
        shown = pd.DataFrame(means).round(2)
        verdicts = {name: str(word) for name, word in gaps["verdict"].items()}
        for title, column in ((f"minus {CONTROL}, at the end", rows), ("verdict", verdicts)):
            shown[title] = [column.get(name, "") for name in shown.index]
        return shown

    def verdict(self, epochs: int, control: str = CONTROL) -> Sentence:
        """`compare` in one sentence."""
        if not self.found:
            return Sentence(f"{NO_RECORDS}.")
        return Sentence(comparison_sentence(self.compare(epochs, control), control))

    def prediction(
        self, epochs: int, predicted: Mapping[str, str], control: str = CONTROL
    ) -> Sentence:
        """Whether `compare` gives each method its predicted verdict: `{"TPE": "higher"}`."""
        for name in (control, *predicted):
            choose("method", name, METHODS)
        if not self.found:
            return Sentence(f"The prediction is still open: {NO_RECORDS}.")
        return Sentence(prediction_sentence(self.compare(epochs, control), predicted))

    def excess(self) -> Sentence:
        """By how much the winner's own validation accuracy flatters it at the end, in the mean.

        The intervals hold all at once.
        """
        if not self.found:
            return Sentence(f"{NO_RECORDS}.")
        gaps = family(
            {
                name: paired(one.measured[:, -1].tolist(), self.quality(name)[:, -1].tolist())
                for name, one in self.found.items()
            }
        )
        parts = [
            f"**{name}** {with_interval(gap.estimate, gap.low, gap.high)}"
            for name, gap in gaps.items()
        ]
        return Sentence(f"{', '.join(parts)} (95 % intervals for all together).")

    def figure(self, title: str = "") -> Figure | None:
        """The mean best-so-far of each method against epochs, with its 95 % interval as bars.

        It begins where every search has a choice. None while the table is missing.
        """
        if not self.found:
            return None
        import matplotlib.pyplot as plt

        fig, ax = plt.subplots(figsize=(7.2, 4.0))
        missing = [np.isnan(self.quality(name)).any(0) for name in self.found]
        epochs = np.flatnonzero(~np.any(missing, 0))
        for i, name in enumerate(self.found):
            quality = self.quality(name)
            mean = quality[:, epochs].mean(0)
            half = 1.96 * quality[:, epochs].std(0, ddof=1) / np.sqrt(len(quality))
            at = {"markevery": (5 * i, 24), "errorevery": (5 * i, 24)}  # five methods take turns
            bars = {"elinewidth": 1, "capsize": 2, "label": name}
            ax.errorbar(epochs, mean, half, **curve_style(i), **at, **bars)
        chosen = "accuracy of the chosen point"
        true = self.truth is not None
        ylabel = f"true {chosen} (%)" if true else f"{chosen}, with the other seed (%)"
        ax.set(xlabel="epochs trained so far", ylabel=ylabel)
        ax.set_title(title)
        ax.legend(loc="lower right")
        return fig


def _source(grid: Grid) -> str:
    """Images, seeds, epochs, devices and dates of a grid's table, as its lines name them."""
    rows = read_rows(grid.path)
    if not rows:
        return NO_RECORDS
    limit = f" ({grid.data.train_limit:,} training images)" if grid.data.train_limit else ""
    devices, dates = sorted({row["device"] for row in rows}), {row["date"] for row in rows}
    precision = grid.train.get("precision")
    parts = [
        f"{SET_NAMES.get(grid.data.name, grid.data.name)}{limit}",
        f"{len(grid.seeds)} seeds",
        f"{grid.epochs} epochs",
        " or ".join(f"{device}, {precision}" if precision else device for device in devices),
        " to ".join(sorted({min(dates), max(dates)})),
    ]
    return " · ".join(parts)
