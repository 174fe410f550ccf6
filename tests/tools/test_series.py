"""Running and rendering notebooks, and cleaning them for a commit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nbclient")

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_samples import faultless, write_sample

from squeeze_utils import REPOSITORY, __version__
from tools import execute, series, title_cells
from tools.site.chapters import notebook_paths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project of its own, with the folder of figures inside."""
    monkeypatch.setattr(series, "ROOT", tmp_path)
    monkeypatch.setenv("SQUEEZE_FIGURES", str(tmp_path / "figures"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def light(monkeypatch):
    """Set-up cells that import nothing: the real ones are run by test_colab and the notebooks."""
    monkeypatch.setattr(title_cells, "install_cell", lambda *about, **more: "scale = 'quick'")


def bare(root: Path, name: str, *sources: str) -> Path:
    """A notebook of these code cells only."""
    path = root / "notebooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    execute.write_notebook(notebook, path)
    return path


PARTS = ("check_series", "predictions.check", "readme.check_readme")


@pytest.mark.parametrize("bad", [*PARTS, None])
def test_the_check_reports_every_part_and_fails(bad, home, monkeypatch, capsys):
    for part in PARTS:
        found = [f"{part} is bad"] if part == bad else []
        monkeypatch.setattr(f"tools.series.{part}", lambda root, found=found: found)
    assert series.main(["check"]) == (bad is not None)
    assert (f"{bad} is bad" if bad else "no problems") in capsys.readouterr().out


@pytest.mark.parametrize("file", ["README.md", "CITATION.cff"])
def test_a_wrong_address_beside_the_notebooks_is_named(file, tmp_path):
    faultless(tmp_path)
    (tmp_path / file).write_text("git clone https://github.com/other/place")
    assert any(
        problem.startswith(f"{file}: wrong address other/place")
        for problem in series.check_series(tmp_path)
    )


def test_a_run_goes_on_after_failures_and_names_them(home, capsys):
    save = "import os, pathlib\npathlib.Path(os.environ['SQUEEZE_FIGURES']).mkdir()\n"
    save += "pathlib.Path(os.environ['SQUEEZE_FIGURES'], '00_a.png').write_bytes(b'x')"
    bare(home, "00_good.ipynb", save, "pathlib.Path('seen').touch()\n6 * 7")
    bare(home, "01_bad.ipynb", "1", "total = 1 / 0\n2", "3")
    bare(home, "02_fine.ipynb", "1")
    before = {path: path.read_bytes() for path in notebook_paths(home)}

    status = series.main(["run", "--output", "build/notebooks"])

    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert status == 1
    assert lines[0].startswith("[1/3] 00_good.ipynb ") and lines[0].endswith(" s")
    assert lines[1].startswith("[2/3] 01_bad.ipynb ") and lines[1].endswith(" s FAILED")
    assert lines[2].startswith("[3/3] 02_fine.ipynb ") and lines[2].endswith(" s")
    assert f"executed copies: {Path('build', 'notebooks')}" in lines
    assert "  changed: 00_a.png" in lines
    assert "FAILED 01_bad.ipynb, cell 1 ('total = 1 / 0'): ZeroDivisionError" in err
    assert {path: path.read_bytes() for path in notebook_paths(home)} == before
    assert (home / "notebooks" / "seen").is_file()  # the kernel works in the notebook's folder
    copies = home / "build" / "notebooks"
    assert (
        execute.read_notebook(copies / "00_good.ipynb").cells[1].outputs[0].data["text/plain"]
        == "42"
    )
    assert (
        execute.read_notebook(copies / "01_bad.ipynb").cells[1].outputs[0].ename
        == "ZeroDivisionError"
    )


def test_a_notebook_that_takes_too_long_is_stopped(home):
    path = bare(home, "00_late.ipynb", "import time\ntime.sleep(600)")
    with pytest.raises(execute.CellFailure, match=r"00_late.*cell 0.*not finished 1 seconds"):
        execute.execute(execute.read_notebook(path), path, seconds=1)


def test_an_interrupted_run_ends_its_kernel_and_says_what_is_kept(home, capsys):
    stop = "import os, signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(600)"
    path = bare(home, "00_stopped.ipynb", stop)
    with pytest.raises(KeyboardInterrupt):
        execute.execute(execute.read_notebook(path), path, 60)
    assert series.main(["run", "00"]) == 130
    assert "the notebooks that were finished are kept" in capsys.readouterr().err


def test_ctrl_c_before_the_first_cell_ends_as_one_in_a_cell_does(home, capsys, monkeypatch):
    starts = NotebookClient.async_start_new_kernel

    async def pressed(self: NotebookClient, **how: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)  # the kernel is starting
        await starts(self, **how)

    bare(home, "00_waits.ipynb", "1")
    monkeypatch.setattr(NotebookClient, "async_start_new_kernel", pressed)
    assert series.main(["run", "00"]) == 130
    assert "the notebooks that were finished are kept" in capsys.readouterr().err


def test_the_kernel_is_this_python_whatever_the_user_registered(home, monkeypatch):
    kernels = home / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    false = {"argv": [shutil.which("false")], "display_name": "Wrong", "language": "python"}
    (kernels / "kernel.json").write_text(json.dumps(false))
    monkeypatch.setenv("JUPYTER_PATH", str(home / "jupyter"))
    monkeypatch.setenv("MPLBACKEND", "pdf")
    path = bare(
        home,
        "00_a.ipynb",
        "import os, sys\nprint(sys.executable, os.getenv('MPLBACKEND'), sep='\\n')",
    )
    notebook = execute.read_notebook(path)
    execute.execute(notebook, path, 60)
    program, backend = notebook.cells[0].outputs[0].text.splitlines()
    assert Path(program) == Path(sys.executable)
    assert backend != "pdf"


def test_rendering_twice_gives_the_same_file(home, light, capsys):
    path = write_sample(home, code="print(6 * 7)")
    solution = write_sample(home, "solutions/01_sample.ipynb")
    assert series.main(["render"]) == 0
    before = path.read_bytes(), solution.read_bytes()
    assert "[2/2] 01_sample.ipynb" in capsys.readouterr().out
    assert series.check_series(home) == []
    ids = [cell.id for cell in execute.read_notebook(path).cells]
    parts = [f"part-{place}" for place in range(13)]
    assert ids == ["install" if part == "part-2" else part for part in parts]
    text = path.read_text(encoding="utf-8")
    assert '"execution_count": 3' in text and "iopub" not in text and text.endswith("}\n")
    assert series.main(["render", "01"]) == 0
    assert (path.read_bytes(), solution.read_bytes()) == before


def test_a_failure_does_not_stop_the_notebooks_after_it(home, capsys):
    for number in range(2):
        bare(home, f"0{number}_n.ipynb", f"print({number})", f"1 / {number}")
    assert series.main(["run", "--output", "build"]) == 1
    printed = capsys.readouterr()
    assert "[2/2] 01_n.ipynb" in printed.out and printed.err.count("FAILED 00_n.ipynb, cell 1") == 1
    for number in range(2):
        cells = execute.read_notebook(home / "build" / f"0{number}_n.ipynb").cells
        assert cells[0].outputs[0].text == f"{number}\n"


def test_a_full_disk_does_not_stop_the_notebooks_after_it(home, capsys, monkeypatch):
    for number in range(3):
        bare(home, f"0{number}_n.ipynb", f"1 / {number}")

    def write(notebook, path):
        if path.name < "02":
            raise OSError(28, "No space left on device")
        return execute.write_notebook(notebook, path)

    monkeypatch.setattr(series, "write_notebook", write)
    assert series.main(["run", "--output", "build"]) == 1
    printed = capsys.readouterr()
    assert "[3/3] 02_n.ipynb" in printed.out and (home / "build" / "02_n.ipynb").is_file()
    first, second = printed.err.splitlines()
    assert "ZeroDivisionError" in first and first.endswith("No space left on device")
    assert second == "FAILED 01_n.ipynb could not be written: [Errno 28] No space left on device"


def test_without_room_for_a_kernel_the_others_are_still_tried(home, capsys, monkeypatch):
    def refuse(notebook, path, seconds):
        raise OSError(28, "No space left on device")

    for number in range(2):
        bare(home, f"0{number}_n.ipynb", "1")
    monkeypatch.setattr(series, "execute", refuse)
    assert series.main(["run", "--output", "build"]) == 1
    assert capsys.readouterr().err.count("could not be executed: [Errno 28]") == 2
    assert not (home / "build").exists()


def test_a_file_that_is_no_notebook_and_a_kernel_that_does_not_start_stop_no_others(
    home, capsys, monkeypatch
):
    def refuse(notebook, path, seconds):
        if path.name < "04":
            raise RuntimeError("Kernel died before replying to kernel_info")

    for number, text in (("00", "{"), ("01", "[]"), ("02", "{}")):
        bare(home, f"{number}_n.ipynb", "1").write_text(text)
    for number in (3, 4):
        bare(home, f"0{number}_n.ipynb", "1")
    monkeypatch.setattr(series, "execute", refuse)
    assert series.main(["run", "--output", "build"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("could not be executed") == 4 and "[5/5] 04_n.ipynb" in printed.out
    assert all(f"{number}_n.ipynb is no notebook" in printed.err for number in ("00", "01", "02"))


def test_a_notebook_that_fails_to_render_is_left_as_it_was(home, light, capsys):
    path = write_sample(home, code="raise RuntimeError('no')")
    series.rewrite_all(home)
    before = path.read_bytes()
    assert series.main(["render"]) == 1
    assert path.read_bytes() == before
    assert "RuntimeError: no" in capsys.readouterr().err


def test_an_unknown_notebook_is_refused(home):
    write_sample(home)
    with pytest.raises(SystemExit, match=r"'07'; there are: 01_sample\.ipynb"):
        series.main(["run", "07"])


def test_clean_takes_out_what_changes_from_run_to_run():
    bar = new_output("display_data", data={"text/plain": "0%", execute.WIDGET: {"model_id": "x"}})
    kept = new_output("stream", text="kept\n")
    cells = [new_markdown_cell("a"), new_code_cell("b", outputs=[bar, kept]), new_code_cell("c")]
    cells[1].metadata = {"tags": ["nbval-check-output"], "execution": {"a": "b"}, "colab": {}}
    notebook = new_notebook(cells=cells, metadata={"widgets": {"x": {}}, "colab": {}})
    first = notebook.cells[2]["id"] = notebook.cells[0]["id"]
    execute.clean(notebook)
    assert dict(notebook.metadata) == execute.METADATA
    assert notebook.cells[1].outputs == [kept]
    assert notebook.cells[1].metadata == {"tags": ["nbval-check-output"]}
    assert [notebook.cells[0].id, notebook.cells[2].id] == [first, "cell-2"]
    again = json.dumps(notebook)
    execute.clean(notebook)
    assert json.dumps(notebook) == again


def test_writing_says_whether_the_file_changed(tmp_path):
    notebook = new_notebook(cells=[new_code_cell("1")])
    path = tmp_path / "a" / "b.ipynb"
    assert execute.write_notebook(notebook, path)
    assert not execute.write_notebook(notebook, path)
    notebook.cells[0].source = "2"
    assert execute.write_notebook(notebook, path)
    assert [file.name for file in path.parent.iterdir()] == ["b.ipynb"]


@pytest.mark.parametrize("libraries", [(), title_cells.DEPLOY])
def test_the_installation_cell_is_short_valid_and_names_what_it_installs(libraries):
    source = title_cells.install_cell("some/where", "1.2.3", libraries)
    compile(source, "install", "exec")
    assert "git+https://github.com/some/where@v1.2.3" in source
    assert all((f'"{name}"' in source) == (name in libraries) for name in title_cells.DEPLOY)
    assert max(len(line) for line in source.splitlines()) <= 100


@pytest.mark.parametrize(
    "code, libraries",
    [
        ("from squeeze_utils.deploy import runners", title_cells.DEPLOY),
        ("x = 1\nimport onnx", title_cells.DEPLOY),
        ("from squeeze_utils import deployment", ()),
        ("# import onnx", ()),
    ],
)
def test_a_notebook_that_writes_onnx_files_installs_what_that_needs(tmp_path, code, libraries):
    notebook, _ = faultless(tmp_path, code=code)
    assert notebook.cells[2].source == title_cells.install_cell(libraries=libraries)
    assert list(title_cells.setup_problems(notebook.cells)) == []
    notebook.cells[2].source = title_cells.install_cell(libraries=("other",))
    assert any("make badges" in problem for problem in title_cells.setup_problems(notebook.cells))


@pytest.mark.parametrize(
    "address", ["", "name", "a/b/c", "https://github.com/a/b", "a_b/c", "-a/b"]
)
def test_an_address_that_github_cannot_have_is_refused(address, tmp_path):
    with pytest.raises(ValueError, match="owner/name"):
        title_cells.set_address(tmp_path, address)


def test_a_wrong_address_changes_no_file(home, capsys):
    path = write_sample(home)
    before = path.read_bytes()
    assert series.main(["badges", "--repo", "foo"]) == 2
    assert capsys.readouterr().err == "error: 'foo' is not an address on GitHub: give owner/name\n"
    assert path.read_bytes() == before


def test_badges_write_a_new_address_everywhere(tmp_path):
    """In a copy of the package, since the address is a constant of the running one."""
    for folder in ("squeeze_utils", "tools"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    path = write_sample(tmp_path)
    colab = (
        f"https://colab.research.google.com/github/{REPOSITORY}/blob/v0/notebooks/01_sample.ipynb"
    )
    clone = f"git clone https://github.com/{REPOSITORY}.git\n"
    (tmp_path / "README.md").write_text(f"[Colab]({colab})\n{clone}")

    def run(*arguments: str) -> None:
        command = [sys.executable, "-m", "tools.series", *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "PYTHONPATH": ""})

    run("badges")
    run("badges", "--repo", "some-one/some.where")
    run("badges")
    for name in ("README.md", "CITATION.cff", "squeeze_utils/__init__.py"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert REPOSITORY not in text, name
        assert "some-one/some.where" in text, name
    cells = execute.read_notebook(path).cells
    assert cells[2].source == title_cells.install_cell("some-one/some.where")
    assert f"github/some-one/some.where/blob/v{__version__}/notebooks/01_s" in cells[0].source
    assert f"/blob/v{__version__}/" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_other_addresses_are_found_and_foreign_links_left_alone():
    right = title_cells.badge("notebooks/01_a.ipynb")
    assert title_cells.wrong_addresses(f"{right} https://github.com/pytorch/vision") == []
    assert title_cells.wrong_addresses(title_cells.install_cell()) == []
    badge = title_cells.badge("notebooks/01_a.ipynb", "other/place")
    wrong = badge + title_cells.install_cell("x/y")
    assert title_cells.wrong_addresses(wrong) == [
        f"other/place at v{__version__}",
        f"x/y at v{__version__}",
    ]
    old = title_cells.badge("notebooks/01_a.ipynb", version="0.0.1")
    assert title_cells.wrong_addresses(old) == [f"{REPOSITORY} at v0.0.1"]
