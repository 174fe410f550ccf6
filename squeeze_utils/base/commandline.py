"""What the command lines of studies and searches share: `list`, or `run NAME`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from squeeze_utils.base import paths
from squeeze_utils.base.scale import SCALES, Scale


def list_or_run(
    prog: str, about: str | None, lists: str, runs: str
) -> tuple[ArgumentParser, ArgumentParser]:
    """A parser of both commands, and that of `run`, for options that only one program has."""
    parser = ArgumentParser(prog=prog, description=about)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help=lists)
    runner = commands.add_parser("run", help=runs)
    runner.add_argument("name")
    runner.add_argument("--scale", choices=SCALES, help="default: SQUEEZE_SCALE, else quick")
    runner.add_argument("--jobs", type=int, default=1, help="parallel processes (default 1)")
    return parser, runner


def scale_of(chosen: Namespace) -> Scale:
    """The scale that was asked for, or else that of the environment."""
    return Scale(chosen.scale) if chosen.scale else Scale.from_environment()


def folder_of(scale: Scale) -> Path:
    """Where what was run at a scale is recorded."""
    return scale.pick(paths.cache() / "runs", paths.shipped("runs"))


def exit_code(work: Callable[[], None], kept: str) -> int:
    """Do `work`; say what was wrong, or after Ctrl-C what is `kept`."""
    try:
        work()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; {kept}, start again to go on", file=sys.stderr)
        return 130
    return 0
