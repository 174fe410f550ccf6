"""`make lab`: opening a notebook changes nothing; and JupyterLab for real, in a browser.

The second part needs Chromium and half a minute: `make test-browser` asks for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from browser import Browser, chromium
from lab_in_browser import JupyterLab, Notebook

from tools.execute import METADATA
from tools.lab import CommittedNotebooks

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = "02_counting_parameters.ipynb"


@pytest.fixture
def notebooks(tmp_path) -> Path:
    """A folder under git with one notebook of the series in it."""
    folder = tmp_path / "the notebooks"
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, folder)
    (folder / ".gitignore").write_text(".ipynb_checkpoints/\n")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "as committed"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def changed(folder: Path) -> str:
    command = ["git", "status", "--porcelain"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_an_open_notebook_names_this_python_and_a_saved_one_does_not(notebooks):
    manager = CommittedNotebooks(root_dir=str(notebooks))
    model = asyncio.run(manager.get(NOTEBOOK))
    assert model["content"]["metadata"]["language_info"]["version"]
    asyncio.run(manager.save(model, NOTEBOOK))
    saved = json.loads((notebooks / NOTEBOOK).read_text())
    assert saved["metadata"] == METADATA


def test_other_files_are_read_and_saved_as_they_are(notebooks):
    manager = CommittedNotebooks(root_dir=str(notebooks))
    other = {"cells": [], "metadata": {"language_info": {"name": "julia"}}, "nbformat": 4}
    (notebooks / "julia.ipynb").write_text(json.dumps(other | {"nbformat_minor": 5}))
    model = asyncio.run(manager.get("julia.ipynb"))
    assert model["content"]["metadata"]["language_info"] == {"name": "julia"}
    assert asyncio.run(manager.get("", content=False))["type"] == "directory"
    text = {"type": "file", "format": "text", "content": "a note"}
    asyncio.run(manager.save(text, "note.txt"))
    assert (notebooks / "note.txt").read_text() == "a note"


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def opened(notebooks, tmp_path, monkeypatch):
    if "SQUEEZE_BROWSER" not in os.environ:
        pytest.skip("takes half a minute: make test-browser")
    if chromium() is None:
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    pytest.importorskip("websocket", reason="needs websocket-client")
    monkeypatch.setenv("SQUEEZE_SCALE", "quick")
    monkeypatch.setenv("SQUEEZE_FIGURES", str(tmp_path / "figures"))
    (tmp_path / "jupyter").mkdir()
    with (
        JupyterLab(notebooks, tmp_path / "jupyter", ROOT) as lab,
        Browser(tmp_path / "profile", (1300, 1000)) as browser,
    ):
        yield Notebook(browser, lab, NOTEBOOK)


TOUCH_FIRST_SLIDER = """(() => {
  const handle = document.querySelector(".widget-slider .noUi-handle");
  handle.scrollIntoView();
  handle.focus();
  handle.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
  return document.querySelector(".widget-slider .widget-readout").textContent;
})()"""
PICTURE = "document.querySelector('.widget-interact .jp-OutputArea-output img')?.src"
WRONG = """check(1, {"squeezenet1_0": 740554, "squeezenet1_1": 727626,
          "share_1_0": 0.25, "share_1_1": 0.25})"""
RIGHT = """check(1, {"squeezenet1_0": 1248424 - 990 * 513, "squeezenet1_1": 1235496 - 990 * 513,
          "share_1_0": 990 * 513 / 1248424, "share_1_1": 990 * 513 / 1235496})"""


@pytest.mark.slow
def test_a_reader_opens_runs_explores_and_answers(opened, notebooks):
    browser = opened.browser
    assert not opened.is_modified()
    assert changed(notebooks) == ""

    opened.command("notebook:run-all-cells", seconds=300)
    wrong = [cell for cell, made in opened.outputs().items() for one in made if "ename" in one]
    assert wrong == []

    before = browser.wait(lambda: browser.evaluate(PICTURE), "the explorer's picture")
    assert browser.evaluate(TOUCH_FIRST_SLIDER) == "0.19"
    browser.wait(lambda: browser.evaluate(PICTURE) not in (None, before), "a new picture")

    assert "0 of 8 done" in opened.run_with("exercise-1-check", WRONG)
    assert "1 of 8 done" in opened.run_with("exercise-1-check", RIGHT)
    if "SQUEEZE_PICTURES" in os.environ:
        browser.screenshot(Path(os.environ["SQUEEZE_PICTURES"]) / "jupyterlab.png")
