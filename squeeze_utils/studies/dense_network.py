"""What the chapters on compression start from: one network, its images, its training.

They begin with the same experiment, so the dense network of a seed is trained once for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.rates import rate_or
from squeeze_utils.experiments.study import Arm
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.residual import LONG_CHAPTER
from squeeze_utils.studies.variants import MUON, SEEDS
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

# The first layer sees three channels and has few weights: as in the literature it stays whole.
WHOLE = ("features.0",)


def network(scale: Scale, **options: Any) -> ModelSpec:
    """The network of these chapters: SqueezeNet at half width, a quarter for digits."""
    small = scale.pick({"in_channels": 1, "width": 0.25}, {"width": 0.5})
    return ModelSpec.of("squeezenet_small", num_classes=10, **{**small, **options})


def images(scale: Scale) -> DataSpec:
    """Digits at 16 pixels, or 20,000 images of CIFAR-10."""
    return scale.pick(DataSpec(size=16), DataSpec("cifar10", train_limit=20_000))


def learning_rate(scale: Scale) -> float:
    """The peak learning rate.

    On photographs the pilots of chapters 05 to 07 found 0.08 a little better for this network
    (60.16 against 60.04 %, one seed).
    """
    return scale.pick(0.02, 0.04)


def training(scale: Scale, epochs: tuple[int, int], **changes: Any) -> Train:
    """The series' training, for (quick, reference) epochs.

    Digits come in small batches: a pruned network heals by the number of steps, and one epoch
    of larger batches leaves it at chance.
    """
    how: dict[str, Any] = {"lr": learning_rate(scale), **MUON}
    how |= scale.pick({"shift": 1, "batch_size": 32}, {"shift": 3, "flip": True})
    return Train(scale.pick(*epochs), **{**how, **changes})


DENSE = (4, 12)  # epochs of what is pruned afterwards


def dense(scale: Scale) -> Train:
    """What is pruned afterwards."""
    return training(scale, DENSE)


def retrain(scale: Scale, epochs: tuple[int, int], **changes: Any) -> Train:
    """Training after a change: from a lower rate, straight down."""
    return training(
        scale, epochs, **{"lr": learning_rate(scale) / 2, "schedule": "linear", **changes}
    )


def each_seed(
    scale: Scale, recipe: tuple[Step, ...], spec: ModelSpec | None = None, **labels: Any
) -> Iterator[Arm]:
    """One arm for each seed of the scale."""
    for seed in scale.pick((0,), SEEDS):
        experiment = Experiment(spec or network(scale), images(scale), recipe, seed)
        yield Arm.of(experiment, **labels)


# The long regime: the plain network of `residual_long`, at the rate that its pilot found.
PLAIN = LONG_CHAPTER.variants[0]
LONG_PILOT = LONG_CHAPTER.pilot_name
LONG_DENSE = (4, LONG_CHAPTER.epochs)


def long_rate(scale: Scale) -> tuple[float, bool]:
    """The best rate of the plain network, and whether it is known; until then a likely one."""
    if scale.name == "quick":
        return PLAIN.quick_lr, True
    records = LONG_CHAPTER.pilot_records(scale)
    return rate_or(learning_rate(scale), records, LONG_CHAPTER.grid(PLAIN, scale, records))


def long_training(scale: Scale, epochs: tuple[int, int] = LONG_DENSE, **changes: Any) -> Train:
    """The training of `residual_long`, for (quick, reference) epochs."""
    if scale.name == "quick":
        return training(scale, epochs, **changes)
    (step,) = LONG_CHAPTER.experiment(scale, PLAIN, long_rate(scale)[0], 0).recipe
    return replace(step, epochs=epochs[1], **changes)


def long_retrain(scale: Scale, epochs: tuple[int, int], **changes: Any) -> Train:
    """Training after a change in the long regime: from half the rate, straight down."""
    lower = {"lr": long_training(scale).lr / 2, "schedule": "linear"}
    return long_training(scale, epochs, **{**lower, **changes})


def each_long_seed(
    scale: Scale, recipe: tuple[Step, ...], seeds: Sequence[int] = LONG_CHAPTER.seeds, **labels: Any
) -> Iterator[Arm]:
    """One arm for each seed, on all images."""
    for seed in scale.pick((0,), seeds):
        experiment = LONG_CHAPTER.experiment(scale, PLAIN, 1.0, seed)
        yield Arm.of(replace(experiment, recipe=recipe), **labels)
