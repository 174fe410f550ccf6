"""Chapter 19: Fire modules that detect and segment, and what few bits take from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.after_training import QuantizeWeights
from squeeze_utils.compress.quantizing.equalising import CorrectBias
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.rates import best_rate, extended, pilot_records, rate_arms
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.variants import MUON
from squeeze_utils.training.loop import Train
from squeeze_utils.training.start_from_imagenet import ImageNetBackbone
from squeeze_utils.training.step import Step

TASKS = ("detection", "segmentation")
LONG = tuple((task, False) for task in TASKS)  # task, and whether its training is short
NETWORKS = {"detection": "detector", "segmentation": "segmenter"}
QUICK_IMAGES = {"detection": "digit_scenes", "segmentation": "digit_masks"}
IMAGES = {"detection": "bccd", "segmentation": "camvid"}
CLASSES = {"digit_scenes": 10, "digit_masks": 11, "bccd": 3, "camvid": 11}
SHAPES = {"bccd": (240, 320), "camvid": (180, 240)}
POOLS = {"detection": {"pools": 2}, "segmentation": {}}  # a finer grid for small boxes

SEEDS = (0, 1, 2)
FROM_IMAGENET, FROM_SCRATCH, VGG = "SqueezeNet, ImageNet", "SqueezeNet", "VGG"
BACKBONES = {  # name of the arm: (backbone, steps before training)
    FROM_IMAGENET: ("squeezenet1_1", (ImageNetBackbone(),)),
    FROM_SCRATCH: ("squeezenet1_1", ()),
    VGG: ("vgg", ()),
}
EPOCHS = {"detection": (8, 60), "segmentation": (6, 80)}  # quick, reference
SHORTER = 3  # pilots and short trainings have so many times fewer epochs
SHORT = ", short"  # after the name of a task
AGAIN = {"detection": (2, 15), "segmentation": (1, 20)}  # after pruning
RATES = (0.005, 0.01, 0.02)
LIKELY, QUICK_RATE = 0.01, 0.02

DENSE = "dense"  # in the place of bits: the network before pruning, with fewer epochs
FLOAT = 32
BITS = (6, 4, 3, 2)
SPARSITY = 0.5
# A detector's channels have the mean of its background; to correct that mean moved its objects.
CORRECTED = ("segmentation",)
ENDS = (("backbone.features.0.weight", 8), ("predict.weight", 8))


def network(scale: Scale, task: str, backbone: str = "squeezenet1_1") -> ModelSpec:
    """The detector or segmenter: half width for scenes of digits, whole for photographs."""
    images = scale.pick(QUICK_IMAGES, IMAGES)[task]
    small = {"in_channels": 1, "image_size": 48, "width": 0.5}
    size = scale.pick(small, {"image_size": SHAPES.get(images)})
    options = {"num_classes": CLASSES[images], "backbone": backbone, **size, **POOLS[task]}
    return ModelSpec.of(NETWORKS[task], **options)


def training(scale: Scale, task: str, lr: float = LIKELY, **changes: Any) -> Train:
    """The training from the beginning."""
    how: dict[str, Any] = {"epochs": scale.pick(*EPOCHS[task]), "lr": lr, **MUON}
    how |= scale.pick(
        {"shift": 2, "batch_size": 32},
        {"shift": 8, "flip": True, "colour": 0.2, "batch_size": 8, "precision": "bfloat16"},
    )
    return Train(**{**how, **changes})


def retraining(scale: Scale, task: str, lr: float = LIKELY) -> Train:
    """After pruning: from half the rate, straight down."""
    return training(scale, task, lr / 2, schedule="linear", epochs=scale.pick(*AGAIN[task]))


def pruning(scale: Scale, task: str, lr: float = LIKELY) -> tuple[Step, ...]:
    """Prune, then train on: the first steps of every compressed arm."""
    prune = Prune(SPARSITY, exclude=("backbone.features.0", "predict"))
    return prune, retraining(scale, task, lr)


def compression(scale: Scale, task: str, bits: int, lr: float = LIKELY) -> tuple[Step, ...]:
    """What follows training: prune, train on, fold, round, perhaps correct, write and read."""
    correction = (CorrectBias(images=32),) if task in CORRECTED else ()
    return (
        *pruning(scale, task, lr),
        FoldBatchNorm(),
        QuantizeWeights(bits, per_layer=ENDS),
        *correction,
        Encode(),
    )


def _experiment(
    scale: Scale, task: str, name: str, lr: float, seed: int, *after: Step, short: bool = False
) -> Experiment:
    backbone, before = BACKBONES[name]
    epochs = scale.pick(*EPOCHS[task]) // (SHORTER if short else 1)
    recipe = (*scale.pick((), before), training(scale, task, lr, epochs=epochs), *after)
    images = DataSpec(scale.pick(QUICK_IMAGES, IMAGES)[task])
    return Experiment(network(scale, task, backbone), images, recipe, seed)


def _tried(
    scale: Scale, task: str, name: str, records: Mapping[str, Record]
) -> dict[float, list[Experiment]]:
    """The pilot's runs of an arm by rate: a third of the epochs, two seeds."""

    def runs(lr: float) -> list[Experiment]:
        seeds = scale.pick((0,), (0, 1))
        return [_experiment(scale, task, name, lr, seed, short=True) for seed in seeds]

    if scale.name == "quick":
        return {QUICK_RATE: runs(QUICK_RATE)}
    return extended(RATES, records, runs)


def _rates(scale: Scale, task: str) -> dict[str, float | None]:
    """The pilot's best rate of each arm; None where one of its runs is missing."""
    if scale.name == "quick":
        return dict.fromkeys(BACKBONES, QUICK_RATE)
    records = pilot_records(f"{task}_lr", scale)
    return {name: best_rate(records, _tried(scale, task, name, records)) for name in BACKBONES}


def _names(scale: Scale) -> tuple[str, ...]:
    """The arms of a scale: no ImageNet for grey digits."""
    return scale.pick((FROM_SCRATCH, VGG), tuple(BACKBONES))


def pilot(scale: Scale, task: str) -> Study:
    """A learning rate for each backbone."""
    records = pilot_records(f"{task}_lr", scale)
    tried = {name: _tried(scale, task, name, records) for name in _names(scale)}
    arms = [arm for name, runs in tried.items() for arm in rate_arms(runs, backbone=name)]
    return Study(f"{task}_lr", f"the learning rates of: {TITLES[task]}", arms)


def backbones(scale: Scale, task: str, short: bool = False) -> Study:
    """Three backbones of one size, each at its own rate; `short` is as long as in the pilot."""
    rates = _rates(scale, task)
    arms = [
        Arm.of(
            _experiment(scale, task, name, rates[name] or LIKELY, seed, short=short), backbone=name
        )
        for seed in scale.pick((0,), SEEDS)
        for name in _names(scale)
    ]
    name, title = (f"{task}_short", f"short: {TITLES[task]}") if short else (task, TITLES[task])
    study = Study(name, title, arms, f"{task}_lr")
    return study.once(None not in [rates[name] for name in _names(scale)])


def compressed(scale: Scale) -> Study:
    """Both networks with fewer and fewer bits, judged as they come from their files.

    The arm `FLOAT` is the control of the bits: it is pruned and trains on as all of them do. The
    arm `DENSE` is the network that they all begin with. At reference scale there is a detector of
    a `SHORT` training, too.
    """
    name = scale.pick(FROM_SCRATCH, FROM_IMAGENET)
    rates = {task: _rates(scale, task)[name] for task in TASKS}
    known: list[Arm] = []
    expected: list[Arm] = []
    for seed in scale.pick((0,), SEEDS):
        for task, short in scale.pick(LONG, (*LONG, ("detection", True))):
            lr = rates[task]
            arms = known if lr else expected
            arms += _with_fewer_bits(scale, task, name, lr or LIKELY, seed, short)
    title = "what do few bits take from a detector and a segmenter first?"
    pilots = {"pilot": "detection_lr", "second_pilot": "segmentation_lr"}
    return Study("dense_compressed", title, known, expected=expected, **pilots)


def _with_fewer_bits(
    scale: Scale, task: str, name: str, lr: float, seed: int, short: bool = False
) -> Iterator[Arm]:
    ends: dict[str | int, tuple[Step, ...]] = {
        DENSE: (),
        FLOAT: (*pruning(scale, task, lr), Encode()),
    }
    ends |= {bits: compression(scale, task, bits, lr) for bits in scale.pick((6, 3), BITS)}
    for bits, after in ends.items():
        experiment = _experiment(scale, task, name, lr, seed, *after, short=short)
        yield Arm.of(experiment, task=f"{task}{SHORT}" if short else task, bits=bits)


TITLES = {
    "detection": "does a SqueezeNet find cells as well as a VGG of its size?",
    "segmentation": "does a SqueezeNet tell pixels apart as well as a VGG of its size?",
}
STUDIES: dict[str, Callable[[Scale], Study]] = {
    "detection_lr": partial(pilot, task="detection"),
    "detection": partial(backbones, task="detection"),
    "detection_short": partial(backbones, task="detection", short=True),
    "segmentation_lr": partial(pilot, task="segmentation"),
    "segmentation": partial(backbones, task="segmentation"),
    "dense_compressed": compressed,
}
