"""Chapter 10: which weights can go, how many, when, and what a file and a clock make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.during_training import Gradual, Rewire
from squeeze_utils.compress.pruning.filters import Shrink
from squeeze_utils.compress.pruning.steps import Prune, Recalibrate, Rewind
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.dense_network import (
    DENSE,
    WHOLE,
    dense,
    each_seed,
    network,
    retrain,
    training,
)
from squeeze_utils.training.step import Step

SPARSITIES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
CRITERIA = ("magnitude", "gradient", "movement", "random")
HIGH = 0.9  # where schedules and tickets are compared
FILTERS = (0.25, 0.5, 0.75)


def recalibrate(scale: Scale) -> Recalibrate:
    """After training too: the statistics of channels that became constant lag behind."""
    return Recalibrate(scale.pick(1000, 2000))


def trade_off(scale: Scale) -> Study:
    """Every criterion at every sparsity; each record holds all four curves.

    They are the validation accuracies after the steps: pruned, recalibrated, retrained,
    recalibrated once more.
    """
    renew = recalibrate(scale)
    arms = [
        arm
        for criterion in CRITERIA
        for sparsity in scale.pick((0.5, 0.9), SPARSITIES)
        for arm in each_seed(
            scale,
            (
                dense(scale),
                Prune(sparsity, criterion, exclude=WHOLE),
                renew,
                retrain(scale, (1, 2)),
                renew,
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
    after = (retrain(scale, (1, 2)), recalibrate(scale))
    arms = [
        arm
        for name, prune in ways.items()
        for arm in each_seed(scale, (dense(scale), prune, *after), scope=name)
    ]
    return Study("pruning_scopes", "where should the zeros be?", arms)


def schedules(scale: Scale) -> Study:
    """One sparsity reached in different ways, each with the same number of epochs in all.

    Shares are the same in every layer, with two exceptions: SNIP as it was published, and one
    shot with a budget from the sensitivity scan.
    """
    step = retrain(scale, (1, 2))
    thirds = [Prune(1 - (1 - HIGH) ** (k / 3), exclude=WHOLE) for k in (1, 2, 3)]
    whole = (scale.pick(*DENSE) + scale.pick(3, 6),) * 2
    sparse, snip = (Prune(HIGH, criterion, exclude=WHOLE) for criterion in ("random", "snip"))
    ways: dict[str, tuple[Step, ...]] = {
        "one shot": (dense(scale), thirds[-1], retrain(scale, (3, 6))),
        "one shot, by scan": (
            dense(scale),
            replace(thirds[-1], scope="sensitivity"),
            retrain(scale, (3, 6)),
        ),
        "iterative": (dense(scale), *(part for prune in thirds for part in (prune, step))),
        "gradual": (
            dense(scale),
            retrain(scale, (3, 6), during=(Gradual(HIGH, exclude=WHOLE),)),
        ),
        "SNIP": (snip, training(scale, whole)),
        "SNIP, global": (replace(snip, scope="global"), training(scale, whole)),
        "RigL": (sparse, training(scale, whole, during=(Rewire(),))),
        "SET": (sparse, training(scale, whole, during=(Rewire(grow="random"),))),
        "never pruned": (dense(scale), retrain(scale, (3, 6))),
    }
    arms = [arm for name, recipe in ways.items() for arm in each_seed(scale, recipe, schedule=name)]
    for name, spec in small_networks(scale).items():
        arms += each_seed(scale, (training(scale, whole),), spec, schedule=name)
    return Study("pruning_schedules", "when should the zeros come?", arms)


def small_networks(scale: Scale) -> dict[str, ModelSpec]:
    """Dense networks with about as many weights as 90 % of zeros leave.

    One is narrower everywhere. The other has a single width for all modules, and so about as
    many weights in each, which is what a budget from a sensitivity scan comes to.
    """
    return {
        "small and dense": network(scale, width=scale.pick(0.09, 0.17)),
        "small, even width": network(scale, width=scale.pick(0.22, 0.46), step_expand=0),
    }


def lottery(scale: Scale) -> Study:
    """A winning ticket, the same mask with other weights, and another mask."""
    tickets = {
        "winning ticket": Rewind(),
        "new weights": Rewind(fresh=True),
        "shuffled mask": Rewind(shuffle=True),
    }
    begin = (dense(scale), Prune(HIGH, exclude=WHOLE))
    arms = [
        arm
        for name, rewind in tickets.items()
        for arm in each_seed(scale, (*begin, rewind, dense(scale)), ticket=name)
    ]
    return Study("lottery", "is it the mask, or the weights that it keeps?", arms)


def whole_filters(scale: Scale) -> Study:
    """Filters pruned, retrained and cut out, beside narrow networks trained from scratch."""
    arms: list[Arm] = []
    for share in FILTERS:
        prune = Prune(share, granularity="filter")
        recipe = (dense(scale), prune, retrain(scale, (2, 4)), Shrink())
        arms += each_seed(scale, recipe, kind="pruned", filters_removed=share)
        narrow = network(scale, width=scale.pick(0.25, 0.5) * (1 - share))
        epochs = (scale.pick(*DENSE) + scale.pick(2, 4),) * 2
        arms += each_seed(
            scale, (training(scale, epochs),), narrow, kind="narrow", filters_removed=share
        )
    return Study("pruning_filters", "what is left when whole filters go?", arms)


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "pruning": trade_off,
    "pruning_scopes": scopes,
    "pruning_schedules": schedules,
    "lottery": lottery,
    "pruning_filters": whole_filters,
}
