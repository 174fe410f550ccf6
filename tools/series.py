"""The notebooks together: ``python -m tools.series run|render|readme|badges|predictions|check``."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path

from squeeze_utils import REPOSITORY
from squeeze_utils.base.commandline import INTERRUPTED
from tools import limits, predictions, readme, title_cells
from tools.check_notebooks import check_notebook
from tools.execute import (
    SECONDS,
    CellFailure,
    clean,
    execute,
    read_notebook,
    write_notebook,
)
from tools.site.chapters import notebook_paths

ROOT = Path(__file__).resolve().parent.parent


def rewrite_all(root: Path, repository: str = REPOSITORY) -> list[Path]:
    """Bring title cells, set-up cells and addresses of all notebooks up to date; list changes."""
    order = notebook_paths(root)
    changed = []
    for path in [*order, *notebook_paths(root, solutions=True)]:
        notebook = read_notebook(path)
        title_cells.rewrite(notebook, path, order, repository)
        if write_notebook(notebook, path):
            changed.append(path)
    return changed


def check_series(root: Path) -> list[str]:
    """Every problem of every notebook below ``root``, and of the files that name the address."""
    order, solutions = notebook_paths(root), notebook_paths(root, solutions=True)
    problems = [
        f"{path.name}: {problem}"
        for path in [*order, *solutions]
        for problem in check_notebook(path, order, root)
    ]
    stray = set((root / "notebooks").rglob("*.ipynb")) - {*order, *solutions}
    stray = {path for path in stray if ".ipynb_checkpoints" not in path.parts}
    problems += [f"{path.name}: not named NN_topic.ipynb" for path in sorted(stray)]
    names = {path.name for path in order}
    problems += [
        f"solutions/{path.name}: there is no notebook of this name"
        for path in solutions
        if path.name not in names
    ]
    for path in (root / "README.md", root / "CITATION.cff"):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        wrong = title_cells.wrong_addresses(text)
        problems += [f"{path.name}: wrong address {address}" for address in wrong]
    return [*problems, *readme.check_map(root)]


def execute_all(paths: list[Path], seconds: float, copies: Path | None = None) -> int:
    """Execute notebooks one after the other, into the folder `copies` or in place.

    A failure does not stop the rest. A copy shows where a notebook failed; in place, one that
    fails stays as it was. Prints a line for each; returns 1 if any failed, else 0.
    """
    failures = []
    for number, path in enumerate(paths, 1):
        print(f"[{number}/{len(paths)}] {path.name}", end=" ", flush=True)
        start = time.perf_counter()
        failure = _execute_one(path, seconds, copies)
        failures += [failure] if failure else []
        print(f"{time.perf_counter() - start:.1f} s{' FAILED' if failure else ''}", flush=True)
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


def _execute_one(path: Path, seconds: float, copies: Path | None) -> str:
    """How it failed, or nothing."""
    failures: list[str] = []
    try:
        notebook = read_notebook(path)
        execute(notebook, path, seconds)
    except CellFailure as error:
        failures.append(str(error))
    except (OSError, ValueError, RuntimeError) as error:  # a full disk, no JSON, no kernel
        return f"{path.name} could not be executed: {error}"
    try:
        if copies is not None:
            write_notebook(notebook, copies / path.name)
        elif not failures:
            clean(notebook)
            write_notebook(notebook, path)
    except OSError as error:
        failures.append(f"{path.name} could not be written: {error}")
    return "; ".join(failures)


def _run(arguments: argparse.Namespace) -> int:
    before = _figure_hashes()
    paths = _chosen(notebook_paths(ROOT), arguments.only)
    status = execute_all(paths, arguments.seconds, arguments.output)
    after = _figure_hashes()
    changed = [name for name in after if before.get(name) != after[name]]
    print(f"executed copies: {arguments.output}")
    print(f"figures: {len(after)} files, {len(changed)} changed")
    for name in changed:
        print(f"  changed: {name}")
    return status


def _render(arguments: argparse.Namespace) -> int:
    rewrite_all(ROOT)
    paths = [*notebook_paths(ROOT), *notebook_paths(ROOT, solutions=True)]
    status = execute_all(_chosen(paths, arguments.only), arguments.seconds)
    _readme(arguments)
    return status


def _readme(arguments: argparse.Namespace) -> int:
    print("README.md: " + ("changed" if readme.update_readme(ROOT) else "up to date"))
    return 0


def _badges(arguments: argparse.Namespace) -> int:
    title_cells.check_address(arguments.repo)
    changed, tag = rewrite_all(ROOT, arguments.repo), title_cells.tag()
    title_cells.set_address(ROOT, arguments.repo)
    print(f"address {arguments.repo}, version {tag}; changed notebooks: {len(changed)}")
    print(f"badges and set-up cells use the git tag {tag}: push it with the release")
    return 0


def _predictions(arguments: argparse.Namespace) -> int:
    print(f"{predictions.LIST.as_posix()}: {predictions.add_new(ROOT)} new")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    print(limits.table(notebook_paths(ROOT)))
    problems = [*check_series(ROOT), *predictions.check(ROOT), *readme.check_readme(ROOT)]
    print("\n".join(problems) or "no problems")
    return 1 if problems else 0


def _chosen(paths: list[Path], only: list[str]) -> list[Path]:
    """Those notebooks whose names start with one of the given beginnings; all without any."""
    for start in only:
        if not any(path.name.startswith(start) for path in paths):
            names = ", ".join(path.name for path in paths) or "none"
            raise SystemExit(f"no notebook starts with {start!r}; there are: {names}")
    return [path for path in paths if not only or path.name.startswith(tuple(only))]


def _figure_hashes() -> dict[str, str]:
    from squeeze_utils.results.figures import figures_folder

    files = sorted(figures_folder().glob("*.p[dn][fg]"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.series", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute every notebook live into another folder")
    run.add_argument("--output", type=Path, default=Path("build/notebooks"))
    render = commands.add_parser("render", help="execute notebooks in place, for committing")
    for command in (run, render):
        command.add_argument("only", nargs="*", help="beginnings of names, such as 03")
        command.add_argument("--seconds", type=float, default=SECONDS, help="limit per notebook")
    commands.add_parser("readme", help="write what README.md takes from notebooks and records")
    badges = commands.add_parser("badges", help="write the address into badges and set-up cells")
    badges.add_argument("--repo", default=REPOSITORY, help="owner/name on GitHub")
    commands.add_parser("predictions", help="put new predictions on the list of all of them")
    commands.add_parser("check", help="check the style of all notebooks")
    chosen = parser.parse_args(arguments)
    work = {"run": _run, "render": _render, "readme": _readme, "badges": _badges}
    work |= {"predictions": _predictions, "check": _check}
    try:
        return work[chosen.command](chosen)
    except KeyboardInterrupt:
        print("\ninterrupted; the notebooks that were finished are kept", file=sys.stderr)
        return INTERRUPTED
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
