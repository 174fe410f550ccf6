"""Captions that tell what a table or a figure is where its notebook is not at hand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

ENDS = (".", "?", "!", "…")
#: Words that the name of a file has in small letters only.
NAMES = ("BCCD", "CamVid", "DSD", "ImageNet", "MNIST", "PReLU", "Shapley", "SVD", "TPE", "VGG")


def caption(*parts: str) -> str:
    """The parts as sentences: a chapter, its section, and what a figure shows.

    A part whose words the one before it has is left out.

    >>> caption("Pooling", "Which one should I choose?", "equal work", "work")
    'Pooling. Which one should I choose? Equal work.'
    """
    said: list[str] = []
    for part in (" ".join(part.split()) for part in parts):
        if part and not (said and part.lower() in said[-1].lower()):
            said.append(part)
    return " ".join(map(_sentence, said))


def _sentence(words: str) -> str:
    end = "" if words.endswith(ENDS) else "."
    return f"{words[:1].upper()}{words[1:]}{end}"


def in_words(name: str) -> str:
    """The words of a file's name, those of `NAMES` with their capitals; versions get a point.

    >>> in_words("exchanges vgg"), in_words("network map 1 1")
    ('exchanges VGG', 'network map 1.1')
    """
    known = {one.lower(): one for one in NAMES}
    words = " ".join(known.get(word, word) for word in name.split())
    return re.sub(r"\b(\d) (\d)\b", r"\1.\2", words)


def written_title(source: str) -> str:
    """The title of the figure that a cell draws, if its code has just one and spells it out.

    The title above all plots goes before the titles of single ones.
    """
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except SyntaxError:  # no plain Python, as with a magic
        return ""
    above = [title for call in calls for title in _titles(call, above=True)]
    titles = above or [title for call in calls for title in _titles(call, above=False)]
    found = titles[0] if len(titles) == 1 else None
    return str(found.value) if isinstance(found, ast.Constant) else ""


def _titles(call: ast.Call, above: bool) -> Iterator[ast.expr]:
    """What a call makes the title of the whole figure, or of a plot, as code."""
    method = getattr(call.func, "attr", "")
    if method == ("suptitle" if above else "set_title"):
        yield from call.args[:1]
    elif not above and method != "legend":
        yield from (key.value for key in call.keywords if key.arg == "title")
