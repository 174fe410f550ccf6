"""How nbval runs notebooks under this project's conftest."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def nbval_verdicts(folder: Path, timeout: float) -> dict[str, str]:
    """Run nbval, under this project's conftest, on one-cell notebooks: name -> PASSED or FAILED."""
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    options = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={timeout}", "-rA", "-q"]
    command = [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    found = re.findall(r"(?m)^(\w+ED) (\w+)\.ipynb", done.stdout)
    assert found, done.stdout + done.stderr
    return {name: verdict for verdict, name in found}


def one_cell(path: Path, source: str, outputs: list, tags: list[str]) -> None:
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    from tools import execute

    outputs = [new_output(kind, **values) for kind, values in outputs]
    cell = new_code_cell(source, outputs=outputs, execution_count=1)
    cell.metadata["tags"] = tags
    execute.write_notebook(new_notebook(cells=[cell]), path)


def test_nbval_compares_the_text_of_tagged_cells_only(tmp_path):
    pytest.importorskip("nbval")
    warn = "import sys; print('a', file=sys.stderr); print(1)"
    display = "from IPython.display import display\ndisplay({data}, raw=True)"
    rich = {"text/plain": "x", "text/html": "<b>1</b>", "application/pdf": "a"}
    rich = display.format(data=rich)
    one, two = ("stream", {"name": "stdout", "text": "1\n"}), ("stream", {"text": "2\n"})
    same = ("display_data", {"data": {"text/plain": "x", "text/html": "2", "image/png": "b"}})
    other = ("display_data", {"data": {"text/plain": "y", "text/html": "<b>1</b>"}})
    tagged = ["nbval-check-output"]
    one_cell(tmp_path / "stderr.ipynb", warn, [one], tagged)
    one_cell(tmp_path / "formats.ipynb", rich, [same], tagged)
    one_cell(tmp_path / "untagged.ipynb", "print(1)", [two], [])
    one_cell(tmp_path / "wrong.ipynb", "print(1)", [two], tagged)
    one_cell(tmp_path / "plain.ipynb", rich, [other], tagged)
    verdicts = nbval_verdicts(tmp_path, timeout=300)
    passing = {"stderr", "formats", "untagged"}
    assert verdicts == {
        name: "PASSED" if name in passing else "FAILED" for name in (*passing, "wrong", "plain")
    }


def test_a_cell_that_catches_its_time_out_fails_all_the_same(tmp_path):
    """Training catches Ctrl-C, which is how nbval stops a cell: it must not pass as finished."""
    pytest.importorskip("nbval")
    catch = "import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    pass"
    one_cell(tmp_path / "late.ipynb", catch, [], [])
    assert nbval_verdicts(tmp_path, timeout=3) == {"late": "FAILED"}
