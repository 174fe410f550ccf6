"""Chapter 03: how well the plain networks do, and what batch normalisation is for."""

from __future__ import annotations

from collections.abc import Callable

from ..models import ModelSpec
from ..recipe import DataSpec, Experiment
from ..study import Arm, Scale, Study
from ..train import Train

AUGMENTED = {"shift": 3, "flip": True}
CHANCES = (0.05, 0.1, 0.2, 0.4)
CHANCES_ALEXNET = (0.01, 0.02, 0.05, 0.1)


def learning_rates(scale: Scale) -> Study:
    """The learning rate of each network, chosen on the validation split."""
    data = DataSpec("cifar10", train_limit=20_000) if scale.name == "reference" else DataSpec()
    epochs = scale.pick(3, 5)
    extra = scale.pick({"in_channels": 1}, {})
    specs = {
        "SqueezeNet": (ModelSpec.of("squeezenet_small", num_classes=10, **extra), CHANCES),
        "AlexNet": (
            ModelSpec.of("alexnet", num_classes=10, image_size=32, **extra),
            CHANCES_ALEXNET,
        ),
    }
    arms = [
        Arm.of(
            Experiment(spec, data, (Train(epochs, lr=lr, **AUGMENTED),)), model=name, lr=lr
        )
        for name, (spec, rates) in specs.items()
        for lr in rates
    ]
    return Study("baseline_lr", "which peak learning rate suits each network?", tuple(arms))


STUDIES: dict[str, Callable[[Scale], Study]] = {"baseline_lr": learning_rates}
