"""Exercises that check themselves: `check = sq.exercises("01")`, then `check(1, answer)`.

Each chapter has a module here, `chapter_01` for example, that says which properties an answer
must have; a long one is a folder. It is loaded when the chapter asks for it. Nothing is written
and nothing is sent.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path

from squeeze_utils.notebook.exercises.checker import Checker


def chapters() -> list[str]:
    """The chapters whose exercises can be checked: "00", "01" and so on."""
    names = (path.stem for path in Path(__file__).parent.iterdir())
    return sorted({name[-2:] for name in names if re.fullmatch(r"chapter_\d\d", name)})


@cache
def exercises(chapter: str) -> Checker:
    """What checks the answers to a chapter's exercises; it keeps count while the kernel runs.

    Args:
        chapter: two digits, as in the name of the notebook.

    >>> import squeeze_utils as sq
    >>> check = sq.exercises("01")
    >>> verdict = check(1, ...)  # doctest: +ELLIPSIS
    Exercise 1: not answered yet. ... of 7 done.
    >>> bool(verdict)
    False
    """
    return load(chapter)


def load(chapter: str) -> Checker:
    """A `Checker` that has seen no answer yet."""
    known = chapters()
    if chapter not in known:
        raise ValueError(f"unknown chapter {chapter!r}; accepted: {', '.join(map(repr, known))}")
    return Checker(chapter, import_module(f"{__name__}.chapter_{chapter}").EXERCISES)
