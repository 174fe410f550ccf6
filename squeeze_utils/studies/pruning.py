"""Chapter 10: which weights can go, how many, when, and what a file and a clock make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.during_training import Gradual, Rewire
from squeeze_utils.compress.pruning.filters import Shrink
from squeeze_utils.compress.pruning.steps import Prune, Recalibrate, Rewind
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.experiments.variants import LONG, LONG_RATES, Chapter, Variant
from squeeze_utils.models import Fire, ModelSpec
from squeeze_utils.studies.dense_network import (
    DENSE,
    LONG_PILOT,
    WHOLE,
    dense,
    each_long_seed,
    each_seed,
    long_rate,
    long_retrain,
    long_training,
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


# --- the long regime: 90 % from the networks of `residual_long`, by the scan's budget ---

RETRAIN = (1, 8)
SCANNED, LEFT_DENSE = "pruned by scan", "dense, the scan's widths"


def scan_widths(scale: Scale, density: Mapping[str, float]) -> tuple[tuple[int, int, int], ...]:
    """Filters (s, e1, e3) of dense Fire modules with as many weights as a scan left in each.

    `density` is the percentage that it left of each parameter. With e1 = e3 = 4s, as in
    SqueezeNet, a module on C channels has s (C + 40 s) weights; s is rounded, then e1 and e3.
    """
    with torch.device("meta"):
        model = network(scale).build()
    channels, found = model.first.out_channels, []
    for name, fire in model.named_modules():
        if isinstance(fire, Fire):
            weights = {f"{name}.{n}": p.numel() for n, p in fire.named_parameters() if p.ndim > 1}
            kept = sum(density.get(n, 100 * (1 - HIGH)) * size / 100 for n, size in weights.items())
            s = max(1, round(((channels**2 + 160 * kept) ** 0.5 - channels) / 80))
            expand = max(1, round((kept / s - channels) / 10))
            found.append((s, expand, expand))
            channels = 2 * expand
    return tuple(found)


def scanned(scale: Scale) -> list[Arm]:
    """The first network, pruned by the scan's budget and not retrained: a part of the pilot."""
    prune = Prune(HIGH, scope="sensitivity", exclude=WHOLE)
    recipe = (long_training(scale), prune)
    return list(each_long_seed(scale, recipe, (0,), network=SCANNED, lr=long_training(scale).lr))


def small_chapter(scale: Scale) -> tuple[Chapter, bool]:
    """The dense control, trained as long as pruned networks, and whether the scan has been done.

    Until then its widths are those of a scan that leaves the same share everywhere.
    """
    scan = Study("pruning_lr_long", "", scanned(scale))
    record = next(iter(scan.records().values()), None) if scale.name == "reference" else None
    density = record.final["density"] if record else {}
    options = {"fires": scan_widths(scale, density)}
    variant = Variant.of(options, rates=LONG_RATES, network=LEFT_DENSE)
    title = "are the scan's zeros worth more than a small dense network of the scan's widths?"
    epochs = LONG["epochs"] + RETRAIN[1]
    regime = {**LONG, "epochs": epochs, "pilot_epochs": epochs}
    known = scale.name == "quick" or record is not None
    return Chapter("pruning_long", title, (variant,), **regime), known


def long_pilot(scale: Scale) -> Study:
    """The scan of the first network, then learning rates for the dense one of its widths."""
    chapter, known = small_chapter(scale)
    study = chapter.pilot(scale)
    rates = study.once(known)
    pilot = Study(study.name, study.title, scanned(scale), LONG_PILOT).once(long_rate(scale)[1])
    return replace(
        pilot, arms=(*pilot.arms, *rates.arms), expected=(*pilot.expected, *rates.expected)
    )


def long(scale: Scale) -> Study:
    """Three criteria in the scan's budget, the network never pruned, and the dense control."""
    chapter, known = small_chapter(scale)
    after = (long_retrain(scale, RETRAIN), recalibrate(scale))
    ways: dict[str, tuple[Step, ...]] = {"never pruned": after}
    for criterion in CRITERIA[:3]:
        ways[criterion] = (Prune(HIGH, criterion, "sensitivity", exclude=WHOLE), *after)
    begin = long_training(scale)
    arms = [
        arm
        for name, steps in ways.items()
        for arm in each_long_seed(scale, (begin, *steps), network=name, lr=begin.lr)
    ]
    pruned = Study(chapter.name, chapter.title, arms, chapter.pilot_name).once(long_rate(scale)[1])
    small = chapter.study(scale).once(known)
    settled, expected = (
        [replace(arm, experiment=arm.experiment.followed_by(after[-1])) for arm in part]
        for part in (small.arms, small.expected)
    )
    return replace(pruned, arms=(*pruned.arms, *settled), expected=(*pruned.expected, *expected))


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "pruning": trade_off,
    "pruning_scopes": scopes,
    "pruning_schedules": schedules,
    "lottery": lottery,
    "pruning_filters": whole_filters,
    "pruning_long": long,
    "pruning_lr_long": long_pilot,
}
