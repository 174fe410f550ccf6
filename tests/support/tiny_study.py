"""A study that can be run as a program, and killed: `python tiny_study.py FOLDER`."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny import QUICK, tiny_experiment

from squeeze_utils.experiments.run_study import run_study
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step


@dataclass(frozen=True)
class Pause(Step):
    """Changes nothing; sleeps for minutes if TINY_PAUSE is set, except for number 0."""

    number: int = 0

    def apply(self, state: State) -> dict[str, Any]:
        """Sleep, or not."""
        if self.number and os.environ.get("TINY_PAUSE"):
            time.sleep(600)
        return {"number": self.number}


def rates(*values: float, seeds: int = 1) -> Study:
    """One epoch at each learning rate, with each seed."""
    arms = [
        Arm.of(tiny_experiment(Train(1, **{**QUICK, "lr": lr}), seed=seed), lr=lr, kind="a b/c")
        for lr in values
        for seed in range(seeds)
    ]
    return Study("small", "which rate?", arms)


def study() -> Study:
    """Three arms that share their training."""
    train = Train(1, **QUICK)
    arms = tuple(Arm.of(tiny_experiment(train, Pause(n)), number=n) for n in range(3))
    return Study("tiny", "what is left after a kill?", arms)


if __name__ == "__main__":
    base = Path(sys.argv[1])
    run_study(study(), folder=base, cache=PrefixCache(base / "states"), progress=False)
