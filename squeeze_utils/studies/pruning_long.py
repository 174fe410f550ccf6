"""Chapter 10, trained long enough: 90 % pruned from the networks of `residual_long`, by a scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import Fire
from squeeze_utils.studies.dense_network import (
    LONG_PILOT,
    WHOLE,
    each_long_seed,
    long_rate,
    long_retrain,
    long_training,
    network,
)
from squeeze_utils.studies.pruning import CRITERIA, HIGH, recalibrate
from squeeze_utils.studies.variants import LONG, LONG_RATES, Chapter, Variant
from squeeze_utils.training.step import Step

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
    return pilot.with_arms_of(rates)


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
    return pruned.with_arms_of(
        small.each(lambda arm: replace(arm, experiment=arm.experiment.followed_by(after[-1])))
    )


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "pruning_long": long,
    "pruning_lr_long": long_pilot,
}
