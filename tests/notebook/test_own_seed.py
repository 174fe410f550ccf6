"""The cells "Add your own seed": each names an arm that its study has, and how long it takes."""

from __future__ import annotations

import ast
import re
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

import squeeze_utils as sq
from squeeze_utils.base.scale import Scale
from tools.site.chapters import notebook_paths, read_cells

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = {path.name[:2]: path for path in notebook_paths(ROOT)}
# They have no study of their own: 00 to 02 and 14 train nothing at reference scale, 17 measures
# committed networks, and 21 reads what the others have.
WITHOUT = {"00", "01", "02", "14", "17", "21"}
_CALL = re.compile(r'# sq\.study\("(\w+)"\)\.replicate\((.+), seed=(\d+)((?:, \w+=[^,]+)*)\)')


def _own_seed(number: str) -> tuple[str, str]:
    """The text and the code."""
    cells = {cell["id"]: cell["source"] for cell in read_cells(NOTEBOOKS[number])}
    return cells["own-seed-text"], cells["own-seed"]


def test_every_chapter_with_a_study_has_the_cell() -> None:
    having = {
        number
        for number, path in NOTEBOOKS.items()
        if any(cell["id"] == "own-seed" for cell in read_cells(path))
    }
    assert having == NOTEBOOKS.keys() - WITHOUT


@pytest.mark.parametrize("number", sorted(NOTEBOOKS.keys() - WITHOUT))
def test_it_names_an_arm_and_the_minutes_of_its_records(number: str) -> None:
    text, code = _own_seed(number)
    name, written, seed, others = _CALL.fullmatch(code).groups()
    labels = {k: ast.literal_eval(v) for k, v in re.findall(r", (\w+)=([^,]+)", others)}
    assert f"`{name}`" in text and re.search(r"on a GPU|a GPU was not timed", text)
    study, arm = sq.study(name).at(Scale("reference")), ast.literal_eval(written)
    study = study.where(**labels)
    arms = [one for one in study.planned if arm in dict(one.labels).values()]
    assert len({replace(one.experiment, seed=0) for one in arms}) == 1  # which arm it is, is plain
    assert arms and int(seed) not in {one.experiment.seed for one in arms}
    records = study.records()
    same = [one.experiment.key for one in arms if one.labels == arms[0].labels]
    minutes = [records[key].seconds / 60 for key in same if key in records]
    if not minutes:
        assert "By the estimate of `make reference` that takes about" in text
    elif stated := re.search(r"took (\d+) to (\d+) minutes", text):
        least, most = map(int, stated.groups())
        assert (least, most) == pytest.approx((min(minutes), max(minutes)), abs=0.5)
    else:
        stated = re.search(r"took about (\d+) minutes?", text)
        assert int(stated[1]) == pytest.approx(statistics.median(minutes), rel=0.3, abs=0.5)
