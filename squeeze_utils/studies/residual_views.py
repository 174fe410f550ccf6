"""Chapter 09, looked at closely: the loss around the solutions, and what each block is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from squeeze_utils.anatomy.ablation import ObserveBlocks
from squeeze_utils.anatomy.loss_surface import ObserveSurface
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies.residual import CHAPTER

RECIPE = "strong"
SPAN = 0.5


def views(scale: Scale) -> Study:
    """The first seed of each bypass under the strong recipe, observed after its training.

    The training is a prefix of the recipe that the study `residual` has run: where its states
    are cached, only the observations are left to do.
    """
    size = scale.pick({"points": 7, "images": 128}, {"points": 13, "images": 1000})
    observed = (ObserveSurface(span=SPAN, **size), ObserveBlocks())
    arms = []
    for arm in CHAPTER.study(scale).arms:
        labels, trained = dict(arm.labels), arm.experiment
        if labels["recipe"] == RECIPE and trained.seed == 0:
            experiment = replace(trained, recipe=(*trained.recipe, *observed))
            arms.append(Arm.of(experiment, bypass=labels["bypass"], lr=labels["lr"]))
    title = "what does the loss look like around the solutions, and what is each block worth?"
    return Study("residual_views", title, arms, CHAPTER.pilot_name)


STUDIES: dict[str, Callable[[Scale], Study]] = {"residual_views": views}
