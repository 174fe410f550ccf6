"""Chapter 07, continued: the networks of the pooling study, watched while their images shift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from squeeze_utils.anatomy.shifts import ObserveShifts
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies.pooling import KIND_CHAPTER


def shifts(scale: Scale) -> Study:
    """The arms of `pooling`, each with one more step; its training comes from the prefix cache."""
    pooled = KIND_CHAPTER.study(scale)
    observe = ObserveShifts(largest=scale.pick(4, 8), maps=scale.pick(50, 200))

    def watched(arm: Arm) -> Arm:
        recipe = (*arm.experiment.recipe, observe)
        return replace(arm, experiment=replace(arm.experiment, recipe=recipe))

    title = "what does a shift of the image change, for each way of pooling?"
    arms = [watched(arm) for arm in pooled.arms]
    return Study("pooling_shifts", title, arms, pooled.pilot)


STUDIES: dict[str, Callable[[Scale], Study]] = {"pooling_shifts": shifts}
