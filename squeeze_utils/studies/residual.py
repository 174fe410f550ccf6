"""Chapter 09: simple and complex bypass, under a weak and under a strong training recipe."""

from __future__ import annotations

from typing import Any

from ..models import BYPASSES, ModelSpec
from ..recipe import DataSpec, Experiment
from ..study import Arm, Scale, Study
from ..train import Train
from ..tuned import MUON, MUON_RATES, SEEDS, Chapter, Variant, studies_of

# Weak: as in 2016, momentum and a rate that falls in a straight line, images as they are.
WEAK: dict[str, Any] = {
    "optimizer": "momentum",
    "schedule": "linear",
    "weight_decay": 2e-4,
    "shift": 0,
    "flip": False,
}
# Strong: what the other chapters use, Muon, one cycle, shifted and mirrored images.
WEAK_RATES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)  # at 0.08 accuracy was still rising steeply
RECIPES = {"weak": (WEAK, WEAK_RATES), "strong": ({}, MUON_RATES)}

CHAPTER = Chapter(
    "residual",
    "does a bypass help, and does it still help when training is good?",
    tuple(
        Variant.of({"bypass": bypass}, train, rates, recipe=recipe, bypass=bypass)
        for recipe, (train, rates) in RECIPES.items()
        for bypass in BYPASSES
    ),
)

BEST_EPOCHS = 12  # about an hour a seed on one core without bfloat16


def best(scale: Scale) -> Study:
    """The simple bypass at full width on all of CIFAR-10, trained as well as two cores allow."""
    reference = {"epochs": BEST_EPOCHS, "lr": 0.02, "shift": 3, "flip": True, "batch_size": 128}
    step = Train(
        **MUON, **scale.pick({"epochs": 8, "lr": 0.02, "shift": 1, "batch_size": 32}, reference)
    )
    options = scale.pick({"in_channels": 1, "width": 0.5}, {})
    model = ModelSpec.of("squeezenet_small", num_classes=10, bypass="simple", **options)
    images = scale.pick(DataSpec(size=16), DataSpec("cifar10"))
    arms = [
        Arm.of(
            Experiment(model, images, (step,), seed),
            "squeezenet-bypass-cifar10" if seed == 0 and scale.name == "reference" else None,
            model="SqueezeNet, simple bypass",
        )
        for seed in scale.pick((0,), SEEDS)
    ]
    return Study("residual_best", "how far does the simple bypass get at full width?", arms)


STUDIES = {**studies_of(CHAPTER), "residual_best": best}
