"""Committed records drawn at random: those that this machine can run again in a few minutes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from squeeze_utils.base import paths
from squeeze_utils.base.checks import real_number
from squeeze_utils.data import by_hand
from squeeze_utils.data.sets import find_root, is_here
from squeeze_utils.data.sources import NAMED_SETS
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.records import Record, each_record
from squeeze_utils.studies import durations

LONG = "too long"  # why a record is left out, beside the name of an image set


@dataclass(frozen=True)
class Candidate:
    """A record of a training that could be run again, and what that takes here, in minutes."""

    path: Path
    record: Record
    minutes: float

    @property
    def images(self) -> str:
        """The name of its image set."""
        return self.record.experiment["data"].get("name", DataSpec.name)


@dataclass(frozen=True)
class Draw:
    """The records that were drawn, and how many were left out, by reason."""

    drawn: list[Candidate]
    longest: float  # minutes that a record may take here
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def lines(self) -> list[str]:
        """What was drawn, how long that takes on this machine, and what was left out."""
        minutes = sum(one.minutes for one in self.drawn)
        return [
            f"{len(self.drawn)} records, about {minutes:.0f} minutes on this machine (an estimate)",
            *_reasons(self.left_out, self.longest),
        ]


def draw_records(
    count: int,
    minutes: float,
    seed: int,
    runs: Path | None = None,
    *,
    download: bool = False,
) -> Draw:
    """`count` committed records of trainings of at most `minutes` on this machine, at random.

    Their image sets are here; with `download`, those that are not and can be downloaded are
    fetched when one is drawn. The order of the draw does not depend on the machine: two machines
    with one `seed` differ only by the records that one of them leaves out.

    ValueError where there are fewer.
    """
    real_number("minutes", minutes, above=0)
    candidates = list(_candidates(runs or paths.shipped("runs")))
    random.Random(seed).shuffle(candidates)
    found, left_out = [], Counter()
    here: dict[str, bool] = {}
    for one in candidates:
        if one.images not in here:
            here[one.images] = is_here(one.images) or (download and _megabytes(one.images) > 0)
        if not here[one.images]:
            left_out[one.images] += 1
        elif one.minutes > minutes:
            left_out[LONG] += 1
        else:
            found.append(one)
    if not 0 < count <= len(found):
        why = "; ".join(_reasons(left_out, minutes))
        raise ValueError(
            f"{count} records asked for; {len(found)} can be run here in at most {minutes:g} "
            f"minutes each: give a number from 1 to that{f'. {why}' if why else ''}"
        )
    drawn = found[:count]
    for name in dict.fromkeys(one.images for one in drawn):
        if not is_here(name):
            NAMED_SETS[name].download(find_root())
    return Draw(drawn, minutes, left_out)


def _candidates(runs: Path) -> Iterator[Candidate]:
    """Every record of a training below `runs` that has a test accuracy, in the order of paths."""
    for path, record in each_record(runs.glob("*/*.json")):
        if "test_accuracy" in record.final and record.epochs:
            yield Candidate(path, record, durations.seconds_again(record) / 60)


def _megabytes(name: str) -> int:
    """What a set weighs to download; 0 where it cannot be downloaded."""
    return NAMED_SETS[name].megabytes if name in NAMED_SETS else 0


def _reasons(left_out: Counter[str], minutes: float) -> Iterator[str]:
    """For each reason how many records were left out, the most first."""
    for name, count in left_out.most_common():
        if name == LONG:
            yield f"{count} left out: likely to take more than {minutes:g} minutes here"
        elif _megabytes(name):
            yield f"{count} left out: {name} is not here; --download gets {_megabytes(name)} MB"
        elif name in by_hand.SOURCES:
            page, _ = by_hand.SOURCES[name]
            yield f"{count} left out: {name} is not here; it comes from {page}, see data/README.md"
        else:
            yield f"{count} left out: there is no folder {name} in {find_root()}"
