"""Chapter 15: the most accurate checkpoint that was kept in few bytes, and training on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pricing.in_training import PriceBits
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.quantizing.after_training import Halve
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.deep_compression import CIFAR10, QUICK
from squeeze_utils.studies.priced import AFTERWARDS, DENSE, WITH_CONTEXTS
from squeeze_utils.studies.residual import CHECKPOINT
from squeeze_utils.training.loop import Train
from squeeze_utils.training.start_from_checkpoint import Load
from squeeze_utils.training.step import Step

NETWORK = "SqueezeNet, simple bypass"  # that of the checkpoint
TRAINED_ON = "rounded, trained on"  # begins a recipe's name
SEEDS = (0, 1, 2)
# Rounded into so many bytes; contexts, and biases that share a step, take some of them away.
ROUNDED = ({4_000: 4_200}, {100_000: 104_000, 66_000: 68_500, 60_000: 62_000, 50_000: 51_000})
SIZES_TRAINED_ON = ((4_000,), (66_000, 60_000, 50_000))
# On validation images (one run each) three epochs at 4e-4 were better than three at 1e-4, and eight
# no better; label smoothing, mixup, a moving average or batches of 512 made no difference.
RATE, EPOCHS = 4e-4, (1, 3)


def recipes(scale: Scale) -> dict[str, tuple[Step, ...]]:
    """The trained network as it is, rounded, and trained on after that; all seeds begin with it."""
    first = scale.pick(Train(2, lr=3e-3, **QUICK), Load(CHECKPOINT))
    begin = (first, FoldBatchNorm())
    rounded = {
        size: (*begin, Squeeze(start, scale.pick(64, 1000)))
        for size, start in scale.pick(*ROUNDED).items()
    }
    again = _training(scale, during=(PriceBits(0.0, first_bias_step=0.025),))
    return {
        DENSE: (*begin, Halve(), Encode()),
        f"{DENSE}, trained on": (*begin, _training(scale), Halve(), Encode()),
        **{
            f"{AFTERWARDS}, {size // 1000} kB": (*steps, *WITH_CONTEXTS)
            for size, steps in rounded.items()
        },
        **{
            f"{TRAINED_ON}, {size // 1000} kB": (*rounded[size], again, *WITH_CONTEXTS)
            for size in scale.pick(*SIZES_TRAINED_ON)
        },
    }


def _training(scale: Scale, **changes: Any) -> Train:
    """At a small rate, as without its normalisation the network bears no more."""
    how = {"lr": RATE, "optimizer": "adamw", "weight_decay": 0.0, "schedule": "cosine", **changes}
    epochs = scale.pick(*EPOCHS)
    if scale.name == "quick":
        return Train(epochs, **{**QUICK, **how})
    images = {"batch_size": 128, "shift": 4, "flip": True, "cutout": 8}
    return Train(epochs, precision="bfloat16", **images, **how)


def few_bytes(scale: Scale) -> Study:
    """A network of chapter 09 in 50 to 100 kB; every seed begins with the same one."""
    grey = scale.pick({"in_channels": 1, "width": 0.25}, {})
    network = ModelSpec.of("squeezenet_small", num_classes=10, bypass="simple", **grey)
    arms = [
        Arm.of(
            Experiment(network, scale.pick(DataSpec(), CIFAR10), steps, seed),
            network=NETWORK,
            recipe=recipe,
        )
        for seed in scale.pick((0,), SEEDS)
        for recipe, steps in recipes(scale).items()
        if seed == 0 or recipe != DENSE  # nothing is drawn
    ]
    title = "how few bytes does the most accurate checkpoint that was kept need?"
    return Study("few_bytes", title, arms, certain=(DENSE,))


STUDIES: dict[str, Callable[[Scale], Study]] = {"few_bytes": few_bytes}
