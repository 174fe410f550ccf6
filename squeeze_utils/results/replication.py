"""Records repeated: one more seed of an arm, and records drawn at random and run again."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from squeeze_utils.base import machine, measurements, paths
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.run_experiment import finish, run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache, usual_cache
from squeeze_utils.training.distributed.launch import launch, take_part

KEPT = "replications"  # the table of what was run again, below data/measurements/


@dataclass(frozen=True)
class OneMoreSeed:
    """A seed that the records do not have, and where it falls among those that they have.

    `low` and `high` bound where 95 % of further seeds fall if accuracies are normally distributed:
    the mean -+ t(n - 1) s sqrt(1 + 1/n) of the `n` known accuracies.

    >>> OneMoreSeed(seed=9, accuracy=90.0, known=(89.0, 90.0, 91.0)).inside
    True
    """

    seed: int
    accuracy: float
    known: tuple[float, ...]

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % prediction interval; without two known seeds everything is possible."""
        n = len(self.known)
        if n < 2:
            return 0.0, 100.0
        reach = float(stats.t.ppf(0.975, n - 1)) * np.std(self.known, ddof=1) * (1 + 1 / n) ** 0.5
        return float(np.mean(self.known) - reach), float(np.mean(self.known) + reach)

    @property
    def inside(self) -> bool:
        """Whether the new seed falls into the interval."""
        low, high = self.interval
        return low <= self.accuracy <= high

    def _repr_markdown_(self) -> str:
        got = f"Seed {self.seed} reaches **{self.accuracy:.2f} %** of the test pictures."
        if len(self.known) < 2:
            return (
                f"{got} The records have {len(self.known)} seeds of this arm: too few to compare."
            )
        low, high = self.interval
        where = "It lies inside." if self.inside else "It lies outside: one seed in twenty does."
        return (
            f"{got} The {len(self.known)} recorded seeds reach {min(self.known):.2f} to "
            f"{max(self.known):.2f} %, and 95 of 100 further ones are expected between {low:.2f} "
            f"and {high:.2f} %. {where}"
        )


def train_arm(experiment: Experiment, known: Sequence[float]) -> OneMoreSeed:
    """Train `experiment`, an arm with a seed of the reader's; nothing is recorded.

    The state is kept in the cache, so that what was interrupted goes on where it stopped.
    """
    return OneMoreSeed(experiment.seed, _accuracy(experiment, usual_cache().folder), tuple(known))


def _accuracy(experiment: Experiment, states: Path | None) -> float:
    """The test accuracy that the experiment reaches here and now, in per cent.

    As many processes are started as its steps want. States are kept in the folder, if there is one.
    """
    workers = max((getattr(step, "workers", 1) for step in experiment.recipe), default=1)
    asked = {"experiment": experiment.as_dict(), "states": str(states) if states else None}
    if workers == 1:
        return _trained(**asked)
    module = "squeeze_utils.results.replication"
    return launch(module, workers, seconds=None, show=True, **asked)[0]


def _trained(experiment: dict[str, Any], states: str | None) -> float:
    """What `_accuracy` says, in this process, which may be one of several."""
    wanted = Experiment.from_dict(experiment)
    cache, device = PrefixCache(Path(states)) if states else None, wanted.data.device()
    state, steps = run_experiment(wanted, cache=cache, device=device, progress=True)
    return float(finish(state, steps)[-1]["test_accuracy"])


def draw_records(
    count: int, minutes: float, seed: int, runs: Path | None = None
) -> list[tuple[Path, Record]]:
    """`count` committed records of trainings of at most `minutes`, drawn at random.

    ValueError where there are fewer.
    """
    fits = []
    for path in sorted((runs or paths.shipped("runs")).glob("*/*.json")):
        try:
            record = Record.parse(path.read_text(encoding="utf-8"))
        except ValueError as error:
            warnings.warn(f"damaged record {path.name}, left out: {error}", stacklevel=2)
            continue
        if record.seconds <= 60 * minutes and "test_accuracy" in record.final and record.epochs:
            fits.append((path, record))
    if not 0 < count <= len(fits):
        raise ValueError(
            f"{count} records asked for; {len(fits)} took at most {minutes:g} minutes: give a "
            "number from 1 to that, or more minutes"
        )
    return random.Random(seed).sample(fits, count)


def repeat_records(drawn: Sequence[tuple[Path, Record]]) -> Iterator[dict[str, Any]]:
    """Run records again with their own seeds; a row for each, which is also kept if it can be."""
    for path, record in drawn:
        experiment = Experiment.from_dict(record.experiment)
        now = machine.facts(experiment.data.device())
        row = {
            "study": path.parent.name,
            "record": path.stem,
            "recorded": round(record.final["test_accuracy"], 2),
            "again": round(_accuracy(experiment, None), 2),
            "recorded on": " or ".join(record.devices),
            "again on": now["device"],
            "torch": f"{record.versions.get('torch', '?')} / {torch.__version__.split('+')[0]}",
            "date": now["date"],
        }
        try:
            _keep(row)
        except (OSError, ValueError) as error:  # a read-only folder, a damaged table
            print(f"this row is shown but not kept: {error}", file=sys.stderr)
        yield row


def _keep(row: dict[str, Any]) -> None:
    """Add a row to the kept table; the newest row of a record on a device stays."""
    known = measurements.read_measurement(KEPT)
    same = ("record", "again on")
    rows = [old for old in (known.rows if known else ()) if any(old[k] != row[k] for k in same)]
    measurements.keep_measurement(KEPT, [*rows, row])


def compare_again(rows: Sequence[dict[str, Any]]) -> str:
    """What repeating has shown, in a table and a sentence."""
    lines = [f"{'record':60}{'recorded':>10}{'again':>8}{'points':>8}"]
    gaps = [row["again"] - row["recorded"] for row in rows]
    for row, gap in zip(rows, gaps, strict=True):
        name = f"{row['study']}/{row['record'].rpartition('-')[0]}"
        lines.append(f"{name:60}{row['recorded']:10.2f}{row['again']:8.2f}{gap:+8.2f}")
    size = float(np.sqrt(np.mean(np.square(gaps))))
    equal = sum(gap == 0 for gap in gaps)
    lines.append(
        f"{len(rows)} records, {equal} equal to the last digit; root mean square {size:.2f}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    take_part(_trained)
