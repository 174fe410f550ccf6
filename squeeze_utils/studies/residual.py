"""Chapter 09: simple and complex bypass, under a weak and under a strong training recipe.

And two closer looks: the loss around the solutions, and what each block is worth.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from squeeze_utils.anatomy.ablation import ObserveBlocks
from squeeze_utils.anatomy.loss_surface import ObserveSurface
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Study
from squeeze_utils.models import BYPASSES
from squeeze_utils.studies.variants import (
    FULL_PILOT,
    LONG_RATES,
    MUON_RATES,
    Chapter,
    Variant,
    longer,
    studies_of,
)

CHECKPOINT = "squeezenet-bypass-cifar10"  # of the study `residual_best`
# Weak: as in 2016, momentum and a rate that falls in a straight line, images as they are.
WEAK: dict[str, Any] = {
    "optimizer": "momentum",
    "schedule": "linear",
    "weight_decay": 2e-4,
    "shift": 0,
    "flip": False,
}
# Strong: what the other chapters use, Muon, one cycle, shifted and mirrored images.
WEAK_RATES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)  # at 0.08 accuracy was still rising steeply
RECIPES = {"weak": (WEAK, WEAK_RATES), "strong": ({}, MUON_RATES)}

CHAPTER = Chapter(
    "residual",
    "does a bypass help, and does it still help when training is good?",
    tuple(
        Variant.of({"bypass": bypass}, train, rates, recipe=recipe, bypass=bypass)
        for recipe, (train, rates) in RECIPES.items()
        for bypass in BYPASSES
    ),
)

# The same question after 24 epochs of all images. "wide" is a plain network with as many
# parameters as the complex bypass has (271,056 and 271,082).
LONG_CHAPTER = Chapter(
    "residual_long",
    "does a bypass help a network that is trained long enough?",
    (
        Variant.of({}, rates=LONG_RATES, network="plain"),
        Variant.of({"bypass": "simple"}, rates=LONG_RATES, network="simple bypass"),
        Variant.of({"bypass": "complex"}, rates=LONG_RATES, network="complex bypass"),
        Variant.of({"width": 0.605}, rates=LONG_RATES, network="wide"),
    ),
    **FULL_PILOT,
)

# Six long trainings ask for a GPU: ten minutes there, many days on two processor cores. Large
# batches keep it busy; many epochs want more variety in the images than few.
MODELS = {"none": "SqueezeNet, plain", "simple": "SqueezeNet, simple bypass"}
LARGE_BATCH_RATES = (0.02, 0.04, 0.08, 0.16)
FULL_WIDTH = Chapter(
    "residual_best",
    "how far does SqueezeNet get at full width, and what is the simple bypass worth there?",
    tuple(
        Variant((("model", name),), {"bypass": bypass}, rates=LARGE_BATCH_RATES)
        for bypass, name in MODELS.items()
    ),
    width=1.0,
    images=None,
    epochs=150,
    pilot_epochs=15,
    train={"batch_size": 512, "shift": 4, "cutout": 8},
)


def longest(scale: Scale) -> Study:
    """The two leading networks of `residual_long`, trained for 72 epochs."""
    return longer(LONG_CHAPTER.study(scale), "residual_72_long", scale)


def full_width(scale: Scale) -> Study:
    """Both networks; one with simple bypass is kept."""
    study = FULL_WIDTH.study(scale)
    kept = ("model", MODELS["simple"])
    arms = [
        replace(arm, checkpoint=CHECKPOINT)
        if scale.name == "reference" and kept in arm.labels and arm.experiment.seed == 0
        else arm
        for arm in study.arms
    ]
    return replace(study, arms=arms)


def views(scale: Scale) -> Study:
    """The first seed of each bypass under the strong recipe, observed after its training."""
    size = scale.pick({"points": 7, "images": 128}, {"points": 13, "images": 1000})
    title = "what does the loss look like around the solutions, and what is each block worth?"
    trained = CHAPTER.study(scale).where(recipe="strong", seed=0)
    study = trained.observed(
        "residual_views", title, ObserveSurface(span=0.5, **size), ObserveBlocks()
    )
    arms = [replace(arm, labels=arm.labels[1:]) for arm in study.arms]  # all are "strong"
    return replace(study, arms=arms)


STUDIES = {
    **studies_of(CHAPTER, LONG_CHAPTER, FULL_WIDTH),
    "residual_72_long": longest,
    "residual_best": full_width,
    "residual_views": views,
}
