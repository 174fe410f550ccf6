"""The style checks: on the notebooks of the series, and on samples spoiled in one way each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("nbformat")

from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from notebook_samples import faultless

from tools import check_notebooks, execute, series, title_cells
from tools.site.chapters import notebook_paths

ROOT = Path(__file__).resolve().parents[2]


def test_the_series_has_no_problem():
    problems = series.check_series(ROOT)
    assert not problems, "\n" + "\n".join(problems)


def test_the_sample_has_no_problem(tmp_path):
    faultless(tmp_path)
    assert series.check_series(tmp_path) == []


def code(notebook, place=0):
    return [cell for cell in notebook.cells if cell.cell_type == "code"][place]


def output(text: str, kind: str = "text/plain"):
    return new_output("display_data", data={kind: text})


def swap_last_sections(notebook):
    notebook.cells.insert(8, notebook.cells.pop())


def drop_cell(*places):
    def spoil(notebook):
        for place in sorted(places, reverse=True):
            del notebook.cells[place]

    return spoil


def edit(place, old, new):
    def spoil(notebook):
        assert old in notebook.cells[place].source
        notebook.cells[place].source = notebook.cells[place].source.replace(old, new)

    return spoil


def put_output(*outputs):
    return lambda notebook: code(notebook, 2).outputs.extend(outputs)


def put_code(source):
    return lambda notebook: code(notebook, 2).update(source=source)


def put_markdown(text):
    return lambda notebook: notebook.cells.insert(4, new_markdown_cell(text))


def make_large(notebook):
    notebook.cells[4].source += "x" * check_notebooks.LARGEST_FILE


def add_exercises(notebook):
    more = "\n\n".join(f"**{n}. More** (easy, 10 min). Why?" for n in range(5, 10))
    notebook.cells[8].source += f"\n\n{more}"


def add_long_cells(notebook):
    for count in range(8, 16):
        cell = new_code_cell("x = 1\n" * 20, execution_count=count)
        notebook.cells.append(cell)


def put_metadata(**values):
    return lambda notebook: notebook.metadata.update(values)


def put_cell_metadata(**values):
    return lambda notebook: code(notebook, 2).metadata.update(values)


PRINTED = "   rate  kind\n0  0.10     a\n1  0.25  long\n"
SPOILED = {
    "no title": (edit(0, "# 01 · A sample", "A sample"), "must start with '# 01 · Title'"),
    "wrong number": (edit(0, "# 01 ·", "# 02 ·"), "must start with '# 01 · Title'"),
    "badge lost": (edit(0, "[![Open in Colab]", "[![Open]"), "badge or previous"),
    "badge of another version": (edit(0, "/blob/v", "/blob/v9"), "badge or previous"),
    "navigation lost": (edit(0, "previous | index | next", ""), "badge or previous"),
    "first cell is code": (drop_cell(0, 1), "first cell is not Markdown"),
    "no opening": (drop_cell(1), "second cell lacks"),
    "opening out of order": (edit(1, "**Time.**", "When?"), "second cell lacks"),
    "installation changed": (edit(2, "--quiet", "--no-cache"), "not the installation cell"),
    "installation later": (
        lambda nb: nb.cells.insert(2, new_code_cell("1")),
        "not the installation cell",
    ),
    "no installation": (drop_cell(2), "not the installation cell"),
    "installation unfolded": (lambda nb: code(nb).update(metadata={}), "is not folded"),
    "set-up changed": (edit(3, "start()", "start(seed=1)"), "second code cell is not the set-up"),
    "no set-up": (drop_cell(3), "second code cell is not the set-up"),
    "clone of another": (
        put_markdown("`git clone https://github.com/other/place`"),
        "wrong address other/place",
    ),
    "sections swapped": (swap_last_sections, "last sections are"),
    "no references": (drop_cell(12), "last sections are"),
    "references in a block of code": (
        lambda nb: nb.cells[12].update(source="```text\n## References\n```"),
        "last sections are",
    ),
    "a section after them": (
        lambda nb: nb.cells.append(new_markdown_cell("## More")),
        "last sections are",
    ),
    "no prediction": (edit(4, "> **Prediction.**", "Well,"), "no prediction"),
    "typed summary": (drop_cell(7), "no code cell that produces its numbers"),
    "thin summary": (lambda nb: code(nb, 3).update(outputs=[]), "0 bullets"),
    "three exercises": (edit(8, "**4. ", "**Four. "), "exercises numbered [1, 2, 3]"),
    "exercises misnumbered": (edit(8, "**2. ", "**3. "), "exercises numbered [1, 3, 3, 4]"),
    "no difficulty": (edit(8, "(easy, 10 min)", "(easy)"), "exercises numbered []"),
    "no checks": (drop_cell(9, 10, 11), "exercise 1 has no check(1, ...)"),
    "no hints": (edit(8, "<summary>Hint", "<summary>Answer"), "0 hints for 4 exercises"),
    "long code": (put_code("x = 1\n" * 41), "41 lines, over 40"),
    "long prose": (put_markdown("x\n" * 41), "41 lines, over 40"),
    "long median": (add_long_cells, "median cell: 20, at most 12"),
    "empty cell": (put_code(" "), "is empty"),
    "not run": (lambda nb: code(nb, 2).update(execution_count=None), "execution counts are"),
    "run out of order": (lambda nb: code(nb, 2).update(execution_count=7), "execution counts are"),
    "path in code": (put_code('open("/home/me/x.csv")'), "holds an absolute path"),
    "path in prose": (put_markdown(r"See C:\Users\me."), "holds an absolute path"),
    "path in output": (put_output(output("'/tmp/x/y.png'")), "the output of cell"),
    "path in HTML": (put_output(output("<b>/root/.cache</b>", "text/html")), "the output of cell"),
    "memory address": (put_output(output("<Line2D at 0x7f12ab34cd>")), "at 0x7f12ab34cd"),
    "error": (
        put_output(new_output("error", ename="ValueError", evalue="no", traceback=[])),
        "ends in an error: ValueError",
    ),
    "stderr": (
        put_output(new_output("stream", name="stderr", text="Warning: old")),
        "writes to stderr: 'Warning: old'",
    ),
    "widget": (put_output(output("{}", execute.WIDGET)), "shows a widget whose state is not kept"),
    "widget metadata": (put_metadata(widgets={"x": {}}), "widget metadata without state"),
    "kernel of my machine": (
        put_metadata(kernelspec={"name": "mine", "display_name": "Mine", "language": "python"}),
        "notebook metadata is",
    ),
    "pasted picture": (
        lambda nb: nb.cells[0].update(attachments={"a.png": {"image/png": "x"}}),
        "cell 0 holds a pasted picture",
    ),
    "timings": (put_cell_metadata(execution={"iopub.execute_input": "now"}), "['execution']"),
    "repeated ids": (
        lambda nb: nb.cells[4].update(id=nb.cells[5].id),
        "ids are missing or repeated",
    ),
    "dead link": (put_markdown("[there](02_nothing.ipynb#x)"), "links to 02_nothing.ipynb, which"),
    "dead image": (put_markdown('<img alt="x" src="no.png">'), "links to no.png"),
    "printed table": (
        put_output(new_output("stream", name="stdout", text=PRINTED)),
        "prints a table",
    ),
    "fat summary": (
        lambda nb: code(nb, 3).outputs.append(output("- one\n" * 7, "text/markdown")),
        "bullets, not 3 to 6",
    ),
    "nine exercises": (add_exercises, "exercises numbered"),
    "too large": (make_large, "over 1,000,000"),
    "magic": (put_code("%pip install x"), "not plain Python"),
    "figure missing": (
        lambda nb: (
            put_code('save_figure(fig, "01_no")')(nb),
            put_output(output("aGk=", "image/png"))(nb),
        ),
        "figures/01_no.png is missing",
    ),
    "figure of another": (put_code('save_figure(fig, "07_no")'), "does not start with 01_"),
    "figure not named": (put_code("plots.save_figure(fig, name)"), "figure '' does not start"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_every_check_can_fail(case, tmp_path):
    notebook, path = faultless(tmp_path)
    spoil, expected = SPOILED[case]
    spoil(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    problems = series.check_series(tmp_path)
    assert any(expected in problem for problem in problems), problems


GOOD = {
    "link to a file": put_markdown("[here](01_sample.ipynb#the-idea) [there](https://a.b/c)"),
    "other repositories": put_markdown("see <https://github.com/pytorch/vision>"),
    "ratio with slashes": put_markdown("and/or, 1/tmp, $a:\\text{b}$, https://a.org/home/x"),
    "figure": put_code('save_figure(draw(a, b), name="01_yes")'),
    "figure of records to come": put_code('save_figure(None, "01_no")'),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_is_fine_is_not_reported(case, tmp_path):
    notebook, path = faultless(tmp_path)
    (tmp_path / "figures").mkdir()
    for ending in ("pdf", "png"):
        (tmp_path / "figures" / f"01_yes.{ending}").touch()
    GOOD[case](notebook)
    execute.write_notebook(notebook, path)
    assert series.check_series(tmp_path) == []


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    _, path = faultless(tmp_path)
    path.write_text("{", encoding="utf-8")
    (problem,) = series.check_series(tmp_path)
    assert problem.startswith("01_sample.ipynb: not readable as a notebook")


def test_a_solution_needs_its_notebook_but_no_sections(tmp_path):
    faultless(tmp_path)
    notebook, path = faultless(tmp_path, "solutions/01_sample.ipynb")
    del notebook.cells[6:], notebook.cells[1]
    execute.write_notebook(notebook, path)
    assert series.check_series(tmp_path) == []
    path.rename(path.with_name("02_other.ipynb"))
    problems = series.check_series(tmp_path)
    assert "solutions/02_other.ipynb: there is no notebook of this name" in problems


def test_a_notebook_without_number_is_named(tmp_path):
    _, path = faultless(tmp_path)
    path.with_name("draft.ipynb").write_bytes(path.read_bytes())
    assert series.check_series(tmp_path) == ["draft.ipynb: not named NN_topic.ipynb"]


def put_map(root, names):
    """Into the first notebook, the table that lists all of them."""
    path = root / "notebooks" / names[0]
    notebook = execute.read_notebook(path)
    rows = [f"| {name[:2]} | [A sample]({name}) | Why? | here |" for name in names]
    notebook.cells[4].source += "\n\n" + "\n".join(rows)
    execute.write_notebook(notebook, path)


def test_neighbours_are_linked_in_order(tmp_path):
    names = ("00_a.ipynb", "01_b.ipynb", "02_c.ipynb")
    for name in names:
        faultless(tmp_path, name)
    assert any("01_b.ipynb: badge or previous" in p for p in series.check_series(tmp_path))
    put_map(tmp_path, names)
    for path in (order := notebook_paths(tmp_path)):
        notebook = execute.read_notebook(path)
        title_cells.rewrite(notebook, path, order)
        execute.write_notebook(notebook, path)
    assert series.check_series(tmp_path) == []
    middle = execute.read_notebook(order[1]).cells[0].source
    assert "[previous](00_a.ipynb) | [index](00_a.ipynb) | [next](02_c.ipynb)" in middle
