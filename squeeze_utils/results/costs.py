"""What the variants of a study cost: parameters, multiply-adds, memory, milliseconds of a step.

Timing them needs a machine that does nothing else; the result is kept for the notebooks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.nn import functional as F

from squeeze_utils.anatomy.tables import summary
from squeeze_utils.base import machine, measurements
from squeeze_utils.base.scale import Scale
from squeeze_utils.base.timing import median_time
from squeeze_utils.experiments.recipe import Experiment, Train
from squeeze_utils.experiments.study import Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.catalogue import find
from squeeze_utils.training import optimizers
from squeeze_utils.training.evaluation import numerics

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
        name: _counted(experiment.model, experiment.data.size)
        for name, experiment in variants(study, by).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


@cache
def _counted(spec: ModelSpec, side: int | None) -> dict[str, int]:
    """The counts of one network on square images; a chapter asks for them in many tables."""
    model = spec.build()
    shape = (model.input_shape[0], *[side or model.input_shape[1]] * 2)
    total = summary(model, shape)
    return {
        "parameters": int(total["parameters"]),
        "multiply_adds": int(total["multiply_adds"]),
        "activation_bytes": int(total["peak_activation_bytes"]),
    }


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


def keep_timings(study: Study, by: str, rounds: int = 30) -> Path:
    """Time a study's variants and write the result."""
    frame = measure_steps(study, by, rounds)
    plan = study.arms[0].experiment.recipe[0]
    return measurements.keep_measurement(
        f"costs/{study.name}",
        frame.round(3).reset_index().to_dict("records"),
        rounds=rounds,
        batch=plan.batch_size,
        threads=torch.get_num_threads(),
        precision=machine.precision(plan.precision, torch.device("cpu")),
    )


def main(names: Sequence[str] | None = None) -> int:
    """The command line: one or more names of studies."""
    names = sys.argv[1:] if names is None else names
    if not names:
        print("say which studies: python -m squeeze_utils.results.costs STUDY ...", file=sys.stderr)
        return 2
    try:
        for study, by in _each(names):
            print(f"{study.name}: {keep_timings(study, by).name}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _each(names: Sequence[str]) -> Iterator[tuple[Study, str]]:
    for name in names:
        study = find(name, Scale("reference"))
        if not study.arms:
            raise ValueError(f"{name} has no arms yet: its pilot {study.pilot} comes first")
        yield study, list(dict(study.arms[0].labels))[-2 if study.pilot else -1]


if __name__ == "__main__":
    sys.exit(main())
