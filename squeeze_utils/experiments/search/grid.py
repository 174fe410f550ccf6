"""Every point of a grid, trained and written down once, so that searches can be replayed on it.

A search of a table costs microseconds a trial: a hundred repetitions of a method show how far its
results vary, which three expensive searches do not.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from squeeze_utils.base import machine, paths
from squeeze_utils.base.claims import CLAIMS, Claims
from squeeze_utils.base.parallel import run_tasks
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train

ROW_KEYS = {"key", "curve", "seconds", "device", "commit", "date"}


@dataclass(frozen=True)
class Grid:
    """Settings of training by name, each with its values, and what all points share."""

    name: str
    axes: Mapping[str, Sequence[Any]]
    model: ModelSpec
    data: DataSpec
    epochs: int = 6
    train: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[int] = (0, 1)

    @property
    def path(self) -> Path:
        """The table: a line of JSON for each training."""
        return paths.shipped("runs") / "tuning" / f"{self.name}.jsonl"

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(values) for values in self.axes.values())

    def points(self) -> list[dict[str, Any]]:
        """Every combination of the axes' values, the last axis fastest."""
        return [
            dict(zip(self.axes, values, strict=True))
            for values in itertools.product(*self.axes.values())
        ]

    def experiments(self) -> list[Experiment]:
        """Every point with the first seed, then every point with the second, and so on."""
        return [self.experiment(point, seed) for seed in self.seeds for point in self.points()]

    def experiment(self, point: Mapping[str, Any], seed: int) -> Experiment:
        """The training of a point. Divergence is a result, not an error."""
        step = Train(**{"epochs": self.epochs, "may_diverge": True, **self.train, **point})
        return Experiment(self.model, self.data, (step,), seed)


def run_grid(grid: Grid, jobs: int = 1) -> None:
    """Train what the table lacks; every training is a line as soon as it has ended.

    One run at a time writes to the table: another one is waited for, unless it has died.
    """
    with Claims(grid.path.parent / CLAIMS).wait_for(grid.name):
        _run(grid, jobs)


def _run(grid: Grid, jobs: int) -> None:
    done = {row["key"] for row in read_rows(grid.path)}
    left = [one for one in grid.experiments() if one.key not in done]
    total = len(grid.experiments())
    with tqdm(total=total, initial=total - len(left), desc=grid.name, unit="training") as bar:
        for row in run_tasks(_train, [(one,) for one in left], jobs):
            _append(grid.path, row)
            bar.update()


def _train(experiment: Experiment) -> dict[str, Any]:
    _, (measured,) = run_experiment(experiment)
    curve = [round(epoch["validation_accuracy"], 2) for epoch in measured["history"]]
    facts = machine.facts(experiment.data.device())
    return {
        "key": experiment.key,
        "curve": curve,
        "seconds": round(measured["seconds"], 1),
        **{name: facts[name] for name in ("device", "commit", "date")},
    }


def _append(path: Path, row: Mapping[str, Any]) -> None:
    """Add a line, after repairing an end that an interruption cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = path.read_bytes() if path.is_file() else b""
    whole = known[: known.rfind(b"\n") + 1]
    with path.open("r+b" if path.is_file() else "wb") as file:
        file.truncate(len(whole))
        file.seek(len(whole))
        file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a table; a last one that was cut off is left out, another damaged one named."""
    lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    rows = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not row.keys() >= ROW_KEYS:
            raise ValueError(
                f"damaged table {path.name}, line {number}: take the line out, and its training "
                "will be run again"
            )
        rows.append(row)
    return rows


def read_grid(grid: Grid) -> pd.DataFrame:
    """A row for each training of the grid: its settings, seed, curve of validation accuracy."""
    found = {row["key"]: row for row in read_rows(grid.path)}
    rows = []
    for seed in grid.seeds:
        for point in grid.points():
            row = found.get(grid.experiment(point, seed).key)
            if row:
                curve = _filled(row["curve"], grid.epochs)
                rows.append({**point, "seed": seed, "curve": curve, "seconds": row["seconds"]})
    return pd.DataFrame(rows, columns=[*grid.axes, "seed", "curve", "seconds"])


def _filled(curve: list[float], epochs: int) -> np.ndarray:
    """The epochs that a diverged training has not seen count as wrong answers throughout."""
    return np.array([*curve, *[0.0] * (epochs - len(curve))])


def curves(grid: Grid) -> np.ndarray | None:
    """Validation accuracy (points, seeds, epochs) of the whole grid; None while some is missing.

    Reshaped to (*grid.shape, seeds, epochs) it has an axis for each setting.
    """
    table = read_grid(grid)
    shape = (len(grid.seeds), len(grid.points()), grid.epochs)
    if len(table) < shape[0] * shape[1]:
        return None
    return np.stack(table["curve"].to_list()).reshape(shape).swapaxes(0, 1)
