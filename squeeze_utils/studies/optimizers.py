"""Chapter 04: one network, ten ways down its loss."""

from __future__ import annotations

from squeeze_utils.studies.variants import FULL_PILOT, MUON_RATES, Chapter, Variant, studies_of

COUPLED = {"weight_decay": 5e-4}  # decay as a part of the gradient
DECOUPLED = {"weight_decay": 0.05}  # decay beside the step, times the learning rate


def restarts(epochs: int) -> tuple[int, ...]:
    """Cosine cycles that fill the run, each at least twice as long as the one before."""
    cycles = [1]
    while sum(cycles) + 2 * cycles[-1] <= epochs:
        cycles.append(2 * cycles[-1])
    return (*cycles[:-1], cycles[-1] + epochs - sum(cycles))


def _rule(
    name: str, rates: tuple[float, ...], quick_lr: float, shown: str = "", **train: object
) -> Variant:
    how = {"optimizer": name, **train}
    return Variant.of(train=how, rates=rates, quick_lr=quick_lr, optimizer=shown or name)


PLAIN = (0.03, 0.1, 0.3, 1.0, 3.0)
MOMENTUM = (0.01, 0.03, 0.1, 0.3, 1.0)
ADAM = (0.0003, 0.001, 0.003, 0.01, 0.03)
SGDR = {"shown": "SGDR", "schedule": "restarts", "cycles": restarts}

CHAPTER = Chapter(
    "optimizers",
    "which update rule trains SqueezeNet best, each at its own learning rate?",
    (
        _rule("sgd", PLAIN, 1.0, **COUPLED),
        _rule("perturbed", PLAIN, 1.0, **COUPLED),
        _rule("momentum", MOMENTUM, 0.2, **COUPLED),
        _rule("nesterov", MOMENTUM, 0.2, **COUPLED),
        _rule("nesterov", MOMENTUM, 0.2, **COUPLED, **SGDR),
        _rule("rmsprop", ADAM, 0.006, **COUPLED),
        _rule("adam", ADAM, 0.02, **COUPLED),
        _rule("adamw", ADAM, 0.02, **DECOUPLED),
        _rule("lion", (0.0001, 0.0003, 0.001, 0.003, 0.01), 0.003, **DECOUPLED),
        _rule("muon", (0.001, 0.003, 0.01, 0.03, 0.1, 0.3), 0.04, **DECOUPLED),
    ),
)

# After 24 epochs: the two kinds of descent, with and without restarts, against the two best others.
# Each has a grid of four rates, each twice the one before, and a pilot as long as that of
# `residual_long`, whose plain network is the one with Muon.
LONG_MOMENTUM = (0.05, 0.1, 0.2, 0.4)
LONG_CHAPTER = Chapter(
    "optimizers_long",
    "which update rule trains SqueezeNet best, if it is trained long enough?",
    (
        _rule("nesterov", LONG_MOMENTUM, 0.2, **COUPLED),
        _rule("nesterov", LONG_MOMENTUM, 0.2, **COUPLED, **SGDR),
        _rule("adamw", (0.0025, 0.005, 0.01, 0.02), 0.02, **DECOUPLED),
        _rule("muon", MUON_RATES, 0.04, **DECOUPLED),
    ),
    **FULL_PILOT,
)

STUDIES = studies_of(CHAPTER, LONG_CHAPTER)
