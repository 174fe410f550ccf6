"""The limits of a chapter's length: each number counts what a reader sees, and can be exceeded."""

from __future__ import annotations

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.support.notebook_samples import faultless
from tools import limits, series
from tools.title_cells import INSTALL, install_cell


def picture(**data):
    return new_output("display_data", data=data)


def test_the_numbers_of_a_small_notebook():
    cells = [
        new_markdown_cell("# A title\n\nIt has $x + y$ and `code` and [a link](there/far.html)."),
        new_code_cell(install_cell(), id=INSTALL),
        new_code_cell("import squeeze_utils as sq\nfrom squeeze_utils.base import files\n\n1"),
        new_code_cell("2\n\n3", outputs=[picture(**{"image/png": "x", "text/plain": "y"})]),
        new_markdown_cell("| a | b |\n| --- | --- |\n| c | d |"),
        new_code_cell(
            "4", outputs=[picture(**{"text/html": "<table>", "text/markdown": "| --- | --- |"})]
        ),
        new_markdown_cell("## Exercises"),
        new_code_cell("\n".join("5" * 50), outputs=[picture(**{"image/png": "x"})]),
        new_markdown_cell("## References\n\nA book."),
    ]
    assert limits.measure(new_notebook(cells=cells)) == {
        "cells": 6,
        "words": 15,
        "code lines": 6,
        "longest cell": 4,
        "median cell": 3,
        "tables": 2,
        "figures": 1,
        "modules": 2,
    }


@pytest.mark.parametrize(
    ("what", "cells"),
    [
        ("cells", [new_markdown_cell("a") for _ in range(81)]),
        ("words", [new_markdown_cell("word " * 3001)]),
        ("code lines", [new_code_cell("\n".join("1" * 9)) for _ in range(39)]),
        ("longest cell", [new_code_cell("\n".join("1" * lines)) for lines in (26, 1, 1)]),
        ("median cell", [new_code_cell("\n".join("1" * lines)) for lines in (1, 13, 20)]),
        ("tables", [new_markdown_cell("| --- | --- |\n\n" * 9)]),
        ("figures", [new_code_cell("1", outputs=[picture(**{"image/png": "x"})] * 9)]),
        ("modules", [new_code_cell(f"import squeeze_utils.a{n}") for n in range(9)]),
    ],
)
def test_each_limit_can_be_exceeded(what, cells):
    assert [text.split(":")[0] for text in limits.exceeded(new_notebook(cells=cells))] == [what]


def test_an_exercise_heading_in_a_block_of_code_hides_no_cell():
    text = "```text\n## Exercises\n```"
    cells = [new_markdown_cell(text), new_code_cell("1\n2"), new_markdown_cell("## Summary")]
    assert limits.measure(new_notebook(cells=cells))["cells"] == 3


def test_the_check_names_what_is_too_long(tmp_path):
    faultless(tmp_path, "00_sample.ipynb", code="\n".join("1" * 26))
    assert "00_sample.ipynb: longest cell: 26, at most 25" in series.check_series(tmp_path)


def test_the_table_ends_with_the_limits(tmp_path):
    _, path = faultless(tmp_path)
    first, *_, last = limits.table([path]).splitlines()
    assert first.split()[:2] == ["cells", "words"]
    assert last.split() == ["max", "80", "3,000", "350", "25", "12", "8", "8", "8"]
