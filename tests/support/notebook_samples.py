"""A notebook without fault, as an object, for tests to spoil in one way each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import execute, title_cells
from tools.site.chapters import notebook_paths

OPENING = """**The question.** What is a sample?

**You will be able to** spoil it. **You need** nothing. **Time.** One minute."""
EXERCISE = """**{number}. Title** (easy, 10 min) Do it.

<details><summary>Hint</summary>Think.</details>"""
BULLETS = "- one\n- two\n- three"


def write_sample(root: Path, name: str = "01_sample.ipynb", code: str = "1 + 1") -> Path:
    """Write an unexecuted, otherwise faultless notebook below ``root``; return its path.

    Its cells: title, opening, installation, set-up, idea, code, two of summary, four of exercises,
    references.
    """
    path = root / "notebooks" / name
    title = new_markdown_cell(f"# {path.name[:2]} · A sample")
    exercises = "\n\n".join(EXERCISE.format(number=number) for number in range(1, 5))
    summary = f'from IPython.display import Markdown, display\n\ndisplay(Markdown("""{BULLETS}"""))'
    cells = [
        title,
        new_markdown_cell(OPENING),
        new_code_cell("", id=title_cells.INSTALL),
        new_code_cell("import squeeze_utils as sq\n\nscale = sq.start()"),
        new_markdown_cell("## The idea\n\n> **Prediction.** Two."),
        new_code_cell(code),
        new_markdown_cell("## Summary"),
        new_code_cell(summary),
        new_markdown_cell(f"## Exercises\n\n{exercises}"),
        new_code_cell(f'check = sq.exercises("{path.name[:2]}")'),
        new_code_cell("\n".join(f"check({number}, ...)" for number in range(1, 5))),
        new_code_cell("check.progress()"),
        new_markdown_cell("## References"),
    ]
    notebook = new_notebook(cells=cells)
    for place, cell in enumerate(notebook.cells):
        if cell["id"] != title_cells.INSTALL:
            cell["id"] = f"part-{place}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def faultless(root: Path, name: str = "01_sample.ipynb", code: str = "1 + 1") -> tuple[Any, Path]:
    """A notebook as `make render` leaves it, without having run it, and its path."""
    path = write_sample(root, name, code)
    notebook = execute.read_notebook(path)
    title_cells.rewrite(notebook, path, notebook_paths(root))
    execute.clean(notebook)
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(ran, 1):
        cell.execution_count = count
    ran[2].outputs = [
        new_output("execute_result", data={"text/plain": "2"}, execution_count=3),
    ]
    ran[3].outputs = [new_output("display_data", data={"text/markdown": BULLETS})]
    execute.write_notebook(notebook, path)
    return notebook, path
