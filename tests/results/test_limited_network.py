"""Chapter 20's steps under a limit: bounds, figure, and an error where nobody has measured."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib").use("agg")

from squeeze_utils.base.measurements import Measurement  # noqa: E402
from squeeze_utils.results import limited_network as shown  # noqa: E402


def limited(monkeypatch, seconds):
    """Kept steps of one network: 0.1 s to compute, 0.2 s to send at 1 Gbit/s, 0.02 s at 10."""
    rows = [
        {"network": "VGG-11", "processes": 2, "gigabits": gigabits, "formula": 25e6, "alone": 0.1}
        for gigabits in (None, 1.0, 10.0)
    ]
    for row, value in zip(rows, seconds, strict=True):
        row["seconds"] = value
    about = {"device": "a machine", "date": "today", "steps": 5}
    kept = Measurement(rows, about)
    monkeypatch.setattr(shown, "read_measurement", {shown.LIMITED: kept}.get)
    return shown.limited_steps()


def test_the_bounds_of_a_step_under_a_limit(monkeypatch):
    steps = limited(monkeypatch, [0.11, 0.25, 0.2])
    assert steps[["wire", "least", "most"]].to_numpy().tolist() == [
        pytest.approx([0.2, 0.2, 0.3]),
        pytest.approx([0.02, 0.1, 0.12]),
    ]
    said = str(shown.limited_verdict(steps))
    assert "1 Gbit/s: 1 of 1 steps within the bounds (give or take 5 %); 0.83 to 0.83" in said
    assert "10 Gbit/s: 0 of 1 steps within the bounds (give or take 5 %); 1.67 to 1.67" in said
    assert steps.attrs == {"source": "a machine · today", "steps": 5}


def test_a_panel_for_each_limit(monkeypatch):
    figure = shown.limited_figure(limited(monkeypatch, [0.11, 0.25, 0.2]))
    assert [ax.get_title() for ax in figure.axes] == ["1 Gbit/s", "10 Gbit/s"]
    steps = limited(monkeypatch, [0.11, 0.25, 0.2])
    assert len(shown.limited_figure(steps[steps["gigabits"] == 1]).axes) == 1


def test_no_steps_where_nobody_has_measured(monkeypatch):
    monkeypatch.setattr(shown, "read_measurement", {}.get)
    for asked in (shown.limited_steps, shown.free_steps):
        with pytest.raises(FileNotFoundError, match="communication/limited is not measured"):
            asked()


def test_steps_without_a_limit_have_a_row_for_each_network_and_number(monkeypatch):
    limited(monkeypatch, [0.11, 0.25, 0.2])
    free = shown.free_steps()
    assert free["seconds"].to_dict() == {("VGG-11", 2): 0.11}
    assert free.attrs == {"source": "a machine · today", "steps": 5}
