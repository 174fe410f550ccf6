"""Exercises that check themselves: each chapter's, by its notebook, its solutions and mistakes.

The solutions notebooks prove under nbval that each solution is right: they assert it.
"""

from __future__ import annotations
import __future__

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbformat")

from squeeze_utils.notebook import exercises as package
from squeeze_utils.notebook.exercises.exercise import Essay, Exercise
from tools import execute, exercise_cells
from tools.site.chapters import notebook_paths

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = package.chapters()
LONG_ENOUGH = 30  # characters of code that two authors do not write alike by chance


def notebook_of(chapter: str, solutions: bool = False) -> Any:
    (path,) = (p for p in notebook_paths(ROOT, solutions) if p.name.startswith(chapter))
    return execute.read_notebook(path)


def mistakes_module(chapter: str) -> Any:
    return import_module(f"tests.notebook.mistakes.chapter_{chapter}")


def mistakes_of(chapter: str) -> dict[int, list[tuple[Any, str]]]:
    return mistakes_module(chapter).MISTAKES


def checked(chapter: str) -> dict[int, Exercise]:
    found = package.load(chapter).exercises
    return {number: one for number, one in found.items() if isinstance(one, Exercise)}


ALL = [(chapter, number) for chapter in CHAPTERS for number in checked(chapter)]
PLANTED = [
    pytest.param(chapter, number, answer, expected, id=f"{chapter}-{number}-{place}")
    for chapter in CHAPTERS
    for number, planted in mistakes_of(chapter).items()
    for place, (answer, expected) in enumerate(planted, 1)
]
RIGHT_TOO = [
    pytest.param(chapter, number, answer, id=f"{chapter}-{number}")
    for chapter in CHAPTERS
    for number, answers in getattr(mistakes_module(chapter), "RIGHT_TOO", {}).items()
    for answer in answers
]


def test_every_chapter_checks_its_exercises():
    assert {path.name[:2] for path in notebook_paths(ROOT)} == set(CHAPTERS)


def test_at_least_nine_in_ten_exercises_are_checked():
    every = [one for chapter in CHAPTERS for one in package.load(chapter).exercises.values()]
    essays = sum(isinstance(one, Essay) for one in every)
    assert essays <= len(every) / 10


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_notebook_and_check_speak_of_the_same_exercises(chapter):
    in_notebook = exercise_cells.read_exercises(notebook_of(chapter))
    in_package = package.load(chapter).exercises
    assert {e.number: e.title for e in in_notebook} == {n: e.title for n, e in in_package.items()}
    essays = {number for number, one in in_package.items() if isinstance(one, Essay)}
    assert {e.number for e in in_notebook if e.essay} == essays
    assert all(len(one.hint) > 20 for one in in_package.values())


@pytest.mark.parametrize(("chapter", "number"), ALL)
def test_the_untouched_starter_is_not_answered(chapter, number, capsys):
    (exercise,) = (
        e for e in exercise_cells.read_exercises(notebook_of(chapter)) if e.number == number
    )
    check = package.load(chapter)
    flags = __future__.annotations.compiler_flag  # so that a starter needs no imports
    exec(compile(exercise.starter, "starter", "exec", flags=flags), {"check": check})
    assert check.outcomes == {number: "not answered"}
    assert f"Exercise {number}: not answered yet." in capsys.readouterr().out


@pytest.mark.parametrize(("chapter", "number", "answer", "expected"), PLANTED)
def test_a_typical_mistake_gets_its_message(chapter, number, answer, expected, capsys):
    verdict = package.load(chapter)(number, answer)
    assert verdict.outcome == "not yet", verdict
    assert expected in verdict.message
    assert "The check cannot use" not in verdict.message
    assert f"check.hint({number}) gives a hint" in capsys.readouterr().out


@pytest.mark.parametrize(("chapter", "number", "answer"), RIGHT_TOO)
def test_a_right_answer_that_is_not_the_solutions_own_is_taken(chapter, number, answer):
    verdict = package.load(chapter)(number, answer)
    assert verdict.outcome == "right", verdict


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_two_mistakes_are_planted_in_every_exercise(chapter):
    planted = {number: len(found) for number, found in mistakes_of(chapter).items()}
    assert planted.keys() == checked(chapter).keys()
    assert min(planted.values()) >= 2


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_solutions_assert_that_each_check_says_right(chapter):
    wanted = {
        (e.number, name)
        for e in exercise_cells.read_exercises(notebook_of(chapter))
        for _, name in exercise_cells.checks(e.starter)
        if e.starter
    }
    code = solution_cells(chapter)
    asserted = {call for source in code for call in asserted_checks(source)}
    assert {number for number, _ in wanted} == checked(chapter).keys()
    assert wanted == asserted


def solution_cells(chapter: str) -> list[str]:
    cells = notebook_of(chapter, solutions=True).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def asserted_checks(source: str) -> list[tuple[int, str]]:
    asserts = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
    return [
        call
        for node in asserts
        if isinstance(node.test, ast.Call)
        for call in exercise_cells.checks(ast.unparse(node.test))
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_check_contains_a_solution(chapter):
    files = {one.claims.__code__.co_filename for one in checked(chapter).values()}
    files |= {str(path) for file in files for path in Path(file).parent.glob("__init__.py")}
    check = "\n".join(ast.unparse(ast.parse(Path(f).read_text("utf-8"))) for f in files)
    notebook = "\n".join(cell.source for cell in notebook_of(chapter).cells)
    told = [
        text
        for text in answers(solution_cells(chapter))
        if len(text) >= LONG_ENOUGH and text in check and text not in notebook
    ]
    assert not told


def test_a_solution_would_be_found():
    cells = ["def f(x):\n    y = x * 2\n    return y", "a = {'f': f}\nassert check(1, a)", "b = 3"]
    assert sorted(answers(cells)) == ["x * 2", "y", "{'f': f}"]


def answers(cells: list[str]) -> list[str]:
    """What the names that are checked are computed from, function by function, as source."""
    nodes = [node for source in cells for node in ast.walk(ast.parse(source))]
    names = {
        found.id
        for source in cells
        for _, answer in asserted_checks(source)
        for found in ast.walk(ast.parse(answer))
        if isinstance(found, ast.Name)
    }
    given = [node.value for node in nodes if target_name(node) in names]
    names |= {part.id for each in given for part in ast.walk(each) if isinstance(part, ast.Name)}
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef) and n.name in names]
    kinds = (ast.Assign, ast.AugAssign, ast.Return)
    inside = [n.value for f in functions for n in ast.walk(f) if isinstance(n, kinds)]
    return [ast.unparse(node) for node in [*given, *inside] if node is not None]


def target_name(node: ast.AST) -> str:
    """The name that an assignment fills, as a whole or in one place."""
    if not isinstance(node, (ast.Assign, ast.AugAssign)):
        return ""
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    while isinstance(target, ast.Subscript):
        target = target.value
    return getattr(target, "id", "")
