"""The command line: `python -m squeeze_utils.experiments list`, or `run NAME`."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence

from squeeze_utils.base import paths
from squeeze_utils.base.commandline import exit_code, folder_of, list_or_run, scale_of
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments import __doc__ as about
from squeeze_utils.experiments.recipe import PrefixCache
from squeeze_utils.experiments.running import run_study
from squeeze_utils.studies import catalogue


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: `list`, or `run NAME`."""
    parser, runner = list_or_run(
        "python -m squeeze_utils.experiments",
        about,
        "name every study and how many records it lacks",
        "run what has no record yet",
    )
    runner.add_argument("--only", default="", metavar="TEXT", help="arms with TEXT in their name")
    chosen = parser.parse_args(arguments)
    if chosen.command == "list":
        _list()
        return 0
    return exit_code(lambda: _run(chosen), "what has a record is kept")


def _list() -> None:
    for name, make in sorted(catalogue.catalogue().items()):
        study = make(Scale("reference"))
        done = f"{len(study.arms) - len(study.missing())}/{len(study.arms)} records"
        print(f"{name:24} {done:16} {study.title}")


def _run(chosen: Namespace) -> None:
    scale = scale_of(chosen)
    cache = PrefixCache(paths.cache() / "states")
    pilot = catalogue.find(chosen.name, scale).pilot
    for name in filter(None, (pilot, chosen.name)):
        study = catalogue.find(name, scale).only(chosen.only)
        run_study(study, folder=folder_of(scale), cache=cache, jobs=chosen.jobs)


if __name__ == "__main__":
    sys.exit(main())
