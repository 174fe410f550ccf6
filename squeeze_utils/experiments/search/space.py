"""What is searched, as data: the axes of the space, and the search itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from squeeze_utils.base.checks import choose, whole_number
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.search.methods import PRUNERS, SAMPLERS
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train

PARTS: tuple[str, ...] = ("train", "model")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `log` spreads them evenly in the exponent.

    `of` says whose option it is: that of training, or that of the network.
    """

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    of: str = "train"

    def __post_init__(self) -> None:
        choose("part", self.of, PARTS)
        if not self.low < self.high:
            raise ValueError(f"{self.name}: low must be below high, got {self.low} and {self.high}")
        if self.log and not self.low > 0:
            raise ValueError(f"{self.name}: a logarithmic range begins above 0, got {self.low}")

    @property
    def distribution(self) -> BaseDistribution:
        """The axis in Optuna's terms."""
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choice:
    """One of a few values, without an order."""

    name: str
    values: tuple[Any, ...]
    of: str = "train"

    def __post_init__(self) -> None:
        choose("part", self.of, PARTS)
        object.__setattr__(self, "values", tuple(self.values))
        if len(set(self.values)) < 2:
            raise ValueError(f"{self.name}: give at least two different values, got {self.values}")

    @property
    def distribution(self) -> BaseDistribution:
        """The axis in Optuna's terms."""
        return CategoricalDistribution(self.values)


Axis = Range | Choice


def distributions(space: Sequence[Axis]) -> dict[str, BaseDistribution]:
    """The space in Optuna's terms, by name."""
    return {axis.name: axis.distribution for axis in space}


@dataclass(frozen=True)
class Search:
    """One search: how points of `space` are chosen, and what each of them costs.

    The budget is counted in trained epochs, so that a pruned trial leaves budget for others; no
    trial begins that could exceed it. `train` and `model` hold what all trials share. Searches
    of one `repetition` begin with the same `startup` random points, whatever their method. A
    pruner stops nothing before the end of epoch `prune_from`.
    """

    name: str
    space: tuple[Axis, ...]
    sampler: str = "tpe"
    pruner: str = "none"
    repetition: int = 0
    budget: int = 64
    epochs: int = 4
    startup: int = 8
    prune_from: int = 2
    model: ModelSpec = field(default_factory=lambda: ModelSpec.of("squeezenet_small"))
    data: DataSpec = field(default_factory=DataSpec)
    train: tuple[tuple[str, Any], ...] = ()
    group: str = "tuning"

    def __post_init__(self) -> None:
        choose("sampler", self.sampler, SAMPLERS)
        choose("pruner", self.pruner, PRUNERS)
        whole_number("repetition", self.repetition, 0)
        for name in ("budget", "epochs", "startup", "prune_from"):
            whole_number(name, getattr(self, name), 1)
        if self.budget < self.epochs:
            raise ValueError(f"a budget of {self.budget} epochs has no room for {self.epochs}")
        object.__setattr__(self, "space", tuple(self.space))
        names = [axis.name for axis in self.space]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"the space needs axes with different names, got {names}")
        accepted = [option.name for option in fields(Train)]
        for axis in self.space:
            if axis.of == "train":
                choose("option of training", axis.name, accepted)

    def as_dict(self) -> dict[str, Any]:
        """All that a continued search must not change (the budget may), as plain values."""
        names = [one.name for one in fields(self) if one.name not in ("name", "group", "budget")]
        return {
            **{name: getattr(self, name) for name in names},
            "space": [{"kind": type(axis).__name__, **asdict(axis)} for axis in self.space],
            "model": self.model.as_dict(),
            "data": self.data.as_dict(),
            "train": dict(self.train),
        }

    def seed(self, number: int) -> int:
        """The seed of the network of trial `number`."""
        return 1000 * self.repetition + number

    def experiment(self, params: Mapping[str, Any], number: int) -> Experiment:
        """The experiment that trial `number` is: a point of the space with its own seed."""
        of = {axis.name: axis.of for axis in self.space}
        train = {name: value for name, value in params.items() if of[name] == "train"}
        model = {name: value for name, value in params.items() if of[name] == "model"}
        step = Train(**{"epochs": self.epochs, **dict(self.train), **train})
        spec = ModelSpec.of(self.model.name, **{**dict(self.model.options), **model})
        return Experiment(spec, self.data, (step,), self.seed(number))
