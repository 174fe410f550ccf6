"""Chapter 18: what a network that learnt one set of images is worth on another, and in few bytes.

At reference scale SqueezeNet 1.1 comes from ImageNet to scenes (Intel) and objects (Caltech-101).
At quick scale a small one comes from digits to digits in other styles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.rates import extended, pilot_records, rate_arms, rate_or
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study, by_seed
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.variants import MUON
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step
from squeeze_utils.training.transfer import (
    FitHead,
    LoadImageNet,
    NewHead,
    TrainElsewhere,
    fire_parts,
)

SIZE = 128  # pixels of the photographs
CLASSES = {"intel": 6, "caltech101": 102}
SEEDS = (0, 1, 2)
EPOCHS, PILOT_EPOCHS = (8, 6), (8, 2)  # (quick, reference)
FIRST_TRAINED = 6  # the first Fire module that "last modules" trains
HEAD, LAST, ALL, SCRATCH, ALEXNET = (
    "head only",
    "last modules",
    "all",
    "from scratch",
    "AlexNet, from scratch",
)
TUNED = {  # rates of the pilot
    LAST: (2.5e-4, 5e-4, 1e-3),
    ALL: (1e-4, 2e-4, 4e-4),
    SCRATCH: (0.005, 0.01, 0.02),
    ALEXNET: (0.005, 0.01, 0.02),
}
PILOT = "transfer_lr"
STYLES = ("digits_thickened", "digits_noisy", "digits_inverted")
QUICK_IMAGES = 200


def images(scale: Scale, name: str, **changes: Any) -> DataSpec:
    """Photographs of 128 pixels; digits in another style of 16, a few of them."""
    if scale.name == "quick":
        return DataSpec(name, **{"size": 16, "train_limit": QUICK_IMAGES, **changes})
    return DataSpec(name, **{"size": SIZE, **changes})


def network(scale: Scale, name: str, way: str = ALL) -> ModelSpec:
    """SqueezeNet 1.1 without the activation behind conv10, or a small one for digits."""
    if scale.name == "quick":
        return ModelSpec.of("squeezenet_small", num_classes=10, in_channels=1, width=0.25)
    if way == ALEXNET:
        return ModelSpec.of("alexnet", num_classes=CLASSES[name])
    return ModelSpec.of("squeezenet1_1", num_classes=CLASSES[name], final_relu=False)


@cache
def _last_modules(spec: ModelSpec) -> tuple[str, ...]:
    """What is trained where only the last modules are."""
    return fire_parts(spec.build(), FIRST_TRAINED)


def training(scale: Scale, way: str, lr: float, epochs: int, **changes: Any) -> Train:
    """Training on the new images: AdamW for networks with learnt weights, Muon from scratch.

    With Muon a step of AlexNet would take 20 seconds, for its dense layers.
    """
    how: dict[str, Any] = {
        SCRATCH: MUON,
        ALEXNET: {"optimizer": "nesterov", "may_diverge": True},
    }.get(way, {"optimizer": "adamw", "weight_decay": 0.01})
    if scale.name == "quick":
        how = {**MUON, "batch_size": 32, "shift": 1}
    else:
        how = {**how, "batch_size": 64, "shift": 8, "flip": True, "precision": "bfloat16"}
    if way == LAST:
        how["only"] = _last_modules(network(scale, "intel"))
    return Train(epochs, lr=lr, **{**how, **changes})


def start(scale: Scale) -> tuple[Step, ...]:
    """What has been learnt elsewhere: ImageNet, or the digits as they are."""
    if scale.name == "reference":
        return (LoadImageNet(),)
    return (TrainElsewhere("digits", training(scale, ALL, 0.02, 4)), NewHead())


def recipe(scale: Scale, way: str, lr: float, epochs: int, **changes: Any) -> tuple[Step, ...]:
    """One way to a network for the new images."""
    if way == HEAD:
        return (*start(scale), FitHead())
    step = training(scale, way, lr, epochs, **changes)
    return (step,) if way in (SCRATCH, ALEXNET) else (*start(scale), FitHead(), step)


# --- learning rates ---


def _tried(scale: Scale, way: str, records: Mapping[str, Record]) -> dict[float, list[Experiment]]:
    """The pilot's runs by rate: scenes, two seeds, a third of the epochs."""

    def runs(lr: float) -> list[Experiment]:
        steps = recipe(scale, way, lr, scale.pick(*PILOT_EPOCHS))
        name = scale.pick(STYLES[0], "intel")
        spec, data = network(scale, name, way), images(scale, name)
        return [Experiment(spec, data, steps, seed) for seed in scale.pick((0,), (0, 1))]

    return extended(TUNED[way], records, runs)


def pilot(scale: Scale) -> Study:
    """A learning rate for each way, chosen on the scenes' validation images."""
    records = pilot_records(PILOT, scale)
    tried = {way: _tried(scale, way, records) for way in ways(scale)[1:]}
    arms = [arm for way, runs in tried.items() for arm in rate_arms(runs, way=way)]
    return Study(PILOT, "the learning rates of: what is it worth to have learnt elsewhere?", arms)


def ways(scale: Scale) -> tuple[str, ...]:
    """All ways; AlexNet is too large for the quick scale."""
    return (HEAD, LAST, ALL, SCRATCH, *scale.pick((), (ALEXNET,)))


def rate(scale: Scale, way: str) -> tuple[float, bool]:
    """The learning rate of a way, and whether the pilot has settled it; until then a likely one."""
    if way == HEAD:
        return 0.0, True
    if scale.name == "quick":
        return 0.02 if way == SCRATCH else 0.01, True
    records = pilot_records(PILOT, scale)
    return rate_or(TUNED[way][1], records, _tried(scale, way, records))


def study_of(name: str, title: str, arms: Sequence[tuple[Arm, bool]], needs: bool = True) -> Study:
    """A study of arms that come with whether their rate is known; seed by seed."""
    known, expected = (
        by_seed(arm for arm, settled in arms if settled is wanted) for wanted in (True, False)
    )
    return Study(name, title, known, PILOT if needs else None, expected=expected)


def each_seed(
    scale: Scale,
    name: str,
    way: str,
    steps: tuple[Step, ...] = (),
    /,
    seeds: Sequence[int] = SEEDS,
    data: Callable[[int], DataSpec] | None = None,
    how: Mapping[str, Any] | None = None,
    **labels: Any,
) -> Iterator[tuple[Arm, bool]]:
    """An arm for each seed: the way, then `steps`; and whether its rate is known.

    `data` gives the images of a seed; `how` changes the training of the way.
    """
    lr, known = rate(scale, way)
    path = recipe(scale, way, lr, **{"epochs": scale.pick(*EPOCHS), **(how or {})})
    for seed in scale.pick((0,), seeds):
        spec = network(scale, name, way)
        seen = data(seed) if data else images(scale, name)
        experiment = Experiment(spec, seen, (*path, *steps), seed)
        yield Arm.of(experiment, **labels), known


# --- the studies ---


def transfer(scale: Scale) -> Study:
    """Head, last modules or all, from ImageNet; against training from nothing."""
    arms: list[tuple[Arm, bool]] = []
    for name in scale.pick(STYLES, tuple(CLASSES)):
        for way in ways(scale):
            seeds = SEEDS[:1] if way == HEAD else SEEDS  # all images, a convex loss: no luck in it
            arms += each_seed(scale, name, way, seeds=seeds, images=name, way=way)
    study = study_of("transfer", "what is it worth to have learnt elsewhere?", arms)
    return replace(study, certain=(HEAD,))


STUDIES: dict[str, Callable[[Scale], Study]] = {
    PILOT: pilot,
    "transfer": transfer,
}
