"""Chapter 15: a price on bits while the network trains, against compression afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pricing.frozen_codes import FreezeCodes
from squeeze_utils.compress.pricing.in_training import PriceBits
from squeeze_utils.compress.pricing.silent_units import RemoveSilent
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.quantizing.after_training import Halve
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.deep_compression import (
    LAYERS,
    MNIST,
    OUR_BITS,
    QUICK,
    SEEDS,
    digits,
    gradual,
    model,
    sparsity,
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
# Pruning by hand has a curve too: a half and a quarter of the weights that the first recipe leaves.
SPARSER = {
    STEPPED: 1,
    "pruned to a half, learned steps": 2,
    "pruned to a quarter, learned steps": 4,
}
TWICE = "twice the epochs"
# Epochs without a price, and those that all recipes of a network have after them.
EPOCHS = {"LeNet-300-100": (10, 40), "LeNet-5": (4, 24), FIRE: (4, 24)}
QUICK_EPOCHS = (8, 24)
# Nats of the mean loss for a bit. Digits are 40 times fewer images than MNIST.
PRICES = {
    "LeNet-300-100": (5e-7, 1e-6, 2e-6, 4e-6),
    "LeNet-5": (5e-7, 1e-6, 2e-6, 4e-6),
    FIRE: (1e-6, 2e-6, 4e-6, 5e-6),
}
# Networks whose goal lies near the file of this price, which gets twice the epochs.
LONGER = {"LeNet-300-100": 2e-6, "LeNet-5": 2e-6, FIRE: 5e-6}
QUICK_PRICES = (2e-5, 6e-5)
TARGETS = {"LeNet-300-100": (16_000, 8_000), "LeNet-5": (24_000, 12_000), FIRE: (24_000, 12_000)}
QUICK_TARGETS = (8_000, 4_000)
ROUNDED_BITS = 4
COMPACT: tuple[Step, ...] = (Halve(), FreezeCodes(), Encode("compact"))
# For files that are not of the form which the compact coder assumes.
MORE_CODERS = ("best", "contexts", "compact contexts")
WITH_CONTEXTS: tuple[Step, ...] = (*COMPACT[:-1], Encode("compact contexts"))
FIRE_BITS = 4
# As in LeNet-5 small layers keep most of their weights, the large dense one a few.
FIRE_SPARSITY = {
    "features.0.weight": 0.3,
    **{
        f"features.{fire}.{layer}.weight": share
        for fire in (2, 4)
        for layer, share in {"squeeze": 0.5, "expand1x1": 0.5, "expand3x3": 0.88}.items()
    },
    "classifier.0.weight": 0.975,
    "classifier.2.weight": 0.8,
}


def network(name: str, scale: Scale) -> ModelSpec:
    """A network of the chapter; at quick scale for digits of 16 pixels."""
    if name != FIRE:
        return model(name, scale)
    return ModelSpec.of("lenet5_fire", **scale.pick({"image_size": 16}, {}))


def recipe_name(price: float) -> str:
    """What the arm of a price is called."""
    return f"price {price:g}".replace("e-0", "e-")


def training(name: str, scale: Scale) -> tuple[Train, dict[str, Any]]:
    """The dense training that all recipes begin with, and how they all go on."""
    how = {**scale.pick(QUICK, MNIST), "precision": "float32"}
    first, then = scale.pick(QUICK_EPOCHS, EPOCHS[name])
    return Train(first, lr=3e-3, **how), {"epochs": then, "lr": 2e-3, "schedule": "cosine", **how}


def narrowing(name: str) -> tuple[Step, ...]:
    """The step that removes silent units, for the networks that it supports."""
    return () if name == FIRE else (RemoveSilent(),)


def priced(
    price: float, name: str, scale: Scale, then: Mapping[str, Any] | None = None
) -> tuple[Step, ...]:
    """Dense, then at a price (trained by `then`), without its silent units, and as a file."""
    first, usual = training(name, scale)
    return (
        first,
        Train(**(then or usual), during=(PriceBits(price),)),
        *narrowing(name),
        FreezeCodes(),
        Encode("compact"),
    )


def recipes(name: str, scale: Scale) -> dict[str, tuple[Step, ...]]:
    """All ways to a small file, each with equally many epochs but for those that are `longer`."""
    first, then = training(name, scale)
    wanted = FIRE_SPARSITY if name == FIRE else sparsity(name)
    sharing = tuple(zip(LAYERS.get(name, ()), OUR_BITS.get(name, ()), strict=True))
    shorter = {**then, "epochs": then["epochs"] - 1}
    tune = TuneCentroids(1, lr=1e-3, **{k: then[k] for k in ("batch_size", "shift", "precision")})
    targets = scale.pick(QUICK_TARGETS, TARGETS[name])
    return {
        DENSE: (first, Train(**then), Halve(), Encode()),
        PRUNED: (
            first,
            Train(**shorter, during=(gradual(wanted, scale),)),
            Share(FIRE_BITS, per_layer=sharing),
            tune,
            Halve(),
            Encode(),
        ),
        **{
            recipe: stepped(name, scale, _fewer(wanted, parts)) for recipe, parts in SPARSER.items()
        },
        **{
            f"{AFTERWARDS}, {target // 1000} kB": (first, Train(**then), Squeeze(target), *COMPACT)
            for target in targets
        },
        FREE: priced(0.0, name, scale),
        **{
            recipe_name(price): priced(price, name, scale)
            for price in scale.pick(QUICK_PRICES, PRICES[name])
        },
        **longer(name, scale),
    }


def stepped(name: str, scale: Scale, wanted: Mapping[str, float]) -> tuple[Step, ...]:
    """Pruned as far as `wanted` in half of the epochs, then rounded with learned steps."""
    first, then = training(name, scale)
    half = then["epochs"] // 2
    rounding = QuantizedTrain(
        **{**then, "epochs": then["epochs"] - half, "lr": 1e-3},
        bits=ROUNDED_BITS,
        granularity="tensor",
        steps="learned",
    )
    pruning = Train(**{**then, "epochs": half}, during=(gradual(wanted, scale),))
    return (first, pruning, rounding, *narrowing(name), *COMPACT)


def _fewer(wanted: Mapping[str, float], parts: int) -> dict[str, float]:
    """Sparsities that leave one of `parts` of the weights that `wanted` leaves."""
    return {n: 1 - (1 - share) / parts if parts > 1 else share for n, share in wanted.items()}


def longer(name: str, scale: Scale) -> dict[str, tuple[Step, ...]]:
    """One price, and the dense control, with twice the epochs in all; for some networks."""
    if name not in LONGER or scale.name == "quick":
        return {}
    (first, then), price = training(name, scale), LONGER[name]
    more = {**then, "epochs": then["epochs"] + first.epochs + then["epochs"]}
    return {
        f"{DENSE}, {TWICE}": (first, Train(**more), Halve(), Encode()),
        f"{recipe_name(price)}, {TWICE}": priced(price, name, scale, more),
    }


def on_digits(scale: Scale) -> Study:
    """Three LeNets, each compressed in every way."""
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


def with_more_coders(scale: Scale) -> Study:
    """The small files that were made without a price, written with all coders that suit them."""

    def small(arm: Arm) -> Arm | None:
        recipe = dict(arm.labels)["recipe"]
        is_small = recipe in (PRUNED, *SPARSER) or recipe.startswith(AFTERWARDS)
        return arm if is_small else None

    first, *others = MORE_CODERS
    title = "how small are files without a price with the coder that suits each best?"
    step = Encode(first, coders=tuple(others))
    return on_digits(scale).each(small).observed("priced_coders", title, step)


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "priced": on_digits,
    "priced_coders": with_more_coders,
}
