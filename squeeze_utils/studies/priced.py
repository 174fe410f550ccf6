"""Chapter 15: a price on bits while the network trains, against compression afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pricing.frozen_codes import FreezeCodes
from squeeze_utils.compress.pricing.in_training import PriceBits
from squeeze_utils.compress.pricing.silent_units import RemoveSilent
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.pruning.during_training import Gradual
from squeeze_utils.compress.quantizing.after_training import Halve
from squeeze_utils.compress.quantizing.fold_batch_norm import MergeStatistics
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.experiments.variants import MUON
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.deep_compression import (
    CIFAR10,
    LAYERS,
    MNIST,
    OUR_BITS,
    PHOTOS,
    QUICK,
    SEEDS,
    VGG,
    digits,
    gradual,
    model,
)
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

FIRE = "LeNet-5 with Fire modules"
NETWORKS = ("LeNet-300-100", "LeNet-5", FIRE)
DENSE = "dense"
PRUNED = "pruned and shared"
STEPPED = "pruned, learned steps"
AFTERWARDS = "rounded after training"
FREE = "learned steps, price 0"
# Epochs without a price, and those that all recipes of a network have after them.
EPOCHS = {"LeNet-300-100": (10, 40), "LeNet-5": (4, 24), FIRE: (4, 24)}
QUICK_EPOCHS = (8, 24)
# Nats of the mean loss for a bit. Digits are 40 times fewer images than MNIST.
PRICES = {
    "LeNet-300-100": (5e-7, 1e-6, 2e-6, 4e-6),
    "LeNet-5": (5e-7, 1e-6, 2e-6, 4e-6),
    FIRE: (1e-6, 2e-6, 4e-6),
}
QUICK_PRICES = (2e-5, 6e-5)
TARGETS = {"LeNet-300-100": (16_000, 8_000), "LeNet-5": (24_000, 12_000), FIRE: (24_000, 12_000)}
QUICK_TARGETS = (8_000, 4_000)
ROUNDED_BITS = 4
COMPACT: tuple[Step, ...] = (Halve(), FreezeCodes(), Encode("compact"))
FIRE_SPARSITY = 0.9
FIRE_BITS = 4


def network(name: str, scale: Scale) -> ModelSpec:
    """A network of the chapter; at quick scale for digits of 16 pixels."""
    if name != FIRE:
        return model(name, scale)
    return ModelSpec.of("lenet5_fire", **scale.pick({"image_size": 16}, {}))


def recipe_name(price: float) -> str:
    """What the arm of a price is called."""
    return f"price {price:.0e}".replace("e-0", "e-")


def training(name: str, scale: Scale) -> tuple[Train, dict[str, Any]]:
    """The dense training that all recipes begin with, and how they all go on."""
    how = {**scale.pick(QUICK, MNIST), "precision": "float32"}
    first, then = scale.pick(QUICK_EPOCHS, EPOCHS[name])
    return Train(first, lr=3e-3, **how), {"epochs": then, "lr": 2e-3, "schedule": "cosine", **how}


def narrowing(name: str) -> tuple[Step, ...]:
    """Without units that say nothing, where the step knows the network."""
    return () if name == FIRE else (RemoveSilent(),)


def priced(price: float, name: str, scale: Scale) -> tuple[Step, ...]:
    """Dense, then at a price, then without its silent units, then as a file."""
    first, then = training(name, scale)
    return (
        first,
        Train(**then, during=(PriceBits(price),)),
        *narrowing(name),
        FreezeCodes(),
        Encode("compact"),
    )


def recipes(name: str, scale: Scale) -> dict[str, tuple[Step, ...]]:
    """All ways to a small file, each with equally many epochs."""
    first, then = training(name, scale)
    pruning = Gradual(FIRE_SPARSITY, end=0.5) if name == FIRE else gradual(name, scale)
    sharing = tuple(zip(LAYERS.get(name, ()), OUR_BITS.get(name, ()), strict=True))
    shorter = {**then, "epochs": then["epochs"] - 1}
    half, rest = then["epochs"] // 2, then["epochs"] - then["epochs"] // 2
    tune = TuneCentroids(1, lr=1e-3, **{k: then[k] for k in ("batch_size", "shift", "precision")})
    rounding = QuantizedTrain(
        **{**then, "epochs": rest, "lr": 1e-3},
        bits=ROUNDED_BITS,
        granularity="tensor",
        steps="learned",
    )
    targets = scale.pick(QUICK_TARGETS, TARGETS[name])
    return {
        DENSE: (first, Train(**then), Halve(), Encode()),
        PRUNED: (
            first,
            Train(**shorter, during=(pruning,)),
            Share(FIRE_BITS, per_layer=sharing),
            tune,
            Halve(),
            Encode(),
        ),
        STEPPED: (
            first,
            Train(**{**then, "epochs": half}, during=(pruning,)),
            rounding,
            *narrowing(name),
            *COMPACT,
        ),
        **{
            f"{AFTERWARDS}, {target // 1000} kB": (first, Train(**then), Squeeze(target), *COMPACT)
            for target in targets
        },
        FREE: priced(0.0, name, scale),
        **{
            recipe_name(price): priced(price, name, scale)
            for price in scale.pick(QUICK_PRICES, PRICES[name])
        },
    }


def on_digits(scale: Scale) -> Study:
    """Three LeNets, each compressed in every way, in equally many epochs."""
    arms = [
        Arm.of(
            Experiment(network(name, scale), digits(scale), steps, seed),
            network=name,
            recipe=recipe,
        )
        for name in NETWORKS
        for seed in scale.pick((0,), SEEDS)
        for recipe, steps in recipes(name, scale).items()
    ]
    return Study("priced", "what is a price on bits worth while the network trains?", arms)


CHALLENGER = "ResNet-20, width 0.625"  # a modern network of about 100,000 parameters
# Epochs of the networks for photographs without and with a price, and their prices.
LARGE = {
    "SqueezeNet": (30, 60, (5e-7, 1.5e-6), (0, 1, 2)),
    "SqueezeNet, half width": (30, 60, (1e-6,), (0, 1, 2)),
    CHALLENGER: (30, 60, (1e-6,), (0, 1, 2)),
    "VGG-11": (12, 18, (2e-7,), (0,)),
}


def large_recipes(name: str, scale: Scale) -> dict[str, tuple[Step, ...]]:
    """Dense as long, and trained at a price, for photographs."""
    before, after, prices, _ = LARGE[name]
    how = {**(VGG if name == "VGG-11" else {**MUON, **PHOTOS}), "precision": "bfloat16"}
    first = scale.pick(Train(1, lr=3e-3, **QUICK), Train(before, lr=0.03, **how))
    then: dict[str, Any] = {"epochs": after, "lr": 0.02, "schedule": "linear", **how}
    if scale.name == "quick":
        then = {"epochs": 1, "lr": 2e-3, "schedule": "cosine", **QUICK}
    end = (MergeStatistics(), *COMPACT)
    found: dict[str, tuple[Step, ...]] = {
        DENSE: (first, Train(**then), MergeStatistics(), Encode())
    }
    for price in prices:
        during = (PriceBits(price),)
        found[recipe_name(price)] = (first, Train(**then, during=during), *end)
    return found


def large_network(name: str, scale: Scale) -> ModelSpec:
    """A network of `LARGE`; grey at quick scale."""
    if name == "VGG-11":
        return model(name, scale)
    grey = scale.pick({"in_channels": 1}, {})
    if name == CHALLENGER:
        return ModelSpec.of("resnet20", width=0.625, **grey)
    width = {} if name == "SqueezeNet" else {"width": 0.5}
    return ModelSpec.of("squeezenet_small", num_classes=10, **width, **grey)


def on_photographs(scale: Scale) -> Study:
    """SqueezeNet of two widths, a challenger and VGG-11."""
    data = scale.pick(DataSpec(), CIFAR10)
    arms = [
        Arm.of(
            Experiment(large_network(name, scale), data, steps, seed), network=name, recipe=recipe
        )
        for name, (*_, seeds) in LARGE.items()
        for seed in scale.pick((0,), seeds)
        for recipe, steps in large_recipes(name, scale).items()
    ]
    return Study("priced_large", "and networks for photographs?", arms)


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "priced": on_digits,
    "priced_large": on_photographs,
}
