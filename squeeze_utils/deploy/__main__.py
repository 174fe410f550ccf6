"""`python -m squeeze_utils.deploy`: write the deployment files of the committed checkpoints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..data import DataError
from . import files
from .parts import PartMissing, missing


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: names of checkpoints, all of them by default."""
    parser = argparse.ArgumentParser(
        prog="python -m squeeze_utils.deploy",
        description="Write the ONNX and LiteRT files of committed checkpoints.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(files.NAMES))
    names = parser.parse_args(arguments).names or list(files.NAMES)
    for part, how in missing().items():
        print(f"{part} is not there: {how}", file=sys.stderr)
    try:
        for name in names:
            for file, size in files.write(name).items():
                print(f"{file}: {size:,} bytes")
    except (PartMissing, DataError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
