"""What the notebooks say about themselves: title, question, needs, minutes, sections, figures."""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Cell = dict[str, Any]

_FILE = re.compile(r"\d\d_\w+\.ipynb")
_TITLE = re.compile(r"# (\d\d) · (\S.*)")
EXERCISES = "Exercises"  # the section that reading does not include
_NEED = re.compile(r"\[notebook (\d\d)\]")
EXERCISE = re.compile(  # the heading of one
    r"^\*\*(?P<number>\d+)\. (?P<title>[^*\n]*\S)\*\* "
    r"\((?:easy|medium|hard), (?P<minutes>\d+) min\)(?P<essay> \(essay\))?",
    re.MULTILINE,
)
_MAP_ROW = re.compile(r"^\| (\d\d) \| ([^|]+\S) \| ([^|]+\S) \|", re.MULTILINE)
_READ = re.compile(
    r"(?:(?P<minutes>\d+) minutes|(?P<half>half an hour)"
    r"|(?P<hours>an|one|two|three) hours?(?P<more> and a quarter| and a half| and three quarters)?)"
    r" to read"
)
PACE = 70  # words a minute, read slowly; all chapters together then take what they state
CODE_WORDS = 4  # a line of code takes about as long to read as four words
_HOURS = {"an": 60, "one": 60, "two": 120, "three": 180}
_MORE = {None: 0, " and a quarter": 15, " and a half": 30, " and three quarters": 45}


@dataclass(frozen=True)
class Section:
    """A heading of second level and how much stands below it."""

    title: str
    weight: int  # words, and lines of code as CODE_WORDS words


@dataclass(frozen=True)
class Figure:
    """A figure of a notebook: its name, the cell that draws it, the section around it.

    One that is saved lies in ``figures/``. One that is only shown, because it changes with the
    processor, is called ``NN_live_K`` and has its picture here.
    """

    name: str
    cell: str
    section: str
    png: bytes = b""

    @property
    def words(self) -> str:
        """The name as words: ``02_network_map`` is "network map"; a live one has its cell's."""
        name = self.cell.removesuffix("-figure") if self.png else self.name[3:]
        return name.replace("_", " ").replace("-", " ")


@dataclass(frozen=True)
class Chapter:
    """One notebook of the series, as it describes itself."""

    number: str
    stem: str
    title: str
    question: str
    needs: tuple[str, ...]  # the numbers of the chapters it builds on
    minutes: int  # to read, as its second cell states
    exercises: tuple[int, ...]  # minutes of each
    sections: tuple[Section, ...]
    figures: tuple[Figure, ...]

    def minutes_of(self, titles: Sequence[str] = ()) -> int:
        """The minutes that some sections take at `PACE`; without any, all but the exercises.

        Exercises state their own minutes.
        """
        known = {section.title: section.weight for section in self.sections}
        missing = [title for title in titles if title not in known]
        if missing:
            raise ValueError(
                f"chapter {self.number} has no section {missing[0]!r}; it has {list(known)}"
            )
        wanted = titles or [title for title in known if title != EXERCISES]
        return round(sum(known[title] for title in wanted) / PACE)


def notebook_paths(root: Path, solutions: bool = False) -> list[Path]:
    """The notebooks of the series that are there, in order, or those of ``notebooks/solutions``."""
    folder = root / "notebooks" / "solutions" if solutions else root / "notebooks"
    return sorted(path for path in folder.glob("*.ipynb") if _FILE.fullmatch(path.name))


def read_chapters(root: Path) -> list[Chapter]:
    """Every chapter below ``root/notebooks``, in order."""
    paths = notebook_paths(root)
    short = short_questions(paths[0]) if paths else {}
    found = [read_chapter(path) for path in paths]
    return [replace(c, question=short.get(c.number, c.question)) for c in found]


def short_questions(first: Path) -> dict[str, str]:
    """The question of each chapter in one sentence, from the map in notebook 00."""
    texts = [cell["source"] for cell in read_cells(first) if cell["cell_type"] == "markdown"]
    return {number: question for number, _, question in map_rows(texts)}


def map_rows(texts: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Number, name (with its link) and question of each row of the map, in Markdown cells."""
    for text in texts:
        yield from _MAP_ROW.findall(text)


def read_cells(path: Path) -> list[Cell]:
    """The cells of a notebook, each source joined to one string."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        cell["source"] = "".join(cell["source"])
    return cells


def title_of(path: Path, first_cell: str) -> str:
    """The title of the notebook at ``path``, whose first cell starts with ``# NN · Title``."""
    first = first_cell.partition("\n")[0].strip()
    found = _TITLE.fullmatch(first)
    if found is None or found[1] != path.name[:2]:
        raise ValueError(
            f"{path.name}: the first cell must start with '# {path.name[:2]} · Title', "
            f"not with {first!r}"
        )
    return found[2]


def read_chapter(path: Path) -> Chapter:
    """What the notebook at ``path`` says about itself."""
    cells = read_cells(path)
    title = title_of(path, cells[0]["source"] if cells else "")
    number = path.name[:2]
    prose = "\n\n".join(c["source"] for c in cells if c["cell_type"] == "markdown")
    return Chapter(
        number=number,
        stem=path.stem,
        title=title,
        question=_paragraph(prose, "The question."),
        needs=needs(prose, number),
        minutes=reading_minutes(_paragraph(prose, "Time."), path.name),
        exercises=tuple(int(found["minutes"]) for found in EXERCISE.finditer(prose)),
        sections=tuple(_sections(cells)),
        figures=tuple(figures(cells, number)),
    )


def needs(prose: str, number: str) -> tuple[str, ...]:
    """The chapters named in the paragraph "You need", each once, earlier ones only."""
    named = _NEED.findall(_paragraph(prose, "You need"))
    return tuple(dict.fromkeys(other for other in named if other < number))


def reading_minutes(text: str, name: str) -> int:
    """The minutes in "About an hour and a quarter to read" or "About 50 minutes to read"."""
    found = _READ.search(text)
    if found is None:
        raise ValueError(
            f"{name}: **Time.** must say 'About N minutes to read' or 'About an hour and a half "
            f"to read', not {text!r}"
        )
    if found["minutes"]:
        return int(found["minutes"])
    return 30 if found["half"] else _HOURS[found["hours"]] + _MORE[found["more"]]


def headings(source: str) -> Iterator[tuple[int, str]]:
    """Level and text of every heading of a Markdown cell, those in code left out."""
    for line, fenced in _lines(source):
        if not fenced and (found := re.match(r"(#{1,4}) (\S.*)", line)):
            yield len(found[1]), found[2].strip()


def section_titles(source: str) -> list[str]:
    """The headings of second level of a Markdown cell: each begins a section."""
    return [text for level, text in headings(source) if level == 2]


def _lines(source: str) -> Iterator[tuple[str, bool]]:
    """Every line of a Markdown cell, and whether it belongs to a block of code."""
    fenced = False
    for line in source.splitlines():
        border = line.startswith("```")
        fenced ^= border
        yield line, fenced or border


def _paragraph(prose: str, begins: str) -> str:
    """The paragraph that begins with ``**begins**``, without those words."""
    found = re.search(rf"^\*\*{re.escape(begins)}\*\*(.+?)(?:\n\n|\Z)", prose, re.M | re.S)
    return " ".join(found[1].split()) if found else ""


def _sections(cells: list[Cell]) -> Iterator[Section]:
    """What comes before the first heading counts to none."""
    title, weight = "", 0
    for cell in cells:
        if cell["cell_type"] == "code":
            weight += CODE_WORDS * len(cell["source"].splitlines())
            continue
        for line, fenced in _lines(cell["source"]):
            if not fenced and line.startswith("## "):
                if title:
                    yield Section(title, weight)
                title, weight = line[3:].strip(), 0
            weight += len(line.split())
    if title:
        yield Section(title, weight)


def figures(cells: Iterable[Cell], number: str) -> Iterator[Figure]:
    """What the cells of chapter ``number`` save or show, in order; exercises are left out."""
    section, live = "", 0
    for cell in cells:
        if cell["cell_type"] == "markdown":
            titles = section_titles(cell["source"])
            section = titles[-1] if titles else section
        elif section != EXERCISES:
            for name in _names_saved(cell["source"]):
                yield Figure(name, cell["id"], section)
            for png in () if "save_figure(" in cell["source"] else _pictures(cell):
                live += 1
                yield Figure(f"{number}_live_{live}", cell["id"], section, png)


def _names_saved(source: str) -> Iterator[str]:
    """The names that a cell writes out; none where it is no plain Python, as with a magic."""
    try:
        yield from filter(None, saved_figures(source))
    except SyntaxError:
        return


def saved_figures(source: str) -> Iterator[str]:
    """The names that are given to ``save_figure``; "" for one that is not written out."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if "save_figure" in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            given = [*node.args[1:2], *(key.value for key in node.keywords if key.arg == "name")]
            name = given[0].value if given and isinstance(given[0], ast.Constant) else ""
            yield str(name)


def _pictures(cell: Cell) -> Iterator[bytes]:
    """The PNG pictures that a cell shows."""
    for output in cell.get("outputs", ()):
        if text := "".join(output.get("data", {}).get("image/png", "")):
            yield base64.b64decode(text)
