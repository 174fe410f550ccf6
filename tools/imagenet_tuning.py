"""`python -m tools.imagenet_tuning FOLDER PHOTOGRAPHS`: what tuning changes, for notebook 14.

The released SqueezeNet is rounded on half of the pictures, as `tools.imagenet_tables` does, and
tuned, as `python -m squeeze_utils released ... --photographs` does. A third file is rounded without
the fifth of the pictures that tuning holds back. All are judged on the other half; then the halves
change places.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from squeeze_utils.base import measurements
from squeeze_utils.base.commandline import exit_code, positive
from squeeze_utils.compress.pricing import Squeezed, tuning
from squeeze_utils.compress.pricing.kept_rounding import kept_squeeze
from squeeze_utils.deploy.tuned_file import parted
from squeeze_utils.imagenet import judging, pictures, tuning_gain
from tools.imagenet_tables import original

TARGETS = (240_000, 300_000)
PLACE = ("seed", "half", "target", "stage")
CODER = "contexts"
Place = tuple[int, int, int, str]


def record(
    folder: Path,
    photographs: Path,
    seeds: Sequence[int] = (0,),
    targets: Sequence[int] = TARGETS,
    halves: Sequence[int] = (0, 1),
    stages: Sequence[str] = tuning_gain.STAGES,
) -> Iterator[Path]:
    """Make the table from pictures with labels and photographs without; its path after each row.

    Rows of other seeds, targets, halves and stages stay as they are.
    """
    measurements.read_measurement(tuning_gain.NAME)  # a damaged one is named before any work
    paths, others = pictures.find_pictures(folder), pictures.find_pictures(photographs)
    labels, model = pictures.labels(paths), original(tuning_gain.NETWORK)
    scores = judging.outputs(model, paths, progress=True)
    about = {
        "original": asdict(judging.judge(scores, scores, labels)),
        "halves": "every second class calibrates, the others judge; then the reverse",
        "photographs": f"{len(others):,} pictures of {photographs.name}, unlabelled",
        "tuning": {"steps": tuning.STEPS, "rate": tuning.RATE, "bias_rate": tuning.BIAS_RATE},
    }
    for where in product(seeds, halves, targets, stages):
        _, half, _, stage = where
        found, facts = _made(stage, model, paths[half::2], others, where)
        judged = slice(1 - half, None, 2)
        after = judging.outputs(found.model, paths[judged])
        row = dict(zip(PLACE, where, strict=True)) | {"bytes": len(found.data), **facts}
        row |= asdict(judging.judge(after, scores[judged], labels[judged]))
        nats = judging.divergences(after, scores[judged])
        row["divergences"] = [round(float(picture), 6) for picture in nats]
        yield measurements.keep_row(tuning_gain.NAME, row, PLACE, **about)


def _made(
    stage: str, model: nn.Module, samples: Sequence[Path], others: Sequence[Path], where: Place
) -> tuple[Squeezed, dict[str, Any]]:
    """The file of a stage, and what is known about its making."""
    seed, _, target, _ = where
    shown, held = parted(samples)
    seen = shown if stage == tuning_gain.WITHOUT else samples
    images = pictures.calibration(seen, model)
    rounded = kept_squeeze(model, images, target, seed, True, CODER)
    facts: dict[str, Any] = {"calibrated": len(seen)}
    if stage != "tuned":
        return rounded, facts
    unseen, start = torch.cat(list(pictures.batches(held, model))), time.perf_counter()
    batches = pictures.mixed_crops(shown, others, model, seed)
    found = tuning.tune(rounded, model, batches, unseen, target, coder=CODER, progress=True)
    facts |= {"step": found.step, "held_before": found.before, "held_after": found.after}
    return found.squeezed, facts | {"seconds": time.perf_counter() - start}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: two folders of pictures, and optionally seeds, sizes and halves."""
    parser = argparse.ArgumentParser(prog="python -m tools.imagenet_tuning", description=__doc__)
    parser.add_argument("folder", type=Path, help="folders of ImageNet pictures, named by class")
    parser.add_argument("photographs", type=Path, help="a folder of other pictures")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="rows of others stay")
    parser.add_argument("--targets", nargs="+", type=positive, default=list(TARGETS))
    parser.add_argument("--halves", nargs="+", type=int, choices=(0, 1), default=[0, 1])
    parser.add_argument("--stages", nargs="+", choices=tuning_gain.STAGES)
    asked = parser.parse_args(arguments)

    def work() -> None:
        folders, stages = (asked.folder, asked.photographs), asked.stages or tuning_gain.STAGES
        for path in record(*folders, asked.seeds, asked.targets, asked.halves, stages):
            print(path)

    return exit_code(work, "the rows so far are kept")


if __name__ == "__main__":
    sys.exit(main())
