"""A job for processes that train together: `launch("together_job", ...)`."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.run_study import run_study
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.training import resuming
from squeeze_utils.training.distributed.launch import take_part
from squeeze_utils.training.distributed.ranks import here
from squeeze_utils.training.epochs import Epochs


def job(experiments: list[dict], folder: str, kill_after: int = 0, fail: bool = False) -> Any:
    """Run the experiments as a study; records of each process, and a sum of its last weights.

    Process 1 kills itself after epoch `kill_after` of a training.
    """
    if fail and here().rank == 1:
        raise ValueError("process 1 does not like this")
    resuming.SECONDS = 0.0
    resuming.HalfwayFile.__init__.__defaults__ = (0.0,)
    if kill_after and here().rank == 1:
        _kill_after(kill_after)
    base = Path(folder)
    arms = [Arm.of(Experiment.from_dict(one), number=n) for n, one in enumerate(experiments)]
    cache = PrefixCache(base / "states")
    study = Study("together", "?", arms)
    records = run_study(study, folder=base, cache=cache, progress=False)
    finals = [records[arm.experiment.key].steps for arm in arms]
    return {"rank": here().rank, "size": here().size, "steps": finals}


def _kill_after(epochs: int) -> None:
    real = Epochs.run

    def watched(self: Epochs, epoch: int) -> dict[str, Any]:
        if epoch == epochs:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, epoch)

    Epochs.run = watched


if __name__ == "__main__":
    take_part(job)
