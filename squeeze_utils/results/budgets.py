"""The same comparison after a short and after a long training: does its answer last?

A budget is epochs and training images. `conclusion` compares the verdicts of two studies, `order`
the means of two networks that were trained once more for longer.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import pandas as pd

from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.results.comparison import UNFINISHED
from squeeze_utils.results.study_results import Results, Sentence
from squeeze_utils.results.tables import NO_RECORDS
from squeeze_utils.studies.durations import epochs_of, training_images
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

NAMES = {"lr": "learning rate", "flip": "mirroring"}  # of settings of `Train`, where not clear


@dataclass(frozen=True)
class Contrast:
    """An arm of a study against its control, judged as the study's table `compare` judges it."""

    found: Results
    by: str
    arm: Any
    control: Any
    margin: float | None = None

    @property
    def budget(self) -> str:
        """Epochs and training images of the arm."""
        experiment = self._experiment(self.arm)
        return f"{_epochs(experiment)} epochs of {training_images(experiment):,} images"

    @property
    def trainings(self) -> list[Step | None]:
        """The first training of the arm and of the control; None where there is none."""
        recipes = (self._experiment(name).recipe for name in (self.arm, self.control))
        return [next(filter(epochs_of, recipe), None) for recipe in recipes]

    def judged(self) -> pd.Series | None:
        """Mean, interval, n and verdict; None before all networks of both are trained."""
        self._experiment(self.arm), self._experiment(self.control)  # an unknown name is refused
        gaps = self.found.compare(self.by, self.control, margin=self.margin).dropna()
        gaps = gaps[~gaps["verdict"].str.startswith(UNFINISHED)]
        return gaps.loc[self.arm] if self.arm in gaps.index else None

    def _experiment(self, name: Any) -> Experiment:
        return self.found.experiment(**{self.by: name})


def conclusion(short: Contrast, long: Contrast | Results) -> Sentence:
    """Whether the longer training changes the verdict on an arm, in a few words.

    `long` may be a study alone, where its labels are those of `short`.
    """
    if isinstance(long, Results):
        long = replace(short, found=long)
    first, last = short.judged(), long.judged()
    name = f"**{long.arm}** against {long.control}"
    if first is None:
        return Sentence(f"{name}, after {short.budget}: {NO_RECORDS}.")
    began = f"{name}: {_verdict(first)} after {short.budget}"
    if last is None:
        return Sentence(
            f"{began}. The study of {long.budget} has no verdict yet: whether this one lasts is "
            "open."
        )
    verdicts = {first["verdict"], last["verdict"]}
    if len(verdicts) == 1:
        end = "The verdict stays."
    elif "undecided" in verdicts:
        end = "One of the two is undecided: they do not contradict each other."
    else:
        seeds = ["n"] if first["n"] != last["n"] else []
        also = ", ".join(["the budget", *seeds, *_changed(short, long)])
        end = f"The verdict changes. What changes too, and may be the reason: {also}."
    return Sentence(f"{began}, {_verdict(last)} after {long.budget}. {end}")


def _verdict(gap: pd.Series) -> str:
    return f"*{gap['verdict']}* ({gap['mean']:+.2f} points, n = {gap['n']})"


def _changed(short: Contrast, long: Contrast) -> list[str]:
    """In what the first trainings differ, besides their length and what rounds their numbers."""
    pairs = list(zip(short.trainings, long.trainings, strict=True))
    names = (field.name for field in fields(Train) if field.name not in ("epochs", "precision"))
    return [
        NAMES.get(name, name.replace("_", " "))
        for name in names
        if any(getattr(one, name, None) != getattr(other, name, None) for one, other in pairs)
    ]


def order(first: Results, longer: Results, by: str) -> Sentence:
    """Whether the two networks of `longer` keep the order of their means in `first`.

    `by` is the label that tells the networks apart. Means are of test accuracy.
    """
    arms = longer.study.arms or longer.study.expected
    names = list(dict.fromkeys(dict(arm.labels)[by] for arm in arms))
    if len(names) != 2:
        raise ValueError(f"{longer.study.name} has {len(names)} networks: the order is one of two")
    epochs = _epochs(arms[0].experiment)
    if not longer.study.arms:
        return Sentence(
            f"Whether the order lasts for {epochs} epochs is open: which two networks lead after "
            "the shorter training is not settled yet."
        )
    arm, control = names
    known = {dict(one.labels)[by] for one in first.study.planned}
    if unknown := set(names) - known:
        raise ValueError(f"{first.study.name} has no arms called {', '.join(map(str, unknown))}")
    pairs = [found.where(**{by: (arm, control)}) for found in (first, longer)]
    if not pairs[0].study.arms:
        return Sentence(
            f"Whether the order of **{arm}** and {control} lasts is open: {NO_RECORDS}."
        )
    lacking = sum(len(pair.study.arms) - len(pair) for pair in pairs)
    if lacking:
        return Sentence(
            f"Whether the order of **{arm}** and {control} lasts for {epochs} epochs is open: "
            f"{lacking} of their networks {'has' if lacking == 1 else 'have'} no record yet."
        )
    gaps = [pair.compare(by, control).loc[arm] for pair in pairs]
    shorter = _epochs(pairs[0].study.arms[0].experiment)
    before, after = (
        f"{gap['mean']:+.2f} points after {count} epochs ({gap['verdict']}, n = {gap['n']})"
        for gap, count in zip(gaps, (shorter, epochs), strict=True)
    )
    product = gaps[0]["mean"] * gaps[1]["mean"]
    word = "stays" if product > 0 else "changes" if product else "ends in a tie"
    return Sentence(f"**{arm}** against {control}: {before}, {after}. The order of means {word}.")


def _epochs(experiment: Experiment) -> int:
    return sum(epochs_of(step) for step in experiment.recipe)
