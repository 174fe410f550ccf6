"""The section of exercises of a notebook: which there are, and that each has its check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.site.chapters import EXERCISE, EXERCISES, section_titles

ESSAYS = 1  # the most that a notebook may have; the series may have one in ten
HINT = "<details><summary>Hint</summary>"


@dataclass(frozen=True)
class ExerciseCells:
    """An exercise as the notebook has it.

    Attributes:
        number, title: from its heading.
        essay: whether the heading says "(essay)".
        starter: the cell with the open answer and its check, empty if there is none.
    """

    number: int
    title: str
    essay: bool
    starter: str = ""


def section(notebook: Any, heading: str) -> list[Any]:
    """The cells of the section with this level-2 heading, the heading's own cell included."""
    inside, cells = False, []
    for cell in notebook.cells:
        titles = section_titles(cell.source) if cell.cell_type == "markdown" else []
        if titles:
            inside = heading in titles
        if inside:
            cells.append(cell)
    return cells


def read_exercises(notebook: Any) -> list[ExerciseCells]:
    """The exercises of a notebook, each with the first code cell that checks it."""
    cells = section(notebook, EXERCISES)
    starters: dict[int, str] = {}
    for cell in cells:
        if cell.cell_type == "code":
            for number, _ in checks(cell.source):
                starters.setdefault(number, cell.source)
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    exercises = []
    for found in EXERCISE.finditer(text):
        number, essay = int(found["number"]), bool(found["essay"])
        exercises.append(ExerciseCells(number, found["title"], essay, starters.get(number, "")))
    return exercises


def checks(source: str) -> Iterator[tuple[int, str]]:
    """The calls ``check(number, name)`` of a cell, those of ``assert check(...)`` too."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:  # reported as a problem of its cell
        return
    for node in nodes:
        called = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"
        if called and len(node.args) == 2 and isinstance(node.args[0], ast.Constant):
            yield node.args[0].value, ast.unparse(node.args[1])


def problems(notebook: Any, chapter: str) -> Iterator[str]:
    """What is wrong with the exercises, a sentence each."""
    cells = section(notebook, EXERCISES)
    exercises = read_exercises(notebook)
    numbers = [exercise.number for exercise in exercises]
    if numbers != list(range(1, len(numbers) + 1)) or not 4 <= len(numbers) <= 8:
        yield (
            f"exercises numbered {numbers}: write 4 to 8, each '**1. Title** (easy, 10 min) ...', "
            "easy, medium or hard"
        )
    hints = "\n".join(cell.source for cell in cells).count(HINT)
    if hints < len(numbers):
        yield f"{hints} hints for {len(numbers)} exercises ('{HINT}...</details>')"
    yield from _check_cells(cells, exercises, chapter)


def _check_cells(cells: list[Any], exercises: list[ExerciseCells], chapter: str) -> Iterator[str]:
    code = [cell.source.strip() for cell in cells if cell.cell_type == "code"]
    for source in code:
        try:
            ast.parse(source)
        except SyntaxError:
            yield f"the cell that begins with {source.splitlines()[0]!r} is not plain Python"
    if not code or code[0] != f'check = sq.exercises("{chapter}")':
        yield f'the exercises do not begin with check = sq.exercises("{chapter}")'
    if not code or code[-1] != "check.progress()":
        yield "the exercises do not end with check.progress()"
    if sum(exercise.essay for exercise in exercises) > ESSAYS:
        yield f"more than {ESSAYS} exercise is an essay: give it an answer that can be checked"
    for exercise in exercises:
        if not exercise.essay and not exercise.starter:
            yield f"exercise {exercise.number} has no check({exercise.number}, ...)"
    order = [number for source in code for number, _ in checks(source)]
    wanted = [exercise.number for exercise in exercises if exercise.starter]
    if order != wanted:
        yield f"the checks come in the order {order}, the exercises {wanted}"
