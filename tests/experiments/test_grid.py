"""A grid as a table: complete, resumed, damaged, and the searches replayed on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_spec

from squeeze_utils.base import paths
from squeeze_utils.base.claims import Claims
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.search import grid as grids
from squeeze_utils.experiments.search.grid import Grid, curves, read_grid, read_rows, run_grid
from squeeze_utils.studies.hyperparameters import GRID

AXES = {"lr": (0.01, 0.1), "weight_decay": (0.0, 1e-4)}
ROW = {"key": "", "seconds": 1.0, "device": "cpu", "commit": "none", "date": "2026-11-30"}


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    data = DataSpec("digits", 8, 64)
    return Grid("tiny", AXES, tiny_spec(), data, epochs=2, train={"batch_size": 32})


def test_every_point_is_trained_once_with_every_seed(grid):
    assert curves(grid) is None and read_grid(grid).empty
    run_grid(grid)
    found = curves(grid)
    assert found.shape == (4, 2, 2) and found.max() > 15
    table = read_grid(grid)
    first = table.iloc[1]
    assert (first["lr"], first["weight_decay"], first["seed"]) == (0.01, 1e-4, 0)
    assert np.array_equal(found[1, 0], first["curve"])
    before = grid.path.read_bytes()
    run_grid(grid)
    assert grid.path.read_bytes() == before
    assert curves(replace(grid, seeds=(0, 1, 2))) is None


def test_another_run_is_waited_for_and_keeps_its_rows(grid, monkeypatch):
    done = []
    row = {**ROW, "curve": [9.0, 9.0]}
    monkeypatch.setattr(grids, "_train", lambda one: done.append(one) or {**row, "key": one.key})
    other = Claims(grid.path.parent / ".claims").take(grid.name)

    def meanwhile(seconds: float) -> None:
        first, *_ = grid.experiments()
        grids._append(grid.path, {**row, "key": first.key, "curve": [1.0, 2.0]})
        other.give_back()

    monkeypatch.setattr("squeeze_utils.base.claims.time.sleep", meanwhile)
    with pytest.warns(UserWarning, match="another process works on tiny: waiting for it"):
        run_grid(grid)
    assert curves(grid)[0, 0].tolist() == [1.0, 2.0] and len(done) == 7
    assert not list((grid.path.parent / ".claims").iterdir())


def test_the_bar_counts_no_trainings_of_another_grid(grid, monkeypatch, capsys):
    monkeypatch.setattr(grids, "_train", lambda one: {**ROW, "key": one.key, "curve": [9.0, 9.0]})
    run_grid(replace(grid, seeds=(0, 1, 2)))
    capsys.readouterr()
    run_grid(grid)
    assert "8/8" in capsys.readouterr().err


def test_a_line_that_was_cut_off_is_trained_again(grid):
    run_grid(replace(grid, seeds=(0,)))
    whole = grid.path.read_bytes()
    grid.path.write_bytes(whole[:-20])
    assert len(read_rows(grid.path)) == 3
    run_grid(replace(grid, seeds=(0,)))
    rows = read_rows(grid.path)
    assert len(rows) == len({row["key"] for row in rows}) == 4


@pytest.mark.parametrize("line", [b"{", b"[1]", b'{"key": "a", "curve": []}', b"7"])
def test_a_damaged_line_is_named(grid, line):
    grid.path.parent.mkdir(parents=True)
    grid.path.write_bytes(line + b"\n")
    with pytest.raises(ValueError, match=r"damaged table tiny\.jsonl, line 1"):
        run_grid(grid)
    assert grid.path.read_bytes() == line + b"\n"


def test_what_a_diverged_training_has_not_seen_counts_as_wrong(grid, monkeypatch):
    monkeypatch.setattr(grids, "_train", lambda one: {**ROW, "key": one.key, "curve": [9.0]})
    run_grid(grid)
    assert curves(grid)[0, 0].tolist() == [9.0, 0.0]


def test_the_reference_grid_is_as_large_as_it_should_be():
    assert len(GRID.points()) == 512 and GRID.epochs == 6 and GRID.data.train_limit == 5_000
    keys = {one.key for one in GRID.experiments()}
    assert len(keys) == 1024
