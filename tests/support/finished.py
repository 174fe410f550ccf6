"""Records of experiments that were never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny import tiny_set

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.records import Record, record_path
from squeeze_utils.experiments.study import Arm
from squeeze_utils.studies import catalogue
from squeeze_utils.training.loop import Train


def accuracy(lr: float, best: float) -> float:
    """Highest at the rate `best`."""
    return 90 - 10 * abs(lr / best - 1)


def place(record: Record, path: Path) -> None:
    """Write it there, whatever stood there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.text(), encoding="utf-8")


def full_width(accuracy: float) -> dict[str, Any]:
    """What a dense SqueezeNet of full width measures at an accuracy, on both kinds of images."""
    sizes = {"parameters": 730_570, "nonzero": 730_570, "dense_bytes": 4 * 730_570}
    return {"validation_accuracy": accuracy, "test_accuracy": accuracy, **sizes}


def pretend(arm: Arm, folder: Path, best: float = 0.04, **measured: Any) -> None:
    """A record of an arm, whose accuracy says that `best` is the best rate.

    Its last step has measured what is given.
    """
    steps = []
    for step in arm.experiment.recipe:
        lr = getattr(step, "lr", best)
        steps.append({"step": step.as_dict(), "seconds": 1.0, "density": {}})
        if isinstance(step, Train):
            steps[-1]["history"] = [{"epoch": 1, "seconds": 45.0}] * step.epochs
        steps[-1]["validation_accuracy"] = accuracy(lr, best)
    steps[-1].update(measured)
    record = Record.of(
        arm.experiment,
        steps,
        labels=dict(arm.labels),
        device="cpu",
        data_fingerprint=tiny_set().fingerprint,
        commit="none",
    )
    place(record, record_path(folder, arm.slug, arm.experiment.key))


def finish(name: str, runs: Path, best: float = 0.04) -> None:
    """Pretend that a study has been run, its pilots first, as often as records add arms to it."""
    study = catalogue.find(name, Scale("reference"))
    for pilot in study.pilots:
        finish(pilot, runs, best)
    while missing := catalogue.find(name, Scale("reference")).missing():
        for arm in missing:
            pretend(arm, runs / name, best)
