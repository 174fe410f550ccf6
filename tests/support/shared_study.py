"""A study that notes every arm that is begun: `python shared_study.py FOLDER` runs it."""

from __future__ import annotations

import os
import signal
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
class NotedArm(Step):
    """Changes nothing; writes its number and its process to `place`, and takes its time.

    With `kills`, the first process that comes here is killed.
    """

    number: int
    place: str
    seconds: float = 0.3
    kills: bool = False

    def apply(self, state: State) -> dict[str, Any]:
        """Note, and sleep."""
        log = Path(self.place)
        first = not log.exists() or f"{self.number} " not in log.read_text()
        with log.open("a") as file:
            file.write(f"{self.number} {os.getpid()}\n")
        if self.kills and first:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        return {"number": self.number}


def study(folder: Path, count: int = 4, kills: bool = False, seconds: float = 0.3) -> Study:
    """Arms with one training in common; with `kills`, number 1 kills its first process."""
    place = str(folder / "log.txt")
    steps = [NotedArm(n, place, seconds, kills and n == 1) for n in range(count)]
    arms = [
        Arm.of(tiny_experiment(Train(1, **QUICK), step), number=n) for n, step in enumerate(steps)
    ]
    return Study("shared", "who does what?", arms)


def begun(folder: Path) -> list[int]:
    """The numbers of the arms that were begun, in order."""
    log = folder / "log.txt"
    return sorted(int(line.split()[0]) for line in log.read_text().splitlines())


if __name__ == "__main__":
    base = Path(sys.argv[1])
    seconds = float(sys.argv[2])
    cache = PrefixCache(base / "states")
    run_study(study(base, seconds=seconds), folder=base, cache=cache, progress=False)
