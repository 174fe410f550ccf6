"""The command line: `python -m squeeze_utils.study list`, or `run NAME`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import places
from ..recipe import PrefixCache
from ..scale import SCALES, Scale
from . import __doc__ as about
from . import known
from .arms import Study
from .running import run


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: `list`, or `run NAME`."""
    parser = argparse.ArgumentParser(prog="python -m squeeze_utils.study", description=about)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name every study and how many records it lacks")
    runner = commands.add_parser("run", help="run what has no record yet")
    runner.add_argument("name")
    runner.add_argument("--scale", choices=SCALES, help="default: SQUEEZE_SCALE, else quick")
    runner.add_argument("--jobs", type=int, default=1, help="parallel processes (default 1)")
    runner.add_argument("--only", default="", metavar="TEXT", help="arms with TEXT in their name")
    chosen = parser.parse_args(arguments)
    if chosen.command == "list":
        for name, make in sorted(known.catalogue().items()):
            study = make(Scale("reference"))
            done = f"{len(study.arms) - len(study.missing())}/{len(study.arms)} records"
            print(f"{name:24} {done:16} {study.title}")
        return 0
    try:
        scale = Scale(chosen.scale) if chosen.scale else Scale.from_environment()
        pilot = known.find(chosen.name, scale).pilot
        for name in filter(None, (pilot, chosen.name)):
            study = known.find(name, scale).only(chosen.only)
            _run_from_command_line(study, scale, chosen.jobs)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what has a record is kept, start again to go on", file=sys.stderr)
        return 130
    return 0


def _run_from_command_line(study: Study, scale: Scale, jobs: int) -> None:
    base = scale.pick(places.cache() / "runs", places.shipped("runs"))
    run(study, folder=base, cache=PrefixCache(places.cache() / "states"), jobs=jobs)


if __name__ == "__main__":
    sys.exit(main())
