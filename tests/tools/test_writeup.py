"""`make writeup`: tables read from HTML, LaTeX that compiles, pages that hold everything."""

from __future__ import annotations

import base64
import csv
import io
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tools.writeup import __main__ as writeup
from tools.writeup import latex, page
from tools.writeup.columns import EM, GAP, WIDEST, places
from tools.writeup.exhibits import Chapter, Figure, Table, chapters, study_tables
from tools.writeup.html_tables import read_tables

ROOT = Path(__file__).resolve().parents[2]
PIXEL = (  # one, blue and half transparent
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAA"
    "DUlEQVR4nGNgYPjfAAACgwGAQ7v4AwAAAABJRU5ErkJggg=="
)
TABLE = Table("10_table_1", "What is left", ("layer", "share"), (("conv_1 & more", "9.5 %"),))


def test_spanning_cells_stand_in_every_column_and_in_the_first_row_only() -> None:
    html = """<table>
      <tr><th></th><th colspan="2">accuracy</th></tr><tr><th></th><th>mean</th><th>sd</th></tr>
      <tr><th rowspan="2">plain</th><td>90.1</td><td>0.2</td></tr>
      <tr><td>91.0<br>best</td><td>0.1</td></tr></table>"""
    ((header, rows),) = read_tables(html)
    assert header == ("", "accuracy mean", "accuracy sd")
    assert rows == (("plain", "90.1", "0.2"), ("", "91.0 best", "0.1"))


def test_a_table_without_header_gets_empty_titles_and_no_table_gives_none() -> None:
    html = "<table><tr><td>1</td><td>2</td></tr></table>"
    assert read_tables(html) == [(("", ""), (("1", "2"),))]
    assert read_tables("<p>nothing</p>") == [] and read_tables("<table></table>") == []


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10_bad: rows of \[1, 2\] cells"):
        Table("10_bad", "", ("a", "b"), (("1",),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9 % of $x_1$", r"9 \% of $x_1$"),
        ("a_b & c#{}", r"a\_b \& c\#\{\}"),
        ("90.1 ± 0.2", r"90.1 \(\pm\) 0.2"),
        ("λ and Δ", r"\(\lambda\) and \(\Delta\)"),
        ("costs $5", r"costs \$5"),
        ("back\\slash", r"back\textbackslash{}slash"),
        ("E₁ and x²", r"E\textsubscript{1} and x\textsuperscript{2}"),
        ("\N{SNOWMAN}", "?"),
    ],
)
def test_text_is_escaped_for_latex(text: str, expected: str) -> None:
    assert latex.escape(text) == expected


def test_columns_of_numbers_stand_right() -> None:
    assert latex.table(TABLE) == (
        "\\begin{tabular}{lr}\n\\toprule\nlayer & share \\\\\n\\midrule\n"
        "conv\\_1 \\& more & 9.5 \\% \\\\\n\\bottomrule\n\\end{tabular}\n"
    )


LONG = "words that say where the pictures come from and what one may do with them " * 3
WIDE = Table("18_card", "", ("", "intel", "change (points)"), (("source", LONG.strip(), "1.5"),))


def row_width(table: Table) -> int:
    """Characters in a row of the table as `places` breaks it."""
    broken = (re.search(r"p\{(.+)em\}", place) for place in places(table))
    rows = zip(table.header, *table.rows, strict=True)
    widths = [
        round(float(box[1]) / EM) if box else max(map(len, cells))
        for box, cells in zip(broken, rows, strict=True)
    ]
    return sum(widths) + GAP * (len(widths) - 1)


def test_long_text_is_broken_into_a_box_and_numbers_stay_whole() -> None:
    first, text, number = places(WIDE)
    assert (first, number) == ("l", "r")
    width = float(re.fullmatch(r">\{\\raggedright\\arraybackslash\}p\{(.+)em\}", text)[1])
    assert 30 < width < 50 and row_width(WIDE) <= WIDEST
    assert latex.table(WIDE).startswith(f"\\begin{{tabular}}{{l{text}r}}")
    assert places(TABLE) == ["l", "r"] and "array" in latex.document([])


def test_a_column_is_never_narrower_than_its_longest_word() -> None:
    word = "x" * 80
    table = Table("10_words", "", (word, word), ((f"{word} {word}", "1"),))
    assert row_width(table) == 162  # nothing can be done
    assert places(table)[0].endswith("p{40em}") and places(table)[1] == "r"


def test_no_table_of_the_series_is_shrunk_to_less_than_half() -> None:
    found = [*chapters(ROOT), Chapter("", "", tuple(study_tables(ROOT)))]
    tables = [one for chapter in found for one in chapter.exhibits if isinstance(one, Table)]
    assert max(map(row_width, tables)) <= 150


def _notebook(folder: Path, *cells: nbformat.NotebookNode) -> None:
    (folder / "notebooks").mkdir()
    first = new_markdown_cell("# 10 · Pruning")
    nbformat.write(new_notebook(cells=[first, *cells]), folder / "notebooks" / "10_pruning.ipynb")


def _shows(data: dict[str, str], source: str = "table", **more: str) -> nbformat.NotebookNode:
    return new_code_cell(source, outputs=[new_output("display_data", data)], **more)


HTML = "<table><tr><th>a</th></tr><tr><td>1</td></tr></table>"
SAVE = 'sq.save_figure(fig, "10_masks")'


def test_captions_name_chapter_and_section_and_exercises_show_nothing(tmp_path: Path) -> None:
    _notebook(
        tmp_path,
        new_markdown_cell("## How *masks* work"),
        _shows({"text/html": "<table><tr><th>without rows</th></tr></table>"}),
        _shows({"text/html": HTML}),
        _shows({"image/png": PIXEL}, SAVE),
        new_code_cell('sq.save_figure(None, "10_later")'),
        new_markdown_cell("## Exercises"),
        _shows({"text/html": HTML}),
        new_markdown_cell("### Add your own seed"),
        _shows({"text/html": HTML}),
        _shows({"image/png": PIXEL}),
    )
    (chapter,) = chapters(tmp_path)
    assert (chapter.number, chapter.title) == ("10", "Pruning")
    table, figure = chapter.exhibits
    assert table == Table("10_table_1", "Pruning. How masks work.", ("a",), (("1",),))
    assert figure == Figure("10_masks", "Pruning. How masks work.")  # "masks" is said before


def test_a_figure_is_called_by_the_title_in_its_code_or_by_its_name(tmp_path: Path) -> None:
    picture = {"image/png": PIXEL}
    _notebook(
        tmp_path,
        new_markdown_cell("## Which one?"),
        _shows(picture, f'ax.set_title("Zeros by\\nlayer")\n{SAVE}'),
        _shows(picture, 'sq.save_figure(fig, "10_two_kinds_of_vgg")'),
        _shows(picture, f'ax.set_title("left")\n{SAVE}; sq.save_figure(fig, "10_more")'),
    )
    (chapter,) = chapters(tmp_path)
    names = ("Zeros by layer", "Two kinds of VGG", "Masks", "More")  # one title, but two figures
    assert [one.caption for one in chapter.exhibits] == [
        f"Pruning. Which one? {name}." for name in names
    ]


SOURCE = "Full width. *CIFAR-10* · 3 seeds · 150 epochs · torch 2.9 · 2026-11-27"


def test_what_a_cell_tells_of_its_records_stands_below(tmp_path: Path) -> None:
    told = new_output("display_data", {"text/markdown": f"Some words.\n\n{SOURCE}"})
    table, picture = (
        new_output("display_data", data) for data in ({"text/html": HTML}, {"image/png": PIXEL})
    )
    _notebook(
        tmp_path,
        new_code_cell("table", outputs=[told, table]),
        new_code_cell('ax.set_title("Rates (short training)")', outputs=[told, picture]),
        new_code_cell('title = f"{n} networks, {k} with short training"', outputs=[picture]),
    )
    (chapter,) = chapters(tmp_path)
    plain = SOURCE.replace("*", "")
    assert [one.source for one in chapter.exhibits] == [plain, f"{plain} Short training.", ""]
    (tmp_path / "figures").mkdir()
    writeup.write(tmp_path, tmp_path / "out")
    for name in ("main.tex", "writeup.md", "writeup.html"):
        assert (tmp_path / "out" / name).read_text().count("150 epochs") == 2


def test_a_figure_that_is_only_shown_is_taken_from_the_notebook(tmp_path: Path) -> None:
    _notebook(
        tmp_path,
        _shows({"image/png": PIXEL}, SAVE),
        new_markdown_cell("## Live"),
        _shows({"image/png": PIXEL}, "plt.show()", id="drawn-first-figure"),
        _shows({"image/png": PIXEL}, "fig = draw()", id="drawn-next"),
    )
    (chapter,) = chapters(tmp_path)
    live = chapter.exhibits[1:]
    assert [(one.name, one.caption) for one in live] == [
        ("10_live_1", "Pruning. Live. Drawn first."),
        ("10_live_2", "Pruning. Live. Drawn next."),
    ]
    assert all(one.png == base64.b64decode(PIXEL) for one in live)


def test_a_picture_becomes_a_page_of_its_size_on_white_and_is_the_same_every_time() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (300, 150), (0, 0, 255, 0)).save(file, "PNG")
    page = writeup.as_pdf(file.getvalue())
    assert page.startswith(b"%PDF") and page == writeup.as_pdf(file.getvalue())
    size = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", page)
    assert [float(side) for side in size.groups()] == [144, 72]  # points: 150 pixels an inch
    drawn = Image.open(io.BytesIO(page[page.index(b"\xff\xd8") :]))  # the JPEG inside
    assert drawn.size == (300, 150) and drawn.getpixel((9, 9)) == (255, 255, 255)


def test_a_missing_figure_is_named(tmp_path: Path) -> None:
    _notebook(tmp_path, _shows({"image/png": PIXEL}, SAVE))
    with pytest.raises(
        FileNotFoundError, match=r"figures/10_masks\.pdf is missing: make notebooks"
    ):
        writeup.write(tmp_path, tmp_path / "out")


def test_every_table_and_figure_is_written_in_every_form(tmp_path: Path) -> None:
    _notebook(
        tmp_path,
        _shows({"text/html": HTML}),
        _shows({"image/png": PIXEL}, SAVE),
        _shows({"image/png": PIXEL}, "plt.show()", id="shown"),
    )
    (tmp_path / "figures").mkdir()
    for ending in ("png", "pdf"):
        (tmp_path / "figures" / f"10_masks.{ending}").write_bytes(b"picture")
    output = tmp_path / "an output"
    writeup.write(tmp_path, output)
    with (output / "tables" / "10_table_1.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a"], ["1"]]
    assert (output / "tables" / "10_table_1.md").read_text() == "| a |\n| --- |\n| 1 |\n"
    assert (output / "figures" / "10_masks.pdf").read_bytes() == b"picture"
    main = (output / "main.tex").read_text()
    assert r"\input{tables/10_table_1.tex}" in main and "figures/10_masks.pdf" in main
    assert "figures/10_live_1.pdf" in main and ".png" not in main
    assert (output / "figures" / "10_live_1.pdf").read_bytes().startswith(b"%PDF")
    assert (output / "figures" / "10_live_1.png").read_bytes() == base64.b64decode(PIXEL)
    html = (output / "writeup.html").read_text()
    assert "data:image/png;base64,cGljdHVyZQ==" in html and "http" not in html
    assert f"data:image/png;base64,{PIXEL}" in html
    text = (output / "writeup.md").read_text()
    assert "![Pruning. Masks.](figures/10_masks.png)" in text
    assert "![Pruning. Shown.](figures/10_live_1.png)" in text


def test_the_committed_series_has_no_character_that_latex_lacks() -> None:
    found = [*chapters(ROOT), Chapter("", "", tuple(study_tables(ROOT)))]
    texts = [
        text
        for chapter in found
        for shown in chapter.exhibits
        for text in (shown.caption, *_cells(shown))
    ]
    assert len(texts) > 2_000
    assert not {text for text in texts if "?" in latex.escape(text.replace("?", ""))}


def _cells(shown: Table | Figure) -> list[str]:
    if isinstance(shown, Figure):
        return [shown.source]
    return [*shown.header, *sum(shown.rows, ()), shown.source]


def test_a_pipe_does_not_end_a_cell_in_markdown() -> None:
    table = Table("x", "", ("|g w|",), (("1",),))
    assert page.markdown_table(table).splitlines()[0] == r"| \|g w\| |"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex on this machine")
@pytest.mark.slow
def test_the_document_compiles(tmp_path: Path) -> None:
    writeup.write(ROOT, tmp_path / "a writeup")
    assert "main.pdf" in writeup.compile_document(tmp_path / "a writeup")
    assert (tmp_path / "a writeup" / "main.pdf").stat().st_size > 500_000


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex on this machine")
def test_a_mistake_in_the_document_is_shown(tmp_path: Path) -> None:
    (tmp_path / "main.tex").write_text("\\documentclass{article}\\begin{document}\\nonsense")
    with pytest.raises(RuntimeError, match="Undefined control sequence"):
        writeup.compile_document(tmp_path)


def test_without_latex_a_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert writeup.compile_document(tmp_path).startswith("no LaTeX here")
