"""`python -m squeeze_utils.deploy`: write the deployment files, measure what they cost."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from squeeze_utils.data import DataError
from squeeze_utils.deploy.optional_parts import PartMissing, missing
from tools import deploy_files, deploy_tables


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: `files [NAME ...]`, `accuracy`, `latency`, `starts`."""
    asked = _parser().parse_args(arguments)
    for part, how in missing().items():
        print(f"{part} is not there: {how}", file=sys.stderr)
    try:
        _do(asked)
    except (PartMissing, DataError, FileNotFoundError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _do(asked: argparse.Namespace) -> None:
    if asked.what == "files":
        for name in asked.names or deploy_files.NAMES:
            for file, size in deploy_files.write(name).items():
                print(f"{file}: {size:,} bytes")
    elif asked.what == "accuracy":
        print(deploy_tables.keep_accuracy().name)
    else:
        measure = {"latency": deploy_tables.keep_latency, "starts": deploy_tables.keep_starts}[
            asked.what
        ]
        print(measure(*([asked.repetitions] if asked.repetitions else [])).name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m squeeze_utils.deploy",
        description="Write the ONNX and LiteRT files of committed checkpoints, and measure them.",
    )
    commands = parser.add_subparsers(dest="what", required=True)
    writing = commands.add_parser("files", help="write the files (needs CIFAR-10)")
    writing.add_argument("names", nargs="*", metavar="NAME", help=", ".join(deploy_files.NAMES))
    commands.add_parser("accuracy", help="score every file on the test split of CIFAR-10")
    for name, text in (("latency", "time every way to run"), ("starts", "time fresh processes")):
        timing = commands.add_parser(name, help=f"{text}, on a quiet machine")
        timing.add_argument("--repetitions", type=int, metavar="N")
    return parser


if __name__ == "__main__":
    sys.exit(main())
