"""The command line: `python -m squeeze_utils.search list`, or `run NAME`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from .. import places, runtime
from ..scale import SCALES, Scale
from . import journal
from .running import run
from .space import Search


def catalogue(scale: Scale) -> dict[str, Search]:
    """Every search of the series at `scale`, by name, in the order in which they should run."""
    package = importlib.import_module("squeeze_utils.studies")
    found: dict[str, Search] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"squeeze_utils.studies.{info.name}")
        for search in getattr(module, "searches", lambda scale: ())(scale):
            found[search.name] = search
    return found


def select(name: str, scale: Scale) -> list[Search]:
    """The search called `name`, or all of the group of that name."""
    known = catalogue(scale)
    if name in known:
        return [known[name]]
    group = [search for search in known.values() if search.group == name]
    if not group:
        accepted = [*dict.fromkeys(search.group for search in known.values()), *known]
        raise ValueError(f"unknown search {name!r}; accepted: {', '.join(accepted)}")
    return group


def run_all(searches: Sequence[Search], folder: Path, jobs: int) -> None:
    """Several searches side by side, each in one process: so each can be repeated exactly.

    A single search is shared by the processes.
    """
    if jobs == 1 or len(searches) == 1:
        for search in searches:
            run(search, folder, jobs=jobs)
        return
    from joblib import Parallel, delayed

    threads = runtime.threads_each(jobs)
    Parallel(n_jobs=jobs)(delayed(_run_in)(search, folder, threads) for search in searches)


def _run_in(search: Search, folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    run(search, folder)


def _folder(scale: Scale) -> Path:
    return scale.pick(places.cache() / "runs", places.shipped("runs"))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: `list`, or `run NAME`."""
    parser = argparse.ArgumentParser(prog="python -m squeeze_utils.search", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name every search and how much of its budget is used")
    runner = commands.add_parser("run", help="go on with a search, or with all of a group")
    runner.add_argument("name")
    runner.add_argument("--scale", choices=SCALES, help="default: SQUEEZE_SCALE, else quick")
    runner.add_argument("--jobs", type=int, default=1, help="parallel processes (default 1)")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "list":
            _list()
            return 0
        if chosen.jobs < 1:
            raise ValueError(f"jobs must be at least 1, got {chosen.jobs}")
        scale = Scale(chosen.scale) if chosen.scale else Scale.from_environment()
        run_all(select(chosen.name, scale), _folder(scale), chosen.jobs)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; finished trials are kept, start again to go on", file=sys.stderr)
        return 130
    return 0


def _list() -> None:
    scale = Scale("reference")
    for name, search in catalogue(scale).items():
        study = journal.read(search, _folder(scale))
        known = study.get_trials(deepcopy=False) if study else []
        used = f"{journal.spent(search, known)}/{search.budget} epochs"
        print(f"{name:24} {used:16} {len(known)} trials")


if __name__ == "__main__":
    sys.exit(main())
