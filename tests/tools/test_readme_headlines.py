"""The headline numbers of README.md: few rows, from records, and the file of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from finished import finish, full_width, pretend

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.studies.catalogue import find
from squeeze_utils.studies.headline import LATE
from tools.readme_headlines import headlines

ROOT = Path(__file__).resolve().parents[2]


def test_without_records_there_are_no_headlines(tmp_path: Path) -> None:
    assert headlines(tmp_path) == ""


def test_the_series_has_four_rows_that_lead_to_their_chapters() -> None:
    _, _, *rows, blank, note = headlines(ROOT).splitlines()
    assert len(rows) == 4 and blank == "" and note.startswith("From committed records")
    assert all("](notebooks/" in row for row in rows)
    sizes = [int(row.split(" | ")[2].replace(",", "")) for row in rows]
    assert sizes[0] <= 5_000_000 and sizes[1] <= 100_000 and sizes[2] <= 6_500
    assert "(change, 95 % interval: -" in rows[3]
    means = [row.split(" | ")[4] for row in rows]
    assert means[0].endswith(" seeds") and means[2] == "3 seeds"
    assert means[1] == means[3] == "3 roundings of 1 network"
    epochs = [row.split(" | ")[5] for row in rows]
    assert int(epochs[0]) >= 150  # those of the headline once it is there
    assert epochs[1].startswith("150") and epochs[3] == "not ours"


def test_the_headline_is_named_once_it_has_three_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "data" / "runs"
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / "data" / name)
    for name in ("residual_best_lr", "residual_best"):
        shutil.copytree(ROOT / "data" / "runs" / name, runs / name)
    (tmp_path / "notebooks").mkdir()
    for name in ("09_residual_squeezenet.ipynb", "21_results_and_writeup.ipynb"):
        (tmp_path / "notebooks" / name).touch()
    finish("ladder", runs)
    arms = find("headline", Scale("reference")).arms
    for arm in arms[:2] + arms[3:]:
        late = dict(arm.labels)["network"] == LATE
        pretend(arm, runs / "headline", **full_width(96.0 if late else 94.1))
    (row,) = headlines(tmp_path).splitlines()[2:-2]
    assert row.startswith("| CIFAR-10 | SqueezeNet, plain | 2,922,280 | ")  # two seeds, and one
    pretend(arms[2], runs / "headline", **full_width(94.4))
    (row,) = headlines(tmp_path).splitlines()[2:-2]
    network = "SqueezeNet, best training | 2,922,280 | 94.20 | 3 seeds | 200"
    assert row == f"| CIFAR-10 | {network} | [21](notebooks/21_results_and_writeup.ipynb) |"


def test_one_network_that_is_best_for_two_budgets_stands_once(tmp_path: Path) -> None:
    target = tmp_path / "data" / "runs" / "deep_compression"
    target.mkdir(parents=True)
    for path in (ROOT / "data" / "runs" / target.name).glob("squeezenet-ours--smaller-*.json"):
        shutil.copy(path, target)
    (row,) = headlines(tmp_path).splitlines()[2:-2]
    assert row.startswith("| CIFAR-10 | SqueezeNet, ours, smaller | ")
    assert row.endswith(" | 13 |")  # no link: there are no notebooks here
