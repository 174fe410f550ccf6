"""From a notebook as it lies in the repository to one as the site shows it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from tools.site.chapters import Chapter, Figure
from tools.site.paths import hours

Notebook = dict[str, Any]

_LINK = re.compile(r"(?<=\]\()(?P<to>[^()\s]+)(?=[\s)])")
_PREDICTION = re.compile(r"^> \*\*(Prediction|Predict)\.\*\* ?((?:.*\n?)(?:^>.*\n?)*)", re.M)
_FENCE = re.compile(r"^(```.*?^```)", re.M | re.S)

# A slider needs a kernel; the site has an explorer of its own in its place.
EXPLORER = ("explorer-widgets", '<div class="explorer" data-explorer></div>')
# The demo comes before the cell of that name.
DEMO = ("accuracy-text", '<div class="live-demo" data-demo="../demo/index.html"></div>')
TRY = (
    "**Try it.** The int8 file of SqueezeNet can run on this page. "
    "The picture does not leave your computer."
)
REPLACED = {
    "explorer-static": (
        "Sliders work only in a running notebook. Here is the same drawing",
        "In the notebook this cell shows the sliders. On this page the panel above computes the "
        "same numbers without Python. Here is the drawing",
    )
}


def markdown_cell(text: str, name: str) -> dict[str, Any]:
    """A cell that only the site has."""
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def raw_html(html: str) -> str:
    """HTML that goes into the page as it is."""
    return f"```{{raw}} html\n{html}\n```"


def staged(
    notebook: Notebook, place: PurePosixPath, chapter: Chapter | None, here: Links
) -> Notebook:
    """The notebook for the site.

    Args:
        notebook: as read from its file; it stays as it is.
        place: where it lies, ``notebooks/NN_topic.ipynb``.
        chapter: what it says about itself; None for a page of solutions.
        here: what else is on the site, for the links.
    """
    cells: list[dict[str, Any]] = []
    for number, cell in enumerate(json.loads(json.dumps(notebook["cells"]))):
        cell["source"] = "".join(cell["source"])
        if cell.get("id") == "install":
            continue
        if number == 0:
            cell["source"] = head(cell["source"], place, chapter, here)
        elif cell["cell_type"] == "markdown":
            cell["source"] = prose(cell["source"], cell.get("id", ""), place, here)
        else:
            known = chapter.figures if chapter else ()
            drawn = [figure for figure in known if figure.cell == cell.get("id")]
            cells += anchors(drawn)
            describe(cell, drawn)
            if cell.get("id", "").startswith("summary"):  # its code only fills in numbers
                cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "hide-input"]
        cells += around(cell, chapter)
    return {**notebook, "cells": cells}


def head(source: str, place: PurePosixPath, chapter: Chapter | None, here: Links) -> str:
    """The title, and one line of facts in the place of badge and navigation."""
    title = source.splitlines()[0]
    if chapter is None:
        return f"{title}\n\n[Back to the exercises](../{place.name})"
    links = [f"[the notebook]({here.outside(place)})", f"[on Colab]({here.colab(place)})"]
    if (PurePosixPath("notebooks/solutions") / place.name) in here.pages:
        links.append(f"[solutions](solutions/{place.name})")
    read, practise = hours(chapter.minutes), hours(sum(chapter.exercises))
    facts = [f"about {read} to read", f"about {practise} of exercises"]
    facts = facts[: 2 if chapter.exercises else 1]
    return f"{title}\n\n{{.facts}}\n" + " · ".join([*facts, *links])


def prose(source: str, name: str, place: PurePosixPath, here: Links) -> str:
    """Text with links that work on the site, and predictions as boxes."""
    if name in REPLACED:
        source = source.replace(*REPLACED[name])
    parts = _FENCE.split(source)
    return "".join(
        part if part.startswith("```") else boxes(here.rewrite(part, place)) for part in parts
    )


def boxes(text: str) -> str:
    """``> **Prediction.** ...`` becomes a box with that title."""

    def box(found: re.Match[str]) -> str:
        body = re.sub(r"^> ?", "", found[2], flags=re.M).rstrip("\n")
        return f":::{{admonition}} {found[1]}\n:class: prediction\n{body}\n:::\n"

    return _PREDICTION.sub(box, text)


def anchors(drawn: list[Figure]) -> list[dict[str, Any]]:
    """A place to link to before a cell that draws figures."""
    names = [figure.name for figure in drawn]
    spans = "".join(f'<span id="figure-{name}" class="figure-place"></span>' for name in names)
    return [markdown_cell(raw_html(spans), f"place-{names[0]}")] if names else []


def describe(cell: dict[str, Any], drawn: list[Figure]) -> None:
    """Say what a picture shows, for those who do not see it: its figure's name in words."""
    words = f"Figure: {drawn[0].words}" if drawn else "Output of the cell above"
    cell["metadata"] = {**cell["metadata"], "mystnb": {"image": {"alt": words}}}


def around(cell: dict[str, Any], chapter: Chapter | None) -> list[dict[str, Any]]:
    """The cell, and what lives on the page beside it."""
    if chapter is None or cell.get("id") not in (EXPLORER[0], DEMO[0]):
        return [cell]
    if cell["id"] == EXPLORER[0]:
        cell["outputs"] = []
        return [cell, markdown_cell(raw_html(EXPLORER[1]), "live-explorer")]
    demo = markdown_cell(f"{TRY}\n\n{raw_html(DEMO[1])}", "live-demo")
    return [demo, cell]


class Links:
    """Where a link of a page leads to: to another page, or to the repository's own address."""

    def __init__(self, pages: set[PurePosixPath], repository: str, tag: str):
        self.pages, self.repository, self.tag = pages, repository, tag

    @property
    def beginnings(self) -> tuple[str, str]:
        """How the addresses of the repository's files begin, on GitHub and on Colab."""
        files = f"{self.repository}/blob/{self.tag}/"
        return f"https://github.com/{files}", f"https://colab.research.google.com/github/{files}"

    def outside(self, place: PurePosixPath) -> str:
        """A file's address in the repository."""
        return f"{self.beginnings[0]}{place}"

    def colab(self, place: PurePosixPath) -> str:
        """A notebook's address on Colab."""
        return f"{self.beginnings[1]}{place}"

    def rewrite(self, text: str, place: PurePosixPath) -> str:
        """Links to files that are no pages lead to the repository."""

        def to(found: re.Match[str]) -> str:
            address, mark, place_in_it = found["to"].partition("#")
            if not address or re.match(r"[a-z]+:", address):
                return found["to"]
            target = PurePosixPath(os.path.normpath(place.parent / address))
            if target in self.pages:
                return found["to"]
            return self.outside(target) + mark + place_in_it

        return _LINK.sub(to, text)


def write_if_changed(path: Path, content: str | bytes) -> None:
    """An unchanged file keeps its time, so Sphinx does not build its page again."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
