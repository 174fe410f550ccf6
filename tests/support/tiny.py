"""What several tests share: a small image set made on the spot, and a small experiment."""

from __future__ import annotations

import torch

from squeeze_utils.data import ImageSet, Split
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step

QUICK = {"batch_size": 16, "lr": 0.05, "precision": "float32"}


def tiny_set(
    *, classes: int = 3, channels: int = 1, size: int = 8, counts=(48, 24, 24), seed: int = 0
) -> ImageSet:
    """Noise with one bright column per class: learnt within two epochs, no file needed."""
    generator = torch.Generator().manual_seed(seed)

    def split(n: int) -> Split:
        labels = torch.arange(n) % classes
        images = torch.randint(0, 120, (n, channels, size, size), generator=generator)
        for i, label in enumerate(labels.tolist()):
            images[i, :, :, 2 * label] = 230
        pixels = images.to(torch.uint8).to(memory_format=torch.channels_last)
        return Split(pixels, labels)

    train, validation, test = map(split, counts)
    pixels = train.images.float() / 255
    mean = tuple(pixels.mean((0, 2, 3)).tolist())
    std = tuple(pixels.std((0, 2, 3)).tolist())
    names = tuple(f"class{i}" for i in range(classes))
    return ImageSet("tiny", names, train, validation, test, mean, std, f"{seed:016x}")


def tiny_spec(**options) -> ModelSpec:
    """The smallest network with two hidden layers, for 8-pixel grey images."""
    return ModelSpec.of("lenet_300_100", image_size=8, **options)


def tiny_experiment(*steps: Step, seed: int = 0) -> Experiment:
    """A dense network on real digits of 8 pixels; one epoch unless steps are given."""
    recipe = steps or (Train(1, **QUICK),)
    return Experiment(tiny_spec(), DataSpec("digits", 8, 64), recipe, seed)


def timeless(steps: list[dict]) -> list[dict]:
    """What was measured, without the seconds that it took: what two runs must agree on."""
    return [
        {
            **{name: value for name, value in step.items() if name != "seconds"},
            "history": [{**epoch, "seconds": 0} for epoch in step.get("history", ())],
        }
        for step in steps
    ]


def same_states(one: State, other: State) -> bool:
    """Whether two networks are the same bit for bit."""
    a, b = one.model.state_dict(), other.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
