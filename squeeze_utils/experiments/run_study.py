"""Running a study: its arms one after another or side by side, each to a record on disk.

Several runs of a study may share a folder, on one machine or on many: each claims an arm before it
begins, so that no arm is trained twice, and takes over the arms of a run that has died.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from tqdm.auto import tqdm

from squeeze_utils.base import machine
from squeeze_utils.base.claims import BEAT, LIMIT, Claims
from squeeze_utils.base.parallel import run_elsewhere, run_tasks
from squeeze_utils.data import ImageSet
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.records import (
    Record,
    read_record,
    read_records,
    record_path,
    recorded_elsewhere,
    write_first,
)
from squeeze_utils.experiments.run_experiment import finish, run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.training.distributed.ranks import from_first, here

CLAIMS = ".claims"  # a folder beside the studies' records, and one beside the kept states
PATIENCE = 1.0  # seconds between two looks at arms that another run has claimed
DEATHS = 3  # helpers that may die before a study gives up


def run_study(
    study: Study,
    *,
    folder: Path | None = None,
    cache: PrefixCache | None = None,
    jobs: int = 1,
    progress: bool = True,
    backend: str | None = None,
    limit: float = LIMIT,
) -> dict[str, Record]:
    """Run the arms that have no record under `folder`; return all records by key.

    Without a folder nothing is kept: every arm runs, and the records are only returned.
    `jobs` processes, this one among them, share the processor's threads. With a `cache`, what
    arms begin with in common is done once, by the first of them; then the others run side by
    side. A record is written as soon as its arm ends; that of an experiment which another study
    under `folder` has recorded is taken from there.

    With a folder, each arm is claimed before it begins. An arm that another run has claimed is
    waited for; if that run dies, or is on another machine and silent for `limit` seconds, the arm
    is run here. `backend` names one of joblib's, such as "dask": then the arms are sent to its
    workers, `jobs` of them at once (-1: as many as there are).

    Processes that `torchrun` has started run each arm together; the first one writes its record.
    """
    if not here().alone and (jobs != 1 or backend):
        raise ValueError("processes that train together run one arm after the other: use jobs=1")
    if backend is None:
        machine.threads_each(jobs)  # refuses a wrong number of processes, whatever is to be done
    done = (
        {} if folder is None else from_first(lambda: read_records(folder / study.name, repair=True))
    )
    wanted: dict[str, Arm] = {}
    for arm in study.arms:
        wanted.setdefault(arm.experiment.key, arm)  # arms of the same experiment share its run
    todo = [arm for key, arm in wanted.items() if key not in done]
    records = {key: record for key, record in done.items() if key in wanted}
    target = None if folder is None else folder / study.name
    commit = machine.commit()
    run = partial(_run_arm, target=target, cache=cache, commit=commit, limit=limit)
    with tqdm(total=len(todo), desc=study.name, disable=not (progress and here().first)) as bar:
        for record in _run_arms(todo, run, cache, jobs, backend):
            records[record.key] = record
            bar.update()
    return records


def _run_arms(
    todo: Sequence[Arm],
    run: Callable[..., Record | None],
    cache: PrefixCache | None,
    jobs: int,
    backend: str | None,
) -> Iterator[Record]:
    """The record of every arm. Those that another run has claimed are tried again and again."""
    left = {arm.experiment.key: arm for arm in todo}
    deaths = 0
    while left:
        before = len(left)
        try:
            for record in _one_round(list(left.values()), run, cache, jobs, backend):
                if record is not None:
                    del left[record.key]
                    yield record
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
    run: Callable[..., Record | None],
    cache: PrefixCache | None,
    jobs: int,
    backend: str | None,
) -> Iterator[Record | None]:
    if backend is None and (jobs == 1 or len(arms) < 2):
        load = lru_cache(maxsize=1)(DataSpec.load)  # arms in a row have the same images
        yield from (run(arm, load) for arm in arms)
        return
    tasks = [(arm, DataSpec.load) for arm in at_once(arms, cache)]
    if backend is None:
        yield from run_tasks(run, tasks, jobs)
    else:
        yield from run_elsewhere(run, tasks, jobs, backend)


def at_once(arms: Sequence[Arm], cache: PrefixCache | None) -> list[Arm]:
    """The arms that may run side by side: of those that lack the same state only the first."""
    if cache is None:
        return list(arms)
    first: dict[str, Arm] = {}
    for arm in arms:
        first.setdefault(cache.lacks(arm.experiment), arm)
    return list(first.values())


def _run_arm(
    arm: Arm,
    load: Callable[[DataSpec], ImageSet],
    target: Path | None,
    cache: PrefixCache | None,
    commit: str,
    limit: float,
) -> Record | None:
    """The record of an arm: what is known already, or else what is measured now.

    None where another run has claimed the arm, or what comes first in it.
    """
    if target is None:
        return _measure(arm, load, cache, commit)
    path, key = record_path(target, arm.slug, arm.experiment.key), arm.experiment.key
    with ExitStack() as held:
        ours = from_first(lambda: _claimed(arm, target.parent, cache, limit, held))
        found = from_first(lambda: read_record(path, key))
        if not ours or found is not None:  # another process was faster
            return found
        known = from_first(lambda: recorded_elsewhere(target.parent, key))
        if known is not None and arm.checkpoint is None:  # a checkpoint needs the network itself
            record = replace(known, labels=dict(arm.labels))
        else:
            record = _measure(arm, load, cache, commit)
        return from_first(lambda: write_first(record, path))


def _claimed(
    arm: Arm, runs: Path, cache: PrefixCache | None, limit: float, held: ExitStack
) -> bool:
    """Whether the arm is ours until `held` ends, with the state that it makes first."""
    wanted = [(runs / CLAIMS, arm.experiment.key)]
    if cache:
        wanted.append((cache.folder / CLAIMS, cache.lacks(arm.experiment)))
    for folder, name in wanted:
        claims = _claims(folder, limit)
        claim = claims.take(name)
        if claim is None:
            held.close()
            return False
        held.enter_context(claim)
    return True


@lru_cache(maxsize=8)
def _claims(folder: Path, limit: float) -> Claims:
    """One object for each folder: it remembers since when a claim has not changed."""
    return Claims(folder, beat=min(BEAT, limit / 4), limit=limit)


def _measure(
    arm: Arm, load: Callable[[DataSpec], ImageSet], cache: PrefixCache | None, commit: str
) -> Record:
    device = arm.experiment.data.device()
    data = load(arm.experiment.data)
    state, steps = run_experiment(arm.experiment, data=data, cache=cache, device=device)
    return Record.of(
        arm.experiment,
        finish(state, steps),
        labels=dict(arm.labels),
        device=device,
        data_fingerprint=data.fingerprint,
        commit=commit,
    )
