"""The pages around the notebooks, as MyST Markdown: start, paths, map, gallery, glossary, live."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from itertools import groupby
from pathlib import Path

from tools.site import dependency_map
from tools.site.chapters import CODE_WORDS, PACE, Chapter, Figure
from tools.site.paths import ReadingPath, Step, hours
from tools.site.stage import raw_html
from tools.site.symbols import Symbol

TEXT = Path(__file__).with_name("text")
_SLUG = re.compile(r"[^\w\s-]")


def slug(title: str) -> str:
    """The anchor that MyST gives to a heading."""
    return _SLUG.sub("", title.lower()).strip().replace(" ", "-")


def toctree(caption: str, documents: Iterable[str], hidden: bool = True) -> str:
    """A part of the table of contents."""
    lines = ["```{toctree}", f":caption: {caption}", *([":hidden:"] if hidden else [])]
    return "\n".join([*lines, ":maxdepth: 1", "", *documents, "```"])


def start(chapters: list[Chapter], paths: list[ReadingPath], documents: list[str]) -> str:
    """The first page; ``documents`` are the pages to look things up in."""
    rows = [
        f"| {c.number} | [{c.title}](notebooks/{c.stem}.ipynb) | {c.minutes} | {c.question} |"
        for c in chapters
    ]
    times = [f"**[{path.title}](paths.md#{path.anchor})**" for path in paths]
    text = (TEXT / "index.md").read_text(encoding="utf-8")
    return text.format(
        paths=", ".join(times[:-1]) + f" or {times[-1]}",
        table="\n".join(
            [
                "|  | chapter | minutes (estimated) | the question |",
                "| --- | --- | ---: | --- |",
                *rows,
            ]
        ),
        contents="\n\n".join(
            [
                toctree("Find your way", ["paths", "map"]),
                toctree("Chapters", [f"notebooks/{c.stem}" for c in chapters]),
                toctree("Look up and try", documents),
            ]
        ),
    )


def reading_paths(paths: list[ReadingPath]) -> str:
    """What to read in two hours, on a weekend, in ten weeks."""
    text = (TEXT / "paths.md").read_text(encoding="utf-8").format(pace=PACE, code=CODE_WORDS)
    return text + "\n\n".join(_one_path(path) for path in paths) + "\n"


def _one_path(path: ReadingPath) -> str:
    lines = [f"({path.anchor})=", f"## {path.title}", "", path.about, ""]
    lines += [f"Together about {hours(path.minutes)}, by the estimate above.", ""]
    exercises = any(step.exercises for step in path.steps)
    head = (
        ["chapter", "to read", "exercises", "minutes (estimated)"]
        if exercises
        else ["chapter", "read", "minutes (estimated)"]
    )
    marks = ["---", "---:", "---:", "---:"] if exercises else ["---", "---", "---:"]
    staged = any(path.stages())
    lines.append(_row([*["when"] * staged, *head]))
    lines.append(_row([*["---"] * staged, *marks]))
    for stage, steps in path.stages().items():
        for place, step in enumerate(steps):
            when = [_when(stage, steps) if place == 0 else ""] * staged
            lines.append(_row([*when, *_cells(step, exercises)]))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _when(stage: str, steps: list[Step]) -> str:
    return f"{stage}, about {hours(sum(step.minutes for step in steps))}"


def _cells(step: Step, exercises: bool) -> list[str]:
    chapter = step.chapter
    page = f"notebooks/{chapter.stem}.ipynb"
    link = f"[{chapter.number} · {chapter.title}]({page})"
    if exercises:
        return [link, str(step.to_read), str(sum(chapter.exercises)), str(step.minutes)]
    parts = ", ".join(f"[{title}]({page}#{slug(title)})" for title in step.sections)
    return [link, f"{step.why} {parts}".strip(), str(step.minutes)]


def chapter_map(chapters: list[Chapter]) -> str:
    """Which chapter builds on which, drawn and as a table."""
    titles = {chapter.number: chapter for chapter in chapters}

    def named(numbers: Iterable[str]) -> str:
        known = [titles[number] for number in numbers if number in titles]
        return ", ".join(f"[{c.number}](notebooks/{c.stem}.ipynb)" for c in known) or "–"

    rows = [
        f"| [{c.number} · {c.title}](notebooks/{c.stem}.ipynb) | {named(sorted(c.needs))} "
        f"| {named(other.number for other in chapters if c.number in other.needs)} |"
        for c in chapters
    ]
    text = (TEXT / "map.md").read_text(encoding="utf-8")
    return text.format(
        drawing=raw_html(f'<div class="map-frame">{dependency_map.drawing(chapters)}</div>'),
        table="\n".join(["| chapter | needs | is needed by |", "| --- | --- | --- |", *rows]),
    )


def gallery(chapters: list[Chapter], there: set[str]) -> str:
    """All live figures and those that are ``there``; each leads to the place that draws it."""
    parts = [(TEXT / "gallery.md").read_text(encoding="utf-8")]
    for chapter in chapters:
        figures = [one for one in chapter.figures if one.png or one.name in there]
        if figures:
            cards = "".join(_card(chapter, figure) for figure in figures)
            title = f"## {chapter.number} · {chapter.title}"
            parts.append(f"{title}\n\n" + raw_html(f'<div class="gallery">{cards}</div>'))
    return "\n\n".join(parts) + "\n"


def _card(chapter: Chapter, figure: Figure) -> str:
    name, words, section = figure.name, figure.words, figure.section
    page = f"notebooks/{chapter.stem}.html#figure-{name}"
    pdf = "" if figure.png else f' <a href="figures/{name}.pdf">PDF</a>'
    return (
        f'<figure><a href="{page}"><img src="figures/{name}.png" loading="lazy" '
        f'alt="Figure: {escape(words)}"></a><figcaption><a href="{page}">{escape(words)}</a>'
        f'<span class="where">{escape(section)}</span>'
        f'<span class="files"><a href="figures/{name}.png">PNG</a>{pdf}</span>'
        "</figcaption></figure>"
    )


def glossary(symbols: list[Symbol], chapters: list[Chapter]) -> str:
    """The symbols by topic, each meaning with the chapters that use it."""
    known = {chapter.number: chapter for chapter in chapters}
    parts = [(TEXT / "glossary.md").read_text(encoding="utf-8")]
    for group, entries in groupby(symbols, key=lambda symbol: symbol.group):
        lines = [f"## {group}", "", "| symbol | meaning | chapters |", "| --- | --- | --- |"]
        for symbol in entries:
            used = [known[number] for number in symbol.chapters if number in known]
            links = " ".join(f"[{c.number}](notebooks/{c.stem}.ipynb)" for c in used)
            lines.append(f"| ${symbol.tex}$ | {symbol.meaning} | {links} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def live() -> str:
    """The explorer and the demo on one page."""
    text = (TEXT / "live.md").read_text(encoding="utf-8")
    return text.format(
        explorer=raw_html('<div class="explorer" data-explorer></div>'),
        demo=raw_html('<div class="live-demo" data-demo="demo/index.html"></div>'),
    )


def results(readme: str) -> str:
    """The tables that README.md has from the records."""
    found = re.search(r"<!-- results:begin -->\n(.*?)<!-- results:end -->", readme, re.S)
    text = (TEXT / "results.md").read_text(encoding="utf-8")
    return text + (found[1] if found else "No records yet.\n")


def solutions(stems: list[str], chapters: list[Chapter]) -> str:
    """The solutions, one page for each chapter."""
    text = (TEXT / "solutions.md").read_text(encoding="utf-8")
    there = [c for c in chapters if c.stem in stems]
    rows = [f"- [{c.number} · {c.title}](notebooks/solutions/{c.stem}.ipynb)" for c in there]
    pages = [f"notebooks/solutions/{c.stem}" for c in there]
    return "\n".join([text, *rows, "", toctree("Solutions", pages)]) + "\n"
