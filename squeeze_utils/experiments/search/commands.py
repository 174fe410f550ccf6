"""The command line: `python -m squeeze_utils.experiments.search list`, or `run NAME`."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import torch

from squeeze_utils.base import machine
from squeeze_utils.base.commandline import exit_code, folder_of, list_or_run, scale_of
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.search import journal
from squeeze_utils.experiments.search.running import run_search
from squeeze_utils.experiments.search.space import Search
from squeeze_utils.studies.catalogue import modules


def catalogue(scale: Scale) -> dict[str, Search]:
    """Every search of the series at `scale`, by name, in the order in which they should run."""
    found: dict[str, Search] = {}
    for module in modules():
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
    threads = machine.threads_each(jobs)
    if jobs == 1 or len(searches) == 1:
        for search in searches:
            run_search(search, folder, jobs=jobs)
        return
    from joblib import Parallel, delayed

    Parallel(n_jobs=jobs)(delayed(_run_in)(search, folder, threads) for search in searches)


def _run_in(search: Search, folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    run_search(search, folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: `list`, or `run NAME`."""
    parser, _ = list_or_run(
        "python -m squeeze_utils.experiments.search",
        __doc__,
        "name every search and how much of its budget is used",
        "go on with a search, or with all of a group",
    )
    chosen = parser.parse_args(arguments)
    work = _list if chosen.command == "list" else lambda: _run(chosen)
    return exit_code(work, "finished trials are kept")


def _run(chosen: Namespace) -> None:
    scale = scale_of(chosen)
    run_all(select(chosen.name, scale), folder_of(scale), chosen.jobs)


def _list() -> None:
    scale = Scale("reference")
    for name, search in catalogue(scale).items():
        study = journal.read_search(search, folder_of(scale))
        known = study.get_trials(deepcopy=False) if study else []
        used = f"{journal.spent(search, known)}/{search.budget} epochs"
        print(f"{name:24} {used:16} {len(known)} trials")


if __name__ == "__main__":
    sys.exit(main())
