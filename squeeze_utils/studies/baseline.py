"""Chapter 03: how well the plain networks do, and what batch normalisation is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..models import ModelSpec
from ..recipe import DataSpec, Experiment
from ..signals import ObserveOutputs
from ..study import Arm, Scale, Study
from ..train import Train

AUGMENTED = {"shift": 3, "flip": True}
RATES: dict[str, dict[str, dict[str, Any]]] = {
    "SqueezeNet": {
        "nesterov": {"rates": (0.05, 0.1, 0.2, 0.4), "weight_decay": 5e-4},
        "muon": {"rates": (0.002, 0.005, 0.01, 0.02), "weight_decay": 0.05},
    },
    "AlexNet": {"nesterov": {"rates": (0.01, 0.02, 0.05, 0.1), "weight_decay": 5e-4}},
}


def model(name: str, scale: Scale, **options: Any) -> ModelSpec:
    """The network called `name` in a table, for the images of `scale`."""
    known = {
        "SqueezeNet": ("squeezenet_small", {}),
        "AlexNet": ("alexnet", {"image_size": 32}),
        "VGG-11": ("vgg11", {"image_size": 32}),
        "LeNet-5": ("lenet5", {"image_size": 32}),
    }
    built, fixed = known[name]
    grey = scale.pick({"in_channels": 1}, {})
    return ModelSpec.of(built, num_classes=10, **grey, **fixed, **options)


def data(scale: Scale, train_limit: int | None = None) -> DataSpec:
    """Digits or CIFAR-10; the limit on training images binds at reference scale only."""
    return DataSpec("cifar10", train_limit=train_limit) if scale.name == "reference" else DataSpec()


def learning_rates(scale: Scale) -> Study:
    """The optimizer and learning rate of each network, chosen on the validation split."""
    arms = []
    for name, optimizers in RATES.items():
        for optimizer, choice in optimizers.items():
            for lr in choice["rates"]:
                step = Train(
                    scale.pick(3, 5),
                    lr=lr,
                    optimizer=optimizer,
                    weight_decay=choice["weight_decay"],
                    may_diverge=name == "AlexNet",  # it has no batch normalisation
                    **AUGMENTED,
                )
                experiment = Experiment(model(name, scale), data(scale, 20_000), (step,))
                arms.append(Arm.of(experiment, model=name, optimizer=optimizer, lr=lr))
    return Study("baseline_lr", "which optimizer and peak learning rate suit each network?", arms)


STUDIES: dict[str, Callable[[Scale], Study]] = {"baseline_lr": learning_rates}
