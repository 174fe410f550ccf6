"""Chapter 06: the nonlinearity inside the first layer and every Fire module."""

from __future__ import annotations

from squeeze_utils.experiments.variants import MUON_RATES, Chapter, Variant, studies_of
from squeeze_utils.models import ACTIVATIONS

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

STUDIES = studies_of(CHAPTER, INIT_CHAPTER, LINEAR_CHAPTER)
