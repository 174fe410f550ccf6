"""Predictions are listed, and neither changed nor lost afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import predictions
from tools.execute import write_notebook

ROOT = Path(__file__).resolve().parents[2]
FIRST = "> **Prediction.** Late pooling is better,\n> by a point."
SECOND = "> **Prediction** (before any record). Blur changes nothing."


def write(root: Path, *texts: str) -> None:
    cells = [new_markdown_cell(f"Before.\n\n{text}\n\nAfter.") for text in texts]
    code = new_code_cell("'> **Prediction.** not one'")
    write_notebook(new_notebook(cells=[*cells, code]), root / "notebooks" / "07_pooling.ipynb")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two predictions, both on the list."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "tools").mkdir()
    write(tmp_path, FIRST, SECOND)
    assert predictions.add_new(tmp_path) == 2
    assert predictions.check(tmp_path) == []
    return tmp_path


def test_the_list_names_each_prediction_once(project: Path) -> None:
    lines = (project / predictions.LIST).read_text().splitlines()
    assert [line.split(" ", 2)[0] for line in lines] == ["07", "07"]
    assert lines[0].endswith("Prediction. Late pooling is better, by a point.")
    assert predictions.add_new(project) == 0


def test_a_new_line_break_is_no_change(project: Path) -> None:
    write(project, FIRST.replace("better,\n> by", "better, by"), SECOND)
    assert predictions.check(project) == []


def test_a_changed_prediction_is_named_and_stays_on_the_list(project: Path) -> None:
    write(project, FIRST.replace("a point", "half a point"), SECOND)
    lost, new = predictions.check(project)
    assert "changed or removed" in lost and "by a point." in lost
    assert "is not in tools/predictions.txt" in new and "half a point" in new
    predictions.add_new(project)
    (still,) = predictions.check(project)
    assert "changed or removed" in still


def test_a_lost_prediction_is_named(project: Path) -> None:
    write(project, SECOND)
    (lost,) = predictions.check(project)
    assert "Late pooling" in lost


def test_what_is_no_notebook_is_left_to_the_other_checks(project: Path) -> None:
    (project / "notebooks" / "08_broken.ipynb").write_text("{")
    assert predictions.check(project) == []


def test_the_predictions_of_the_series_are_as_they_were() -> None:
    assert predictions.check(ROOT) == []
