"""Time a training step of every variant of a study, on a machine that does nothing else.

`python -m tools.step_times STUDY LABEL`, for example `pooling pooling`.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import torch

from squeeze_utils.base import machine, measurements
from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Study
from squeeze_utils.results.costs import measure_steps
from squeeze_utils.studies.catalogue import find


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
