"""What a writeup can show: the tables and the figures, with captions, in the order of chapters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from squeeze_utils.base.scale import Scale
from squeeze_utils.results.study_results import Results
from squeeze_utils.studies.catalogue import catalogue
from tools.execute import read_notebook
from tools.site.chapters import EXERCISES, figures, headings, notebook_paths, title_of
from tools.site.chapters import Figure as Drawn
from tools.writeup.captions import caption, in_words, written_title
from tools.writeup.html_tables import read_tables

#: What every document says first.
NOTE = (
    "Tables and figures of a chapter stand as its notebook shows them. Some are of live runs with "
    "one seed, or of short training: the notebook says which. Read it before you cite."
)


#: A source ends like this: "... · 2026-11-24", with or without what follows behind a comma.
DATED = re.compile(r" · \d{4}-\d\d-\d\d(,|\.|$)")
SHORT = re.compile(r"(?<!with )short training", re.IGNORECASE)  # of all, not of some


@dataclass(frozen=True)
class Table:
    """A table as text: `header` and `rows` have equally many cells.

    `source` says what was trained, where and when, as far as the notebook tells it there.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str = ""

    def __post_init__(self) -> None:
        widths = {len(self.header), *map(len, self.rows)}
        if len(widths) > 1:
            raise ValueError(f"table {self.name}: rows of {sorted(widths)} cells")


@dataclass(frozen=True)
class Figure:
    """A figure: `name` is that of its files without ending.

    `png` is the picture of one that a notebook shows and does not save, because it changes with the
    processor; one that is saved is a committed file.
    """

    name: str
    caption: str
    png: bytes = b""
    source: str = ""


Exhibit = Table | Figure


@dataclass(frozen=True)
class Chapter:
    """A notebook with what it shows."""

    number: str
    title: str
    exhibits: tuple[Exhibit, ...]


def chapters(root: Path) -> list[Chapter]:
    """What the notebooks below `root` show, as they were last executed.

    A caption names the chapter and the section that show a thing, and what a figure is about. What
    its cell tells of the records and of short training stands below. Exercises show nothing.
    """
    return [_chapter(path) for path in notebook_paths(root)]


def _chapter(path: Path) -> Chapter:
    number, section = path.name[:2], ""
    exhibits: list[Exhibit] = []
    cells = read_notebook(path).cells
    title = heading = title_of(path, cells[0].source)
    drawn = list(figures(cells, number))
    for cell in cells:
        if cell.cell_type == "markdown":
            for level, found in headings(cell.source):
                heading = title if level == 1 else re.sub(r"[*`]", "", found)
                section = heading if level == 2 else section
        elif section != EXERCISES:
            count = sum(isinstance(one, Table) for one in exhibits)
            own = [figure for figure in drawn if figure.cell == cell.id]
            exhibits += _tables(cell, number, caption(title, heading), count)
            exhibits += _figures(cell, own, (title, heading))
    return Chapter(number, title, tuple(exhibits))


def _tables(cell: Any, number: str, words: str, count: int) -> Iterator[Table]:
    """The tables of a cell; `count` tables of the chapter came before."""
    for data in _outputs(cell):
        for header, rows in read_tables("".join(data.get("text/html", ""))):
            if rows:  # a table without any waits for its records
                count += 1
                yield Table(f"{number}_table_{count}", words, header, rows, _source(cell))


def _figures(cell: Any, own: Sequence[Drawn], place: tuple[str, ...]) -> Iterator[Figure]:
    """The cell's `own` figures; one that waits for its records was not drawn, and is left out."""
    if not any("image/png" in data for data in _outputs(cell)):
        return
    title = written_title(cell.source) if len(own) == 1 else ""
    for figure in own:
        words = caption(*place, title or in_words(figure.words))
        yield Figure(figure.name, words, figure.png, _source(cell))


def _outputs(cell: Any) -> list[dict[str, Any]]:
    return [output.get("data", {}) for output in cell.get("outputs", ())]


def _source(cell: Any) -> str:
    """The lines of a cell's output with a date, as sources have; and that training was short."""
    texts = ["".join(data.get("text/markdown", "")) for data in _outputs(cell)]
    lines = [re.sub(r"[*`]", "", line).strip() for line in "\n".join(texts).splitlines()]
    found = list(dict.fromkeys(line for line in lines if DATED.search(line)))
    if SHORT.search(cell.source) and not any(map(SHORT.search, found)):
        found.append("Short training.")
    return " ".join(found)


def study_tables(root: Path) -> list[Table]:
    """A table for each study of which records exist below `root`, from these records."""
    tables = []
    for name, make in catalogue().items():
        study = make(Scale("reference"))
        records = study.records(root / "data" / "runs")
        if records:
            tables.append(_study_table(name, Results(study, records)))
    return tables


def _study_table(name: str, found: Results) -> Table:
    frame = found.table().reset_index()
    rows = [tuple("" if pd.isna(cell) else str(cell) for cell in row) for row in frame.to_numpy()]
    return Table(
        f"study_{name}",
        caption(found.study.title, f"study {name}"),
        tuple(map(str, frame.columns)),
        tuple(rows),
        str(found.source),
    )
