"""Samplers, which choose the next point, and pruners, which stop a trial that is no good."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from squeeze_utils.base.checks import choose

PRUNE_AFTER = 4  # complete trials before the median rule stops anything


def _tpe(seed: int, startup: int) -> BaseSampler:
    """TPE of all axes together; running trials of other processes count as bad ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(
            seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True
        )


SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {
    "tpe": _tpe,
    "random": lambda seed, startup: RandomSampler(seed=seed),
}
PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "none": lambda start: NopPruner(),
    "median": lambda start: MedianPruner(n_startup_trials=PRUNE_AFTER, n_warmup_steps=start),
    "halving": lambda start: SuccessiveHalvingPruner(min_resource=start, reduction_factor=2),
}


def sampler(name: str, repetition: int, startup: int = 8) -> BaseSampler:
    """The sampler called `name`; what it draws for trial n depends on `repetition` and n.

    And on the results before, where it looks at them; not on how often the search was stopped.
    """
    choose("sampler", name, SAMPLERS)

    def make(number: int) -> BaseSampler:
        seed = np.random.SeedSequence([repetition, number]).generate_state(1)[0]
        return SAMPLERS[name](int(seed), startup)

    return _Numbered(make)


def pruner(name: str, start: int = 2) -> BasePruner:
    """The pruner called `name`; trials report after every epoch, it stops none before `start`."""
    choose("pruner", name, PRUNERS)
    return PRUNERS[name](start)


class _Numbered(BaseSampler):
    """A fresh sampler for each trial, made from the trial's number."""

    def __init__(self, make: Callable[[int], BaseSampler]) -> None:
        self._make = make
        self._current: tuple[int, BaseSampler] | None = None

    def _of(self, trial: optuna.trial.FrozenTrial) -> BaseSampler:
        if self._current is None or self._current[0] != trial.number:
            self._current = trial.number, self._make(trial.number)
        return self._current[1]

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        return self._of(trial).sample_independent(study, trial, name, distribution)

    def before_trial(self, study: Any, trial: Any) -> None:
        self._of(trial).before_trial(study, trial)

    def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
        self._of(trial).after_trial(study, trial, state, values)
