"""Chapter 20's arithmetic on paper: a step of several workers, and trainings side by side."""

from __future__ import annotations

import pytest

from squeeze_utils.base import paths
from squeeze_utils.base.measurements import keep_measurement
from squeeze_utils.results.scaling import (
    MESSAGE,
    TERMS,
    makespan,
    message_seconds,
    shares_of,
    step_seconds,
    workers_that_help,
)


def test_a_step_on_paper():
    one = step_seconds(1.0, 10_000_000, 1, 1e9)
    assert one["seconds"] == one["speed-up"] == one["computing"] == 1 and one["share"] == 0
    slow = step_seconds(1.0, 10_000_000, 2, 1e9, latency=0.09)
    assert slow["seconds"] == pytest.approx(0.5 + 0.32 + 0.18)
    assert [slow[name] for name in TERMS] == pytest.approx([0.5, 0.32, 0.18])
    assert slow["share"] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="latency must be at least 0"):
        step_seconds(1.0, 1, 2, 1e9, latency=-1)
    many = [step_seconds(1.0, 10_000_000, n, 1e9)["speed-up"] for n in (1, 2, 4, 8, 64, 1000)]
    assert many[0] < many[1] < many[2] and many[-1] < max(many)  # it rises, then it falls
    with pytest.raises(ValueError, match="workers must be"):
        step_seconds(1.0, 1, 0, 1e9)


def test_the_time_of_a_message_is_half_of_the_shortest_exchange_of_two(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    with pytest.raises(FileNotFoundError, match="communication/message is not measured"):
        message_seconds()
    rows = [{"median_seconds": seconds} for seconds in (3e-4, 1e-4, 2e-4)]
    keep_measurement(MESSAGE, rows, workers=2)
    assert message_seconds() == pytest.approx(5e-5)
    step = step_seconds(1.0, 0, 3, 1e9)
    assert step["seconds"] == pytest.approx(1 / 3 + 4 * 5e-5)


def test_what_ends_the_gain_is_named():
    few = step_seconds(1.0, 10_000_000, 2, 1e9, latency=0.01)
    said = "computing 60 %, sending the bytes 38 %, latency 2 %. The exchange is mostly sending"
    assert shares_of(few).startswith(said)
    assert shares_of(step_seconds(1.0, 10, 64, 1e9)).endswith("The exchange is mostly latency")


def test_many_trainings_side_by_side_end_with_the_longest():
    hours = [5.0, 1.0, 1.0, 1.0]
    assert [makespan(hours, n) for n in (1, 2, 4, 64)] == [8.0, 5.0, 5.0, 5.0]
    assert workers_that_help(hours) == 2 and workers_that_help([2.0]) == 1
    for n in (3, 7):
        many = [2.0] + [1.0] * 2 * (n - 1)
        assert workers_that_help(many) == n
        assert makespan(many, n - 1) > makespan(many, n) == makespan(many, n + 1)
