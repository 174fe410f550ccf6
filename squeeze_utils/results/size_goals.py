"""The sizes that chapter 15 set as goals before training, and whether the records reach them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pandas as pd

from squeeze_utils.results.study_results import Results, Sentence
from squeeze_utils.results.tables import ACCURACY
from squeeze_utils.studies.few_bytes import NETWORK as BEST
from squeeze_utils.studies.priced import DENSE, FIRE

OPEN = "open, records are missing"


class Goal(NamedTuple):
    """A file of at most `bytes` whose test error (percent) is at most `error`.

    Where `error` is None: at most `points` above the error of the dense network. Where the study
    also trained that network on, the better of the two counts. `dense_error` is the most that the
    dense network itself may have.
    """

    network: str
    bytes: int
    error: float | None = None
    points: float = 0.0
    dense_error: float | None = None
    further: bool = False  # beyond what was hoped for

    @property
    def needs_dense(self) -> bool:
        """Whether nothing can be said before the dense network has been trained."""
        return self.error is None or self.dense_error is not None

    def __str__(self) -> str:
        limit = f"{self.points:g} points above dense" if self.error is None else f"{self.error:g} %"
        dense = "" if self.dense_error is None else f", dense error at most {self.dense_error:g} %"
        further = " (further goal)" if self.further else ""
        return f"{self.network}, {self.bytes:,} bytes, error at most {limit}{dense}{further}"


GOALS = (
    Goal("LeNet-300-100", 6_500, error=1.30),
    Goal("LeNet-300-100", 5_000, error=1.30, further=True),
    Goal("LeNet-5", 2_800, error=0.70),
    Goal("LeNet-5", 2_000, error=0.70, further=True),
    Goal(FIRE, 2_000, error=1.0, dense_error=1.0),
    Goal(BEST, 66_000, error=8.5),
    Goal(BEST, 60_000, error=8.0, further=True),
    Goal(BEST, 100_000, points=0.5),
    Goal("VGG-11", 150_000, points=0.5, dense_error=9.0),
    Goal("VGG-11", 100_000, points=0.5, dense_error=9.0, further=True),
)


def goals(results: Results) -> Sentence:
    """A line for each goal of the study's networks: reached, missed, or still open.

    What counts are the largest file and the mean test error of all seeds of a recipe. The recipes
    were fixed before training; if several reach a goal, the smallest file is named.
    """
    arms = [dict(arm.labels) for arm in results.study.arms]
    seeds = Counter((one.get("network"), one.get("recipe")) for one in arms)
    wanted = [goal for goal in GOALS if goal.network in {network for network, _ in seeds}]
    if not wanted:
        raise ValueError(f"no goal is set for a network of the study {results.study.name}")
    found = _finished(results.frame, seeds)
    lines = []
    for goal in wanted:
        mine = found[found["network"] == goal.network]
        recipes = {recipe for network, recipe in seeds if network == goal.network}
        lines.append(f"- {goal}: {_answer(goal, mine, recipes - set(mine['recipe']))}.")
    return Sentence("\n".join(lines))


def _finished(frame: pd.DataFrame, seeds: Counter) -> pd.DataFrame:
    """Largest file, mean error and n of each recipe of which every seed has a record."""
    columns = ["network", "recipe", "bytes", "mean_bytes", "error", "n"]
    if frame.empty:
        return pd.DataFrame(columns=columns)
    rows = []
    for group, part in frame.groupby(["network", "recipe"], sort=False):
        if len(part) == seeds[group]:
            sizes, error = part["file_bytes"], round(100 - part[ACCURACY].mean(), 6)
            rows.append((*group, sizes.max(), sizes.mean(), error, len(part)))
    return pd.DataFrame(rows, columns=columns)


def _answer(goal: Goal, found: pd.DataFrame, missing: set[str]) -> str:
    """Whether one of the finished recipes `found` reaches `goal`, and which; others are missing."""
    if goal.needs_dense and any(recipe.startswith(DENSE) for recipe in missing):
        return OPEN
    is_dense = found["recipe"].str.startswith(DENSE)
    dense = found.loc[is_dense, "error"].min()
    if goal.dense_error is not None and dense > goal.dense_error:
        return f"missed: dense has {dense:.2f} % error"
    limit = goal.error if goal.error is not None else round(dense + goal.points, 6)
    files = found[~is_dense].sort_values("bytes")
    good = files[(files["bytes"] <= goal.bytes) & (files["error"] <= limit)]
    if len(good):
        return f"reached by {_named(good.iloc[0])}"
    if missing or files.empty:
        return OPEN
    over = pd.concat([files["bytes"] / goal.bytes, files["error"] / limit], axis=1).max(axis=1)
    return f"missed; nearest is {_named(files.loc[over.idxmin()])}"


def _named(file: pd.Series) -> str:
    return (
        f"{file['recipe']} ({file['bytes']:,.0f} bytes at most, {file['mean_bytes']:,.0f} in the "
        f"mean; mean error {file['error']:.2f} %; n = {file['n']})"
    )
