from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import matplotlib
import pandas as pd
import pytest
from tiny import tiny_spec

from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results import learning_curves
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.study_results import Results
from squeeze_utils.results.tables import NO_RECORDS
from squeeze_utils.training.loop import Train

matplotlib.use("Agg")

# Validation accuracy after each epoch, by rule and seed.
CURVES = {
    "plain": ((40, 60, 70, 80), (42, 62, 74, 82)),
    "fast": ((50, 79, 83, 85), (52, 80, 81, 84)),
    "slow": ((20, 30, 40, 50), (20, 30, 40, 79)),
}
LOOKS = {name: curve_style(i) for i, name in enumerate(("slow", "plain", "fast", "absent"))}
EMPTY = Results(Study("rules", "which rule?", []), {})


@pytest.fixture(scope="module")
def found() -> Results:
    arms = [
        Arm.of(
            Experiment(tiny_spec(), DataSpec(), (Train(4, optimizer="sgd", lr=lr),), seed), rule=r
        )
        for r, lr in zip(CURVES, (0.1, 0.2, 0.3), strict=True)
        for seed in (0, 1)
    ]
    records = {}
    for arm in arms:
        labels, seed = dict(arm.labels), arm.experiment.seed
        history = [
            {"epoch": e, "train_loss": 1 / e, "validation_accuracy": value}
            for e, value in enumerate(CURVES[labels["rule"]][seed], 1)
        ]
        step = {"step": arm.experiment.recipe[0].as_dict(), "seconds": 1.0, "history": history}
        step["test_accuracy"] = history[-1]["validation_accuracy"] - 1
        about = {"labels": labels, "device": "cpu", "data_fingerprint": "0", "commit": "none"}
        records[arm.experiment.key] = Record.of(arm.experiment, [step], **about)
    return Results(Study("rules", "which rule?", arms), records)


def test_epochs_to_a_level_two_points_below_the_controls_end(found):
    table = learning_curves.epochs_to(
        found, "rule", "plain", epoch_seconds={"plain": 10, "fast": 20}
    )
    assert list(table.columns) == ["epochs to 79.0 %", "seconds", "seeds that reach it"]
    assert table.loc["plain"].tolist() == ["4", "40", "2 of 2"]
    assert table.loc["fast"].tolist() == ["2", "40", "2 of 2"]
    assert table.loc["slow", "seeds that reach it"] == "1 of 2"


def test_the_level_is_that_of_the_controls_own_last_epoch(found):
    shorter = {}
    for key, record in found.by_key.items():
        (step,) = record.steps
        cut = step["history"][:-1] if record.labels["rule"] == "plain" else step["history"]
        shorter[key] = replace(record, steps=[{**step, "history": cut}])
    table = learning_curves.epochs_to(replace(found, by_key=shorter), "rule", "plain")
    assert "nan" not in table.columns[0]


def test_what_no_seed_reaches_is_said_to_be_not_reached(found):
    table = learning_curves.epochs_to(found, "rule", "fast", below=0.0)
    assert table.loc["plain"].tolist() == ["not reached", "0 of 2"]


def test_curves_are_drawn_in_the_order_of_the_looks_with_a_band_each(found):
    fig = learning_curves.curves_figure(found, "rule", LOOKS)
    left, right = fig.axes
    assert [left.get_ylabel(), right.get_ylabel()] == [
        "training loss (nats)", "validation accuracy (%)",
    ]  # fmt: skip
    assert left.get_legend_handles_labels()[1] == ["slow", "plain", "fast"]
    assert fig.get_suptitle() == "which rule: mean, and range of the seeds"
    assert right.lines[2].get_ydata().tolist() == [51, 79.5, 82, 84.5]
    assert len(right.collections) == 3


def test_with_seconds_both_panels_show_the_accuracy(found):
    seconds = {"slow": 1.0, "plain": 2.0, "fast": 3.0}
    fig = learning_curves.curves_figure(found, "rule", LOOKS, seconds, "Rules")
    assert [ax.get_xlabel() for ax in fig.axes] == ["epochs", "seconds of training steps"]
    assert fig.axes[1].lines[2].get_xdata().tolist() == [3, 6, 9, 12]


def test_without_records_there_is_no_figure():
    assert learning_curves.curves_figure(EMPTY, "rule", LOOKS) is None
    assert learning_curves.rates_figure(EMPTY.frame, "rule", LOOKS, [["slow"]], "") is None
    assert learning_curves.epochs_to(EMPTY, "rule", "plain").empty
    assert learning_curves.plateaus(EMPTY.frame, "rule").empty


def test_plateaus_end_on_the_straight_lines_or_are_cut_off():
    frame = pd.DataFrame(
        [("inside", lr, value) for lr, value in zip((0.01, 0.1, 1.0), (50, 56, 50), strict=True)]
        + [("cut", lr, value) for lr, value in zip((0.01, 0.1, 1.0), (50, 51, 45), strict=True)],
        columns=["rule", "lr", "validation_accuracy"],
    )
    table = learning_curves.plateaus(frame, "rule")
    assert table.loc["inside", ["from", "to"]].tolist() == [0.032, 0.32]
    assert table.loc["cut", ["from", "to"]].tolist() == [0.01, 0.32]
    assert table["cut off"].tolist() == [False, True]


def test_rates_are_drawn_in_families():
    frame = pd.DataFrame(
        {"rule": ["slow"] * 2 + ["fast"] * 2, "lr": [0.1, 1.0] * 2, "validation_accuracy": range(4)}
    )
    fig = learning_curves.rates_figure(frame, "rule", LOOKS, [["slow"], ["fast"]], "Rates")
    assert [ax.get_legend_handles_labels()[1] for ax in fig.axes] == [["slow"], ["fast"]]


PILOT = [
    ("plain", 0.02, 80.0),
    ("plain", 0.02, 82.0),
    ("plain", 0.04, 85.0),
    ("fast", 0.02, 82.5),
    ("fast", 0.04, 84.0),
    ("fast", 0.08, 90.0),  # a rate that the control was not tried at
]


class Pilot:
    """A pilot with so many of these runs; all of them are planned."""

    def __init__(self, rows: list[tuple], count: int | None = None) -> None:
        self.rows, self.count = rows, len(rows) if count is None else count

    def where(self, rule: tuple[str, ...]) -> Pilot:
        there = [row for row in self.rows[: self.count] if row[0] in rule]
        planned = [row for row in self.rows if row[0] in rule]
        part = Pilot(planned, len(there))
        part.study = SimpleNamespace(planned=planned)
        part.frame = pd.DataFrame(there, columns=["rule", "lr", "validation_accuracy"])
        return part


def test_a_lead_is_told_for_each_rate_that_both_were_tried_at():
    ahead = partial(learning_curves.ahead_by_rate, by="rule", arm="fast", control="plain")
    assert ahead(Pilot(PILOT)) == (
        "fast minus plain, in points on validation images: +1.50 at 0.02, -1.00 at 0.04. "
        "Ahead at 1 of 2 rates."
    )
    judged = ahead(Pilot(PILOT), predicted=True)
    assert judged.endswith("Ahead at 1 of 2 rates. Predicted: at all of them. It fails.")
    low = Pilot([row for row in PILOT if row[1] == 0.02])
    judged = ahead(low, predicted=True)
    assert judged.endswith("Ahead at 1 of 1 rates. Predicted: at all of them. It holds.")


@pytest.mark.parametrize("count", [0, 3, 5])
def test_a_lead_is_not_told_while_a_run_has_no_record(count):
    words = learning_curves.ahead_by_rate(Pilot(PILOT, count), "rule", "fast", "plain")
    assert words == f"fast against plain at each rate: not complete yet, {count} of 6 runs."


def test_means_are_told_with_their_epochs(found):
    parts = [found.where(rule=name) for name in ("plain", "fast")]
    words = learning_curves.means_by_epochs(*parts, EMPTY)
    assert words == "80.00 % after 4, 83.50 % after 4 epochs"
    assert learning_curves.means_by_epochs(EMPTY) == NO_RECORDS
