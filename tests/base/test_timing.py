from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from squeeze_utils.base import timing


def test_callables_are_interleaved_and_counted():
    order: list[str] = []
    callables = {name: (lambda name=name: order.append(name)) for name in "abc"}
    table = timing.median_time(callables, repetitions=4, warmup=1)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert list(table.index) == ["a", "b", "c"]
    assert (table["repetitions"] == 4).all()
    assert (table["threads"] == torch.get_num_threads()).all()


def test_median_and_p95_come_from_the_samples(monkeypatch):
    ticks = iter([0.001, 0.003, 0.002, 0.100, 0.002])
    monkeypatch.setattr(timing, "_seconds", lambda function: next(ticks))
    row = timing.median_time({"x": lambda: None}, repetitions=5, warmup=0).loc["x"]
    assert row["median_ms"] == pytest.approx(2.0)
    assert row["p95_ms"] == pytest.approx(np.percentile([1, 3, 2, 100, 2], 95))


def test_names_may_be_tuples():
    table = timing.median_time({("a", 1): lambda: None, ("a", 2): lambda: None}, 2, warmup=0)
    assert list(table.index) == [("a", 1), ("a", 2)]


def test_a_longer_sleep_takes_longer():
    import time

    table = timing.median_time(
        {"short": lambda: time.sleep(0.001), "long": lambda: time.sleep(0.004)}, 5, warmup=1
    )
    assert table.loc["long", "median_ms"] > table.loc["short", "median_ms"] >= 1.0


def test_the_garbage_collector_is_put_back_after_a_failure():
    def fail() -> None:
        raise KeyError("boom")

    assert gc.isenabled()
    with pytest.raises(KeyError):
        timing.median_time({"fail": fail}, warmup=0)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("callables", "error", "words"),
    [
        ({}, ValueError, "non-empty"),
        ([len], ValueError, "mapping"),
        ({"x": 3}, TypeError, "'x' must be a callable, got int"),
    ],
)
def test_bad_callables(callables, error, words):
    with pytest.raises(error, match=words):
        timing.median_time(callables)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"repetitions": 0}, "repetitions must be a whole number of at least 1, got 0"),
        ({"repetitions": 2.5}, "repetitions"),
        ({"repetitions": True}, "repetitions"),
        ({"warmup": -1}, "warmup must be a whole number of at least 0, got -1"),
    ],
)
def test_bad_counts(options, words):
    with pytest.raises(ValueError, match=words):
        timing.median_time({"x": lambda: None}, **options)


def test_probes_state_their_work_and_do_it():
    multiply = timing.matmul_probe(torch.float32, size=8)
    assert (multiply.flops, multiply.bytes) == (2 * 8**3, 3 * 8 * 8 * 4)
    assert multiply().shape == (8, 8)
    assert timing.matmul_probe(torch.bfloat16, size=8).bytes == 3 * 8 * 8 * 2
    copy = timing.copy_probe(megabytes=0.004)
    assert (copy.flops, copy.bytes) == (0, 8000)
    assert torch.equal(copy(), torch.ones(1000))


def test_matmul_peak_is_the_better_rate_of_two_sides(monkeypatch):
    """With a clock that says 2 ms for side 64 and 0.1 ms for side 32, but for one slow run each."""
    runs = {64: 0, 32: 0}

    def seconds(function):
        side = len(function())
        runs[side] += 1
        return 9.0 if runs[side] == 3 else {64: 2e-3, 32: 1e-4}[side]

    monkeypatch.setattr(timing, "_seconds", seconds)
    assert timing.matmul_peak(size=64, repetitions=5) == pytest.approx(2 * 32**3 / 1e-4)
    assert runs == {64: 5, 32: 5}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_matmul_peak_is_a_rate(dtype):
    assert 1e6 < timing.matmul_peak(dtype, size=256, repetitions=2) < 1e16


@pytest.mark.parametrize(
    "call",
    [
        lambda: timing.matmul_probe(torch.int8),
        lambda: timing.matmul_probe("float32"),
        lambda: timing.matmul_probe(size=0),
        lambda: timing.copy_probe(0),
        lambda: timing.copy_probe(float("nan")),
        lambda: timing.copy_probe(-1),
    ],
)
def test_bad_probes(call):
    with pytest.raises(ValueError, match="must be"):
        call()
