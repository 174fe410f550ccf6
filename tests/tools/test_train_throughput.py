"""The benchmark of training: what it makes of its rounds, and its sides on a few images."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "train_throughput.py"


@pytest.fixture(scope="module")
def benchmark():
    """The program as a module: it is no part of the package."""
    spec = importlib.util.spec_from_file_location("train_throughput", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(ordinary: float, fit: float, bare: float) -> dict[str, dict[str, float]]:
    """One round, in images per second."""
    return {
        "ordinary": {"images_per_second": ordinary},
        "fit": {"images_per_second": fit, "input_percent": 1.0, "peak": 6e6 * fit},
        "bare": {"images_per_second": bare},
    }


def test_ratios_are_formed_within_a_round_before_their_median(benchmark):
    rounds = [measured(100, 400, 500), measured(200, 450, 500), measured(50, 300, 600)]
    found = benchmark.summarise(rounds, multiply_adds=500_000)
    assert found["bare_images_per_second"] == 500 and found["fit_images_per_second"] == 400
    assert found["ratio"] == pytest.approx(4.0)  # of 4, 2.25 and 6
    assert found["fit_of_bare"] == pytest.approx(0.8)  # of 0.8, 0.9 and 0.5
    assert found["share_of_peak"] == pytest.approx(0.5)


def test_a_round_without_one_of_the_sides_is_refused(benchmark):
    (result,) = [measured(100, 400, 500)]
    del result["bare"]
    with pytest.raises(KeyError, match="bare"):
        benchmark.summarise([result], multiply_adds=1)


def test_the_table_has_the_bare_passes_and_the_goal_of_fit_among_them(benchmark):
    found = benchmark.summarise([measured(100, 400, 500)], multiply_adds=500_000)
    rows = benchmark.report(found, "bfloat16").set_index("")
    assert rows.loc["bare passes, bfloat16 (images/s)", "median"] == "500"
    assert rows.loc["fit / bare passes"].tolist() == ["0.80", ">= 0.95"]


def test_bare_passes_leave_the_weights_and_count_their_images(benchmark, monkeypatch, tmp_path):
    made = []
    build = benchmark.ModelSpec.build
    monkeypatch.setattr(benchmark.machine, "keep_freed_memory", lambda: True)
    monkeypatch.setattr(
        benchmark.ModelSpec, "build", lambda spec: made.append(build(spec)) or made[-1]
    )
    clock = iter((0.0, 2.0))
    epoch = benchmark.bare(benchmark.images_for(2 * benchmark.BATCH), tmp_path)
    (model,) = made
    before = [p.detach().clone() for p in model.parameters()]
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(clock))
    assert epoch() == {"images_per_second": benchmark.BATCH}  # two batches in two seconds
    assert all(map(torch.equal, before, model.parameters()))
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("arguments", [["--images", "5"], ["--rounds", "0"], ["--threads", "0"]])
def test_too_few_images_rounds_or_threads_are_refused(arguments, benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(arguments)
    assert "give at least 128 images, 1 round and 1 thread" in capsys.readouterr().err
