"""`make writeup`: tables as LaTeX, CSV and Markdown, figures as PDF and PNG, and three documents.

`main.tex` includes everything. `writeup.html` is one page that holds its pictures: open it in a
browser, copy all, paste it into Google Docs. `writeup.md` is the same for whatever reads Markdown.
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.files import write_atomically
from tools.writeup import latex, page
from tools.writeup.exhibits import Chapter, Figure, Table, chapters, study_tables

ROOT = Path(__file__).resolve().parent.parent.parent
DPI = 150  # of a figure that is known as pixels only
QUALITY = 95  # of its JPEG inside a PDF: lines stay clean
ENGINES = (
    ("latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "main.tex"),
    ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"),
    ("tectonic", "main.tex"),
)


def gather(root: Path) -> list[Chapter]:
    """All chapters, and at their end the tables of the studies."""
    studies = Chapter("", "All studies with records", tuple(study_tables(root)))
    return [*chapters(root), studies]


def write(root: Path, output: Path) -> list[Chapter]:
    """Write everything below `output`; a figure that was never drawn is named."""
    found = gather(root)
    exhibits = [exhibit for chapter in found for exhibit in chapter.exhibits]
    for exhibit in exhibits:
        if isinstance(exhibit, Figure):
            _write_figure(root / "figures", output / "figures", exhibit)
        else:
            _write_table(output / "tables", exhibit)
    write_atomically(output / "main.tex", latex.document(found).encode())
    write_atomically(output / "writeup.md", page.markdown(found).encode())
    write_atomically(output / "writeup.html", page.html(found, root / "figures").encode())
    return found


def _write_figure(source: Path, target: Path, figure: Figure) -> None:
    if figure.png:
        write_atomically(target / f"{figure.name}.png", figure.png)
        write_atomically(target / f"{figure.name}.pdf", as_pdf(figure.png))
        return
    for ending in ("pdf", "png"):
        file = source / f"{figure.name}.{ending}"
        if not file.is_file():
            raise FileNotFoundError(f"figures/{file.name} is missing: make notebooks draws it")
        write_atomically(target / file.name, file.read_bytes())


def as_pdf(png: bytes) -> bytes:
    """A picture, on white, as a page of its size; the same picture always gives the same bytes."""
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    page = Image.new("RGB", picture.size, "white")
    page.paste(picture, mask=picture)
    file = io.BytesIO()
    undated = {"creationDate": None, "modDate": None}
    page.save(file, "PDF", resolution=DPI, quality=QUALITY, subsampling=0, **undated)
    return file.getvalue()


def _write_table(folder: Path, table: Table) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.header, *table.rows])
    write_atomically(folder / f"{table.name}.csv", text.getvalue().encode())
    write_atomically(folder / f"{table.name}.md", page.markdown_table(table).encode())
    write_atomically(folder / f"{table.name}.tex", latex.table(table).encode())


def compile_document(folder: Path) -> str:
    """Compile main.tex with what is installed; says what was done, or what is missing.

    Raises:
        RuntimeError: LaTeX found a mistake; the message has the end of its log.
    """
    engine = next((command for command in ENGINES if shutil.which(command[0])), None)
    if engine is None:
        return "no LaTeX here (latexmk, pdflatex or tectonic): main.tex was not compiled"
    for _ in range(2 if engine[0] == "pdflatex" else 1):  # the second time with references
        done = subprocess.run(engine, cwd=folder, capture_output=True, text=True, errors="replace")
        if done.returncode:
            raise RuntimeError(f"{engine[0]} failed on main.tex:\n{done.stdout[-2000:]}")
    return f"main.pdf, compiled by {engine[0]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.writeup", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "writeup")
    asked = parser.parse_args(arguments)

    def work() -> None:
        found = write(ROOT, asked.output)
        kinds = [type(exhibit) for chapter in found for exhibit in chapter.exhibits]
        print(f"{kinds.count(Table)} tables, {kinds.count(Figure)} figures, main.tex, writeup.html")
        print(compile_document(asked.output))

    return exit_code(work, "the files written so far are kept")


if __name__ == "__main__":
    sys.exit(main())
