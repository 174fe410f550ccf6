"""What the variants of a study cost: parameters, multiply-adds, memory, milliseconds of a step.

Timing them needs a machine that does nothing else: `tools.step_times` does it and keeps the result.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
import torch

from squeeze_utils.anatomy.costs import count
from squeeze_utils.base import measurements
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.study import Study
from squeeze_utils.models import ModelSpec

COLUMNS = ("milliseconds", "p95")


def variants(study: Study, by: str) -> dict[Any, Experiment]:
    """One experiment for each value of the label `by`, in the study's order."""
    found: dict[Any, Experiment] = {}
    for arm in study.arms:
        labels = dict(arm.labels)
        if by not in labels:
            raise ValueError(f"{study.name} has no label {by!r}; it has {', '.join(labels)}")
        found.setdefault(labels[by], arm.experiment)
    return found


def count_variants(study: Study, by: str) -> pd.DataFrame:
    """Parameters, multiply-adds and peak activation bytes (batch 1, float32) of each variant."""
    rows = {
        name: counted(experiment.model, experiment.data.size)
        for name, experiment in variants(study, by).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


@cache
def counted(spec: ModelSpec, side: int | None = None) -> dict[str, int]:
    """The counts of one network on square images; a chapter asks for them in many tables."""
    with torch.device("meta"):  # no numbers are drawn
        model = spec.build()
    channels, *sides = model.input_shape
    return count(model, (channels, *(sides if side in (None, sides[0]) else [side] * 2)))


def kept_timings(name: str, by: str) -> pd.DataFrame:
    """Committed timings of a study by its label; an empty frame where none were made."""
    found = measurements.read_measurement(f"costs/{name}")
    if found is None:
        return pd.DataFrame(columns=list(COLUMNS)).rename_axis(by)
    return found.frame.set_index(by)


def source_of_timings(name: str) -> str:
    """Where the kept timings of a study come from, in one line."""
    found = measurements.read_measurement(f"costs/{name}")
    if found is None:
        return "not timed yet"
    made = found.about
    return (
        f"median of {made['rounds']} interleaved steps of {made['batch']} images · "
        f"{made['threads']} threads · {made['precision']} · {found.source}"
    )
