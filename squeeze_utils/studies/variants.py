"""Variants compared fairly: equal budgets, each at the learning rate that suits it.

A pilot trains every variant at every rate for few epochs; the rate with the best validation
accuracy is used for the runs that count, with several seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.rates import best_rate, extended, pilot_records, rate_arms
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import SMALL, ModelSpec
from squeeze_utils.training.loop import Train

SEEDS = (0, 1, 2)
MUON = {"optimizer": "muon", "weight_decay": 0.05}
MUON_RATES = (0.01, 0.02, 0.04, 0.08)
# The long regime: all images, trained until little changes, the precision a part of the key.
LONG: dict[str, Any] = {
    "images": None,
    "epochs": 24,
    "pilot_epochs": 8,
    "seeds": (0, 1, 2, 3, 4),
    "pilot_seeds": (0, 1),
    "train": {"precision": "bfloat16"},
    "extends_rates": True,
}
LONG_RATES = (0.02, 0.04, 0.08)
# Where two arms may differ by as little as a wrong rate costs, the pilot is not shorter either:
# shorter ones favour higher rates. Two of its runs are then the first two seeds of the study, and
# the plain network has the same pilot, so the same rate, in all studies that have this one.
FULL_PILOT: dict[str, Any] = {**LONG, "pilot_epochs": LONG["epochs"]}
# Digits are few: smaller batches make more steps of an epoch.
QUICK_TRAIN = {"epochs": 3, "batch_size": 80}
QUICK_RATE = 0.04


@dataclass(frozen=True)
class Variant:
    """One row of a chapter's table: what it changes in the network and in its training.

    A value of `train` may be a function of the number of epochs.
    `quick_lr` is used at quick scale, where there is no pilot. `pilot_epochs` are the epochs of
    this variant's pilot runs, and `seeds` its seeds, those of the chapter unless given.
    """

    labels: tuple[tuple[str, Any], ...]
    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    rates: Sequence[float] = MUON_RATES
    quick_lr: float = QUICK_RATE
    pilot_epochs: int | None = None
    seeds: Sequence[int] | None = None

    @classmethod
    def of(
        cls,
        model: Mapping[str, Any] | None = None,
        train: Mapping[str, Any] | None = None,
        rates: Sequence[float] = MUON_RATES,
        quick_lr: float = QUICK_RATE,
        pilot_epochs: int | None = None,
        seeds: Sequence[int] | None = None,
        **labels: Any,
    ) -> Variant:
        """A variant with its labels as keywords."""
        named = tuple(labels.items())
        return cls(named, model or {}, train or {}, rates, quick_lr, pilot_epochs, seeds)


@dataclass(frozen=True)
class Chapter:
    """A study of variants and the pilot that finds their learning rates.

    `width` is the network's at reference scale; `epochs`, `pilot_epochs` and `train`, what all
    variants' training has in common, are the reference's too. `quick` holds options of the
    network at quick scale. With `extends_rates` a variant whose best rate lies at the edge of its
    grid gets another rate beyond that edge, until the best one lies inside. `pools_deviation` is
    the study's.
    """

    name: str
    title: str
    variants: Sequence[Variant]
    width: float = 0.5
    images: int | None = 20_000
    epochs: int = 8
    pilot_epochs: int = 2
    seeds: Sequence[int] = SEEDS
    train: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=lambda: {"width": 0.25})
    quick_images: DataSpec = field(default_factory=lambda: DataSpec(size=16))
    quick_seeds: Sequence[int] = (0,)
    pilot_seeds: Sequence[int] = (0,)
    extends_rates: bool = False
    pools_deviation: bool = False

    @property
    def pilot_name(self) -> str:
        """The name of the study of learning rates."""
        stem = self.name.removesuffix("_long")
        return f"{stem}_lr_long" if stem != self.name else f"{self.name}_lr"

    def pilot(self, scale: Scale) -> Study:
        """Every variant at every rate of its grid, with the pilot's seeds.

        Where grids are extended, the records that are there decide by how much.
        """
        records = self.pilot_records(scale) if self.extends_rates else {}
        arms = [
            arm
            for variant in self.variants
            for arm in rate_arms(self.grid(variant, scale, records), **dict(variant.labels))
        ]
        return Study(self.pilot_name, f"the learning rates of: {self.title}", arms)

    def study(self, scale: Scale) -> Study:
        """Every variant at its rate, with all seeds.

        At reference scale the pilot's records choose the rates: a variant joins once all its
        runs in the pilot have one, and is expected until then.
        """
        records = self.pilot_records(scale)
        arms: dict[bool, list[Arm]] = {True: [], False: []}
        for variant in self.variants:
            found = self.rate(variant, scale, records)
            lr = variant.rates[len(variant.rates) // 2] if found is None else found
            for seed in scale.pick(self.quick_seeds, variant.seeds or self.seeds):
                experiment = self.experiment(scale, variant, lr, seed)
                arms[found is not None].append(Arm.of(experiment, **dict(variant.labels), lr=lr))
        return Study(
            self.name,
            self.title,
            arms[True],
            self.pilot_name,
            pools_deviation=self.pools_deviation,
            expected=arms[False],
        )

    def pilot_records(self, scale: Scale) -> dict[str, Record]:
        """Those of this chapter's pilot; see `rates.pilot_records`."""
        return pilot_records(self.pilot_name, scale)

    def rate(self, variant: Variant, scale: Scale, records: Mapping[str, Record]) -> float | None:
        """The rate of a variant; None where its part of the pilot has not finished."""
        if scale.name == "quick":
            return variant.quick_lr
        return best_rate(records, self.grid(variant, scale, records))

    def grid(
        self, variant: Variant, scale: Scale, records: Mapping[str, Record]
    ) -> dict[float, list[Experiment]]:
        """The pilot's runs of a variant by rate: those of its grid, and of rates added to it."""
        runs = partial(self._pilot_runs, scale, variant)
        if self.extends_rates:
            return extended(variant.rates, records, runs)
        return {lr: runs(lr) for lr in variant.rates}

    def _pilot_runs(self, scale: Scale, variant: Variant, lr: float) -> list[Experiment]:
        seeds = scale.pick((0,), variant.seeds or self.pilot_seeds)[: len(self.pilot_seeds)]
        return [self.experiment(scale, variant, lr, seed, pilot=True) for seed in seeds]

    def experiment(
        self, scale: Scale, variant: Variant, lr: float, seed: int, pilot: bool = False
    ) -> Experiment:
        """One run of a variant; the pilot's are shorter.

        Options that hold the network's default are left out, so that the plain network of one
        chapter is the very experiment of the other chapters too, and is trained once.
        """
        images = scale.pick(self.quick_images, DataSpec("cifar10", train_limit=self.images))
        size = scale.pick({"in_channels": 1, **self.quick}, {"width": self.width})
        options = {**size, **variant.model}
        changed = {k: v for k, v in options.items() if v != getattr(SMALL, k)}
        model = ModelSpec.of("squeezenet_small", num_classes=10, **changed)
        step = self._training(scale, variant, lr, pilot)
        return Experiment(model, images, (step,), seed)

    def _training(self, scale: Scale, variant: Variant, lr: float, pilot: bool) -> Train:
        """The series' training, with what the chapter and then what the variant changes in it.

        Quick runs have their own length and batches, whatever a variant says. Divergence is a
        result, not an error.
        """
        series = {"lr": lr, "may_diverge": True, **MUON}
        if scale.name == "quick":
            settings = {**series, "shift": 1, **variant.train, **QUICK_TRAIN}
        else:
            series |= {"epochs": self.epochs, "shift": 3, "flip": True}
            if pilot:
                series["epochs"] = variant.pilot_epochs or self.pilot_epochs
            settings = {**series, **self.train, **variant.train}
        epochs = settings["epochs"]
        return Train(**{k: v(epochs) if callable(v) else v for k, v in settings.items()})


def studies_of(*chapters: Chapter) -> dict[str, Callable[[Scale], Study]]:
    """The study and the pilot of every chapter, by name."""
    found: dict[str, Callable[[Scale], Study]] = {}
    for chapter in chapters:
        found[chapter.pilot_name] = chapter.pilot
        found[chapter.name] = chapter.study
    return found


def longer(study: Study, name: str, scale: Scale, times: int = 3) -> Study:
    """The two leading networks of a study trained `times` as long, with two seeds.

    They lead on validation images, in the mean over seeds; a network is what the first label
    says, at its best rate. At quick scale the first two are taken.
    """
    reference = scale.name == "reference"
    settled = not reference or not (study.expected or study.missing())
    records = study.records() if reference and settled else {}
    groups: dict[tuple, list[Arm]] = {}
    for arm in study.planned:
        groups.setdefault(arm.labels, []).append(arm)

    def mean(labels: tuple) -> float:
        found = [records[arm.experiment.key] for arm in groups[labels]] if records else ()
        return fmean(r.final["validation_accuracy"] for r in found) if found else 0.0

    best: dict[Any, list[Arm]] = {}
    for labels in sorted(groups, key=mean, reverse=True):
        best.setdefault(labels[0], groups[labels])
    arms = []
    for arm in (arm for group in list(best.values())[:2] for arm in group[:2]):
        (step,) = arm.experiment.recipe
        step = replace(step, epochs=times * step.epochs)
        arms.append(replace(arm, experiment=replace(arm.experiment, recipe=(step,))))
    title = f"does the order last? {times} times as long: {study.title}"
    return Study(name, title, arms, study.name).once(settled)
