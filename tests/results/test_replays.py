"""Replayed searches as a table, a figure and a sentence."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from squeeze_utils.experiments.search.grid import Grid
from squeeze_utils.results.replays import MADE_UP, Replays
from squeeze_utils.results.tables import NO_RECORDS
from squeeze_utils.studies.hyperparameters import GRID


def made_up():
    truth = 90 - (np.indices((16, 4))[0] - 7.0) ** 2
    noise = np.random.default_rng(0).normal(0, 0.3, (16, 4, 2, 6))
    return truth, truth[..., None, None] * np.linspace(0.5, 1, 6) + noise


def _interval(said: str) -> list[float]:
    """Of TPE."""
    found = re.search(r"TPE\*\* [^ ]+ \(([^ ]+) to ([^)]+)\)", said)
    return [float(found[1]), float(found[2])]


def test_a_known_truth_judges():
    truth, table = made_up()
    found = Replays.of(table, 60, repetitions=8, truth=truth)
    assert set(found.quality("TPE")[:, -1]) <= set(truth.ravel())
    shown = found.table((30, 60))
    assert shown.loc["random", "verdict"] == "" and shown.loc["TPE", "verdict"] != ""
    assert len(found.frame(60)) == 8 * len(found.found)
    assert "TPE" in found.verdict(60) and "random" in found.excess()
    assert found.excess().endswith(" (95 % intervals for all together).")
    alone = Replays({"TPE": found.found["TPE"]}, truth=truth)
    wide, narrow = (_interval(one.excess()) for one in (found, alone))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert found.verdict(60, "TPE").startswith("Against TPE")
    fig = found.figure("made up")
    assert len(fig.axes[0].containers) == len(found.found)  # a line with bars for each method
    plt.close(fig)


def test_without_a_table_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr("squeeze_utils.results.replays.curves", lambda grid: None)
    found = Replays.of(GRID, 60)
    assert not found.found and found.table((30, 60)).empty
    assert found.verdict(60) == found.excess() == f"{NO_RECORDS}."
    assert found.figure() is None


def test_the_table_of_a_grid_gets_its_axes(monkeypatch):
    table = np.random.default_rng(0).random((len(GRID.points()), 2, 6))
    monkeypatch.setattr("squeeze_utils.results.replays.curves", lambda grid: table)
    assert len(Replays.of(GRID, 60, repetitions=2).found["TPE"].best) == 2


def test_a_prediction_is_judged_by_the_verdicts(monkeypatch):
    truth, table = made_up()
    found = Replays.of(table, 60, repetitions=8, truth=truth)
    word = found.compare(60).loc["TPE", "verdict"]
    assert found.prediction(60, {"TPE": word}).endswith("The prediction holds.")
    against = found.compare(60, "TPE").loc["random", "verdict"]
    assert f"found {against}" in found.prediction(60, {"random": "higher"}, "TPE")
    with pytest.raises(ValueError, match="unknown method 'grid'; accepted: random"):
        found.prediction(60, {"grid": "higher"})
    assert "still open" in Replays({}).prediction(60, {"TPE": "higher"})


def test_the_source_names_images_seeds_epochs_devices_and_dates(monkeypatch, tmp_path):
    path = tmp_path / "grid.jsonl"
    monkeypatch.setattr(Grid, "path", property(lambda grid: path))
    assert Replays.of(GRID, 60).source == NO_RECORDS
    row = {"key": "a", "curve": [10.0], "device": "a CPU, 1 thread", "date": "2026-01-02"}
    row |= {"seconds": 1.0, "commit": "none"}
    rows = ({**row, "date": "2026-01-03"}, row)
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert Replays.of(GRID, 60).source == (
        "CIFAR-10 (5,000 training images) · 2 seeds · 6 epochs · a CPU, 1 thread, bfloat16 · "
        "2026-01-02 to 2026-01-03"
    )
    plain = replace(GRID, train={})
    assert "1 thread · 2026" in Replays.of(plain, 60).source
    assert Replays.of(made_up()[1], 60, repetitions=1).source == MADE_UP
