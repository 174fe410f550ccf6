"""How nbval runs notebooks under this project's conftest."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbval")

from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools import execute

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5  # the limit of a cell


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory) -> dict[tuple[str, int], str]:
    """What nbval says of each cell, by notebook and number: PASSED or FAILED.

    All are in one run, under this project's conftest, because every start of a kernel costs time.
    """
    folder = tmp_path_factory.mktemp("nbval")
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, cells in NOTEBOOKS.items():
        execute.write_notebook(new_notebook(cells=cells), folder / f"{name}.ipynb")
    options = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={SECONDS}", "-rA", "-q"]
    command = [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    found = re.findall(r"(?m)^(\w+ED) (\w+)\.ipynb::Cell (\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    return {(name, int(cell)): verdict for verdict, name, cell in found}


def cell(source: str, kind: str = "stream", tagged: bool = True, **output: Any) -> Any:
    made = new_code_cell(source, execution_count=1, outputs=[new_output(kind, **output)])
    made.metadata["tags"] = ["nbval-check-output"] if tagged else []
    return made


WARN = "import sys; print('a', file=sys.stderr); print(1)"
SHOWN = {"text/plain": "x", "text/html": "<b>1</b>", "application/pdf": "a"}
SHOW = f"from IPython.display import display\ndisplay({SHOWN}, raw=True)"
SAME = {"text/plain": "x", "text/html": "2", "image/png": "b"}
OTHER = {"text/plain": "y", "text/html": "<b>1</b>"}
CATCH = "import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    pass"
NOTEBOOKS = {
    "compared": [
        cell(WARN, text="1\n"),
        cell(SHOW, "display_data", data=SAME),
        cell("print(1)", text="2\n", tagged=False),
        cell("print(1)", text="2\n"),
        cell(SHOW, "display_data", data=OTHER),
    ],
    "late": [cell(CATCH, text="", tagged=False)],
}


@pytest.mark.slow
def test_nbval_compares_the_text_of_tagged_cells_only(verdicts):
    words = [verdicts["compared", place] for place in range(5)]
    assert words == ["PASSED", "PASSED", "PASSED", "FAILED", "FAILED"]


@pytest.mark.slow
def test_a_cell_that_catches_its_time_out_fails_all_the_same(verdicts):
    """Training catches Ctrl-C, which is how nbval stops a cell: it must not pass as finished."""
    assert verdicts["late", 0] == "FAILED"
