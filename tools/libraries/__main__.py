"""`make libraries`: measure, and keep the tables below data/measurements/libraries/.

Quantization, pruning and coding share their columns: accuracy on CIFAR-10's test images, how many
answers stay the same, bytes on disk, milliseconds a picture. It wants a quiet machine and the
packages of requirements-libraries.txt.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from squeeze_utils.base import measurements
from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.paths import STARTING_NETWORK
from squeeze_utils.data.sets import load_images
from tools.libraries import trials
from tools.libraries.bench import BATCH, REPETITIONS, Bench
from tools.libraries.kept_up import kept_up
from tools.libraries.released import released
from tools.libraries.scores import scores
from tools.libraries.updates import updates

TOPICS = {
    "quantization": trials.quantization,
    "pruning": trials.pruning,
    "coding": trials.coding,
    "released": lambda bench: released(bench.pictures),
    "kept_up": kept_up,
    "scores": scores,
    "updates": updates,
}
OUR_NETWORK = ("quantization", "pruning", "coding")  # judged and timed in one way


def keep(topic: str, bench: Bench) -> Path:
    """Measure a topic and keep its table."""
    rows = TOPICS[topic](bench)
    about: dict[str, Any] = {"threads": torch.get_num_threads()}
    if topic in OUR_NETWORK:
        rows = bench.timed(rows)
        about |= {"network": STARTING_NETWORK, "batch": BATCH, "repetitions": REPETITIONS}
    return measurements.keep_measurement(f"libraries/{topic}", list(rows), **about)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: which topics."""
    parser = argparse.ArgumentParser(prog="python -m tools.libraries", description=__doc__)
    parser.add_argument("topics", nargs="*", help=f"of {', '.join(TOPICS)}; all unless given")
    parser.add_argument("--pictures", type=Path, help="ImageNet pictures by class, for released")
    asked = parser.parse_args(arguments)
    if "released" in asked.topics and asked.pictures is None:
        parser.error("released needs --pictures FOLDER, ImageNet pictures by class")
    chosen = asked.topics or [name for name in TOPICS if name != "released" or asked.pictures]
    if unknown := set(asked.topics) - set(TOPICS):
        parser.error(f"unknown topic {', '.join(unknown)}; accepted: {', '.join(TOPICS)}")

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(load_images("cifar10", 32), Path(folder), asked.pictures)
            for topic in chosen:
                print(keep(topic, bench))

    return exit_code(work, "the tables named so far are kept")


if __name__ == "__main__":
    sys.exit(main())
