"""Chapter 06: the nonlinearity inside the first layer and every Fire module, and its signals."""

from __future__ import annotations

from dataclasses import replace

from squeeze_utils.anatomy.signals import ObserveSignals
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ACTIVATIONS
from squeeze_utils.studies.variants import (
    FULL_PILOT,
    LONG_RATES,
    MUON_RATES,
    Chapter,
    Variant,
    longer,
    studies_of,
)

CHAPTER = Chapter(
    "activations",
    "does the activation inside Fire matter?",
    tuple(Variant.of({"activation": name}, activation=name) for name in ACTIVATIONS),
)
# Without batch normalisation the scale of the initial weights has to be right by itself.
INIT_CHAPTER = Chapter(
    "activation_init",
    "without batch norm: does an initialisation that is matched to the activation help?",
    tuple(
        Variant.of(
            {"activation": name, "norm": "none", "init": init},
            rates=(0.0025, 0.005, *MUON_RATES),  # from 0.04 on most of these lose everything
            quick_lr=0.01,
            activation=name,
            init=init,
        )
        for name in ("tanh", "gelu")
        for init in ("kaiming", "matched")
    ),
)
# PReLU learns to be nearly linear behind the squeeze layers: what if they have no activation?
LINEAR_CHAPTER = Chapter(
    "linear_squeeze",
    "is the nonlinearity behind the squeeze layers worth having?",
    (
        Variant.of({}, squeeze="ReLU"),
        Variant.of({"activation": "prelu"}, squeeze="PReLU everywhere"),
        Variant.of({"linear_squeeze": True}, squeeze="linear"),
    ),
)

# After 24 epochs; the network with ReLU is the plain one of `residual_long`.
LONG_LINEAR = replace(
    LINEAR_CHAPTER,
    name="linear_squeeze_long",
    variants=[replace(variant, rates=LONG_RATES) for variant in LINEAR_CHAPTER.variants],
    **FULL_PILOT,
)


def longest(scale: Scale) -> Study:
    """The two leading networks of `linear_squeeze_long`, trained for 72 epochs."""
    return longer(LONG_LINEAR.study(scale), "linear_squeeze_72_long", scale)


def signals(scale: Scale) -> Study:
    """The networks with seed 0, fresh and trained; the training is in the cache of states."""
    arms = []
    for arm in CHAPTER.study(scale).where(seed=0).arms:
        for when, recipe in {"before": (), "after": arm.experiment.recipe}.items():
            experiment = replace(arm.experiment, recipe=(*recipe, ObserveSignals()))
            arms.append(Arm.of(experiment, activation=dict(arm.labels)["activation"], when=when))
    title = "mean, variance, dead units and gradients in every layer, before and after training"
    return Study("activation_signals", title, arms, CHAPTER.name)


STUDIES = {
    **studies_of(CHAPTER, INIT_CHAPTER, LINEAR_CHAPTER, LONG_LINEAR),
    "linear_squeeze_72_long": longest,
    "activation_signals": signals,
}
