"""Chapter 06: what flows through the networks of the study `activations`, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from squeeze_utils.anatomy.signals import ObserveSignals
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies.activations import CHAPTER

NAME = "activation_signals"


def signals(scale: Scale) -> Study:
    """The networks with seed 0, fresh and trained; the training itself is in the prefix cache."""
    arms = []
    for arm in CHAPTER.study(scale).arms:
        if arm.experiment.seed == 0:
            name = dict(arm.labels)["activation"]
            recipes = {"before": (), "after": arm.experiment.recipe}
            for when, recipe in recipes.items():
                experiment = replace(arm.experiment, recipe=(*recipe, ObserveSignals()))
                arms.append(Arm.of(experiment, activation=name, when=when))
    title = "mean, variance, dead units and gradients in every layer, before and after training"
    return Study(NAME, title, arms, CHAPTER.name)


STUDIES: dict[str, Callable[[Scale], Study]] = {NAME: signals}
