"""Chapter 05: the squeeze ratio, the share of 3x3 filters, the first layer, other 3x3 filters."""

from __future__ import annotations

from dataclasses import replace

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import EXPANDS
from squeeze_utils.studies.variants import (
    FULL_PILOT,
    LONG_RATES,
    Chapter,
    Variant,
    studies_of,
)

RATIOS = (0.125, 0.25, 0.5, 0.75, 1.0)
SHARES = (0.01, 0.25, 0.5, 0.75, 0.99)
FIRST = {
    "3x3": {},
    "5x5": {"first_kernel": 5, "first_padding": 2},
    "7x7": {"first_kernel": 7, "first_padding": 3},
    "two 3x3": {"first_repeat": 2},
}
QUICK_IMAGES = DataSpec(size=16, train_limit=1000)  # the notebook trains many networks

RATIO_CHAPTER = Chapter(
    "squeeze_ratio",
    "how much may the squeeze layers squeeze?",
    tuple(Variant.of({"squeeze_ratio": ratio}, squeeze_ratio=ratio) for ratio in RATIOS),
    quick_images=QUICK_IMAGES,
)
SHARE_CHAPTER = Chapter(
    "pct3x3",
    "how many of the expand filters have to be 3x3?",
    tuple(
        Variant.of({"squeeze_ratio": 0.5, "pct3x3": share}, percent_3x3=round(100 * share))
        for share in SHARES
    ),
    quick_images=QUICK_IMAGES,
)
FIRST_CHAPTER = Chapter(
    "first_layer",
    "which kernel should look at the pixels?",
    tuple(Variant.of(options, first_layer=name) for name, options in FIRST.items()),
    quick_images=QUICK_IMAGES,
)
EXPAND_CHAPTER = Chapter(
    "expand",
    "plain, depthwise-separable or dilated 3x3 in the expand layers?",
    tuple(Variant.of({"expand": kind}, expand=kind) for kind in EXPANDS),
    quick_images=QUICK_IMAGES,
)

# The paper's plateau: three seeds, since a sweep shows a shape. The pilot is as long as that of
# `residual_long`, so the plain network gets the same rate there and here, and is trained once.
LONG_RATIO_CHAPTER = Chapter(
    "squeeze_ratio_long",
    "how much may the squeeze layers squeeze, in networks that are trained long enough?",
    tuple(
        Variant.of({"squeeze_ratio": ratio}, rates=LONG_RATES, squeeze_ratio=ratio)
        for ratio in (0.125, 0.25, 0.5, 1.0)
    ),
    quick_images=QUICK_IMAGES,
    pools_deviation=True,
    **{**FULL_PILOT, "seeds": (0, 1, 2)},
)
# Most arms of three studies here, and those of `tuned`, were trained in float32, their controls in
# bfloat16. These are the controls in float32, at the rates that they had: one for `pct3x3`, and
# one for the other three, whose control is the plain network.
CONTROLS = {
    "half of the filters 3x3": ({"squeeze_ratio": 0.5}, 0.02),
    "plain": ({}, 0.08),
}


def float32_controls(scale: Scale) -> Study:
    """Short training, like the arms that these are compared with."""
    chapter = replace(EXPAND_CHAPTER, train={"precision": "float32"})
    arms = [
        Arm.of(chapter.experiment(scale, Variant.of(options), lr, seed), network=name, lr=lr)
        for name, (options, lr) in CONTROLS.items()
        for seed in scale.pick(chapter.quick_seeds, chapter.seeds)
    ]
    return Study("float32_controls", "how well do the controls do in their arms' precision?", arms)


STUDIES = {
    **studies_of(RATIO_CHAPTER, SHARE_CHAPTER, FIRST_CHAPTER, EXPAND_CHAPTER, LONG_RATIO_CHAPTER),
    "float32_controls": float32_controls,
}
