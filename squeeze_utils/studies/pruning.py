"""Chapter 10: which weights can go, how many, when, and what a file and a clock make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..compress.prune import Prune, Recalibrate, Remember, Rewind
from ..compress.shrink import Shrink
from ..compress.sparse import Gradual, Rewire
from ..models import ModelSpec
from ..recipe import DataSpec, Experiment
from ..step import Step
from ..study import Arm, Scale, Study
from ..train import Train
from ..tuned import MUON, QUICK_RATE, SEEDS

SPARSITIES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
CRITERIA = ("magnitude", "gradient", "movement", "random")
HIGH = 0.9  # where schedules and tickets are compared
FILTERS = (0.25, 0.5, 0.75)
# The first layer sees three channels and has few weights: as in the literature it stays whole.
WHOLE = ("features.0",)


def model(scale: Scale, **options: Any) -> ModelSpec:
    """The network of chapters 10 and 11: SqueezeNet at half width, a quarter for digits."""
    small = scale.pick({"in_channels": 1, "width": 0.25}, {"width": 0.5})
    return ModelSpec.of("squeezenet_small", num_classes=10, **{**small, **options})


def data(scale: Scale) -> DataSpec:
    """Digits at 16 pixels, or 20,000 images of CIFAR-10."""
    return scale.pick(DataSpec(size=16), DataSpec("cifar10", train_limit=20_000))


def rate(scale: Scale) -> float:
    """The peak learning rate: on photographs the best of the pilots of chapters 05 to 07."""
    return scale.pick(QUICK_RATE, 0.04)


def train(scale: Scale, epochs: tuple[int, int], **changes: Any) -> Train:
    """The series' training, for (quick, reference) epochs."""
    how: dict[str, Any] = {"lr": rate(scale), **MUON}
    how |= scale.pick({"shift": 1, "batch_size": 32}, {"shift": 3, "flip": True})
    return Train(scale.pick(*epochs), **{**how, **changes})


def dense(scale: Scale) -> Train:
    """What is pruned afterwards: 12 epochs at reference scale."""
    return train(scale, (4, 12))


def retrain(scale: Scale, epochs: tuple[int, int], **changes: Any) -> Train:
    """Training after a change: from a lower rate, straight down."""
    return train(scale, epochs, **{"lr": rate(scale) / 2, "schedule": "linear", **changes})


def _arms(
    scale: Scale, recipe: tuple[Step, ...], spec: ModelSpec | None = None, **labels: Any
) -> Iterator[Arm]:
    for seed in scale.pick((0,), SEEDS):
        experiment = Experiment(spec or model(scale), data(scale), recipe, seed)
        yield Arm.of(experiment, **labels)


def trade_off(scale: Scale) -> Study:
    """Every criterion at every sparsity; each record holds all three curves.

    They are the validation accuracies after the steps: pruned, recalibrated, retrained.
    """
    arms = [
        arm
        for criterion in CRITERIA
        for sparsity in scale.pick((0.5, 0.9), SPARSITIES)
        for arm in _arms(
            scale,
            (
                dense(scale),
                Prune(sparsity, criterion, exclude=WHOLE),
                Recalibrate(scale.pick(1000, 2000)),
                retrain(scale, (1, 2)),
            ),
            criterion=criterion,
            sparsity=sparsity,
        )
    ]
    return Study("pruning", "how does accuracy fall with sparsity, by criterion?", arms)


def scopes(scale: Scale) -> Study:
    """The same sparsity over all, spread over the layers in three ways, and in groups of four."""
    ways: dict[str, Prune] = {
        "each layer": Prune(HIGH, exclude=WHOLE),
        "global": Prune(HIGH, scope="global", exclude=WHOLE),
        "sensitivity": Prune(HIGH, scope="sensitivity", exclude=WHOLE),
        "2:4 (half)": Prune(0.5, granularity="2:4", exclude=WHOLE),
        "each layer, half": Prune(0.5, exclude=WHOLE),
    }
    arms = [
        arm
        for name, prune in ways.items()
        for arm in _arms(scale, (dense(scale), prune, retrain(scale, (1, 2))), scope=name)
    ]
    return Study("pruning_scopes", "where should the zeros be?", arms)


def schedules(scale: Scale) -> Study:
    """One sparsity reached in different ways, each with the same number of epochs in all."""
    step = retrain(scale, (1, 2))
    thirds = [Prune(1 - (1 - HIGH) ** (k / 3), exclude=WHOLE) for k in (1, 2, 3)]
    whole = (scale.pick(4, 12) + scale.pick(3, 6),) * 2
    sparse = Prune(HIGH, "random", exclude=WHOLE)
    ways: dict[str, tuple[Step, ...]] = {
        "one shot": (dense(scale), thirds[-1], retrain(scale, (3, 6))),
        "iterative": (dense(scale), *(part for prune in thirds for part in (prune, step))),
        "gradual": (
            dense(scale),
            retrain(scale, (3, 6), during=(Gradual(HIGH, exclude=WHOLE),)),
        ),
        "SNIP": (replace(thirds[-1], criterion="snip"), train(scale, whole)),
        "RigL": (sparse, train(scale, whole, during=(Rewire(),))),
        "SET": (sparse, train(scale, whole, during=(Rewire(grow="random"),))),
        "never pruned": (dense(scale), retrain(scale, (3, 6))),
    }
    arms = [arm for name, recipe in ways.items() for arm in _arms(scale, recipe, schedule=name)]
    narrow = model(scale, width=scale.pick(0.09, 0.17))
    arms += _arms(scale, (train(scale, whole),), narrow, schedule="small and dense")
    return Study("pruning_schedules", "when should the zeros come?", arms)


def lottery(scale: Scale) -> Study:
    """A winning ticket, the same mask with other weights, and another mask."""
    tickets = {
        "winning ticket": Rewind(),
        "new weights": Rewind(fresh=True),
        "shuffled mask": Rewind(shuffle=True),
    }
    begin = (Remember(), dense(scale), Prune(HIGH, exclude=WHOLE))
    arms = [
        arm
        for name, rewind in tickets.items()
        for arm in _arms(scale, (*begin, rewind, dense(scale)), ticket=name)
    ]
    return Study("lottery", "is it the mask, or the weights that it keeps?", arms)


def whole_filters(scale: Scale) -> Study:
    """Filters pruned, retrained and cut out, beside narrow networks trained from scratch."""
    arms: list[Arm] = []
    for share in FILTERS:
        prune = Prune(share, granularity="filter")
        recipe = (dense(scale), prune, retrain(scale, (2, 4)), Shrink())
        arms += _arms(scale, recipe, kind="pruned", filters_removed=share)
        narrow = model(scale, width=scale.pick(0.25, 0.5) * (1 - share))
        epochs = (scale.pick(4, 12) + scale.pick(2, 4),) * 2
        arms += _arms(scale, (train(scale, epochs),), narrow, kind="narrow", filters_removed=share)
    return Study("pruning_filters", "what is left when whole filters go?", arms)


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "pruning": trade_off,
    "pruning_scopes": scopes,
    "pruning_schedules": schedules,
    "lottery": lottery,
    "pruning_filters": whole_filters,
}
