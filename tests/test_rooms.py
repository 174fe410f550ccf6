"""The floor plan of the package: which rooms there are, and which may use which."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import squeeze_utils

PACKAGE = Path(squeeze_utils.__file__).parent

# Data flows downward: a room uses rooms above it in this list, and none below.
ROOMS = (
    "base",
    "data",
    "models",
    "training",
    "anatomy",
    "compress",
    "experiments",
    "studies",
    "results",
    "imagenet",
    "deploy",
    "notebook",
    "__main__",
)
MOST_LINES = 300  # of a file; 250 is what we aim at
HEAVY = ("matplotlib", "seaborn", "IPython", "ipywidgets", "psutil", "safetensors", "nbformat")
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "_data")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_names(path: Path) -> set[str]:
    """Every module of the package that a file names, in imports and in strings, written out."""
    inside = path.relative_to(PACKAGE).parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = ["squeeze_utils", *inside][: len(inside) + 2 - node.level] if node.level else []
            module = ".".join([*start, *filter(None, [node.module])])
            found |= {f"{module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Call) and _called(node) == "import_module" and node.args:
            found.add(_written_out(node.args[0], path))
    return found


def _written_out(name: ast.expr, path: Path) -> str:
    """The module that `import_module` is given; only these places may compute its name."""
    if isinstance(name, ast.Constant):
        return str(name.value)
    computing = {
        "__init__.py",
        "deploy/optional_parts.py",
        "deploy/worker.py",
        "notebook/exercises/__init__.py",
        "training/distributed/__init__.py",  # of its own folder
    }
    assert path.relative_to(PACKAGE).as_posix() in computing, f"{path.name} computes a module"
    return ""


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def rooms_used(path: Path) -> set[str]:
    parts = [name.split(".") for name in module_names(path)]
    return {p[1] for p in parts if p[0] == "squeeze_utils" and len(p) > 1 and p[1] in ROOMS}


def test_there_are_these_rooms_and_no_others():
    entries = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
    assert entries - {"__init__", "__pycache__", "_data"} == set(ROOMS)
    assert len(ROOMS) <= 13


def test_the_reader_of_imports_sees_them():
    assert {"data", "training"} <= rooms_used(PACKAGE / "experiments" / "run_experiment.py")
    assert {"experiments", "models"} <= rooms_used(PACKAGE / "studies" / "baseline.py")


@pytest.mark.parametrize(
    "text",
    [
        "from squeeze_utils.results import tables",
        "from squeeze_utils import results",
        "import squeeze_utils.results.tables",
        "from ..results import tables",
        "def later():\n    from squeeze_utils.results import tables",
        'import_module("squeeze_utils.results.tables")',
    ],
)
def test_no_way_of_importing_escapes_the_reader(text, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "planted.py").write_text(text)
    assert rooms_used(tmp_path / "base" / "planted.py") == {"results"}


def test_no_room_but_the_last_goes_through_the_facade():
    facade = {"squeeze_utils", *(f"squeeze_utils.{name}" for name in squeeze_utils._HOMES)}
    users = {path for path in FILES if module_names(path) & facade}
    assert {room_of(path) for path in users} <= {"notebook", "__main__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_room_uses_one_that_stands_below_it(path):
    room = room_of(path)
    if room == "__init__":
        assert rooms_used(path) == set()
        return
    below = set(ROOMS[ROOMS.index(room) + 1 :])
    assert not rooms_used(path) & below


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_file_is_longer_than_a_stranger_reads_at_once(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_the_package_does_not_use_the_tools_that_make_the_series():
    users = [path for path in FILES for name in module_names(path) if name.startswith("tools")]
    assert not users


PROGRAM = f"""
import sys
for name in {HEAVY!r}:
    sys.modules[name] = None  # an import of it fails, as where it is not installed
import squeeze_utils as sq
from squeeze_utils.__main__ import main
assert main(["study", "list"]) == 0
tiny = sq.load_images("digits", 8, train_limit=64)
model = sq.build("lenet_300_100", image_size=8)
history = sq.fit(model, tiny, sq.Train(1, precision="float32"))
assert history[0]["validation_accuracy"] > 0
assert not any(name.startswith("squeeze_utils.notebook") for name in sys.modules)
"""


def test_data_models_training_and_studies_need_no_notebook_and_no_plotting():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert "baseline" in done.stdout
