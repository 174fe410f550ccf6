"""The frame of the project: requirements, versions, the check before an install, make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from squeeze_utils import REPOSITORY, __version__
from squeeze_utils.deploy import committed_files
from tools import preflight, title_cells

ROOT = Path(__file__).resolve().parents[2]


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def project() -> dict:
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


COLAB = "tools/colab_versions.txt"

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


def test_what_colab_has_satisfies_the_requirements():
    """With bounds no newer, pip leaves it alone."""
    colab = {one.name: next(iter(one.specifier)).version for one in requirements(COLAB)}
    extras = project()["optional-dependencies"]
    needed = [*project()["dependencies"], *extras["notebooks"]]
    bounds = {one.name: one.specifier for one in map(Requirement, needed)}
    both = colab.keys() & bounds.keys()
    assert {"torch", "torchvision", "numpy", "pandas", "scikit-learn", "matplotlib"} <= both
    assert {name: colab[name] for name in both if not bounds[name].contains(colab[name])} == {}


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
        assert title_cells.wrong_addresses(path.read_text(encoding="utf-8")) == [], path.name


# --- before the environment is made -------------------------------------------------------------


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 9, 20)])
def test_an_old_python_is_refused_with_the_way_out(version):
    problem = preflight.python_problem(version, "python3")
    assert f"Python {version[0]}.{version[1]} (python3) is too old" in problem
    assert "3.10 or newer" in problem and "PYTHON=" in problem


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 12, 1), (4, 0, 0)])
def test_a_new_python_is_accepted(version):
    assert preflight.python_problem(version) is None


def test_a_full_disk_is_refused_with_the_way_out(tmp_path, monkeypatch):
    folder = tmp_path / "not" / "yet"
    assert preflight.disk_problem(folder, free=7e9) is None
    problem = preflight.disk_problem(folder, free=6.9e9)
    assert "Only 6.9 GB are free" in problem and "7.0 GB\n" in problem and "VENV=" in problem
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: SimpleNamespace(free=7))
    assert "Only 0.0 GB" in preflight.disk_problem(folder)  # looks the disk up
    assert "make site SITE=" in preflight.disk_problem(folder, kind="site")


def test_what_is_installed_already_needs_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "size_of", lambda folder: 4e9)
    assert preflight.disk_problem(tmp_path, free=3e9) is None
    problem = preflight.disk_problem(tmp_path, free=2e9)
    assert "Only 2.0 GB" in problem and "needs about 3.0 GB more" in problem


def test_the_size_of_a_folder(tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "file").write_bytes(b"12345")
    (tmp_path / "lost").symlink_to("nowhere")
    assert 5 <= preflight.size_of(tmp_path) < 20
    assert preflight.size_of(tmp_path / "not there") == 0


def test_preflight_as_a_command(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    assert preflight.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: Only 0.0 GB are free")
    assert preflight.main([]) == preflight.main([str(tmp_path), "kitchen"]) == 2
    assert "[notebooks|site]" in capsys.readouterr().err


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
  *"-r requirements.txt"*) exit {pip} ;;
esac
"""


@pytest.fixture
def stub_project(tmp_path):
    """The Makefile with what it looks at, and a stand-in for Python that only writes down calls."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    names = ["requirements.txt", "requirements-site.txt", "constraints.txt"]
    for name in ("Makefile", *names, "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)

    def make(*arguments: str, status: int = 0, pip: int = 0) -> tuple[int, list[str], str]:
        log, stub = tmp_path / "log", tmp_path / "stub"
        log.write_text("")
        stub.write_text(STUB.format(log=log, status=status, pip=pip))
        stub.chmod(0o755)
        if (tmp_path / "env").exists():
            shutil.copy(stub, tmp_path / "env" / "bin" / "python")
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
    assert calls[0] == "tools/preflight.py env notebooks"
    assert calls[1] == "-m venv env"
    assert "-r requirements.txt -c constraints.txt" in calls[2]
    assert "--no-deps" in calls[3]
    assert calls[4:] == ["-m tools.series run --output build/notebooks"]
    status, calls, _ = stub_project("notebooks")
    assert (status, calls) == (0, ["-m tools.series run --output build/notebooks"])


def test_nothing_is_made_when_the_check_before_fails(stub_project, tmp_path):
    status, calls, _ = stub_project("test", status=1)
    assert status != 0
    assert calls == ["tools/preflight.py env notebooks"]
    assert not (tmp_path / "env").exists()


def test_a_disk_that_fills_midway_is_named_and_looked_at_again(stub_project):
    status, calls, output = stub_project("notebooks", pip=1)
    assert status != 0 and calls[-1] == "tools/preflight.py env notebooks"
    status, calls, output = stub_project("notebooks", status=1)
    assert status != 0 and calls == ["tools/preflight.py env notebooks"]
    assert "proxy" not in output


def test_the_site_looks_at_python_and_disk_first(stub_project, tmp_path):
    status, calls, _ = stub_project("site", "SITE=pages", status=1)
    assert status != 0 and calls == ["tools/preflight.py pages site"]
    assert not (tmp_path / "pages").exists()


def test_packages_that_cannot_be_had_are_asked_for_again(stub_project):
    for _ in range(2):
        status, calls, output = stub_project("notebooks", pip=1)
        assert status != 0 and "This needs PyPI once; behind a proxy" in output
        assert "-r requirements.txt" in calls[-2]


def test_make_test_runs_all_the_checks(stub_project):
    status, calls, output = stub_project("test")
    assert status == 0, output
    checks = [call for call in calls if "pip" not in call][2:]
    assert "slow" not in checks[2]
    assert [call.split()[1] for call in checks] == ["ruff", "ruff", "pytest", "pytest"]
    assert "--nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks" in checks[3]


def test_make_test_fast_leaves_out_what_is_slow(stub_project):
    status, calls, output = stub_project("test-fast")
    assert status == 0, output
    assert calls[-1] == "-m pytest -q -n 2 -m not slow"


def test_a_reference_run_needs_a_study_or_all_and_is_a_plan_otherwise(stub_project):
    status, calls, _ = stub_project("reference")
    assert (status, calls[-1]) == (0, "-m squeeze_utils study plan")
    status, calls, _ = stub_project("reference", "ALL=1", "JOBS=2")
    assert (status, calls[-1]) == (0, "-m squeeze_utils study run --all --jobs 2")
    status, calls, _ = stub_project("reference", "STUDY=baseline", "JOBS=2")
    assert (status, calls[-1]) == (
        0,
        "-m squeeze_utils study run baseline --scale reference --jobs 2",
    )


def test_the_files_of_a_deployment_are_written_for_each_checkpoint(stub_project):
    status, calls, output = stub_project("deploy-files")
    assert status == 0, output
    assert calls[-2:] == [
        f"-m squeeze_utils deploy data/checkpoints/{name}.safetensors --data cifar10 "
        "--output data/checkpoints/deploy"
        for name in committed_files.NAMES
    ]


MAKE = """#!/bin/sh
echo "$@"
cd "$2" && git ls-files --others | grep -c new.py && ls -a && git rev-parse --verify HEAD
exit 3
"""


def test_ci_tests_a_copy_in_a_folder_with_a_space_and_removes_it(tmp_path):
    """With a stand-in for make that shows where it runs, on what, and fails."""
    checkout, temporary = tmp_path / "checkout", tmp_path / "temporary"
    for folder in (checkout / ".ci", checkout / ".venv", temporary, tmp_path / "bin"):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", checkout / ".ci" / "run")
    for name in ("kept.py", "gone.py", ".venv/large"):
        (checkout / name).write_text("x")
    (checkout / ".gitignore").write_text(".venv*\n")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-C", checkout]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    (checkout / "gone.py").unlink()
    (checkout / "new.py").write_text("x")
    stub = tmp_path / "bin" / "make"
    stub.write_text(MAKE)
    stub.chmod(0o755)
    there = {"PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(temporary)}
    command = [checkout / ".ci" / "run"]
    done = subprocess.run(command, env={**os.environ, **there}, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    called, new, *inside, _ = done.stdout.splitlines()
    assert re.fullmatch(rf"-C {re.escape(str(temporary))}/.* .*/a copy test", called)
    assert new == "1" and {"kept.py", "new.py", ".git"} <= set(inside)
    assert not {"gone.py", ".venv"} & set(inside)
    assert list(temporary.iterdir()) == []
