"""Chapter 18: what more or fewer training images, and copies of test images, are worth."""

from __future__ import annotations

import math
from collections.abc import Callable

from squeeze_utils.anatomy.answers import ObserveAnswers
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies.transfer import (
    ALL,
    CLASSES,
    HEAD,
    LAST,
    SCRATCH,
    STYLES,
    each_seed,
    images,
    network,
    start,
    study_of,
)
from squeeze_utils.training.transfer import FitHead

FEW_BATCH, FEW_STEPS = 16, (48, 400)  # of trainings with few images


def head_curve(scale: Scale) -> Study:
    """Accuracy of the head alone by images of each class; other draws in each seed."""
    counts = {"intel": (1, 5, 20, 100, 500), "caltech101": (1, 5, 20)}
    arms: list[tuple[Arm, bool]] = []
    for name, few in scale.pick({STYLES[0]: (1, 5, 20)}, counts).items():
        data = images(scale, name)
        for count in few:
            for seed in scale.pick((0, 1, 2), (0, 1, 2, 3, 4)):
                steps = (*start(scale), FitHead(per_class=count))
                experiment = Experiment(network(scale, name), data, steps, seed)
                arms.append((Arm.of(experiment, images=name, per_class=count), True))
    title = "how many images of a class does a head need?"
    return study_of("transfer_head_curve", title, arms, needs=False)


def copies(scale: Scale) -> Study:
    """The head fitted with and without training images that nearly equal a test image."""
    arms: list[tuple[Arm, bool]] = []
    for name in scale.pick(STYLES[:1], tuple(CLASSES)):
        for kept in (True, False):
            data = images(scale, name, train_limit=None, copies=kept)
            label = "with copies" if kept else "without copies"
            steps = (*start(scale), FitHead(), ObserveAnswers(pictures=True))
            experiment = Experiment(network(scale, name), data, steps, 0)
            arms.append((Arm.of(experiment, images=name, training=label), True))
    title = "what do copies of test images in the training images add?"
    return study_of("transfer_copies", title, arms, needs=False)


def few_images(scale: Scale) -> Study:
    """All ways with few images of scenes, other ones for each seed; about equally many steps."""
    name, classes = scale.pick((STYLES[0], 10), ("intel", CLASSES["intel"]))
    arms: list[tuple[Arm, bool]] = []
    for count in scale.pick((5, 20), (5, 20, 100)):
        epochs = math.ceil(scale.pick(*FEW_STEPS) / (count * classes // FEW_BATCH))
        how = {"epochs": epochs, "batch_size": FEW_BATCH}

        def drawn(seed: int, count: int = count) -> DataSpec:
            return images(scale, name, per_class=count, draw=seed)

        for way in (HEAD, LAST, ALL, SCRATCH):
            arms += each_seed(scale, name, way, data=drawn, how=how, per_class=count, way=way)
    return study_of("transfer_few_images", "which way is best with few images?", arms)


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "transfer_head_curve": head_curve,
    "transfer_copies": copies,
    "transfer_few_images": few_images,
}
