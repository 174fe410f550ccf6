"""How a learning rate is chosen: a pilot trains at every rate of a grid, and the best one is taken.

Best is the rate whose runs end with the highest validation accuracy, in the mean over seeds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.records import Record, read_records
from squeeze_utils.experiments.study import Arm

MOST_RATES = 7  # of a grid that is extended


def pilot_records(name: str, scale: Scale) -> dict[str, Record]:
    """The committed records of a pilot by key; none at quick scale, which has no pilot."""
    return {} if scale.name == "quick" else read_records(paths.shipped("runs") / name)


def rate_arms(runs: Mapping[float, Sequence[Experiment]], **labels: Any) -> list[Arm]:
    """The runs of a pilot at each rate as arms: with these labels, and the rate as the last."""
    return [Arm.of(run, **labels, lr=lr) for lr, at_rate in runs.items() for run in at_rate]


def extended(
    rates: Sequence[float],
    records: Mapping[str, Record],
    runs_at: Callable[[float], list[Experiment]],
) -> dict[float, list[Experiment]]:
    """The runs at each rate; beyond an edge where the best lies there is another rate.

    A grid of `MOST_RATES` is not extended: a best rate at its edge is warned of.
    """
    runs = {lr: runs_at(lr) for lr in rates}
    while (best := edge(records, runs)) is not None and len(runs) < MOST_RATES:
        added = best / 2 if best == min(runs) else best * 2
        runs = dict(sorted({**runs, added: runs_at(added)}.items()))
    if best is not None:
        tried = ", ".join(f"{lr:g}" for lr in runs)
        warnings.warn(
            f"the best learning rate lies at the edge of {len(runs)} ({tried}), and no other is "
            f"tried: {best:g} may not be the best for {runs[best][0].as_dict()['model']}",
            stacklevel=2,
        )
    return runs


def edge(records: Mapping[str, Record], runs: Mapping[float, Sequence[Experiment]]) -> float | None:
    """The best rate if it is the lowest or the highest of all; else, or until it is known, None."""
    best = best_rate(records, runs)
    return best if best in (min(runs), max(runs)) else None


def rate_or(
    likely: float, records: Mapping[str, Record], runs: Mapping[float, Sequence[Experiment]]
) -> tuple[float, bool]:
    """The best rate, and whether it is known; until then a likely one."""
    found = best_rate(records, runs)
    return (likely, False) if found is None else (found, True)


def best_rate(
    records: Mapping[str, Record], runs: Mapping[float, Sequence[Experiment]]
) -> float | None:
    """The peak rate whose runs ended best on validation images, in the mean over their seeds.

    Of equal ones it is the lowest. None while a run is missing.
    """
    means = {}
    for lr, experiments in sorted(runs.items()):
        found = [records.get(experiment.key) for experiment in experiments]
        if not all(found):
            return None
        means[lr] = fmean(record.final["validation_accuracy"] for record in found)
    return max(means, key=means.__getitem__)
