"""Chapter 16: every technique with every other: which matter most, and in which order they come.

A cell is a network, a sparsity, a representation of the weights, and a coder. The first three make
an experiment; the coders are measured inside its last step. All experiments of a network and a seed
begin with one dense training, those of one sparsity go on with the same retraining, and all of
them train for the same number of epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.alternating import Alternate
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.rates import pilot_records, rate_arms
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study, by_seed
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies import baseline, deep_compression, quantization, residual
from squeeze_utils.studies.dense_network import LONG_DENSE, WHOLE, images, network, training
from squeeze_utils.studies.pruning import recalibrate
from squeeze_utils.studies.pruning_long import RETRAIN
from squeeze_utils.studies.quantization import ADAMW, LEARNED, TRAINED_ON, found_rate
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

CODERS = ("raw", "huffman", "best")
SPARSITIES = (0.0, 0.7, 0.9)
FLOAT, BOOK, EIGHT, FOUR = "float32", "codebook, 5 bits", "8 bits", "4 bits"
REPRESENTATIONS = (FLOAT, BOOK, EIGHT, FOUR)
SEEDS = (0, 1, 2)
FINISH = (1, 3)  # epochs in the representation, which float32 gets as well
ALEXNET = "AlexNet"
PILOT = "combining_lr_long"
LAST = {"squeezenet_small": "classifier.1.weight", "alexnet": "classifier.6.weight"}


@dataclass(frozen=True)
class Network:
    """One of the networks compared: its dense training, and the rates of the last training.

    `known` says whether the pilots have found all rates; until then likely ones stand there.
    """

    name: str
    dense: Experiment
    rounded_rate: float
    float_rate: float
    known: bool = True

    @property
    def training(self) -> Train:
        """The dense training."""
        return self.dense.recipe[0]

    @property
    def is_normalised(self) -> bool:
        """Whether there is batch normalisation, to be measured anew and folded."""
        return self.dense.model.name != "lenet5"

    @property
    def ends(self) -> tuple[tuple[str, int], ...]:
        """First and last layer, which keep 8 bits where the others have fewer."""
        last = LAST.get(self.dense.model.name, "classifier.2.weight")
        return (("features.0.weight", 8), (last, 8))


def networks(scale: Scale) -> list[Network]:
    """SqueezeNet without and with simple bypass, and AlexNet; of digits SqueezeNet and LeNet-5."""
    (rounded, found), (floats, found_too) = (found_rate(scale, m) for m in (LEARNED, TRAINED_ON))
    if scale.name == "quick":
        lenet = Train(8, lr=3e-3, **deep_compression.QUICK)
        small = Experiment(network(scale), images(scale), (training(scale, LONG_DENSE),))
        other = Experiment(ModelSpec.of("lenet5", image_size=16), images(scale), (lenet,))
        pairs = (("SqueezeNet", small), ("LeNet-5", other))
        return [Network(name, dense, rounded, floats) for name, dense in pairs]
    chapter, plain = residual.LONG_CHAPTER, baseline.LONG_CHAPTER
    records, others = chapter.pilot_records(scale), _alexnet_records(scale)
    levels = [
        ("SqueezeNet", chapter, chapter.variants[0], records, 0.04),
        ("simple bypass", chapter, chapter.variants[1], records, 0.04),
        (ALEXNET, plain, _alexnet(), others, 0.02),
    ]
    made = []
    for name, series, variant, known, likely in levels:
        rate = series.rate(variant, scale, known)
        dense = series.experiment(scale, variant, rate or likely, seed=0)
        settled = found and found_too and rate is not None
        made.append(Network(name, dense, rounded, floats, settled))
    return made


def _alexnet() -> Any:
    """AlexNet with Muon, as the other networks have it: a variant of `baseline_long`."""
    wanted = {"model": ALEXNET, "optimizer": "muon"}
    return next(v for v in baseline.LONG_CHAPTER.variants if dict(v.labels) == wanted)


def _alexnet_records(scale: Scale) -> dict[str, Record]:
    """What this chapter's pilot and that of `baseline_long` know: they share experiments."""
    return pilot_records(PILOT, scale) | baseline.LONG_CHAPTER.pilot_records(scale)


def retraining(one: Network, scale: Scale) -> Train:
    """After pruning, and where nothing is pruned: from half the rate, straight down."""
    lower = {"lr": one.training.lr / 2, "schedule": "linear"}
    return replace(one.training, epochs=scale.pick(*RETRAIN), **lower)


def finishing(one: Network, scale: Scale, lr: float, epochs: tuple[int, int] = FINISH) -> Train:
    """The last training, at a rate that notebook 12's pilot found."""
    return replace(retraining(one, scale), **ADAMW, lr=lr, epochs=scale.pick(*epochs))


def representing(one: Network, name: str, scale: Scale) -> tuple[Step, ...]:
    """The weights in one of `REPRESENTATIONS`, trained in it."""
    if name == FLOAT:
        return (finishing(one, scale, one.float_rate),)
    last = finishing(one, scale, one.rounded_rate)
    if name == BOOK:
        same = ("batch_size", "shift", "flip", "precision", "may_diverge")
        how = {field: getattr(last, field) for field in same}
        return (Share(5), TuneCentroids(last.epochs, **how))
    bits = {EIGHT: 8, FOUR: 4}[name]
    return (QuantizedTrain(**vars(last), bits=bits, steps="learned", per_layer=one.ends),)


def recipe(one: Network, sparsity: float, representation: str, scale: Scale) -> tuple[Step, ...]:
    """All that happens to a network: what cells have in common comes first."""
    prune = (Prune(sparsity, scope="sensitivity", exclude=WHOLE),) if sparsity else ()
    norms = (recalibrate(scale), FoldBatchNorm()) if one.is_normalised else ()
    return (
        one.training,
        *prune,
        retraining(one, scale),
        *norms,
        *representing(one, representation, scale),
        Encode(coders=CODERS),
    )


def factorial(scale: Scale) -> Study:
    """Network x sparsity x representation, each with every coder."""
    arms: dict[bool, list[Arm]] = {True: [], False: []}
    for one in networks(scale):
        for sparsity in scale.pick((0.0, 0.9), SPARSITIES):
            for name in scale.pick((FLOAT, BOOK, FOUR), REPRESENTATIONS):
                steps = recipe(one, sparsity, name, scale)
                labels = {"network": one.name, "pruning": sparsity, "representation": name}
                made = _each_seed(one, steps, scale.pick((0,), SEEDS), **labels)
                arms[one.known] += made
    title = "which technique matters most, and do they add up?"
    pilot, settled, waiting = PILOT, by_seed(arms[True]), by_seed(arms[False])
    return Study("combining_long", title, settled, pilot, expected=waiting)


def _each_seed(
    one: Network, steps: tuple[Step, ...], seeds: tuple[int, ...], **labels: Any
) -> Iterator[Arm]:
    for seed in seeds:
        yield Arm.of(replace(one.dense, recipe=steps, seed=seed), **labels)


ORDER_SPARSITY, ORDER_BITS = 0.9, 4
ORDER_EPOCHS = (4, 16)
SEQUENCE = "prune, then round"  # the control
ORDERS: dict[str, Alternate | None] = {
    SEQUENCE: Alternate(ORDER_SPARSITY, 2, exclude=WHOLE),
    "round, then prune": Alternate(ORDER_SPARSITY, 2, "round", exclude=WHOLE),
    "in turns of 2 epochs": Alternate(ORDER_SPARSITY, 8, exclude=WHOLE),
    "in turns of 1 epoch": Alternate(ORDER_SPARSITY, 16, exclude=WHOLE),
    "both from the start": None,
}
QUICK_ORDERS = (SEQUENCE, "round, then prune", "in turns of 1 epoch", "both from the start")


def order_recipe(one: Network, order: str, scale: Scale) -> tuple[Step, ...]:
    """One training with rounding in it; the way of pruning and rounding is all that differs."""
    way = ORDERS[order]
    if way is not None and scale.name == "quick":  # a quarter of the epochs, in equal turns
        way = replace(way, turns=max(2, way.turns // 4))
    prune = () if way else (Prune(ORDER_SPARSITY, scope="sensitivity", exclude=WHOLE),)
    how = vars(finishing(one, scale, one.rounded_rate, ORDER_EPOCHS))
    how |= {"during": (way,) if way else ()}
    rounding = QuantizedTrain(**how, bits=ORDER_BITS, steps="learned", per_layer=one.ends)
    folded = (FoldBatchNorm(),) if one.is_normalised else ()
    return (one.training, *folded, *prune, rounding, Encode())


def order(scale: Scale) -> Study:
    """Pruning and rounding one after the other, in turns, and both at once, in equal epochs."""
    one = networks(scale)[scale.pick(-1, 0)]
    seeds = scale.pick((0,), residual.LONG_CHAPTER.seeds)
    arms = [
        arm
        for name in scale.pick(QUICK_ORDERS, tuple(ORDERS))
        for arm in _each_seed(one, order_recipe(one, name, scale), seeds, order=name)
    ]
    title = "does it matter which of pruning and rounding comes first, or whether they take turns?"
    study = Study("combining_order_long", title, by_seed(arms), PILOT)
    return study.once(one.known)


def pilot(scale: Scale) -> Study:
    """AlexNet's learning rate; those of the other networks come from the chapters before."""
    runs = baseline.LONG_CHAPTER.grid(_alexnet(), scale, _alexnet_records(scale))
    arms = rate_arms(runs, network=ALEXNET)
    return Study(PILOT, "the learning rate of AlexNet", arms, quantization.PILOT)


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "combining_long": factorial,
    "combining_order_long": order,
    PILOT: pilot,
}
