"""Chapter 05: the squeeze ratio, the share of 3x3 filters, the first layer, other 3x3 filters."""

from __future__ import annotations

from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.variants import Chapter, Variant, studies_of

RATIOS = (0.125, 0.25, 0.5, 0.75, 1.0)
SHARES = (0.01, 0.25, 0.5, 0.75, 0.99)
FIRST = {
    "3x3": {},
    "5x5": {"first_kernel": 5, "first_padding": 2},
    "7x7": {"first_kernel": 7, "first_padding": 3},
    "two 3x3": {"first_repeat": 2},
}
EXPANDS = ("plain", "depthwise", "dilated")
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

STUDIES = studies_of(RATIO_CHAPTER, SHARE_CHAPTER, FIRST_CHAPTER, EXPAND_CHAPTER)
