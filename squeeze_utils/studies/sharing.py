"""Chapter 13's sweeps: sparsity against bits, and where the centroids of a codebook start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.during_training import Gradual
from squeeze_utils.compress.quantizing.after_training import Halve
from squeeze_utils.compress.sharing.codebooks import METHODS
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies.deep_compression import MNIST, QUICK, SEEDS, digits, model
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

SPARSITIES = (0.8, 0.9, 0.95, 0.98)
GRID_BITS = (2, 3, 4)
SHARED_BITS = (1, 2, 3, 4, 6, 8)


def grid(scale: Scale) -> Study:
    """LeNet-300-100 at every sparsity with every number of bits: the two together."""
    arms = [
        _arm(scale, seed, sparsity, Share(bits), (Halve(), Encode()), sparsity=sparsity, bits=bits)
        for seed in scale.pick((0,), SEEDS)
        for sparsity in scale.pick((0.8, 0.95), SPARSITIES)
        for bits in GRID_BITS
    ]
    return Study("compression_grid", "more zeros, or fewer bits?", arms)


def starts(scale: Scale) -> Study:
    """Codebooks of 1 to 8 bits from four initialisations, before and after fine-tuning."""
    arms = [
        _arm(scale, seed, 0.9, Share(bits, method), method=method, bits=bits)
        for seed in scale.pick((0,), SEEDS)
        for bits in scale.pick((1, 2, 4), SHARED_BITS)
        for method in METHODS
    ]
    return Study("codebooks", "where should centroids start, and how many are enough?", arms)


def _arm(
    scale: Scale,
    seed: int,
    sparsity: float,
    share: Share,
    after: tuple[Step, ...] = (),
    /,
    **labels: Any,
) -> Arm:
    """LeNet-300-100 pruned while it trains, its values shared and tuned; then what comes after."""
    dense, prune, tune = scale.pick((10, 8, 2), (20, 12, 1))
    how = scale.pick(QUICK, MNIST)
    gradual = Gradual(sparsity, end=0.6, per_layer=(("classifier.4.weight", 0.5),))
    recipe = (
        Train(dense, lr=3e-3, **how),
        Train(prune, lr=2e-3, schedule="cosine", during=(gradual,), **how),
        share,
        TuneCentroids(tune, lr=1e-3, batch_size=how["batch_size"], shift=1),
        *after,
    )
    images = scale.pick(digits(scale), DataSpec("mnist", train_limit=12_000))
    return Arm.of(Experiment(model("LeNet-300-100", scale), images, recipe, seed), **labels)


STUDIES: dict[str, Callable[[Scale], Study]] = {"compression_grid": grid, "codebooks": starts}
