"""Chapter 15: a price on bits for networks of photographs, and the same networks without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pricing.in_training import PriceBits
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.pruning.during_training import Gradual
from squeeze_utils.compress.quantizing.after_training import Halve
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm, MergeStatistics
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.deep_compression import CIFAR10, PHOTOS, QUICK, VGG, model
from squeeze_utils.studies.priced import (
    AFTERWARDS,
    COMPACT,
    DENSE,
    FREE,
    MORE_CODERS,
    PRUNED,
    ROUNDED_BITS,
    STEPPED,
    recipe_name,
)
from squeeze_utils.studies.variants import MUON
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

CHALLENGER = "ResNet-20, width 0.625"  # a modern network of about 100,000 parameters
# Epochs of the networks for photographs without and with a price, and their prices.
LARGE: dict[str, tuple[int, int, tuple[float, ...], tuple[int, ...]]] = {
    "SqueezeNet": (30, 60, (5e-7, 1.5e-6), (0, 1, 2)),
    "SqueezeNet, half width": (30, 60, (1e-6,), (0, 1, 2)),
    CHALLENGER: (30, 60, (1e-6,), (0, 1, 2)),
    "VGG-11": (12, 18, (2e-7,), (0,)),
}
# Networks compressed in the other ways too, and the bytes of what is rounded after training. The
# challenger's blocks cannot be rounded layer by layer: its bypasses add maps.
OTHER_WAYS = {"SqueezeNet": (100_000, 66_000), "VGG-11": (400_000, 150_000)}
# The record has the sizes with other coders beside that of the file.
END = (MergeStatistics(), *COMPACT[:-1], Encode("compact", coders=MORE_CODERS))
# Layers that are pruned less, or more, than the rest (90 %).
SPARSITY = {
    "SqueezeNet": {"features.0.weight": 0.3, "classifier.1.weight": 0.6},
    "VGG-11": {"features.0.weight": 0.3, "classifier.weight": 0.6},
}


def large_recipes(name: str, scale: Scale) -> dict[str, tuple[Step, ...]]:
    """Dense as long, and trained at a price, for photographs."""
    before, after, prices, _ = LARGE[name]
    how = {**(VGG if name == "VGG-11" else {**MUON, **PHOTOS}), "precision": "bfloat16"}
    first = scale.pick(Train(1, lr=3e-3, **QUICK), Train(before, lr=0.03, **how))
    then: dict[str, Any] = {"epochs": after, "lr": 0.02, "schedule": "linear", **how}
    if scale.name == "quick":
        then = {"epochs": 1, "lr": 2e-3, "schedule": "cosine", **QUICK}
    found: dict[str, tuple[Step, ...]] = {
        DENSE: (first, Train(**then), MergeStatistics(), Encode())
    }
    if name in OTHER_WAYS:
        found |= _without_a_price(name, first, then, scale)
    for price in prices:
        during = (PriceBits(price),)
        found[recipe_name(price)] = (first, Train(**then, during=during), *END)
    return found


def _without_a_price(
    name: str, first: Step, then: dict[str, Any], scale: Scale
) -> dict[str, tuple[Step, ...]]:
    """Pruned in two ways, rounded as in chapter 14, and learned steps alone."""
    tuning = scale.pick(0, 2)
    own = tuple(scale.pick({}, SPARSITY[name]).items())
    pruning = Gradual(scale.pick(0.5, 0.9), end=0.5, per_layer=own)
    tune = {key: then[key] for key in ("batch_size", "shift", "flip", "precision") if key in then}
    shared = (Share(4), *((TuneCentroids(tuning, lr=1e-3, **tune),) if tuning else ()))
    pruned = Train(**{**then, "epochs": then["epochs"] - tuning}, during=(pruning,))
    found: dict[str, tuple[Step, ...]] = {
        PRUNED: (
            *(first, pruned, *shared, MergeStatistics(), Halve()),
            Encode(coders=MORE_CODERS[1:]),
        ),
        STEPPED: (first, *_stepped(then, pruning), *END),
    }
    for target in scale.pick((30_000,), OTHER_WAYS[name]):
        squeeze = Squeeze(target, scale.pick(64, 1000))
        label = f"{AFTERWARDS}, {target // 1000} kB"
        found[label] = (first, Train(**then), FoldBatchNorm(), squeeze, *END[1:])
    free = Train(**then, during=(PriceBits(0.0),))
    return found | {FREE: (first, free, *END)}


def _stepped(then: dict[str, Any], pruning: Gradual) -> tuple[Step, ...]:
    """Pruned in half of the epochs, then rounded with learned steps at half of the rate."""
    half = then["epochs"] // 2
    rest = {**then, "epochs": then["epochs"] - half, "lr": then["lr"] / 2}
    rounding = QuantizedTrain(**rest, bits=ROUNDED_BITS, granularity="tensor", steps="learned")
    if not half:
        return (rounding,)  # at quick scale there is one epoch
    return Train(**{**then, "epochs": half}, during=(pruning,)), rounding


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


STUDIES: dict[str, Callable[[Scale], Study]] = {"priced_large": on_photographs}
