"""Running a study: its arms one after another or side by side, each to a record on disk.

Several runs of a study may share a folder, on one machine or on many: each claims an arm before it
begins, so that no arm is trained twice, and takes over the arms of a run that has died.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from pathlib import Path

from tqdm.auto import tqdm

from squeeze_utils.base import machine
from squeeze_utils.base.claims import PATIENCE
from squeeze_utils.base.parallel import run_elsewhere, run_tasks
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.records import Record, read_records
from squeeze_utils.experiments.run_arm import Failure, or_failure, run_arm
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.training.distributed.ranks import from_first, here

DEATHS = 3  # helpers that may die before a study gives up
RunArm = Callable[..., Record | Failure | None]


class StudyIncomplete(RuntimeError):
    """Some arms failed; the records of all others are there, and `records` holds them."""

    def __init__(self, study: Study, failures: list[Failure], records: dict[str, Record]) -> None:
        self.failures, self.records = failures, records
        lines = "\n".join(f"  {failure}" for failure in failures)
        super().__init__(
            f"{len(failures)} of the arms of {study.name} failed, all others have run:\n{lines}\n"
            "Start the study again to repeat the failed ones alone."
        )


def run_study(
    study: Study,
    *,
    folder: Path | None = None,
    cache: PrefixCache | None = None,
    jobs: int = 1,
    progress: bool = True,
    keep_going: bool = False,
    backend: str | None = None,
) -> dict[str, Record]:
    """Run the arms that have no record under `folder`; return all records by key.

    Without a folder nothing is kept: every arm runs, and the records are only returned.
    `jobs` processes, this one among them, share the processor's threads. With a `cache`, what
    arms begin with in common is done once, by the first of them; then the others run side by
    side. A record is written as soon as its arm ends; that of an experiment which another study
    under `folder` has recorded is taken from there.

    An error in one arm ends the study. With `keep_going` the other arms run all the same, and
    `StudyIncomplete` names the failed ones at the end.

    With a folder, each arm is claimed before it begins. An arm that another run has claimed is
    waited for; if that run dies, or is on another machine and silent for too long, the arm is run
    here. `backend` names one of joblib's, such as "dask": then the arms are sent to its
    workers, `jobs` of them at once (-1: as many as there are; dask always does so).

    Processes that `torchrun` has started run each arm together; the first one writes its record.
    """
    if not here().alone and (jobs != 1 or backend):
        raise ValueError("processes that train together run one arm after the other: use jobs=1")
    if backend is None:
        machine.threads_each(jobs)  # refuses a wrong number of processes, whatever is to be done
    done: dict[str, Record] = {}
    if folder is not None:
        done = from_first(lambda: read_records(folder / study.name, repair=True))
    wanted: dict[str, Arm] = {}
    for arm in study.arms:
        wanted.setdefault(arm.experiment.key, arm)  # arms of the same experiment share its run
    todo = [arm for key, arm in wanted.items() if key not in done]
    records = {key: record for key, record in done.items() if key in wanted}
    target = None if folder is None else folder / study.name
    commit = machine.commit()
    run: RunArm = partial(run_arm, target=target, cache=cache, commit=commit)
    run = partial(or_failure, run) if keep_going else run
    failures = []
    with tqdm(total=len(todo), desc=study.name, disable=not (progress and here().first)) as bar:
        for found in _run_arms(todo, run, cache, jobs, backend):
            if isinstance(found, Failure):
                failures.append(found)
            else:
                records[found.key] = found
            bar.update()
    if failures:
        raise StudyIncomplete(study, failures, records)
    return records


def _run_arms(
    todo: Sequence[Arm], run: RunArm, cache: PrefixCache | None, jobs: int, backend: str | None
) -> Iterator[Record | Failure]:
    """What every arm comes to. Those that another run has claimed are tried again and again."""
    left = {arm.experiment.key: arm for arm in todo}
    broken: dict[str, str] = {}  # the error, by the state that could not be made
    deaths = 0
    while left:
        before = len(left)
        try:
            for found in _one_round(list(left.values()), run, cache, jobs, backend, broken):
                if found is None:
                    continue
                if isinstance(found, Failure) and cache:
                    broken[cache.lacks(found.arm.experiment)] = found.error
                del left[found.key]
                yield found
        except BrokenProcessPool as error:
            deaths += 1
            if deaths > DEATHS:
                raise
            message = f"a helper process has died; its experiment is run again ({error})"
            warnings.warn(message, stacklevel=3)
        if left and len(left) == before:
            time.sleep(PATIENCE)


def _one_round(
    arms: list[Arm],
    run: RunArm,
    cache: PrefixCache | None,
    jobs: int,
    backend: str | None,
    broken: Mapping[str, str],
) -> Iterator[Record | Failure | None]:
    """What failed in one arm is not tried again for those that begin with the same."""
    if backend is None and (jobs == 1 or len(arms) < 2):
        load = lru_cache(maxsize=1)(DataSpec.load)  # arms in a row have the same images
        yield from (_doomed(arm, cache, broken) or run(arm, load) for arm in arms)
        return
    doomed = [_doomed(arm, cache, broken) for arm in arms]
    yield from filter(None, doomed)
    fine = [arm for arm, failure in zip(arms, doomed, strict=True) if failure is None]
    tasks = [(arm, DataSpec.load) for arm in at_once(fine, cache)]
    if backend is None:
        yield from run_tasks(run, tasks, jobs)
    else:
        yield from run_elsewhere(run, tasks, jobs, backend)


def _doomed(arm: Arm, cache: PrefixCache | None, broken: Mapping[str, str]) -> Failure | None:
    error = broken.get(cache.lacks(arm.experiment)) if cache and broken else None
    return Failure(arm, error) if error else None


def at_once(arms: Sequence[Arm], cache: PrefixCache | None) -> list[Arm]:
    """The arms that may run side by side: of those that lack the same state only the first."""
    if cache is None:
        return list(arms)
    first: dict[str, Arm] = {}
    for arm in arms:
        first.setdefault(cache.lacks(arm.experiment), arm)
    return list(first.values())
