"""Chapter 12: how few bits are enough, for weights and activations, and what training adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.quantizing.after_training import Calibrate, QuantizeWeights
from squeeze_utils.compress.quantizing.equalising import CorrectBias, Equalise
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.quantizing.mixed_bits import MixedBits
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.rates import best_rate, extended, pilot_records, rate_arms, rate_or
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study, by_seed
from squeeze_utils.studies.dense_network import (
    LONG_PILOT,
    dense,
    each_long_seed,
    each_seed,
    long_rate,
    long_retrain,
    long_training,
    retrain,
)
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

BITS = (8, 6, 5, 4, 3, 2)
ACTIVATION_BITS = (32, 8, 4)
FEW = (4, 3, 2)  # where training with rounding is compared
FLOAT = 32
IMAGES = 128  # training images that means are corrected on


def begin(scale: Scale, activations: int = FLOAT) -> tuple[Step, ...]:
    """Trained, folded, and with so many bits for activations if that is not all of them."""
    folded = (dense(scale), FoldBatchNorm())
    return folded if activations == FLOAT else (*folded, Calibrate(bits=activations))


def ends(activations: int = FLOAT) -> tuple[tuple[str, int], ...]:
    """As in the literature the first and the last layer, small and delicate, have 8 bits.

    Where maps are rounded a FakeQuant stands in front of the first layer.
    """
    first = "features.0.weight" if activations == FLOAT else "features.1.weight"
    return ((first, 8), ("classifier.1.weight", 8))


def after_training(scale: Scale, weights: int, activations: int = FLOAT) -> tuple[Step, ...]:
    """Quantization after training: a grid for each channel, least squares, right means."""
    rounding = QuantizeWeights(weights, per_layer=ends(activations))
    return (*begin(scale, activations), rounding, CorrectBias(IMAGES))


def sweep(scale: Scale) -> Study:
    """Bits of weights against bits of activations, without any training."""
    arms = list(each_seed(scale, begin(scale), weights=FLOAT, activations=FLOAT))
    for activations in scale.pick((FLOAT, 8), ACTIVATION_BITS):
        for weights in scale.pick((8, 4, 3, 2), BITS):
            recipe = after_training(scale, weights, activations)
            arms += each_seed(scale, recipe, weights=weights, activations=activations)
    return Study("quantization", "how few bits are enough without training?", by_seed(arms))


def training(scale: Scale) -> Study:
    """After training against training with rounding in the loop, activations at 8 bits."""
    how: dict[str, Any] = {"lr": 1e-3, "optimizer": "adamw", "weight_decay": 0.01}
    plain = retrain(scale, (1, 1), **how)
    settings = vars(plain)
    start = begin(scale, 8)
    arms = list(each_seed(scale, (*start, plain), method="float, trained on", weights=FLOAT))
    for weights in scale.pick((2,), FEW):
        ways: dict[str, tuple[Step, ...]] = {
            "after training": after_training(scale, weights, 8),
            "straight-through": (*start, _rounding(settings, weights, "fixed")),
            "learned steps": (*start, _rounding(settings, weights, "learned")),
        }
        for method, recipe in ways.items():
            arms += each_seed(scale, (*recipe, Encode()), method=method, weights=weights)
    return Study("quantization_training", "what does training with rounding add?", by_seed(arms))


def _rounding(settings: dict[str, Any], bits: int, steps: str) -> Train:
    return QuantizedTrain(**settings, bits=bits, steps=steps, per_layer=ends(8))


def ways(scale: Scale) -> Study:
    """Weights at 4 bits: what each choice and each repair is worth."""
    coarse = QuantizeWeights(4, "tensor", "minmax")
    repaired: dict[str, tuple[Step, ...]] = {
        "tensor, min-max": (coarse,),
        "tensor, least squares": (QuantizeWeights(4, "tensor", "mse"),),
        "channel, min-max": (QuantizeWeights(4, "channel", "minmax"),),
        "channel, least squares": (QuantizeWeights(4),),
        "tensor, equalised": (Equalise(), coarse),
        "tensor, corrected": (coarse, CorrectBias(IMAGES)),
        "tensor, both": (Equalise(), coarse, CorrectBias(IMAGES)),
        "channel, corrected": (QuantizeWeights(4), CorrectBias(IMAGES)),
    }
    arms = [
        arm
        for name, steps in repaired.items()
        for arm in each_seed(scale, (*begin(scale), *steps), way=name)
    ]
    return Study("quantization_ways", "what is each choice and each repair worth?", by_seed(arms))


def mixed(scale: Scale) -> Study:
    """One number of bits for all layers, or for each its own, in the same bytes."""
    arms = []
    for bits in scale.pick((3,), (4, 3)):
        kinds: dict[str, Step] = {
            "all layers alike": QuantizeWeights(bits),
            "each its own": MixedBits(bits, images=scale.pick(64, 256)),
        }
        for kind, step in kinds.items():
            recipe = (*begin(scale, 8), step, CorrectBias(IMAGES), Encode())
            arms += each_seed(scale, recipe, bits=bits, kind=kind)
    return Study("quantization_mixed", "should every layer have the same bits?", by_seed(arms))


# --- the long regime: from the networks of `residual_long` ---

ADAMW: dict[str, Any] = {"optimizer": "adamw", "weight_decay": 0.01}
PILOT = "quantization_training_lr_long"
QAT_RATES = (5e-4, 1e-3, 2e-3)
TRAINED_ON, LEARNED = "float, trained on", "learned steps"
CLAIMED = {(TRAINED_ON, FLOAT), (LEARNED, 3)}  # compared in README.md: five seeds, others three
METHODS = {TRAINED_ON: "", "straight-through": "fixed", LEARNED: "learned"}


def long_begin(scale: Scale) -> tuple[Step, ...]:
    """Trained, folded, activations at 8 bits."""
    return (long_training(scale), FoldBatchNorm(), Calibrate(bits=8))


def _trained_on(scale: Scale, method: str, lr: float, bits: int, epochs: int) -> tuple[Step, ...]:
    plain = long_retrain(scale, (1, epochs), lr=lr, **ADAMW)
    steps = METHODS[method]
    return (*long_begin(scale), _rounding(vars(plain), bits, steps) if steps else plain)


def _tried(
    scale: Scale, method: str, records: Mapping[str, Record]
) -> dict[float, list[Experiment]]:
    """The pilot's runs of a method by rate, at 3 bits, for 3 epochs instead of 10."""

    def runs(lr: float) -> list[Experiment]:
        recipe = _trained_on(scale, method, lr, bits=3, epochs=3)
        return [arm.experiment for arm in each_long_seed(scale, recipe, (0, 1))]

    return extended(QAT_RATES, records, runs)


def long_pilot(scale: Scale) -> Study:
    """A learning rate for each way of training on."""
    records = pilot_records(PILOT, scale)
    arms = [
        arm
        for method in METHODS
        for arm in rate_arms(_tried(scale, method, records), method=method)
    ]
    title = "the learning rates of: what does training with rounding add?"
    return Study(PILOT, title, arms, LONG_PILOT).once(long_rate(scale)[1])


def long(scale: Scale) -> Study:
    """`quantization_training` with ten epochs, each method at its own rate.

    What is rounded after training has been trained on as long before, with float weights.
    """
    records = pilot_records(PILOT, scale)
    found = {method: best_rate(records, _tried(scale, method, records)) for method in METHODS}
    arms: list[Arm] = []
    for method, lr in found.items():
        for weights in (FLOAT,) if not METHODS[method] else scale.pick((2,), FEW):
            recipe = _trained_on(scale, method, lr or QAT_RATES[1], weights, epochs=10)
            after = () if weights == FLOAT else (Encode(),)
            seeds = range(5) if (method, weights) in CLAIMED else range(3)
            arms += each_long_seed(
                scale, (*recipe, *after), tuple(seeds), method=method, weights=weights
            )
    as_long = _trained_on(scale, TRAINED_ON, found[TRAINED_ON] or QAT_RATES[1], FLOAT, epochs=10)
    for weights in scale.pick((2,), FEW):
        rounded = (QuantizeWeights(weights, per_layer=ends(8)), CorrectBias(IMAGES), Encode())
        recipe = (*as_long, *rounded)
        arms += each_long_seed(scale, recipe, (0, 1, 2), method="after training", weights=weights)
    title = "what does training with rounding add to a network that is trained long enough?"
    study = Study("quantization_training_long", title, by_seed(arms), PILOT)
    return study.once(scale.name == "quick" or None not in found.values())


def found_rate(scale: Scale, method: str) -> tuple[float, bool]:
    """The pilot's best rate for a method, and whether it is known; until then a likely one."""
    if scale.name == "quick":
        return QAT_RATES[1], True
    records = pilot_records(PILOT, scale)
    return rate_or(QAT_RATES[1], records, _tried(scale, method, records))


def mixed_long(scale: Scale) -> Study:
    """For each layer its own bits, in the bytes of equal bits with 8 at both ends."""
    arms: list[Arm] = []
    for bits in scale.pick((3,), (4, 3)):
        kinds: dict[str, Step] = {
            "alike, ends at 8": QuantizeWeights(bits, per_layer=ends(8)),
            "each its own": MixedBits(bits, images=scale.pick(64, 256), ends=ends(8)),
        }
        for kind, step in kinds.items():
            recipe = (*long_begin(scale), step, CorrectBias(IMAGES), Encode())
            arms += each_long_seed(scale, recipe, bits=bits, kind=kind)
    title = "should every layer have the same bits, if the ends have 8?"
    study = Study("quantization_mixed_long", title, by_seed(arms), LONG_PILOT)
    return study.once(long_rate(scale)[1])


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "quantization": sweep,
    "quantization_training": training,
    "quantization_ways": ways,
    "quantization_mixed": mixed,
    "quantization_training_long": long,
    PILOT: long_pilot,
    "quantization_mixed_long": mixed_long,
}
