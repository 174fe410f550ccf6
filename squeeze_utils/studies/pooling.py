"""Chapter 07: how maps are halved, where, what reads the last one, and what shifts do to them."""

from __future__ import annotations

from squeeze_utils.anatomy.shifts import ObserveShifts
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Study
from squeeze_utils.experiments.variants import QUICK_RATE, Chapter, Variant, studies_of
from squeeze_utils.models import POOLINGS

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


def shifts(scale: Scale) -> Study:
    """The networks of `pooling`, watched while their images shift."""
    watch = ObserveShifts(largest=scale.pick(4, 8), maps=scale.pick(50, 200))
    title = "what does a shift of the image change, for each way of pooling?"
    return KIND_CHAPTER.study(scale).observed("pooling_shifts", title, watch)


STUDIES = {**studies_of(KIND_CHAPTER, PLACE_CHAPTER, HEAD_CHAPTER), "pooling_shifts": shifts}
