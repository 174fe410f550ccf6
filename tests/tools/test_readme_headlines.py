"""The headline numbers of README.md: few rows, from records, and the file of each."""

from __future__ import annotations

import shutil
from pathlib import Path

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
    assert means[0] == means[2] == "3 seeds" and means[1] == means[3] == "3 roundings of 1 network"
    epochs = [row.split(" | ")[5] for row in rows]
    assert epochs[0] == "150" and epochs[1].startswith("150") and epochs[3] == "not ours"


def test_one_network_that_is_best_for_two_budgets_stands_once(tmp_path: Path) -> None:
    target = tmp_path / "data" / "runs" / "deep_compression"
    target.mkdir(parents=True)
    for path in (ROOT / "data" / "runs" / target.name).glob("squeezenet-ours--smaller-*.json"):
        shutil.copy(path, target)
    (row,) = headlines(tmp_path).splitlines()[2:-2]
    assert row.startswith("| CIFAR-10 | SqueezeNet, ours, smaller | ")
    assert row.endswith(" | 13 |")  # no link: there are no notebooks here
