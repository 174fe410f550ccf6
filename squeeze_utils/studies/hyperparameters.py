"""Chapter 08: searches for good settings at equal budgets, and whether their winners hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.search import Choice, Range, Search, best, is_done, read_search
from squeeze_utils.experiments.search.grid import Grid
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.variants import MUON, QUICK_RATE, QUICK_TRAIN, SEEDS
from squeeze_utils.training.loop import Train

METHODS: dict[str, tuple[str, str]] = {
    "TPE + pruning": ("tpe", "median"),
    "random": ("random", "none"),
    "random + pruning": ("random", "median"),
}
REPETITIONS = 3
EPOCHS = 8  # of a full training at reference scale
SPACE = (
    Range("lr", 1e-3, 1.0, log=True),
    Range("weight_decay", 1e-5, 0.3, log=True),
    Choice("optimizer", ("nesterov", "muon")),
    Choice("schedule", ("constant", "linear", "cosine", "one_cycle")),
    Choice("batch_size", (32, 64, 128, 256)),
    Range("label_smoothing", 0.0, 0.2),
    Range("shift", 0, 4, whole=True),
    Range("dropout", 0.0, 0.5, of="model"),
)
_FEW_SMALL_IMAGES = {
    "batch_size": Choice("batch_size", (32, 64, 128)),
    "shift": Range("shift", 0, 2, whole=True),
}
QUICK_SPACE = tuple(_FEW_SMALL_IMAGES.get(axis.name, axis) for axis in SPACE)
# 512 points, each trained with two seeds: what searches are replayed on.
GRID_RATES = tuple(2.0**power for power in range(-12, 4))
GRID = Grid(
    "grid",
    {
        "lr": GRID_RATES,
        "optimizer": ("nesterov", "muon"),
        "weight_decay": (5e-4, 5e-2),
        "schedule": ("constant", "one_cycle"),
        "batch_size": (64, 128),
        "label_smoothing": (0.0, 0.1),
    },
    ModelSpec.of("squeezenet_small", num_classes=10, width=0.25),
    DataSpec("cifar10", train_limit=5_000),
    train={"shift": 3, "flip": True, "precision": "bfloat16"},
)
# Settings by method and repetition.
Winners = Mapping[str, Mapping[int, Mapping[str, Any]]]
RATE = 0.08  # what the pilots of the other chapters chose for the plain network


def search(scale: Scale, method: str, repetition: int) -> Search:
    """One search: a method, at one repetition, with the budget that all of them have."""
    sampler, pruner = METHODS[method]
    shared = {"sampler": sampler, "pruner": pruner, "repetition": repetition}
    name = f"{sampler}-{pruner}-{repetition}"
    if scale.name == "quick":
        model = ModelSpec.of("squeezenet_small", num_classes=10, in_channels=1, width=0.25)
        images = DataSpec(size=16, train_limit=480)
        return Search(name, QUICK_SPACE, budget=24, startup=4, model=model, data=images, **shared)
    model = ModelSpec.of("squeezenet_small", num_classes=10, width=0.5)
    images = DataSpec("cifar10", train_limit=5_000)
    train = (("flip", True),)
    return Search(name, SPACE, budget=64, model=model, data=images, train=train, **shared)


def searches(scale: Scale) -> list[Search]:
    """Every method at every repetition; the first repetition of each comes first.

    Within a repetition random search is first: the others find some of their trials done.
    """
    first = sorted(METHODS, key=lambda method: METHODS[method] != ("random", "none"))
    return [search(scale, method, r) for r in range(REPETITIONS) for method in first]


def experiment(scale: Scale, settings: Mapping[str, Any], seed: int) -> Experiment:
    """A network with these settings, trained in full instead of for a trial."""
    trial = search(scale, "random", 0)
    spec = trial.experiment(settings, 0).model
    of_model = [axis.name for axis in trial.space if axis.of == "model"]
    train = {name: value for name, value in settings.items() if name not in of_model}
    if scale.name == "quick":
        train = {"shift": 1, **QUICK_TRAIN, **train}
        images = DataSpec(size=16)
    else:
        train = {"epochs": EPOCHS, "shift": 3, "flip": True, **train}
        images = DataSpec("cifar10", train_limit=20_000)
    step = Train(may_diverge=True, **train)
    return Experiment(spec, images, (step,), seed)


def default(scale: Scale) -> dict[str, Any]:
    """What the other chapters train this network with."""
    return {"lr": scale.pick(QUICK_RATE, RATE), **MUON}


def contest(scale: Scale, winners: Winners) -> Study:
    """The series' settings and the winners of searches, trained in full; a row for each method.

    The winner of repetition r is trained with seed r, so that a row varies as the results of its
    method do, by the luck of the search and by that of the training. Where methods found the
    very same settings they share the run.
    """
    rows = {"default": dict.fromkeys(scale.pick((0,), SEEDS), default(scale)), **winners}
    arms = [
        Arm.of(experiment(scale, settings, repetition), settings=name)
        for name, found in rows.items()
        for repetition, settings in found.items()
    ]
    title = "do the settings that a search found hold in a full training?"
    return Study("tuned", title, arms, may_share=True)


def winners() -> Winners:
    """The settings that each finished reference search found best, by method and repetition."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for method in METHODS:
        for repetition in range(REPETITIONS):
            one = search(Scale("reference"), method, repetition)
            study = read_search(one)
            if study and is_done(one, study.get_trials(deepcopy=False)) and best(study):
                found.setdefault(method, {})[repetition] = best(study).params
    return found


def tuned(scale: Scale) -> Study:
    """`contest` of the reference searches that are finished; at quick scale nobody has run yet."""
    return contest(scale, scale.pick({}, winners()))


STUDIES: dict[str, Callable[[Scale], Study]] = {"tuned": tuned}
