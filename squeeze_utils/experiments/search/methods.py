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
from squeeze_utils.experiments.search.workers import worker_name

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


class Sampler(BaseSampler):
    """The sampler called `name`, made anew for each trial.

    It is seeded by `repetition` and the trial's number: after the same results it suggests the same
    point, however often the search was stopped between trials.
    """

    def __init__(self, name: str, repetition: int, startup: int = 8) -> None:
        self._make = SAMPLERS[choose("sampler", name, SAMPLERS)]
        self._repetition, self._startup = repetition, startup

    def before_trial(self, study: Any, trial: Any) -> None:
        """Called once before the others: notes in the new trial which process works on it."""
        study._storage.set_trial_user_attr(trial._trial_id, "worker", worker_name())
        seed = np.random.SeedSequence([self._repetition, trial.number]).generate_state(1)[0]
        self._fresh = self._make(int(seed), self._startup)

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """The settings that are drawn together: see Optuna's sampler of this name."""
        return self._fresh.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """A value for each setting that is drawn together with others."""
        return self._fresh.sample_relative(study, trial, search_space)

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        """A value for the setting `name`, drawn by itself."""
        return self._fresh.sample_independent(study, trial, name, distribution)


def pruner(name: str, start: int = 2) -> BasePruner:
    """The pruner called `name`; trials report after every epoch, it stops none before `start`."""
    return PRUNERS[choose("pruner", name, PRUNERS)](start)
