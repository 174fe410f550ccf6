"""Chapter 07: how maps are halved, where, what reads the last one, and what shifts do to them."""

from __future__ import annotations

from squeeze_utils.anatomy.shifts import ObserveShifts
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Study
from squeeze_utils.models import POOLINGS
from squeeze_utils.models.layers import LONG_STUDY_POOLINGS
from squeeze_utils.studies.variants import (
    FULL_PILOT,
    LONG_RATES,
    QUICK_RATE,
    Chapter,
    Variant,
    studies_of,
)

# Three halvings each; the later they come, the larger the maps that most layers see.
PLACES = {"early": (1, 2, 3), "as in 1.1": (1, 3, 5), "late": (2, 5, 8)}

KIND_CHAPTER = Chapter(
    "pooling",
    "how should a map be halved?",
    tuple(Variant.of({"pooling": kind}, pooling=kind) for kind in POOLINGS),
)
PLACE_CHAPTER = Chapter(
    "downsampling",
    "early or late: where should the maps be halved?",
    tuple(Variant.of({"pool_after": at}, downsampling=name) for name, at in PLACES.items()),
)
HEAD_CHAPTER = Chapter(
    "head",
    "does a dense head earn its parameters?",
    (
        Variant.of({"head": "average"}, head="conv10 + average"),
        Variant.of({"head": "dense"}, quick_lr=QUICK_RATE / 2, head="dense"),
    ),
)

# The same arithmetic, spent early or late: widths that bring all three to 6.3 million
# multiply-adds. Late, as in version 1.0, is then a narrower network with fewer parameters.
LONG_PLACES = {
    "early": (0.595, (1, 2, 3)),
    "as in 1.1": (0.5, (1, 3, 5)),
    "as in 1.0": (0.34, (1, 4, 8)),
}
LONG_PLACE_CHAPTER = Chapter(
    "downsampling_long",
    "early or late: where should the maps be halved, for the same multiply-adds?",
    tuple(
        Variant.of({"width": width, "pool_after": at}, rates=LONG_RATES, downsampling=name)
        for name, (width, at) in LONG_PLACES.items()
    ),
    **FULL_PILOT,
)
# Every kind sees 3x3 pixels before it halves or filters the map.
LONG_KIND_CHAPTER = Chapter(
    "pooling_long",
    "how should a map be halved, with equal windows?",
    tuple(
        Variant.of({"pooling": kind}, rates=LONG_RATES, pooling=kind)
        for kind in ("max", "average", *LONG_STUDY_POOLINGS)
    ),
    pools_deviation=True,
    **{**FULL_PILOT, "seeds": (0, 1, 2)},
)


def shifts(scale: Scale) -> Study:
    """The networks of `pooling`, watched while their images shift."""
    watch = ObserveShifts(largest=scale.pick(4, 8), maps=scale.pick(50, 200))
    title = "what does a shift of the image change, for each way of pooling?"
    return KIND_CHAPTER.study(scale).observed("pooling_shifts", title, watch)


CHAPTERS = (KIND_CHAPTER, PLACE_CHAPTER, HEAD_CHAPTER, LONG_PLACE_CHAPTER, LONG_KIND_CHAPTER)
STUDIES = {**studies_of(*CHAPTERS), "pooling_shifts": shifts}
