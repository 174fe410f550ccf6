"""Chapter 11: dense, sparse, dense, against training for just as long without the zeros."""

from __future__ import annotations

from collections.abc import Callable

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.steps import Densify, Prune
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies.dense_network import (
    WHOLE,
    dense,
    images,
    learning_rate,
    network,
    retrain,
    training,
)
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

SEEDS = (0, 1, 2, 3, 4)
SPARSITIES = (0.25, 0.5, 0.75)
PHASE = (2, 4)  # epochs of the sparse and of the last phase


def phases(scale: Scale) -> tuple[Train, Train]:
    """The sparse phase at half the first rate; the last one at a tenth of that, as in the paper."""
    lr = learning_rate(scale) / 2
    return retrain(scale, PHASE, lr=lr), retrain(scale, PHASE, lr=lr / 10)


def recipes(scale: Scale) -> dict[str, tuple[Step, ...]]:
    """DSD at every sparsity, its dense control, and a cosine restart, of equal length."""
    first, (second, third) = dense(scale), phases(scale)
    both = tuple(2 * epochs for epochs in PHASE)
    found: dict[str, tuple[Step, ...]] = {
        "dense control": (first, second, third),
        "cosine restart": (
            first,
            training(scale, both, lr=learning_rate(scale) / 2, schedule="cosine"),
        ),
    }
    for sparsity in SPARSITIES:
        prune = Prune(sparsity, exclude=WHOLE)
        found[f"DSD {sparsity:.0%}"] = (first, prune, second, Densify(), third)
    return found


def dense_sparse_dense(scale: Scale) -> Study:
    """The gain of a sparse phase, seed by seed."""
    arms = [
        Arm.of(Experiment(network(scale), images(scale), recipe, seed), recipe=name)
        for name, recipe in recipes(scale).items()
        for seed in scale.pick((0,), SEEDS)
    ]
    return Study("dsd", "does a sparse phase make the dense network better?", arms)


STUDIES: dict[str, Callable[[Scale], Study]] = {"dsd": dense_sparse_dense}
