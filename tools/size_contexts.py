"""`python -m tools.size_contexts FILE.sqz`: do the sizes of neighbours help to code sizes?

The file is the released SqueezeNet, rounded by `python -m squeeze_utils released`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.measurements import keep_measurement
from squeeze_utils.compress.sqz.container import decode_sqz
from squeeze_utils.results import size_gains


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: one file."""
    parser = argparse.ArgumentParser(prog="python -m tools.size_contexts", description=__doc__)
    parser.add_argument("file", type=Path, help="a .sqz")
    asked = parser.parse_args(arguments)

    def measure() -> None:
        data = asked.file.read_bytes()
        rows = size_gains.size_bytes(decode_sqz(data)).to_dict("records")
        keep_measurement(size_gains.KEPT, rows, bytes=len(data))
        print(size_gains.of_the_released())

    return exit_code(measure, "nothing was written")


if __name__ == "__main__":
    sys.exit(main())
