"""What the series stands on: five comparisons of an arm with its control, and the best network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from squeeze_utils.results.comparison import UNFINISHED, complete, planned_networks
from squeeze_utils.results.goals import judge
from squeeze_utils.results.statistics import Difference, family, pooled, with_interval
from squeeze_utils.results.study_results import Sentence
from squeeze_utils.results.tables import ACCURACY, NOT_TRAINED
from squeeze_utils.studies import headline

if TYPE_CHECKING:
    import pandas as pd

    from squeeze_utils.results.study_results import Results

HEADER = ("", "arm − control", "points (95 % interval)", "verdict", "networks an arm", "epochs")


@dataclass(frozen=True)
class Comparison:
    """One arm of a study against its control: a question that the series answers.

    `labels` choose the part of the study.
    """

    question: str
    study: str
    by: str
    arm: str
    control: str
    labels: Mapping[str, Any] = field(default_factory=dict)

    def row(self, found: Results) -> list[str]:
        """Question, arm and control, difference with interval, verdict, networks, epochs.

        There is no verdict before all networks of the arm and of its control are trained.
        """
        part = found.where(**self.labels) if self.labels and len(found) else found
        gaps, names = part.compare(self.by, self.control), f"{self.arm} − {self.control}"
        if self.arm not in gaps.index or np.isnan(gaps.loc[self.arm, "low"]):
            return [self.question, names, "", NOT_TRAINED, "", ""]
        gap = gaps.loc[self.arm]
        difference = with_interval(gap["mean"], gap["low"], gap["high"])
        frame = part.frame[part.frame[self.by] == self.arm]
        epochs = f"{frame['epochs'].iloc[0]:.0f}"
        verdict, count = f"**{gap['verdict']}**", str(gap["n"])
        if gap["verdict"].startswith(UNFINISHED):
            verdict, _, count = gap["verdict"].partition(", ")
        return [self.question, names, difference, verdict, count, epochs]


COMPARISONS = (
    Comparison("Does a bypass help? (09)", "residual_long", "network", "simple bypass", "plain"),
    Comparison(
        "Do squeeze layers need their ReLU? (06)",
        "linear_squeeze_long",
        "squeeze",
        "linear",
        "ReLU",
    ),
    Comparison(
        "Is a sparse phase better than training for longer? (11)",
        "dsd_long",
        "recipe",
        "DSD 50%",
        "dense control",
    ),
    Comparison(
        "Of equally many weights: are 90 % zeros better than a small dense network? (10)",
        "pruning_long",
        "network",
        "magnitude",
        "dense, the scan's widths",
    ),
    Comparison(
        "What do weights of 3 bits cost? (12)",
        "quantization_training_long",
        "method",
        "learned steps",
        "float, trained on",
        labels={"weights": (3, 32)},
    ),
)


def comparisons_table() -> pd.DataFrame:
    """A row for each comparison, from the committed records."""
    import pandas as pd

    from squeeze_utils.results.named_study import study

    found = [one.row(study(one.study).records()) for one in COMPARISONS]
    rows = [[cell.strip("*") for cell in row] for row in found]  # bold is for the README
    return pd.DataFrame(rows, columns=["question", *HEADER[1:]]).set_index("question")


GOALS = {headline.BEST: 94.0, headline.LATE: 95.0}  # test accuracy (%), set before training
VIEWS = {"mirrored": "with mirrored images", "mirrored_shifted": "with mirrored and shifted images"}


def rungs(found: Results) -> Sentence:
    """What each change of the training adds on test images to all before it, with a verdict.

    Each rung is compared with the one before it; the intervals hold all at once.
    """
    if not len(found):
        return Sentence(f"The ladder: {NOT_TRAINED}.")
    groups = {n: part[ACCURACY] for n, part in found.frame.groupby("rung", sort=False)}
    trained = complete(found.study, found.frame, "rung")
    gains = _gains(list(planned_networks(found.study, "rung")), trained, groups)
    lines = [f"- {name}: {_rung(values, gains.get(name))}" for name, values in groups.items()]
    whole = len(found) == len(found.study.arms) and not found.study.expected
    rises = np.diff([values.mean() for values in groups.values()]) > 0
    word = ("holds" if rises.all() else "fails") + " in the means" if whole else "is open"
    return Sentence("\n".join([*lines, "", f"That every change gains {word}."]))


def _gains(
    rungs: Sequence[str], trained: set[str], groups: Mapping[str, pd.Series]
) -> dict[str, Difference]:
    """Of each rung on its neighbour below, where both have all their networks.

    They have one deviation, as the study declares, and all intervals hold at once, with those of
    rungs that are not trained yet.
    """
    pairs = list(pairwise(rungs))
    known = [pair for pair in pairs if trained.issuperset(pair)]
    alike = {name: groups[name].tolist() for name in rungs if name in trained}
    gaps = {name: pooled(alike, name, before) for before, name in known}
    return family(gaps, len(pairs)) if gaps else {}


def _rung(values: pd.Series, gain: Difference | None) -> str:
    """Its mean, and what it gained on the rung before it, where both have an interval."""
    mean = f"{values.mean():.2f} % (n = {len(values)})"
    if gain is None:
        return mean
    points = with_interval(gain.estimate, gain.low, gain.high, "points")
    return f"{mean}, {points} against the one before: **{gain.verdict()}**"


def best_networks(found: Results) -> Sentence:
    """The headline's networks, a row each: accuracy, and whether its goal is met.

    Where answers of several views of an image were averaged, each kind of view has a row.
    """
    if not len(found):
        return Sentence(f"The headline: {NOT_TRAINED}.")
    lines, trained = [], complete(found.study, found.frame, "network")
    for name, part in found.frame.groupby("network", sort=False):
        line = f"- {name}: {part[ACCURACY].mean():.2f} % (n = {len(part)})."
        if name in GOALS:
            judged = judge(part[ACCURACY].tolist(), GOALS[name], most=False)
            word = judged if name in trained else "still open"
            line += f" The goal of {GOALS[name]:g} % is {word}."
        lines += [line, *_views(name, found.where(network=name))]
    return Sentence("\n".join(lines))


def _views(name: str, found: Results) -> Iterator[str]:
    """A row for each kind of view that the records of a network have, with its arithmetic."""
    steps = [step for _, record in found.recorded() for step in record.steps]
    for key, title in VIEWS.items():
        judged = [step[key] for step in steps if key in step]
        if judged:
            mean = fmean(one[ACCURACY] for one in judged)
            times = f"{judged[0]['views']} times the multiply-adds"
            yield f"- {name}, {title}, {times}: {mean:.2f} % (n = {len(judged)})."
