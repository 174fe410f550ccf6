"""What the series stands on: five comparisons of an arm with its control, and the best network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from squeeze_utils.results.study_results import Sentence

if TYPE_CHECKING:
    import pandas as pd

    from squeeze_utils.results.study_results import Results

HEADER = ("", "arm − control", "points (95 % interval)", "verdict", "networks an arm", "epochs")
MISSING = "not trained yet"


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
        """Question, arm and control, difference with interval, verdict, networks, epochs."""
        part = found.where(**self.labels) if self.labels and len(found) else found
        gaps, names = part.compare(self.by, self.control), f"{self.arm} − {self.control}"
        if self.arm not in gaps.index or gaps.loc[self.arm, "n"] < 2:
            return [self.question, names, "", MISSING, "", ""]
        gap = gaps.loc[self.arm]
        difference = f"{gap['mean']:+.2f} ({gap['low']:+.2f} to {gap['high']:+.2f})"
        frame = part.frame[part.frame[self.by] == self.arm]
        epochs = f"{frame['epochs'].iloc[0]:.0f}"
        return [self.question, names, difference, f"**{gap['verdict']}**", str(gap["n"]), epochs]


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
        "Are 90 % zeros better than a small dense network? (10)",
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


GOALS = {"SqueezeNet": 94.0, "late": 95.0}  # test accuracy (%), set before training
VIEWS = {"mirrored": "and mirrored", "mirrored_shifted": "mirrored and shifted"}


def rungs(found: Results) -> Sentence:
    """What each change of the training adds on test images, in the mean, to all before it."""
    if not len(found):
        return Sentence(f"The ladder: {MISSING}.")
    means = found.frame.groupby("rung", sort=False)["test_accuracy"].agg(["mean", "size"])
    gains = means["mean"].diff().dropna()
    lines = [
        f"- {name}: {row['mean']:.2f} % (n = {row['size']:.0f})" for name, row in means.iterrows()
    ]
    whole = len(found) == len(found.study.arms) and not found.study.expected
    word = ("holds" if (gains > 0).all() else "fails") + " in the means" if whole else "is open"
    return Sentence("\n".join([*lines, "", f"That every change gains {word}."]))


def best_networks(found: Results) -> Sentence:
    """The headline's networks: accuracy, that of averaged answers, and whether goals are met."""
    if not len(found):
        return Sentence(f"The headline: {MISSING}.")
    lines = []
    for name, part in found.frame.groupby("network", sort=False):
        mean, known = part["test_accuracy"].mean(), found.where(network=name)
        line = f"- {name}: {mean:.2f} % (n = {len(part)})"
        for key, title in VIEWS.items():
            judged = [
                step[key]["test_accuracy"]
                for _, r in known.recorded()
                for step in r.steps
                if key in step
            ]
            line += f"; {title} {fmean(judged):.2f} %" if judged else ""
        if name in GOALS:
            word = "reached" if mean >= GOALS[name] else "missed"
            line += f". The goal of {GOALS[name]:g} % is {word}"
        lines.append(f"{line}.")
    return Sentence("\n".join(lines))
