"""The sizes that chapter 15 set as goals before training, and whether the records reach them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from squeeze_utils.results.goals import MISSED, REACHED, judge
from squeeze_utils.results.statistics import mean_sd
from squeeze_utils.results.study_results import Results
from squeeze_utils.results.tables import ACCURACY, NOT_TRAINED
from squeeze_utils.studies.few_bytes import NETWORK as BEST
from squeeze_utils.studies.priced import DENSE, FIRE
from squeeze_utils.training.start_from_checkpoint import Load

ANSWER = ("chosen file", "bytes at most", "error (%)", "n", "epochs", "dense error (%)", "verdict")


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
        limit = f"dense + {self.points:g}" if self.error is None else f"{self.error:g} %"
        dense = "" if self.dense_error is None else f", dense {self.dense_error:g} %"
        further = " (further)" if self.further else ""
        return f"{self.bytes:,} bytes, {limit}{dense}{further}"


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


class File(NamedTuple):
    """A recipe of which every seed has a record: its largest file and its test errors (percent).

    `validation` is its mean error on validation images, by which it is chosen. `certain` are those
    that no seed changes, and `loaded` those that begin with one checkpoint.
    """

    recipe: str
    bytes: int
    errors: tuple[float, ...]
    validation: float
    epochs: int
    certain: bool
    loaded: bool

    @property
    def error(self) -> float:
        """The mean."""
        return round(sum(self.errors) / len(self.errors), 6)

    @property
    def cells(self) -> tuple[str, ...]:
        """Its cells of ANSWER."""
        n, epochs = str(len(self.errors)), str(self.epochs)
        if self.loaded:
            n, epochs = f"{n}, from 1 checkpoint", f"checkpoint's + {epochs}"
        return self.recipe, f"{self.bytes:,}", mean_sd(self.errors, 2), n, epochs


def goal_table(*studies: Results) -> pd.DataFrame:
    """A row for each goal of the studies' networks: the file chosen for it, and its verdict.

    Of the recipes whose largest file is small enough, the best on validation images is chosen;
    where none is small enough, the smallest, which misses. Then its test error is judged, as mean ±
    deviation over seeds. It reaches the limit, or misses it, where the 95 % interval of the mean
    lies on one side of it, each goal by itself; elsewhere the verdict says that it is not decided.
    Seeds that all begin with one checkpoint tell how its files differ, not how those of other
    networks would.
    """
    rows = {}
    for results in studies:
        networks = {dict(arm.labels).get("network") for arm in results.study.arms}
        wanted = [goal for goal in GOALS if goal.network in networks]
        if not wanted:
            raise ValueError(f"no goal is set for a network of the study {results.study.name}")
        for goal in wanted:
            cells = _answer(goal, *_files(results, goal.network))
            rows[goal.network, str(goal)] = dict(zip(ANSWER, cells, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["network", "goal"])


def _files(results: Results, network: str) -> tuple[list[File], set[str]]:
    """The files of a network of which every seed has a record, and the recipes still missing."""
    arms = [arm for arm in results.study.arms if dict(arm.labels)["network"] == network]
    seeds = Counter(dict(arm.labels)["recipe"] for arm in arms)
    loaded = any(isinstance(arm.experiment.recipe[0], Load) for arm in arms)
    frame, found = results.frame, []
    parts = [] if frame.empty else frame[frame["network"] == network].groupby("recipe", sort=False)
    for recipe, part in parts:
        if len(part) == seeds[recipe]:
            errors = tuple(round(100 - part[ACCURACY], 6))
            size, epochs = int(part["file_bytes"].max()), int(part["epochs"].max())
            certain = recipe in results.study.certain
            validation = 100 - float(part["validation_accuracy"].mean())
            found.append(File(str(recipe), size, errors, validation, epochs, certain, loaded))
    return found, set(seeds) - {file.recipe for file in found}


def _answer(goal: Goal, found: Sequence[File], missing: set[str]) -> tuple[str, ...]:
    """The cells of ANSWER for a goal, from the finished recipes `found`; others are missing."""
    files = [file for file in found if not file.recipe.startswith(DENSE)]
    every = [file for file in found if file.recipe.startswith(DENSE)]
    dense = min(every, key=lambda file: file.error, default=None)
    control = mean_sd(dense.errors, 2) if dense else "–"
    waiting = (*["–"] * 5, control, NOT_TRAINED)
    if goal.needs_dense and (dense is None or any(r.startswith(DENSE) for r in missing)):
        return waiting
    small = [file for file in files if file.bytes <= goal.bytes]
    if not files or (missing and not small):
        return waiting
    chosen = min(small, key=lambda f: f.validation) if small else min(files, key=lambda f: f.bytes)
    verdict = _verdict(goal, chosen, dense)
    if missing and not verdict.startswith(REACHED):
        return waiting  # what is missing may be better
    return (*chosen.cells, control, verdict)


def _verdict(goal: Goal, file: File, dense: File | None) -> str:
    """Bytes are certain, and the dense network's own bound is judged by its mean.

    For the rest the interval of the error decides, where there is one.
    """
    if goal.dense_error is not None and dense.error > goal.dense_error:
        return f"{MISSED}, by dense"
    if file.bytes > goal.bytes:
        return MISSED
    if goal.error is not None:
        return str(judge(file.errors, goal.error))
    limits = [error + goal.points for error in dense.errors]
    return str(judge(file.errors, limits[0] if dense.certain else limits))
