"""A search without any training, for tests; runs as a program too: `python tiny_search.py FOLDER`.

The objective's curve rises to a peak that depends on the point; TINY_PAUSE makes trial 1 hang.
"""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.search import Choice, Range, Search
from squeeze_utils.experiments.search.running import Report, run_search

SPACE = (Range("lr", 1e-3, 1.0, log=True), Choice("optimizer", ("nesterov", "muon")))


def search(name: str = "tiny", **options: Any) -> Search:
    """Two axes, four epochs a trial, room for ten trials."""
    return Search(name, SPACE, **{"budget": 40, "startup": 4, **options})


def hill(experiment: Experiment, report: Report) -> dict[str, float]:
    """The best rate is 0.1, muon is ten points better; the test split is 1 point worse."""
    (plan,) = experiment.recipe
    if os.environ.get("TINY_PAUSE") and experiment.seed:
        report(1, 50.0)
        Path(os.environ["TINY_PAUSE"]).touch()
        time.sleep(600)
    height = 90 - 20 * abs(math.log10(plan.lr) + 1) - 10 * (plan.optimizer == "nesterov")
    for epoch in range(1, plan.epochs + 1):
        report(epoch, height * epoch / plan.epochs)
    return {"validation_accuracy": height, "test_accuracy": height - 1}


if __name__ == "__main__":
    run_search(search(), Path(sys.argv[1]), objective=hill, progress=False)
