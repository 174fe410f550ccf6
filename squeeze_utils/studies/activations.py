"""Chapter 06: the nonlinearity inside the first layer and every Fire module, and its signals."""

from __future__ import annotations

from dataclasses import replace

from squeeze_utils.anatomy.signals import ObserveSignals
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.experiments.variants import (
    LONG,
    MUON_RATES,
    QUICK_RATE,
    Chapter,
    Variant,
    longer,
    studies_of,
)
from squeeze_utils.models import ACTIVATIONS
from squeeze_utils.studies.dense_network import LONG_PILOT, long_rate

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

LONG_LINEAR = replace(LINEAR_CHAPTER, name="linear_squeeze_long", **LONG)


def linear_squeeze_long(scale: Scale) -> Study:
    """The three of `linear_squeeze` after 24 epochs, at two rates that they have in common.

    These are the best one of the plain network, whose runs are those of `residual_long`, and
    half of it, since the other two liked lower rates in the short pilot.
    """
    lr, settled = long_rate(scale)
    arms = [
        Arm.of(LONG_LINEAR.experiment(scale, variant, rate, seed), **dict(variant.labels), lr=rate)
        for variant in LONG_LINEAR.variants
        for rate in scale.pick((QUICK_RATE,), (lr / 2, lr))
        for seed in scale.pick((0,), LONG_LINEAR.seeds)
    ]
    return Study(LONG_LINEAR.name, LONG_LINEAR.title, arms, LONG_PILOT).once(settled)


def longest(scale: Scale) -> Study:
    """The two leading networks of `linear_squeeze_long`, trained for 72 epochs."""
    return longer(linear_squeeze_long(scale), "linear_squeeze_72_long", scale)


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
    **studies_of(CHAPTER, INIT_CHAPTER, LINEAR_CHAPTER),
    "linear_squeeze_long": linear_squeeze_long,
    "linear_squeeze_72_long": longest,
    "activation_signals": signals,
}
