"""Checking answers, and keeping count of them: `check(1, answer)`, `check.hint(1)`."""

from __future__ import annotations

import contextlib
import random
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from squeeze_utils.notebook.exercises.answers import untouched
from squeeze_utils.notebook.exercises.exercise import Essay, Exercise, NotAnswered, Wrong


@dataclass(frozen=True)
class Verdict:
    """What a check found: true if the answer is right.

    Attributes:
        outcome: "right", "not answered", "not yet" or "essay".
        message: what is wrong or missing, for the reader.
        held: the names of the properties that hold.
        failed: the name of the first property that does not, if it came to that.
    """

    outcome: str
    message: str = ""
    held: tuple[str, ...] = ()
    failed: str = ""

    def __bool__(self) -> bool:
        return self.outcome == "right"

    def _ipython_display_(self) -> None:
        """A notebook shows nothing more: `Checker` has printed the verdict."""


class Checker:
    """The exercises of one chapter, with what the reader has solved since the kernel started.

    Args:
        chapter: two digits.
        exercises: by their number in the notebook.
    """

    def __init__(self, chapter: str, exercises: Mapping[int, Exercise | Essay]) -> None:
        self.chapter = chapter
        self.exercises = dict(exercises)
        self.outcomes: dict[int, str] = {}

    def __call__(self, number: int, answer: Any) -> Verdict:
        """Print whether an answer is right, and if not, which property fails; return the same."""
        exercise = self._exercise(number)
        verdict = _judge(exercise, answer)
        if self.outcomes.get(number) != "right":
            self.outcomes[number] = verdict.outcome
        print(_wrapped(self._report(number, verdict)))
        return verdict

    def hint(self, number: int) -> None:
        """Print a hint that goes further than the folded one below the exercise."""
        print(_wrapped([f"Exercise {number}, hint: {self._exercise(number).hint}"]))

    def progress(self) -> None:
        """Print how far the reader is in this chapter. It is not kept anywhere else."""
        lines = [f"Chapter {self.chapter}: {self._count()}"]
        for number, exercise in self.exercises.items():
            essay = isinstance(exercise, Essay)
            outcome = "essay" if essay else self.outcomes.get(number, "not answered")
            lines.append(f"  {number}. {exercise.title:<{self._width()}}  {outcome}")
        print("\n".join(lines))

    def _width(self) -> int:
        return max(len(exercise.title) for exercise in self.exercises.values())

    def _exercise(self, number: int) -> Exercise | Essay:
        if isinstance(number, bool) or number not in self.exercises:
            known = ", ".join(map(str, self.exercises))
            raise ValueError(f"chapter {self.chapter} has no exercise {number!r}; it has {known}")
        return self.exercises[number]

    def _count(self) -> str:
        checked = [n for n, found in self.exercises.items() if isinstance(found, Exercise)]
        done = sum(self.outcomes.get(number) == "right" for number in checked)
        return f"{done} of {len(checked)} done."

    def _report(self, number: int, verdict: Verdict) -> list[str]:
        begin = f"Exercise {number}:"
        held = ", ".join(name for name in dict.fromkeys(verdict.held) if name != verdict.failed)
        if verdict.outcome == "right":
            return [f"{begin} right ({held}).", self._count()]
        if verdict.outcome == "essay":
            return [f"{begin} an essay. Compare your text with the solutions."]
        if verdict.outcome == "not answered":
            said = [f"{begin} not answered yet.", verdict.message, self._count()]
            return [" ".join(filter(None, said))]
        fails = f"{verdict.failed}: {verdict.message}" if verdict.failed else verdict.message
        lines = [f"{begin} not yet. {fails}", f"Already right: {held}." if held else ""]
        return [*filter(None, lines), f"check.hint({number}) gives a hint. {self._count()}"]


def _judge(exercise: Exercise | Essay, answer: Any) -> Verdict:
    if isinstance(exercise, Essay):
        return Verdict("essay")
    if untouched(answer):
        return Verdict("not answered")
    held: list[str] = []
    try:
        with _same_chance():
            for name, holds, message in exercise.claims(answer):
                if not holds:
                    return Verdict("not yet", message, tuple(held), name)
                held.append(name)
    except NotAnswered as open_part:
        return Verdict("not answered", str(open_part), tuple(held))
    except Wrong as reason:
        return Verdict("not yet", str(reason), tuple(held))
    except Exception as error:
        said = f"The check cannot use this answer ({type(error).__name__}: {error})."
        return Verdict("not yet", said, tuple(held))
    return Verdict("right", held=tuple(held))


@contextlib.contextmanager
def _same_chance() -> Iterator[None]:
    """Seed every generator for a check, and give the reader's own state back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(0)
            np.random.seed(0)
            torch.default_generator.manual_seed(0)  # no graphics card's
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _wrapped(lines: list[str]) -> str:
    return "\n".join(textwrap.fill(line, 96, subsequent_indent="  ") for line in lines)
