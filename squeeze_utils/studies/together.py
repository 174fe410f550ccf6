"""Studies whose networks are trained by several processes together: started here, by torchrun."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from squeeze_utils.base.claims import CLAIMS, Claims
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.run_arm import Failure
from squeeze_utils.experiments.run_study import StudyIncomplete, run_study
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies import catalogue
from squeeze_utils.training.distributed.launch import launch, take_part
from squeeze_utils.training.distributed.ranks import LostProcessError

LIVE_SECONDS = 1800.0  # after which the processes of a live study are ended; they take about ten


def refuse_backend(study: Study, backend: str | None) -> None:
    """Raise where networks that several processes train would be sent to a backend's workers."""
    if study.processes > 1 and backend is not None:
        raise ValueError(
            f"each network of {study.name} is trained by {study.processes} processes together, "
            f"which torchrun starts on this machine: leave the backend {backend!r} out"
        )


def run_together(
    study: Study,
    scale: Scale,
    *,
    cache: PrefixCache,
    folder: Path | None = None,
) -> dict[str, Record]:
    """Run each arm of a study with `study.processes` processes; the records by key.

    Without a `folder` the processes are started once for all arms, and nothing is kept. With one,
    they are started for each experiment that has no record there, and progress is shown. An
    experiment that fails does not keep the others from running: `StudyIncomplete` names it at the
    end.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as place:
            _start(study, scale, study.arms, Path(place), cache, seconds=LIVE_SECONDS)
            return study.records(Path(place))
    claims, failures, tried = Claims(folder / CLAIMS), [], set()
    while left := [arm for arm in study.missing(folder) if arm.experiment.key not in tried]:
        arm = _first_free(left, claims)
        tried.add(arm.experiment.key)
        try:
            _start(study, scale, [arm], folder, cache, show=True)
        except LostProcessError as error:
            failures.append(Failure(arm, str(error)))
    if failures:
        raise StudyIncomplete(study, failures, study.records(folder))
    return study.records(folder)


def _first_free(arms: Sequence[Arm], claims: Claims) -> Arm:
    """The first arm that no other run has claimed; where all are claimed, the first is awaited."""
    for arm in arms:
        claim = claims.take(arm.experiment.key)
        if claim is not None:
            claim.give_back()  # the processes that are started claim it themselves
            return arm
    return arms[0]


def _start(
    study: Study,
    scale: Scale,
    arms: Sequence[Arm],
    folder: Path,
    cache: PrefixCache,
    show: bool = False,
    seconds: float | None = None,
) -> None:
    """Start the processes, and wait until all of `arms` have their records, or so long."""
    launch(
        "squeeze_utils.studies.together",
        study.processes,
        seconds=seconds,
        show=show,
        name=study.name,
        scale=scale.name,
        keys=sorted({arm.experiment.key for arm in arms}),
        folder=str(folder),
        states=str(cache.folder),
    )


def job(name: str, scale: str, keys: list[str], folder: str, states: str) -> int:
    """What each process does: run the arms with these keys, all processes each of them."""
    study = catalogue.find(name, Scale(scale))
    part = replace(study, arms=[arm for arm in study.arms if arm.experiment.key in keys])
    return len(run_study(part, folder=Path(folder), cache=PrefixCache(Path(states))))


if __name__ == "__main__":
    take_part(job)
