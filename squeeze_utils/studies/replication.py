"""Trainings repeated: an arm with another seed, and committed records run again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from squeeze_utils.base import machine, measurements
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.run_experiment import finish, run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache, usual_cache
from squeeze_utils.studies import durations
from squeeze_utils.studies.record_draw import Candidate
from squeeze_utils.training.distributed.launch import launch, take_part

KEPT = "replications"  # the table of what was run again, below data/measurements/
PLACE = ("record", "again on")  # of these the newest row stays


def train_arm(experiment: Experiment) -> tuple[float, str]:
    """Train an arm with a seed of the reader's: its score on test images (%), and that one's name.

    Nothing is recorded. It says first how long this machine is likely to take. The state is kept in
    the cache, so that what was interrupted goes on where it stopped.
    """
    minutes, device = durations.likely_seconds(experiment) / 60, experiment.data.device()
    where = machine.device_name(device)
    _announce(f"about {max(minutes, 1):.0f} minutes on {where} (an estimate)")
    return _judged(experiment, usual_cache().folder)


def _announce(text: str) -> None:
    """Say it where progress bars are shown."""
    tqdm.write(text, file=sys.stderr)


def _judged(experiment: Experiment, states: Path | None) -> tuple[float, str]:
    """The score on test images that the experiment reaches here and now (%), and its name.

    As many processes are started as its steps want. States are kept in the folder, if there is one.
    """
    workers = max((getattr(step, "workers", 1) for step in experiment.recipe), default=1)
    asked = {"experiment": experiment.as_dict(), "states": str(states) if states else None}
    if workers == 1:
        return _trained(**asked)
    module = "squeeze_utils.studies.replication"
    accuracy, measure = launch(module, workers, seconds=None, show=True, **asked)[0]
    return accuracy, measure


def _trained(experiment: dict[str, Any], states: str | None) -> tuple[float, str]:
    """What `_judged` says, in this process, which may be one of several."""
    wanted = Experiment.from_dict(experiment)
    cache, device = PrefixCache(Path(states)) if states else None, wanted.data.device()
    state, steps = run_experiment(wanted, cache=cache, device=device, progress=True)
    last = finish(state, steps)[-1]
    return float(last["test_accuracy"]), last.get("measure", "accuracy")


def repeat_records(drawn: Sequence[Candidate]) -> Iterator[dict[str, Any]]:
    """Run records again with their own seeds; a row for each, which is also kept if it can be.

    A row comes as soon as its record was run, before the next one begins.
    """
    for path, record in ((one.path, one.record) for one in drawn):
        experiment = Experiment.from_dict(record.experiment)
        now = machine.facts(experiment.data.device())
        row = {
            "study": path.parent.name,
            "record": path.stem,
            "recorded": round(record.final["test_accuracy"], 2),
            "again": round(_judged(experiment, None)[0], 2),
            "recorded on": " or ".join(record.devices),
            "again on": now["device"],
            "torch": f"{record.versions.get('torch', '?')} / {torch.__version__.split('+')[0]}",
            "date": now["date"],
        }
        try:
            measurements.keep_row(KEPT, row, PLACE)
        except (OSError, ValueError) as error:  # a read-only folder, a damaged table
            _announce(f"this row is shown but not kept: {error}")
        yield row


def deviation_line(row: Mapping[str, Any] | None = None) -> str:
    """A record, its accuracy, that of the repetition, and the difference; without it the titles."""
    if row is None:
        return f"{'record':60}{'recorded':>10}{'again':>8}{'points':>8}"
    name = f"{row['study']}/{row['record'].rpartition('-')[0]}"
    gap = row["again"] - row["recorded"]
    return f"{name:60}{row['recorded']:10.2f}{row['again']:8.2f}{gap:+8.2f}"


def deviations_sum(rows: Sequence[Mapping[str, Any]]) -> str:
    """What repeating one or more records has shown, in a sentence."""
    gaps = [row["again"] - row["recorded"] for row in rows]
    size = float(np.sqrt(np.mean(np.square(gaps))))
    equal = sum(gap == 0 for gap in gaps)
    records = "1 record" if len(rows) == 1 else f"{len(rows)} records"
    return f"{records}, {equal} equal to the last digit; root mean square {size:.2f}"


if __name__ == "__main__":
    take_part(_trained)
