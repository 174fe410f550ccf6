"""Chapter 20: what processes that train together must exchange, and what clients must send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.updates import Federate
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.rates import extended, pilot_records, rate_arms, rate_or
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study, by_seed
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.distributed.together import TrainTogether

SEEDS = (0, 1, 2)
SEEDS_LONG = (0, 1, 2, 3, 4)  # three could not show that two ways are equal within half a point
WORKERS = 2
PILOT = "exchanges_lr_long"
RATES = (0.05, 0.1, 0.2)
ALL = "all gradients"
FORGETFUL = "largest, forgetful"
NOT_VGG = ("half precision", FORGETFUL)  # `exchanges_vgg` says why


def ways(scale: Scale) -> dict[str, dict[str, Any]]:
    """What is exchanged, by the name that tables show.

    Live runs have few weights and few steps. So they send a larger share of the gradient, which
    the name says, and average more often. "largest" has its momentum of 0.9 in the exchange, so
    weight decay does not pass through it: ten times as much shrinks the weights as fast.
    """
    share, every = scale.pick((0.005, 16), (0.001, 512))
    largest = {"exchange": "largest", "optimizer": "sgd", "density": share, "weight_decay": 5e-3}
    return {
        ALL: {},
        "half precision": {"exchange": "half"},
        "PowerSGD": {"exchange": "low rank"},
        f"largest {100 * share:g} %": largest,
        FORGETFUL: {**largest, "feedback": False},
        "seldom": {"exchange": "seldom", "every": every},
    }


def together(
    scale: Scale, exchange: str, lr: float, epochs: tuple[int, int] = (10, 24)
) -> TrainTogether:
    """Momentum training by two processes that exchange what `ways` says."""
    how: dict[str, Any] = {"optimizer": "momentum", "workers": WORKERS, "lr": lr}
    how["may_diverge"] = True
    how |= scale.pick(
        {"shift": 1, "batch_size": 32, "precision": "float32"},
        {"shift": 3, "flip": True, "precision": "bfloat16"},
    )
    return TrainTogether(scale.pick(*epochs), **{**how, **ways(scale)[exchange]})


def images(scale: Scale, limit: int | None = None) -> DataSpec:
    """Digits, or CIFAR-10, all of its training images unless there is a `limit`."""
    return scale.pick(DataSpec(size=16), DataSpec("cifar10", train_limit=limit))


def network(scale: Scale) -> ModelSpec:
    """SqueezeNet at half width; for digits a network without convolutions, which is faster."""
    small = ModelSpec.of("lenet_300_100", num_classes=10, image_size=16)
    return scale.pick(small, ModelSpec.of("squeezenet_small", num_classes=10, width=0.5))


def vgg(scale: Scale) -> ModelSpec:
    """VGG-11 with batch normalisation, for images of 32 pixels."""
    channels = scale.pick({"in_channels": 1}, {})
    return ModelSpec.of("vgg11", num_classes=10, image_size=32, **channels)


def _pilot_runs(scale: Scale, records: Mapping[str, Record]) -> dict[float, list[Experiment]]:
    """SqueezeNet with all gradients at several rates, a third as long."""

    def runs(lr: float) -> list[Experiment]:
        step = together(scale, ALL, lr, epochs=(2, 8))
        return [Experiment(network(scale), images(scale), (step,), seed) for seed in (0, 1)]

    return extended(RATES, records, runs)


def pilot(scale: Scale) -> Study:
    """A learning rate for the network that exchanges all gradients; the others take it over."""
    arms = rate_arms(_pilot_runs(scale, pilot_records(PILOT, scale)))
    title = "the learning rate of: how much must processes that train together exchange?"
    return Study(PILOT, title, arms, processes=WORKERS)


def rate(scale: Scale) -> tuple[float, bool]:
    """The pilot's best rate, and whether it is known; until then a likely one."""
    if scale.name == "quick":
        return 0.05, True
    records = pilot_records(PILOT, scale)
    return rate_or(RATES[1], records, _pilot_runs(scale, records))


def exchanges(scale: Scale) -> Study:
    """Everything that `ways` names, the rest equal."""
    lr, known = rate(scale)
    arms = [
        Arm.of(
            Experiment(network(scale), images(scale), (together(scale, name, lr),), seed),
            exchange=name,
        )
        for name in ways(scale)
        for seed in scale.pick((0,), SEEDS_LONG)
    ]
    title = "how much must processes that train together exchange?"
    own = scale.pick((), (FORGETFUL,))  # which may learn little, or diverge
    how = {"processes": WORKERS, "pools_deviation": True, "own_deviation": own}
    study = Study("exchanges_long", title, by_seed(arms), PILOT, **how)
    return study.once(known)


def exchanges_vgg(scale: Scale) -> Study:
    """The same for a network with more weights: 12 epochs of 20,000 images.

    VGG-11 needs several times as long for an image, so two ways are left out. Half precision always
    sends half of the bytes: it can neither reach the goal of 100 times fewer nor endanger it. What
    is lost without feedback, the study of SqueezeNet shows.
    """
    arms = [
        Arm.of(
            Experiment(
                vgg(scale),
                scale.pick(DataSpec(size=32), images(scale, 20_000)),
                (together(scale, name, 0.05, (4, 12)),),
                seed,
            ),
            exchange=name,
        )
        for name in ways(scale)
        if name not in NOT_VGG
        for seed in scale.pick((0,), SEEDS)
    ]
    title = "how much must processes exchange that train VGG-11 together, for a short time?"
    return Study("exchanges_vgg", title, by_seed(arms), processes=WORKERS, pools_deviation=True)


# --- federated ---

MESSAGES: tuple[str, ...] = ("float", "int8", "coded")
CLIENTS_PILOT = "federated_lr"
CLIENTS_RATES = (0.025, 0.05, 0.1)
ROUNDS = (12, 60)


def _clients(
    scale: Scale, message: str, lr: float, seed: int, rounds: tuple[int, int] = ROUNDS
) -> Experiment:
    """Ten clients with unequal classes send what they have learnt to a server."""
    how: dict[str, Any] = scale.pick(
        {"batch_size": 16, "precision": "float32"},
        {"batch_size": 64, "shift": 3, "flip": True, "precision": "bfloat16"},
    )
    step = Federate(scale.pick(*rounds), lr=lr, alpha=0.5, message=message, **how)
    return Experiment(network(scale), images(scale), (step,), seed)


def _clients_runs(scale: Scale, records: Mapping[str, Record]) -> dict[float, list[Experiment]]:
    """Floats at several rates, a third as long."""

    def runs(lr: float) -> list[Experiment]:
        return [_clients(scale, "float", lr, seed, (4, 20)) for seed in (0, 1)]

    return extended(CLIENTS_RATES, records, runs)


def clients_pilot(scale: Scale) -> Study:
    """A learning rate for clients that send floats; the others take it over."""
    arms = rate_arms(_clients_runs(scale, pilot_records(CLIENTS_PILOT, scale)))
    return Study(CLIENTS_PILOT, "the learning rate of: how many bytes must clients send?", arms)


def federated(scale: Scale) -> Study:
    """Updates as floats, as bytes, and through the range coder."""
    records = pilot_records(CLIENTS_PILOT, scale)
    lr, known = rate_or(CLIENTS_RATES[1], records, _clients_runs(scale, records))
    arms = [
        Arm.of(_clients(scale, message, lr, seed), message=message)
        for message in MESSAGES
        for seed in scale.pick((0,), SEEDS)
    ]
    study = Study("federated", "how many bytes must clients send?", by_seed(arms), CLIENTS_PILOT)
    return study.once(scale.name == "quick" or known)


STUDIES: dict[str, Callable[[Scale], Study]] = {
    "exchanges_long": exchanges,
    PILOT: pilot,
    "exchanges_vgg": exchanges_vgg,
    CLIENTS_PILOT: clients_pilot,
    "federated": federated,
}
