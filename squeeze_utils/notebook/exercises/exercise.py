"""What an exercise is for its check: named properties of the answer, and what to say without them.

The properties of an exercise are a generator function. It takes the answer and yields claims in
order: a name, whether the claim holds, and a sentence for the reader if it does not. The first
claim that fails ends the check, so that later claims can build on earlier ones:

    def count_a_classifier(answer: Any) -> Claims:
        given = named(answer, "parameters", "traffic")
        yield from number("parameters", given["parameters"], 12, {10: "The biases are missing."})
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: Name of the property, whether it holds, and what to tell the reader if it does not.
Claims = Iterator[tuple[str, bool, str]]


class Wrong(Exception):
    """An answer that cannot be checked further; the text tells the reader why."""


class NotAnswered(Exception):
    """The starter is still untouched; the text says what is open, if that is only a part."""


@dataclass(frozen=True)
class Exercise:
    """An exercise with a check.

    Attributes:
        title: as in the notebook.
        claims: the properties of a right answer.
        hint: a sentence that goes further than the folded hint of the notebook.
    """

    title: str
    claims: Callable[[Any], Claims]
    hint: str


@dataclass(frozen=True)
class Essay:
    """An exercise whose answer is a text, for the reader to compare with the solutions."""

    title: str
    hint: str = "Write the answer down before you open the solutions."
