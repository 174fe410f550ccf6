"""Chapter 18: how small a file a transferred network fits into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from squeeze_utils.anatomy.answers import ObserveAnswers
from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pricing.in_training import PriceBits
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies.priced import WITH_CONTEXTS
from squeeze_utils.studies.transfer import (
    ALL,
    LAST,
    STYLES,
    each_seed,
    rate,
    study_of,
    training,
)
from squeeze_utils.training.step import Step

# Of rounded weights. The rate was chosen from 1e-4, 3e-4, 1e-3, 2e-3 and 4e-3 on validation images
# of scenes (seed 0); those runs were not kept.
TUNING_RATE, TUNING_EPOCHS = 2e-3, 12
LONGER = "dense, trained on"  # at the rate of training all layers, not that of its start


def files(scale: Scale) -> Study:
    """The transferred network in a file of so many bytes, and what each test picture is called."""
    arms: list[tuple[Arm, bool]] = []
    for name, kinds in scale.pick(
        {STYLES[0]: _shrunk(scale, 20_000)},
        {
            "intel": _shrunk(scale, 120_000, 70_000)
            | _shown_more(120_000, 70_000)
            | _pruned(scale, 120_000)
            | _balanced(120_000)
            | _trained_on(scale, {120_000: 126_000, 70_000: 72_000}),
            "caltech101": _shrunk(scale, 250_000) | _balanced(250_000),
        },
    ).items():
        way = scale.pick(ALL, LAST)
        folded = scale.pick((FoldBatchNorm(),), ())
        for kind, steps in {"dense": (), **kinds}.items():
            noted = (*folded, ObserveAnswers(pictures=True), *steps)
            settled = kind != LONGER or rate(scale, ALL)[1]
            each = each_seed(scale, name, way, noted, images=name, file=kind)
            arms += [(arm, known and settled) for arm, known in each]
    return study_of("transfer_files", "how small a file does the new network fit into?", arms)


def _written(size: int, images: int = 500, **how: Any) -> tuple[Step, ...]:
    """Rounded with so many images, written, and judged as read back."""
    return Squeeze(size, images, **how), Encode(), ObserveAnswers()


def _shrunk(scale: Scale, *sizes: int) -> dict[str, tuple[Step, ...]]:
    return {f"{size // 1000} kB": _written(size, scale.pick(64, 500)) for size in sizes}


def _shown_more(*sizes: int) -> dict[str, tuple[Step, ...]]:
    """The same with 3,000 images instead of 500."""
    return {f"{size // 1000} kB, 3,000 images": _written(size, 3000) for size in sizes}


def _pruned(scale: Scale, size: int) -> dict[str, tuple[Step, ...]]:
    """Half of the weights pruned and one epoch of healing, then rounded into the same bytes.

    And the dense network after this epoch, for comparison.
    """
    lr = rate(scale, LAST)[0] / 4
    heal = training(scale, ALL, lr, 1, schedule="linear")
    return {
        "dense, one epoch more": (heal, ObserveAnswers()),
        f"{size // 1000} kB, half pruned first": (Prune(0.5), heal, *_written(size)),
    }


def _trained_on(scale: Scale, starts: Mapping[int, int]) -> dict[str, tuple[Step, ...]]:
    """Rounded into a few bytes more, then trained as rounded weights: training takes some away.

    Zeros stay zero, and bits have no price. And the dense network trained as long, at the rate of
    training all its layers.
    """
    how: dict[str, Any] = {"schedule": "cosine", "weight_decay": 0.0, "during": (PriceBits(0.0),)}
    tune = training(scale, ALL, TUNING_RATE, TUNING_EPOCHS, **how)
    longer = training(scale, ALL, rate(scale, ALL)[0], TUNING_EPOCHS)
    ends = (*WITH_CONTEXTS, ObserveAnswers())
    return {LONGER: (longer, ObserveAnswers())} | {
        f"{size // 1000} kB, trained on": (Squeeze(start, 500), tune, *ends)
        for size, start in starts.items()
    }


def _balanced(size: int) -> dict[str, tuple[Step, ...]]:
    return {f"{size // 1000} kB, balanced calibration": _written(size, balanced=True)}


STUDIES: dict[str, Callable[[Scale], Study]] = {"transfer_files": files}
