"""Time the shortest exchange of two processes on this machine, for notebook 20's latency.

    python -m tools.message_time

It takes about half a minute. Other programs only make an exchange longer, so of all rounds the
smallest median counts; a quiet machine is better all the same.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.measurements import keep_measurement
from squeeze_utils.results.scaling import MESSAGE
from squeeze_utils.training.distributed.short_messages import time_messages

WORKERS, LAUNCHES, ROUNDS, REPEATS = 2, 3, 10, 1000
HOW = (
    "all_reduce of one number over gloo and the loopback interface; a row is the median of one "
    "round; the smallest of all rounds counts, since other programs only make an exchange longer"
)


def measure(launches: int = LAUNCHES, rounds: int = ROUNDS, repeats: int = REPEATS) -> Path:
    """Time the rounds of each launch and keep them as a table; its file."""
    rows = [
        {"launch": launch, "round": number, "median_seconds": seconds}
        for launch in range(launches)
        for number, seconds in enumerate(time_messages(rounds, repeats, workers=WORKERS))
    ]
    load = round(os.getloadavg()[0], 1)
    about = {"workers": WORKERS, "repeats": repeats, "load": load, "cores": os.cpu_count()}
    return keep_measurement(MESSAGE, rows, how=HOW, **about)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and keep the table."""
    parser = ArgumentParser(prog="python -m tools.message_time", description=__doc__)
    parser.parse_args(arguments)
    return exit_code(lambda: print(measure().name), "the old table is kept")


if __name__ == "__main__":
    sys.exit(main())
