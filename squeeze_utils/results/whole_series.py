"""Every network of the series that has a record: its bytes, its accuracy, and where it comes from.

For chapter 21: the front of bytes against accuracy, and what to choose for a number of bytes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.steps import Densify
from squeeze_utils.experiments.every_step import OBSERVING
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.records import Record, recorded_elsewhere
from squeeze_utils.experiments.study import Arm
from squeeze_utils.results import pareto
from squeeze_utils.results.tables import ACCURACY
from squeeze_utils.studies import catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Chapter, study, and labels of the arm; means over its `n` records of bytes and accuracies (%).
#: The `networks` that were trained for them are fewer than `n` if the seeds begin with one
#: checkpoint; `epochs before` are those of this checkpoint.
COLUMNS = ["chapter", "study", "network", "n", "bytes", "validation", "test", "epochs"]
COLUMNS += ["networks", "epochs before"]
MARKS = ("x", "+", "1", "|", "3", "_", "2", "4")  # of published points, a source each
PUBLISHED_GREY = "0.45"
NEAR_CHANCE = 20.0  # test accuracy (%) for the ten classes of the image sets that are shown
FIRST = 3  # the first chapter that has studies
DENSE = 0.995  # share of numbers that are not zero, at least, in a network of ordinary training
WITHOUT_FILE = "left out without a file"  # where a frame's `attrs` count the arms left out
REPEATS = 3  # records of an arm, at least, that a recommendation rests on
LONG = 24  # epochs of all training images; a training of fewer is called short
#: A colour for each chapter from 03 to 21; neighbours differ in lightness too.
COLOURS = (
    *("#0072B2", "#E69F00", "#8400CD", "#009E73", "#56B4E9", "#D55E00"),
    *("#CC79A7", "#7F4F00", "#B8B000", "#9F0162", "#00C4B3", "#FF5AAF"),
    *("#E20134", "#1B5E20", "#A6A6FF", "#3A3AC8", "#FFB08A", "#5B6B00"),
    "#9BE564",
)
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d")
_CHAPTER = re.compile(r"Chapter (\d\d)")


def every_network(images: str = "cifar10", runs: Path | None = None) -> pd.DataFrame:
    """One row for each arm of a reference study on these images that has a record.

    The bytes are those of the arm's file; where it writes none, of its parameters in float32. This
    is not the size of a pruned or rounded network, so one without a file is left out; such arms are
    counted in `attrs[WITHOUT_FILE]`. A network counts once, in the first arm that has it: later
    studies share it, or only observe it. Networks that only find a learning rate are left out. So
    are arms that a bad setting leaves near chance: they would only stretch a figure. Records are
    read from the folder `runs`, the committed ones unless it is given.
    """
    scale = Scale("reference")
    rows: list[dict[str, Any]] = []
    counted: set[str] = set()
    for module in catalogue.CHAPTERS:
        chapter = _chapter(module)
        for study in (make(scale) for make in module.STUDIES.values()):
            arms = [arm for arm in study.arms if _fits(arm.experiment.data, images)]
            if arms and not study.finds_rates:
                found = _rows(chapter, study.name, arms, study.records(runs), counted)
                rows += [_begun_with(row, runs or paths.shipped("runs")) for row in found]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "has size"])
    learned = frame[frame["test"] > NEAR_CHANCE]
    shown = learned.loc[learned["has size"].astype(bool), COLUMNS].reset_index(drop=True)
    shown.attrs[WITHOUT_FILE] = len(learned) - len(shown)
    return shown


def _chapter(module: ModuleType) -> str:
    """The two digits that a module of studies begins its description with."""
    match = _CHAPTER.match(module.__doc__ or "")
    if match is None:
        raise ValueError(f"{module.__name__} must begin its description with 'Chapter NN'")
    return match[1]


def _rows(
    chapter: str,
    study: str,
    arms: Sequence[Arm],
    records: Mapping[str, Record],
    counted: set[str],
) -> list[dict[str, Any]]:
    """A row for each group of arms that differ in their seed alone; adds to what is `counted`."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for arm in arms:
        record, network = records.get(arm.experiment.key), _network(arm.experiment)
        if record is not None and ACCURACY in record.final and network not in counted:
            groups.setdefault(arm.labels, []).append(record)
            counted.add(network)
    return [
        {"chapter": chapter, "study": study, "network": _name(labels), **_means(found)}
        for labels, found in groups.items()
    ]


def _fits(data: DataSpec, images: str) -> bool:
    """Whether a network learned these images, and can be chosen on their validation split."""
    return data.name == images and not data.train_on_validation


def _network(experiment: Experiment) -> str:
    """The key of the experiment without the steps that observe: they leave the network alone."""
    steps = [step for step in experiment.recipe if not isinstance(step, OBSERVING)]
    return replace(experiment, recipe=steps or experiment.recipe).key


def _name(labels: Sequence[tuple[str, Any]]) -> str:
    return ", ".join(str(value) for label, value in labels if label != "lr")


def _means(records: Sequence[Record]) -> dict[str, Any]:
    finals = pd.DataFrame([record.final for record in records])
    files = finals["file_bytes"] if "file_bytes" in finals else finals["dense_bytes"]
    return {
        "n": len(records),
        "bytes": float(files.fillna(finals["dense_bytes"]).mean()),
        "validation": float(finals["validation_accuracy"].mean()),
        "test": float(finals[ACCURACY].mean()),
        "epochs": records[0].epochs,
        "has size": all("file_bytes" in one.final or _is_dense(one) for one in records),
        **_beginning(records),
    }


def _is_dense(record: Record) -> bool:
    """Whether its network is neither pruned nor rounded, both of which make zeros.

    After `Densify` a network is dense, even if it keeps some zeros.
    """
    if record.final["nonzero"] >= DENSE * record.final["parameters"]:
        return True
    recipe = Experiment.from_dict(record.experiment).recipe
    return any(isinstance(step, Densify) for step in recipe)


def _beginning(records: Sequence[Record]) -> dict[str, Any]:
    """The networks that were trained for the records, and the record of a common checkpoint."""
    first = records[0].steps[0]
    loaded = "loaded" in first
    return {"networks": 1 if loaded else len(records), "checkpoint": first.get("record", "")}


def _begun_with(row: dict[str, Any], runs: Path) -> dict[str, Any]:
    """The row with the epochs of its checkpoint; 0 where it has none, or no record of it."""
    key = row.pop("checkpoint")
    before = recorded_elsewhere(runs, key) if key else None
    return {**row, "epochs before": before.epochs if before else 0}


def short_training(frame: pd.DataFrame) -> pd.Series:
    """Whether each network was trained for fewer than `LONG` epochs, its checkpoint's included."""
    return frame["epochs"] + frame["epochs before"] < LONG


def repetitions(row: Mapping[str, Any]) -> str:
    """How often the training of a row was repeated, in words.

    >>> repetitions({"n": 3, "networks": 3}), repetitions({"n": 3, "networks": 1})
    ('3 seeds', '3 roundings of 1 network')
    """
    if row["networks"] < row["n"]:
        return f"{row['n']} roundings of 1 network"
    return f"{row['n']} seed{'s' if row['n'] > 1 else ''}"


def epochs_in_all(row: Mapping[str, Any]) -> str:
    """The epochs of a row, behind those of its checkpoint if it has one: "150 + 3"."""
    parts = [f"{row[name]:.0f}" for name in ("epochs before", "epochs") if row[name]]
    return " + ".join(parts) or "0"


def front(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with a higher test accuracy than every smaller file, the smallest first."""
    return pareto.front(frame, "test")


def repeated(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of at least three records: seeds, or roundings of one network.

    What is recommended, or named first, is chosen from these. One seed may be a lucky one.
    """
    return frame[frame["n"] >= REPEATS]


def choose(frame: pd.DataFrame, budgets: Sequence[int]) -> pd.DataFrame:
    """For each number of bytes the row that is best on validation images among those that fit.

    Its test accuracy had no part in the choice. A budget that nothing fits has no row. `repeated`
    drops rows of too few records before.
    """
    rows = []
    for budget in budgets:
        if budget <= 0:
            raise ValueError(f"budget is {budget!r}: give a number of bytes, 1 or more")
        fits = frame[frame["bytes"] <= budget]
        if len(fits):
            rows.append({"budget": budget, **frame.loc[fits["validation"].idxmax()]})
    return pd.DataFrame(rows, columns=["budget", *COLUMNS]).set_index("budget")


def whole_series_figure(
    frame: pd.DataFrame, published: Sequence[tuple[str, float, float]] = (), title: str = ""
) -> Figure | None:
    """Bytes (log scale) against test accuracy: a look for each chapter, the front as a line.

    `published` are (source, bytes, accuracy) of others, each source with a thin grey mark.
    None without records.
    """
    import matplotlib.pyplot as plt

    if frame.empty:
        return None
    fig, ax = plt.subplots(figsize=(8.6, 5.0))
    best = front(frame)
    ax.step(best["bytes"], best["test"], where="post", color="0.3", linewidth=1, label="front")
    for chapter, part in frame.groupby("chapter"):
        ax.plot(
            part["bytes"], part["test"], label=f"chapter {chapter}", **_look(int(chapter) - FIRST)
        )
    sources = dict.fromkeys(name for name, *_ in published)
    for source, mark in zip(sources, itertools.cycle(MARKS), strict=False):
        points = [(size, accuracy) for name, size, accuracy in published if name == source]
        style = {"color": PUBLISHED_GREY, "markersize": 8, "markeredgewidth": 1.8}
        ax.plot(*zip(*points, strict=True), mark, label=source, **style)
    ax.set(xscale="log", xlabel="bytes (log scale)", ylabel="test accuracy (%)", title=title)
    worst = best["test"].min()
    ax.set_ylim(bottom=worst - min(5, 100 - worst))  # what lies lower is far from the front
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def _look(place: int) -> dict[str, Any]:
    """Colour and marker of a chapter, the same in every figure."""
    edge = {"markersize": 6, "markeredgecolor": "0.2", "markeredgewidth": 0.4}
    colour, shape = COLOURS[place % len(COLOURS)], SHAPES[place % len(SHAPES)]
    return {"color": colour, "marker": shape, "linestyle": "none", **edge}
