from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import squeeze_utils

PACKAGE = Path(squeeze_utils.__file__).parent

# Data flows downward: a room imports from rooms above it, and from no room below.
ORDER = (
    "files",
    "halfway",
    "memory",
    "places",
    "scale",
    "commandline",
    "runtime",
    "beside",
    "measured",
    "data",
    "models",
    "anatomy",
    "step",
    "signals",
    "muon",
    "optim",
    "evaluation",
    "train",
    "equivariance",
    "landscape",
    "ablate",
    "compress",
    "recipe",
    "records",
    "study",
    "tuned",
    "search",
    "groundwork",
    "studies",
    "checkpoints",
    "report",
    "measure",
    "costs",
    "deploy",
    "plots",
    "compare",
    "notebook",
    "preflight",
    "masthead",
    "runner",
    "style",
    "overview",
    "series",
)
HEAVY = ("matplotlib", "seaborn", "IPython", "ipywidgets", "psutil", "safetensors", "nbformat")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a file imports, anywhere in it, relatively or by the package's name."""
    inside = path.relative_to(PACKAGE).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [name.name.split(".") for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ["squeeze_utils", *inside][: len(inside) + 2 - node.level] if node.level else []
            module = [*start, *(node.module.split(".") if node.module else [])]
            names = [[*module, name.name] for name in node.names]
        else:
            continue
        found |= {name[1] for name in names if name[0] == "squeeze_utils" and len(name) > 1}
    return {
        name for name in found if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()
    }


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "_data")


def test_the_reader_of_imports_sees_them():
    assert {"files", "runtime", "recipe"} <= imported_rooms(PACKAGE / "records.py")
    assert {"study", "models"} <= imported_rooms(PACKAGE / "studies" / "baseline.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_room_imports_from_a_room_below_it(path):
    room = room_of(path)
    if room == "__init__":
        assert imported_rooms(path) == set()
        return
    assert room in ORDER, f"give the new room {room} its place in ORDER"
    below = set(ORDER[ORDER.index(room) + 1 :])
    assert not imported_rooms(path) & below


PROGRAM = f"""
import sys
for name in {HEAVY!r}:
    sys.modules[name] = None  # an import of it fails, as where it is not installed
from squeeze_utils import data, models, train
from squeeze_utils.experiments.commands import main
assert main(["list"]) == 0
tiny = data.load("digits", 8, train_limit=64)
model = models.build("lenet_300_100", image_size=8)
history = train.fit(model, tiny, train.Train(1, precision="float32"))
assert history[0]["validation_accuracy"] > 0
for name in ("notebook", "plots", "measure"):
    assert f"squeeze_utils.{{name}}" not in sys.modules, name
"""


def test_data_models_training_and_studies_need_no_notebook_and_no_plotting():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert "baseline" in done.stdout
