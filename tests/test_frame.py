"""The frame of the project: requirements, commands, packaging, Colab, and how nbval compares."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from squeeze_utils import REPOSITORY, __version__, masthead, preflight

ROOT = Path(__file__).resolve().parent.parent


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def project() -> dict:
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


# --- requirements -------------------------------------------------------------------------------


def test_requirements_are_those_of_the_package_and_its_extras():
    extras = project()["optional-dependencies"]
    named = [*project()["dependencies"], *extras["notebooks"], *extras["dev"]]
    assert [str(one) for one in requirements("requirements.txt")] == [
        str(Requirement(one)) for one in named
    ]


def test_requirements_are_lower_bounds_only():
    for one in requirements("requirements.txt"):
        assert [bound.operator for bound in one.specifier] == [">="], one


def test_what_colab_had_satisfies_the_requirements():
    """Versions from Colab's own list of 2025: an older bound keeps pip from touching them."""
    colab = {
        "torch": "2.8.0",
        "torchvision": "0.23.0",
        "numpy": "2.0.2",
        "pandas": "2.2.2",
        "scikit-learn": "1.6.1",
        "joblib": "1.5.2",
        "tqdm": "4.67.1",
        "matplotlib": "3.10.0",
        "seaborn": "0.13.2",
        "ipywidgets": "7.7.1",
        "safetensors": "0.6.2",
        "psutil": "5.9.5",
        "ipykernel": "6.17.1",
    }
    bounds = {one.name: one.specifier for one in requirements("requirements.txt")}
    assert {name: v for name, v in colab.items() if not bounds[name].contains(v)} == {}


def test_constraints_are_exact_independent_of_the_platform_and_allowed():
    pins = requirements("constraints.txt")
    bounds = {one.name: one.specifier for one in requirements("requirements.txt")}
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.operator == "==" and pin.url is None, pin
        assert not re.match(r"nvidia|cuda|triton", pin.name), pin
        assert "+" not in exact.version, pin
        assert bounds.get(pin.name, pin.specifier).contains(exact.version), pin
    assert set(bounds) <= {pin.name for pin in pins}


def test_every_file_says_the_same_version_and_address():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'version: "{__version__}"' in citation
    assert f'repository-code: "https://github.com/{REPOSITORY}"' in citation
    texts = [*ROOT.glob("*.md"), *ROOT.glob("data/*.md"), ROOT / "CITATION.cff"]
    for path in texts:
        assert masthead.wrong_addresses(path.read_text(encoding="utf-8")) == [], path.name


# --- before the environment is made -------------------------------------------------------------


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 9, 20)])
def test_an_old_python_is_refused_with_the_way_out(version):
    problem = preflight.python_problem(version, "python3")
    assert f"Python {version[0]}.{version[1]} (python3) is too old" in problem
    assert "3.10 or newer" in problem and "PYTHON=" in problem


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 12, 1), (4, 0, 0)])
def test_a_new_python_is_accepted(version):
    assert preflight.python_problem(version) is None


def test_a_full_disk_is_refused_with_the_way_out(tmp_path):
    folder = tmp_path / "not" / "yet"
    assert preflight.disk_problem(folder, free=6e9) is None
    problem = preflight.disk_problem(folder, free=5.9e9)
    assert "Only 5.9 GB are free" in problem and "6 GB" in problem and "VENV=" in problem
    assert "Only" in preflight.disk_problem(folder, needed=1e9)  # looks the disk up


def test_preflight_as_a_command(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    assert preflight.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: Only 0.0 GB are free")
    assert preflight.main([]) == 2


def test_preflight_is_readable_by_old_pythons():
    """It has to say that a Python is too old, so that Python has to understand it."""
    import ast

    source = Path(preflight.__file__).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__" not in source


# --- make ---------------------------------------------------------------------------------------

STUB = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
  *" -m venv "*|"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  *preflight*) exit {status} ;;
esac
"""


@pytest.fixture
def stub_project(tmp_path):
    """The Makefile with what it looks at, and a stand-in for Python that only writes down calls."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)

    def make(*arguments: str, status: int = 0) -> tuple[int, list[str], str]:
        log, stub = tmp_path / "log", tmp_path / "stub"
        log.write_text("")
        stub.write_text(STUB.format(log=log, status=status))
        stub.chmod(0o755)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        command = ["make", "PYTHON=./stub", "VENV=env", *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=clean,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, log.read_text().splitlines(), done.stdout + done.stderr

    return make


def test_a_second_call_installs_nothing(stub_project):
    status, calls, output = stub_project("notebooks")
    assert status == 0, output
    assert calls[0] == "squeeze_utils/preflight.py env"
    assert calls[1] == "-m venv env"
    assert "-r requirements.txt -c constraints.txt" in calls[2]
    assert "--no-deps" in calls[3]
    assert calls[4:] == ["-m squeeze_utils.series run --output build/notebooks"]
    status, calls, _ = stub_project("notebooks")
    assert (status, calls) == (0, ["-m squeeze_utils.series run --output build/notebooks"])


def test_nothing_is_made_when_the_check_before_fails(stub_project, tmp_path):
    status, calls, _ = stub_project("test", status=1)
    assert status != 0
    assert calls == ["squeeze_utils/preflight.py env"]
    assert not (tmp_path / "env").exists()


def test_make_test_runs_all_the_checks(stub_project):
    status, calls, output = stub_project("test")
    assert status == 0, output
    checks = [call for call in calls if "pip" not in call][2:]
    assert [call.split()[1] for call in checks] == ["ruff", "ruff", "pytest", "pytest"]
    assert "--nbval-lax --nbval-current-env --nbval-cell-timeout=300 notebooks" in checks[3]


def test_a_reference_run_needs_a_study(stub_project):
    status, calls, output = stub_project("reference")
    assert status != 0
    assert "make reference STUDY=name" in output
    assert calls[-1] == "-m squeeze_utils.study list"
    status, calls, _ = stub_project("reference", "STUDY=baseline", "JOBS=2")
    assert (status, calls[-1]) == (
        0,
        "-m squeeze_utils.study run baseline --scale reference --jobs 2",
    )


def test_ci_runs_make_test_in_a_fresh_environment():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in script
    assert script.index('rm -rf "$venv"') < script.index('make test VENV="$venv"')


# --- nbval --------------------------------------------------------------------------------------


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

    from squeeze_utils import runner

    outputs = [new_output(kind, **values) for kind, values in outputs]
    cell = new_code_cell(source, outputs=outputs, execution_count=1)
    cell.metadata["tags"] = tags
    runner.write(new_notebook(cells=[cell]), path)


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


# --- Colab --------------------------------------------------------------------------------------


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
        "SQUEEZE_REPO": f"git+file://{clone}@v{__version__}",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as the option's value: no isolation
    }
    missing = subprocess.run([python, "-c", "import squeeze_utils"], cwd=empty, env=environment)
    assert missing.returncode != 0

    from nbformat.v4 import new_code_cell, new_notebook

    from squeeze_utils import runner

    look = (
        "import pathlib, numpy, torch, squeeze_utils\n"
        "from squeeze_utils import places\n"
        "folder = pathlib.Path(squeeze_utils.__file__).parent\n"
        "files = folder.joinpath('_data').rglob('*.*')\n"
        "print(scale.name, folder, torch.__version__, numpy.__version__)\n"
        "print(sorted(file.name for file in files))\n"
        "print(places.shipped('runs').joinpath('study', 'one.json').is_file())"
    )
    cells = [new_code_cell(masthead.setup_cell()), new_code_cell(look)]
    runner.write(new_notebook(cells=cells), empty / "alone.ipynb")
    execute = (
        "import nbformat\nfrom nbclient import NotebookClient\n"
        "notebook = nbformat.read('alone.ipynb', 4)\n"
        "NotebookClient(notebook, kernel_name='python3', timeout=300).execute()\n"
        "print(notebook.cells[1].outputs[0].text)"
    )
    environment["JUPYTER_PATH"] = environment["JUPYTER_DATA_DIR"] = str(tmp_path / "none")
    done = subprocess.run(
        [python, "-c", execute], cwd=empty, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    import numpy
    import torch

    first, files, found = done.stdout.strip().splitlines()[-3:]
    scale, folder, torch_there, numpy_there = first.split()
    assert scale == "quick"
    assert Path(folder).is_relative_to(tmp_path / "environment")
    assert (torch_there, numpy_there) == (torch.__version__, numpy.__version__)
    shipped = ["README.md", "m.safetensors", "one.json"]
    assert files in (str(shipped), str(shipped[1:]))
    assert found == "True"
