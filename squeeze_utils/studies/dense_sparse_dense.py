"""Chapter 11: dense, sparse, dense, against training for just as long without the zeros."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.steps import Densify, Prune
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies.dense_network import (
    LONG_PILOT,
    WHOLE,
    dense,
    images,
    learning_rate,
    long_rate,
    network,
    retrain,
    training,
)
from squeeze_utils.studies.variants import LONG, LONG_RATES, Chapter, Variant
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


# Three phases of 16 epochs each. The last one begins at half the first rate, like the one before:
# at a tenth of that, as above, weights hardly move. And once where a regulariser could pay: with
# so few images, never shifted or mirrored, that a network learns them by heart.
LONG_PHASES: dict[str, Any] = {**LONG, "epochs": 16, "pilot_epochs": 16}
LONG_CHAPTER = Chapter(
    "dsd_long",
    "does a sparse phase help a network that is trained long enough?",
    (Variant.of(rates=LONG_RATES, network="plain"),),
    **LONG_PHASES,
)
OVERFIT = replace(
    LONG_CHAPTER,
    name="dsd_overfit_long",
    title="does a sparse phase help a network that overfits?",
    images=5_000,
    train={**LONG["train"], "shift": 0, "flip": False},
)


def long_recipes(first: Train) -> dict[str, tuple[Step, ...]]:
    """DSD, its dense control, and the paper's control with a low learning rate (LLR).

    All have three phases of equal length, the first in common; the control of DSD has its rates
    too. The low rate is a tenth of the first one.
    """
    again, low = (replace(first, lr=first.lr / by, schedule="linear") for by in (2, 10))
    return {
        "dense control": (first, again, again),
        "low rate (LLR)": (first, low, low),
        "DSD 50%": (first, Prune(0.5, exclude=WHOLE), again, Densify(), again),
    }


def _in_phases(chapter: Chapter, scale: Scale, lr: float, pilot: str) -> Study:
    arms = []
    for seed in scale.pick(chapter.quick_seeds, chapter.seeds):
        trained = chapter.experiment(scale, chapter.variants[0], lr, seed)
        for name, recipe in long_recipes(*trained.recipe).items():
            arms.append(Arm.of(replace(trained, recipe=recipe), recipe=name))
    return Study(chapter.name, chapter.title, arms, pilot)


def long(scale: Scale) -> Study:
    """The first phase at the rate that was best for the plain network of `residual_long`."""
    lr, settled = long_rate(scale)
    return _in_phases(LONG_CHAPTER, scale, lr, LONG_PILOT).once(settled)


def overfit(scale: Scale) -> Study:
    """The first phase at a rate of its own."""
    found = OVERFIT.rate(OVERFIT.variants[0], scale, OVERFIT.pilot_records(scale))
    lr = LONG_RATES[1] if found is None else found
    return _in_phases(OVERFIT, scale, lr, OVERFIT.pilot_name).once(found is not None)


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "dsd": dense_sparse_dense,
    "dsd_long": long,
    OVERFIT.name: overfit,
    OVERFIT.pilot_name: OVERFIT.pilot,
}
