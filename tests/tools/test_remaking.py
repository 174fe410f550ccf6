"""What another starting network would have to train again, and that its name stands once."""

from __future__ import annotations

from pathlib import Path

import pytest
from finished import pretend
from tiny import QUICK, tiny_experiment

from squeeze_utils.base import paths
from squeeze_utils.base.paths import STARTING_NETWORK
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies import deep_compression
from squeeze_utils.training.loop import Train
from squeeze_utils.training.start_from_checkpoint import Load
from tools import remaking

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def studies(tmp_path, monkeypatch):
    """Two studies; two experiments of the first begin with the checkpoint "a", one is recorded."""
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    train = Train(1, **QUICK)
    first = [
        Arm.of(tiny_experiment(Load("a"), train), seed=0),
        Arm.of(tiny_experiment(Load("a"), train, seed=1), seed=1),
        Arm.of(tiny_experiment(train), seed=0),
    ]
    pretend(first[0], tmp_path / "runs" / "first")
    pretend(first[2], tmp_path / "runs" / "first")
    return [Study("first", "?", first), Study("second", "?", first[2:])]


def test_experiments_that_load_a_checkpoint_are_counted_with_the_hours_of_their_records(studies):
    (row,) = remaking.begun_with("a", studies)
    assert (row.study, row.experiments, row.recorded) == ("first", 2, 1)
    assert row.hours == pytest.approx(2 / 3600)  # a second a step
    assert str(row).endswith("| 0.0 hours of one thread for 1 of them |")


def test_a_checkpoint_that_nothing_loads_has_no_row(studies):
    assert list(remaking.begun_with("b", studies)) == []


def test_the_data_card_lists_what_begins_with_a_checkpoint(capsys):
    card = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    remaking.main()
    rows = capsys.readouterr().out.splitlines()
    assert rows and all(row in card for row in rows)
    assert {row.split("`")[1] for row in rows} == {"deep_compression", "few_bytes"}
    assert f"compress and deploy `{STARTING_NETWORK}`" in card


def test_the_starting_network_is_named_once_in_the_code():
    folders = ("squeeze_utils", "tools", "benchmarks", "deploy/browser")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    naming = [path for path in files if STARTING_NETWORK in path.read_text(encoding="utf-8")]
    example = ROOT / "squeeze_utils" / "models" / "checkpoint_files.py"  # in a docstring
    assert set(naming) == {ROOT / "squeeze_utils" / "base" / "paths.py", example}
    assert deep_compression.squeezenet()["dense"] == (Load(STARTING_NETWORK),)
