"""What the variants of a study cost: parameters, multiply-adds, memory, milliseconds of a step.

Timing them needs a machine that does nothing else; the result is kept for the notebooks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pandas as pd
import torch
from torch.nn import functional as F

from squeeze_utils.anatomy.costs import count
from squeeze_utils.base import machine, measurements
from squeeze_utils.base.timing import median_time
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.study import Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.training import optimizers
from squeeze_utils.training.evaluation import numerics
from squeeze_utils.training.loop import Train

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
    model = spec.build()
    channels, *sides = model.input_shape
    return count(model, (channels, *(sides if side in (None, sides[0]) else [side] * 2)))


def training_step(experiment: Experiment) -> Callable[[], None]:
    """One step of the experiment's training on a random batch, ready to be run again and again."""
    plan = next(step for step in experiment.recipe if isinstance(step, Train))
    model = experiment.model.build().to(memory_format=torch.channels_last)
    optimizer = optimizers.make_optimizer(plan.optimizer, model, plan.lr * 1e-3, plan.weight_decay)
    channels, side, _ = model.input_shape
    side = experiment.data.size or side
    x = torch.randn(plan.batch_size, channels, side, side).to(memory_format=torch.channels_last)
    y = torch.arange(plan.batch_size) % model.num_classes
    device = torch.device("cpu")
    chosen = machine.precision(plan.precision, device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with numerics(chosen, device):
            logits = model(x)
        F.cross_entropy(logits.float(), y).backward()
        optimizer.step()

    return step


def measure_steps(study: Study, by: str, rounds: int = 8) -> pd.DataFrame:
    """Median and 95th percentile (milliseconds) of a training step of each variant, interleaved."""
    machine.keep_freed_memory()
    each = variants(study, by)
    steps = {str(name): training_step(experiment) for name, experiment in each.items()}
    found = median_time(steps, rounds, warmup=2)
    names = pd.Index(list(each), name=by)
    return pd.DataFrame(
        {"milliseconds": found["median_ms"].to_numpy(), "p95": found["p95_ms"].to_numpy()}, names
    )


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
