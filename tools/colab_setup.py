"""Every notebook begun as on Colab: alone in an empty folder, the package not there yet.

``python -m tools.colab_setup PYTHON [--whole] [NN ...]`` runs the installation and the set-up cell
of each notebook and prints their seconds; ``--whole`` runs all cells. PYTHON is an environment with
the package versions in ``colab_versions.txt``; ``make test-colab`` makes one. Instead of the public
address a clone of this checkout is installed; everything else that pip wants comes from its index.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from squeeze_utils import __version__

ROOT = Path(__file__).resolve().parents[1]

_SHIPPED = ("squeeze_utils/", "data/", "pyproject.toml", "setup.py", "LICENSE")
_SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"
_COLOURS = re.compile("\x1b\\[[0-9;]*m")  # of a terminal
_RUN = """\
import json, sys, time
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
places = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
client = NotebookClient(notebook, kernel_name="python3", timeout=900)
seconds = []
with client.setup_kernel():
    for place in places[: int(sys.argv[2])]:
        start = time.perf_counter()
        client.execute_cell(notebook.cells[place], place)
        seconds.append(time.perf_counter() - start)
print(json.dumps([seconds, [dict(output) for output in notebook.cells[place].outputs]]))
"""


class NotAnEnvironment(ValueError):
    """The interpreter that was named cannot run a notebook."""


def tagged_clone(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> Path:
    """A repository of what the package ships, as this checkout stands, tagged with its version.

    Args:
        wanted: which of the shipped files, by their path with slashes.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *_SHIPPED]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if wanted(name) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    tag = ["tag", f"v{__version__}"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"], tag):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True)
    return folder


def environment_like(python: str | Path, folder: Path) -> Path:
    """A new environment that sees what ``python`` has installed, but this package; its Python."""
    try:
        site = _answer(python, _SITE)
        subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotAnEnvironment(f"{python} is no Python that can make an environment") from error
    new = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    libraries = folder / "libraries"
    libraries.mkdir()
    for item in Path(site).iterdir():
        ours = "squeeze_utils" in item.name.replace("-", "_")
        if not ours and item.suffix != ".pth":
            (libraries / item.name).symlink_to(item)
    Path(_answer(new, _SITE), "libraries.pth").write_text(f"{libraries}\n")
    return new


def _answer(python: str | Path, question: str) -> str:
    return subprocess.run(
        [python, "-c", question], check=True, capture_output=True, text=True
    ).stdout.strip()


def variables(clone: Path, **more: str) -> dict[str, str]:
    """The environment variables of a machine that knows nothing of this checkout but the clone."""
    foreign = ("PYTHON", "SQUEEZE", "COV", "JUPYTER")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return {**kept, "SQUEEZE_REPO": f"git+{clone.as_uri()}@v{__version__}", **more}


def run_alone(
    notebook: Path, python: Path, environment: dict[str, str], cells: int
) -> tuple[list[float], list[dict]]:
    """Run the first code cells of a notebook in its folder; the last one's outputs come back.

    Returns:
        the seconds of each cell, and the outputs of the last.
    """
    nowhere = str(notebook.parent / "no-jupyter")
    environment = {**environment, "JUPYTER_PATH": nowhere, "JUPYTER_DATA_DIR": nowhere}
    done = subprocess.run(
        [python, "-c", _RUN, notebook.name, str(cells)],
        cwd=notebook.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{notebook.name}: {_COLOURS.sub('', done.stderr).strip()[-3000:]}")
    seconds, outputs = json.loads(done.stdout.splitlines()[-1])
    return seconds, outputs


def begin(notebook: Path, python: str | Path, clone: Path, whole: bool) -> list[float]:
    """Copy a notebook into an empty folder and run it there in a new environment."""
    with tempfile.TemporaryDirectory() as folder:
        new = environment_like(python, Path(folder, "environment"))
        alone = Path(folder, "content", notebook.name)
        alone.parent.mkdir()
        shutil.copy(notebook, alone)
        return run_alone(alone, new, variables(clone), 10_000 if whole else 2)[0]


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.colab_setup", description=__doc__)
    parser.add_argument("python", help="an interpreter with Colab's packages")
    parser.add_argument("numbers", nargs="*", metavar="NN", help="chapters (default: all)")
    parser.add_argument("--whole", action="store_true", help="run every cell")
    chosen = parser.parse_args(arguments)
    known = {path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")}
    if unknown := sorted(set(chosen.numbers) - known):
        parser.error(f"there is no chapter {', '.join(unknown)}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        clone = tagged_clone(Path(folder))
        for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
            if chosen.numbers and path.name[:2] not in chosen.numbers:
                continue
            name = path.relative_to(ROOT / "notebooks").as_posix()
            try:
                seconds = begin(path, chosen.python, clone, chosen.whole)
            except NotAnEnvironment as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
            except RuntimeError as error:
                failed += 1
                print(f"{name}: failed\n{error}", flush=True)
                continue
            first, second = seconds[:2]
            rest = f", all {len(seconds)} cells {sum(seconds):.0f} s" if chosen.whole else ""
            print(f"{name}: install {first:.1f} s, set-up {second:.1f} s{rest}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
