"""The Colab path: a notebook on its own fetches the package at its own version."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from squeeze_utils import __version__
from tools import colab_setup, execute, title_cells

ROOT = Path(__file__).resolve().parents[2]
LARGE = ("data/runs/", "data/measurements/", "data/checkpoints/")
LOOK = """\
import pathlib, numpy, torch, squeeze_utils
from squeeze_utils.base import paths
from squeeze_utils.imagenet import wordnet
folder = pathlib.Path(squeeze_utils.__file__).parent
files = folder.joinpath('_data').rglob('*.*')
print(scale.name, folder, torch.__version__, numpy.__version__, sep='\\n')
print(sorted(file.name for file in files))
print(paths.shipped('runs').joinpath('study', 'one.json').is_file())
print(len(wordnet.IDS))"""


def test_a_chapter_or_an_interpreter_that_is_not_there_is_named(monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        colab_setup.main([sys.executable, "99"])
    assert "there is no chapter 99" in capsys.readouterr().err
    monkeypatch.setattr(colab_setup, "tagged_clone", lambda folder: folder)
    assert colab_setup.main([str(tmp_path / "nothing"), "02"]) == 2
    assert "is no Python that can make an environment" in capsys.readouterr().err


@pytest.fixture
def clone(tmp_path):
    """A clone as small as it can be: one file stands for the records, one for the checkpoints."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    folder = tmp_path / "clone"
    for name in ("runs/study/one.json", "cifar10.bin", "cache/x.json", "checkpoints/m.safetensors"):
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return colab_setup.tagged_clone(folder, lambda name: not name.startswith(LARGE))


def write(path: Path, *sources: str) -> Path:
    path.parent.mkdir()
    cells = [new_code_cell(source) for source in sources]
    execute.write_notebook(new_notebook(cells=cells), path)
    return path


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_notebook_alone_in_an_empty_folder_fetches_the_package(tmp_path, clone):
    """What happens on Colab, with the address overridden by a local clone and no network."""
    python = colab_setup.environment_like(sys.executable, tmp_path / "environment")
    setup = "import squeeze_utils as sq\n\nscale = sq.start()"
    path = tmp_path / "content" / "alone.ipynb"
    notebook = write(path, title_cells.install_cell(libraries=title_cells.DEPLOY), setup, LOOK)
    # pip reads the second as the option's value: no isolation
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    variables = colab_setup.variables(clone, **offline)
    seconds, outputs = colab_setup.run_alone(notebook, python, variables, cells=3)
    assert len(seconds) == 3
    text = "".join(output["text"] for output in outputs)
    scale, folder, *versions, files, found, ids = text.strip().splitlines()
    assert scale == "quick"
    assert Path(folder).is_relative_to(tmp_path / "environment")
    assert versions == [torch.__version__, numpy.__version__]
    shipped = ["README.md", "m.safetensors", "one.json"]
    assert files in (str(shipped), str(shipped[1:]))
    assert (found, ids) == ("True", "1000")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_cell_that_fails_is_reported_with_the_notebook_and_the_error(tmp_path):
    python = colab_setup.environment_like(sys.executable, tmp_path / "environment")
    notebook = write(tmp_path / "content" / "broken.ipynb", "import squeeze_utils")
    variables = colab_setup.variables(tmp_path)
    with pytest.raises(RuntimeError, match=r"broken.ipynb: (.|\n)*No module named 'squeeze_utils'"):
        colab_setup.run_alone(notebook, python, variables, cells=1)


def test_what_is_no_python_is_refused(tmp_path):
    with pytest.raises(colab_setup.NotAnEnvironment, match="nothing-here is no Python"):
        colab_setup.environment_like(tmp_path / "nothing-here", tmp_path / "new")


def test_the_clone_carries_the_tag_that_the_installation_cell_asks_for(clone):
    head = (clone / ".git" / "refs" / "tags" / f"v{__version__}").read_text()
    assert len(head.strip()) == 40
    assert not (clone / "notebooks").exists()
    assert [path.name for path in (clone / "data" / "runs").rglob("*.json")] == ["one.json"]
