"""Time a training step of every variant of a study, on a machine that does nothing else.

`python -m tools.step_times STUDY LABEL`, for example `pooling pooling`.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional as F

from squeeze_utils.base import machine, measurements
from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.scale import Scale
from squeeze_utils.base.timing import median_time
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.study import Study
from squeeze_utils.results.costs import variants
from squeeze_utils.studies.catalogue import find
from squeeze_utils.training import optimizers
from squeeze_utils.training.evaluation import numerics
from squeeze_utils.training.loop import Train


def first_training(experiment: Experiment) -> Train:
    """The first training of a recipe."""
    found = [step for step in experiment.recipe if isinstance(step, Train)]
    if not found:
        raise ValueError("an experiment of this study has no Train: there is no step to time")
    return found[0]


def training_step(experiment: Experiment) -> Callable[[], None]:
    """One step of the experiment's training on a random batch, ready to be run again and again."""
    plan = first_training(experiment)
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


def keep_timings(study: Study, by: str, rounds: int = 30) -> Path:
    """Time a study's variants and write the result."""
    frame = measure_steps(study, by, rounds)
    plan = first_training(study.arms[0].experiment)
    return measurements.keep_measurement(
        f"costs/{study.name}",
        frame.round(3).reset_index().to_dict("records"),
        rounds=rounds,
        batch=plan.batch_size,
        threads=torch.get_num_threads(),
        precision=machine.precision(plan.precision, torch.device("cpu")),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: a study, and the label that tells its variants apart."""
    parser = ArgumentParser(prog="python -m tools.step_times", description=__doc__)
    parser.add_argument("study")
    parser.add_argument("label")
    asked = parser.parse_args(arguments)

    def work() -> None:
        study = find(asked.study, Scale("reference"))
        if not study.arms:
            raise ValueError(f"{study.name} has no arms yet: its pilot {study.pilot} comes first")
        print(keep_timings(study, asked.label).name)

    return exit_code(work, "the old table is kept")


if __name__ == "__main__":
    sys.exit(main())
