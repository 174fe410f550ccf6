"""How many hours one worker needs for each chain of experiments of the reference studies.

Experiments that begin with the same training form a chain, which one worker does from end to end.
A training takes as long as its record says. Where none was made on one thread of a processor, it
takes as long as its study's records on one thread suggest, or else those of the long studies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from statistics import median
from typing import NamedTuple

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study
from squeeze_utils.studies import catalogue, durations


class Training(NamedTuple):
    """One training step of a study: its key, the key of its chain, how much there is to do."""

    study: str
    key: str
    first: str
    images: float  # of the half-width SqueezeNet
    seconds: float | None  # recorded on one thread
    speed: float | None  # images of the half-width SqueezeNet in a second, likewise


class Work(NamedTuple):
    """The work of all reference studies for workers of one thread each.

    `hours` are those of each chain, the longest first; `recorded` is how many of them in all were
    measured. `speed` are images of the half-width SqueezeNet that a worker trains on in a second.
    """

    hours: list[float]
    recorded: float
    speed: float


def reference_work() -> Work:
    """The hours of every chain; trainings that two studies share are counted once."""
    scale = Scale("reference")
    studies = {name: make(scale) for name, make in catalogue.catalogue().items()}
    parts = {name: list(_trainings(study)) for name, study in studies.items()}
    pilots = {name: study.pilots for name, study in studies.items()}
    return work_of(parts, pilots)


def work_of(parts: Mapping[str, Sequence[Training]], pilots: Mapping[str, Sequence[str]]) -> Work:
    """The same from the trainings of each study, and the names of each study's pilots."""
    speeds = {name: [t.speed for t in part if t.speed] for name, part in parts.items()}
    long = [speed for name in speeds if name.endswith("_long") for speed in speeds[name]]
    usual = median(long) if long else durations.IMAGES_PER_SECOND["bfloat16"]
    every = list(chain.from_iterable(parts.values()))
    known = {one.key: one.seconds / 3600 for one in every if one.seconds is not None}
    hours: dict[str, dict[str, float]] = {}
    for one in every:
        own = [*speeds[one.study], *chain.from_iterable(speeds[p] for p in pilots[one.study])]
        speed = median(own) if own else usual
        likely = one.images / speed / 3600
        hours.setdefault(one.first, {}).setdefault(one.key, known.get(one.key, likely))
    chains = sorted((sum(part.values()) for part in hours.values()), reverse=True)
    return Work(chains, sum(known.values()), usual)


def _trainings(study: Study) -> Iterator[Training]:
    records = study.records()
    for arm in study.planned:
        experiment = arm.experiment
        found = _by_one_worker(records.get(experiment.key))
        first = experiment.prefix(1).key
        for position in range(len(experiment.recipe)):
            if images := durations.units(experiment, position):
                key, one = experiment.prefix(position + 1).key, found.get(position)
                known = (one.seconds, one.speed) if one else (None, None)
                yield Training(study.name, key, first, images, *known)


def _by_one_worker(record: Record | None) -> dict[int, durations.Trained]:
    """The trainings of a record that one thread of a processor did, by their places."""
    every = durations.trained(record) if record else ()
    return {one.position: one for one in every if one.device.endswith(durations.ONE_THREAD)}
