"""The Colab path: a notebook on its own fetches the package at its own version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from squeeze_utils import __version__
from tools import title_cells

ROOT = Path(__file__).resolve().parents[2]


def commit_of_working_tree(folder: Path) -> Path:
    """A clone that holds this checkout as it stands, tagged with the package's version."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
    )
    if shutil.which("git") is None or listed.returncode:
        pytest.skip("needs a git checkout")
    wanted = ("squeeze_utils/", "data/README.md", "pyproject.toml", "setup.py", "LICENSE")
    for name in listed.stdout.decode().split("\0"):
        if name.startswith(wanted) and (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    for name in ("runs/study/one.json", "cifar10.bin", "cache/x.json", "checkpoints/m.safetensors"):
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-qm", "x"],
        ["tag", f"v{__version__}"],
    ):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True)
    return folder


def fresh_environment(folder: Path) -> Path:
    """An environment that sees everything installed here but this package; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    libraries = folder / "libraries"
    libraries.mkdir()
    for source in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for item in Path(source).iterdir():
            ours = "squeeze_utils" in item.name.replace("-", "_")
            if not ours and item.suffix != ".pth" and not (libraries / item.name).exists():
                (libraries / item.name).symlink_to(item)
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", query], check=True, capture_output=True, text=True)
    Path(site.stdout.strip(), "libraries.pth").write_text(f"{libraries}\n")
    return python


@pytest.mark.slow
def test_a_notebook_alone_in_an_empty_folder_fetches_the_package(tmp_path):
    """What happens on Colab, with the address overridden by a local clone and no network."""
    pytest.importorskip("nbclient")
    if os.name == "nt":
        pytest.skip("needs symbolic links")
    clone = commit_of_working_tree(tmp_path / "clone")
    python = fresh_environment(tmp_path / "environment")
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SQUEEZE", "COV"))},
        "SQUEEZE_REPO": f"git+{clone.as_uri()}@v{__version__}",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as the option's value: no isolation
    }
    missing = subprocess.run([python, "-c", "import squeeze_utils"], cwd=empty, env=environment)
    assert missing.returncode != 0

    from nbformat.v4 import new_code_cell, new_notebook

    from tools import execute

    look = (
        "import pathlib, numpy, torch, squeeze_utils\n"
        "from squeeze_utils.base import paths\n"
        "from squeeze_utils.imagenet import wordnet\n"
        "folder = pathlib.Path(squeeze_utils.__file__).parent\n"
        "files = folder.joinpath('_data').rglob('*.*')\n"
        "print(scale.name, folder, torch.__version__, numpy.__version__, sep='\\n')\n"
        "print(sorted(file.name for file in files))\n"
        "print(paths.shipped('runs').joinpath('study', 'one.json').is_file())\n"
        "print(len(wordnet.IDS))"
    )
    setup = "import squeeze_utils as sq\n\nscale = sq.start()"
    sources = [title_cells.install_cell(), setup, look]
    cells = [new_code_cell(source) for source in sources]
    execute.write_notebook(new_notebook(cells=cells), empty / "alone.ipynb")
    execute = (
        "import nbformat\nfrom nbclient import NotebookClient\n"
        "notebook = nbformat.read('alone.ipynb', 4)\n"
        "NotebookClient(notebook, kernel_name='python3', timeout=300).execute()\n"
        "print(''.join(output.text for output in notebook.cells[2].outputs))"
    )
    environment["JUPYTER_PATH"] = environment["JUPYTER_DATA_DIR"] = str(tmp_path / "none")
    done = subprocess.run(
        [python, "-c", execute], cwd=empty, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    import numpy
    import torch

    scale, folder, *versions, files, found, ids = done.stdout.strip().splitlines()[-7:]
    assert scale == "quick"
    assert Path(folder).is_relative_to(tmp_path / "environment")
    assert versions == [torch.__version__, numpy.__version__]
    shipped = ["README.md", "m.safetensors", "one.json"]
    assert files in (str(shipped), str(shipped[1:]))
    assert (found, ids) == ("True", "1000")
