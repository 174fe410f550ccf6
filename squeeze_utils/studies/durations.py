"""An estimate, made beforehand, of how long the reference trainings take on this machine.

The unit is an image of the half-width SqueezeNet in bfloat16, trained on once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from statistics import median
from typing import Any, NamedTuple

import torch

from squeeze_utils.anatomy.costs import count
from squeeze_utils.base import machine
from squeeze_utils.base.checks import choose
from squeeze_utils.compress.quantizing.after_training import Calibrate
from squeeze_utils.compress.updates import Federate
from squeeze_utils.data.sets import STYLES
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

HALF = ModelSpec.of("squeezenet_small", num_classes=10, width=0.5)
IMAGES_PER_SECOND = {"bfloat16": 1_150, "float32": 240}  # of HALF on one thread
ON_GPU = 9_000  # of HALF; small networks wait for the processor
# Seconds of an image, those of HALF being one, where arithmetic does not tell.
RELATIVE = {
    "alexnet": 2.0,
    "lenet_300_100": 0.06,
    "lenet5": 0.4,
    "lenet5_fire": 0.4,
    "resnet20": 2.2,
    "vgg11": 5.8,
}
FLOAT32 = 2.0  # likewise, where a recipe names that precision
ROUNDED = 3.5  # likewise, where the outputs of layers are rounded while it trains
LARGE_ALEXNET = 20.0  # its form for photographs
# Images of the training and of the validation split.
IMAGES = {
    "cifar10": (45_000, 5_000),
    "mnist": (54_001, 5_999),
    "intel": (7_867, 874),
    "caltech101": (5_486, 609),
    "bccd": (205, 87),
    "camvid": (367, 101),
    **dict.fromkeys(STYLES, (1_295, 143)),
    "digit_scenes": (1_200, 200),
    "digit_masks": (1_200, 200),
}
ONE_THREAD = ", 1 thread"  # how the name of such a device ends


def training_images(experiment: Experiment) -> int:
    """How many images an epoch of the experiment sees."""
    data = experiment.data
    if data.per_class:
        with torch.device("meta"):
            return data.per_class * experiment.model.build().num_classes
    choose("images", data.name, IMAGES)
    train, validation = IMAGES[data.name]
    return data.train_limit or train + validation * data.train_on_validation


def epochs_of(step: Step) -> int:
    """Epochs over the training images that a step takes, those of all clients together."""
    rounds = getattr(step, "rounds", 1)
    return step.epochs * rounds if isinstance(step, Train | Federate) else 0


def slowdown(recipe: Sequence[Step], position: int) -> float:
    """How many times longer this step takes for an image than one in bfloat16 without rounding."""
    exact = getattr(recipe[position], "precision", "") == "float32"
    rounded = any(isinstance(step, Calibrate) for step in recipe[:position])
    return (FLOAT32 if exact else 1.0) * (ROUNDED if rounded else 1.0)


def units(experiment: Experiment, position: int) -> float:
    """What the step at `position` trains on, in images of HALF in bfloat16."""
    seen = epochs_of(experiment.recipe[position]) * training_images(experiment)
    return seen * slowdown(experiment.recipe, position) * relative(experiment.model)


def relative(model: ModelSpec) -> float:
    """How long an image takes, where the half-width SqueezeNet takes one unit."""
    if model.name == "alexnet" and dict(model.options).get("image_size", 224) == 224:
        return LARGE_ALEXNET
    if model.name in RELATIVE:
        return RELATIVE[model.name]
    return (_multiply_adds(model) / _multiply_adds(HALF)) ** 0.5


@cache
def _multiply_adds(model: ModelSpec) -> int:
    with torch.device("meta"):
        return count(model.build())["multiply_adds"]


def speed(group: Iterable[Study], usual: float) -> float:
    """Images of HALF in a second, by all trainings of a study that run at once.

    From the records of the `group` (the study and its pilots) on this kind of processor; without
    any, the `usual` speed. Records come first because arithmetic tells little about photographs and
    scenes. Networks that several processes train together are trained one after the other.
    """
    group = list(group)
    found = [speed for study in group for speed in _recorded_speeds(study)]
    at_once = 1 if any(study.processes > 1 for study in group) else _at_once()
    return median(found) * at_once if found else usual


def usual_speed(studies: Iterable[Study]) -> float:
    """The median over the long records of this kind of processor, else what is likely."""
    long = [study for study in studies if study.name.endswith("_long")]
    found = [speed for study in long for speed in _recorded_speeds(study)]
    return (median(found) if found else likely_speed(machine.default_device())) * _at_once()


def likely_speed(device: torch.device) -> float:
    """Images of HALF in a second of one training on a device of which nothing else is known."""
    if device.type == "cuda":
        return ON_GPU
    return IMAGES_PER_SECOND[machine.precision("auto", device)]


def likely_seconds(experiment: Experiment) -> float:
    """What the trainings of an experiment take on this machine, by arithmetic."""
    images = sum(units(experiment, position) for position in range(len(experiment.recipe)))
    return images / likely_speed(experiment.data.device())


def seconds_again(record: Record) -> float:
    """What the experiment of a record is likely to take on this machine.

    A training takes as long as in the record if both were done on a processor, or both on a
    graphics card, and in the same precision; otherwise what arithmetic says. Of a reader's own
    folder, whose size is not known here, there is only the record.
    """
    experiment, total = Experiment.from_dict(record.experiment), 0.0
    device, counted = experiment.data.device(), experiment.data.name in IMAGES
    for position, step in enumerate(record.steps):
        trains = counted and epochs_of(experiment.recipe[position])
        alike = not trains or _alike(step, step.get("device", record.device), device)
        total += step["seconds"] if alike else units(experiment, position) / likely_speed(device)
    return total


def _alike(step: Mapping[str, Any], recorded_on: str, device: torch.device) -> bool:
    """Whether a training that was recorded takes about as long on the device."""
    on_processor = recorded_on.endswith((" thread", " threads"))
    slower = machine.precision("auto", device) == "float32" != step.get("precision", "float32")
    return on_processor == (device.type == "cpu") and not slower


class Trained(NamedTuple):
    """A training step that has a record: its place in the recipe, and how long it took where.

    Both by the median of the epochs that it has finished, because a machine may have had other
    work, or have slept, in some: `seconds` of all of them, `speed` in images of HALF in a second.
    """

    position: int
    device: str
    seconds: float
    speed: float


def trained(record: Record) -> Iterator[Trained]:
    """The training steps of a record."""
    experiment = Experiment.from_dict(record.experiment)
    unit = training_images(experiment) * relative(experiment.model)
    for position, step in enumerate(record.steps):
        if epochs := [epoch["seconds"] for epoch in step.get("history", ())]:
            images = unit * slowdown(experiment.recipe, position)
            device = step.get("device", record.device)
            usual = median(epochs)
            yield Trained(position, device, usual * len(epochs), images / usual)


def _recorded_speeds(study: Study) -> Iterator[float]:
    """The speed of each training that this kind of processor has recorded."""
    name = machine.device_name(machine.default_device()).partition(",")[0]
    alike = {name, name + ONE_THREAD}
    for record in study.records().values():
        yield from (one.speed for one in trained(record) if one.device in alike)


def _at_once() -> int:
    """How many trainings run side by side."""
    return 1 if machine.default_device().type == "cuda" else machine.cores()
