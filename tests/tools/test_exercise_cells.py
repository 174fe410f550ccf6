"""The section of exercises as the tools read it, and every rule about it broken once."""

from __future__ import annotations

import pytest

pytest.importorskip("nbformat")

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import exercise_cells

TEXT = (
    "**{n}. Title {n}** (easy, 10 min){essay}. Do it.\n\n<details><summary>Hint</summary></details>"
)
STARTER = "def answer_{n}(x):\n    ...\n\n\ncheck({n}, answer_{n})"


def sample():
    """Four exercises, the last an essay; cells 1 to 9 are those of the section."""
    cells = [
        new_markdown_cell("# Title"),
        new_markdown_cell("## Exercises\n\nFill in."),
        new_code_cell('check = sq.exercises("01")'),
    ]
    for n in (1, 2, 3):
        cells += [
            new_markdown_cell(TEXT.format(n=n, essay="")),
            new_code_cell(STARTER.format(n=n)),
        ]
    cells += [
        new_markdown_cell(TEXT.format(n=4, essay=" (essay)")),
        new_code_cell("check.progress()"),
        new_markdown_cell("## References"),
    ]
    return new_notebook(cells=cells)


def test_a_faultless_section_is_read_and_has_no_problem():
    found = exercise_cells.read_exercises(sample())
    assert [(e.number, e.title, e.essay) for e in found] == [
        (1, "Title 1", False),
        (2, "Title 2", False),
        (3, "Title 3", False),
        (4, "Title 4", True),
    ]
    assert [e.starter for e in found] == [STARTER.format(n=n) for n in (1, 2, 3)] + [""]
    assert list(exercise_cells.problems(sample(), "01")) == []


def test_a_heading_in_a_block_of_code_ends_no_section():
    notebook = sample()
    notebook.cells.insert(5, new_markdown_cell("```text\n## References\n```"))
    assert list(exercise_cells.problems(notebook, "01")) == []
    assert len(exercise_cells.section(notebook, "Exercises")) == 11
    assert len(exercise_cells.section(notebook, "References")) == 1


def test_an_asserted_check_is_found_and_other_calls_are_not():
    source = "assert check(2, {'a': a})\ncheck.hint(2)\nother(3, b)\ncheck(n, c)"
    assert list(exercise_cells.checks(source)) == [(2, "{'a': a}")]


def edit(place, old, new):
    def spoil(notebook):
        assert old in notebook.cells[place].source
        notebook.cells[place].source = notebook.cells[place].source.replace(old, new)

    return spoil


def swap(notebook):
    cells = notebook.cells
    cells[4].source, cells[6].source = cells[6].source, cells[4].source


def two_essays(notebook):
    edit(7, "(easy, 10 min)", "(easy, 10 min) (essay)")(notebook)
    del notebook.cells[8]


SPOILED = {
    "another chapter": (edit(2, '"01"', '"02"'), 'do not begin with check = sq.exercises("01")'),
    "no progress": (edit(10, "progress()", "hint(1)"), "do not end with check.progress()"),
    "an exercise without check": (edit(6, "check(2", "test(2"), "exercise 2 has no check(2, ...)"),
    "an essay too many": (two_essays, "more than 1 exercise is an essay"),
    "checks in another order": (swap, "the checks come in the order [2, 1, 3]"),
    "a starter that is no Python": (edit(4, "def", "de"), "is not plain Python"),
    "a number left out": (edit(3, "**1.", "**5."), "exercises numbered [5, 2, 3, 4]"),
    "a hint left out": (edit(3, "Hint", "Help"), "3 hints for 4 exercises"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_every_rule_can_be_broken(case):
    notebook = sample()
    spoil, expected = SPOILED[case]
    spoil(notebook)
    problems = list(exercise_cells.problems(notebook, "01"))
    assert any(expected in problem for problem in problems), problems
