"""What the command line does with studies and searches: list them, or run what is missing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from squeeze_utils.base import machine, paths
from squeeze_utils.base.parallel import run_tasks, workers_of
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.checkpoints import export_checkpoints
from squeeze_utils.experiments.run_study import StudyIncomplete, run_study
from squeeze_utils.experiments.search import journal
from squeeze_utils.experiments.search.grid import read_rows, run_grid
from squeeze_utils.experiments.search.running import run_search
from squeeze_utils.experiments.search.space import Search
from squeeze_utils.experiments.state_cache import usual_cache
from squeeze_utils.experiments.study import Study
from squeeze_utils.studies import catalogue, hyperparameters
from squeeze_utils.studies.plan import Line, make_plan
from squeeze_utils.studies.together import refuse_backend, run_together
from squeeze_utils.training.distributed.ranks import here

REFERENCE = Scale("reference")


def runs_folder(scale: Scale) -> Path:
    """Where what was run at a scale is recorded."""
    return scale.pick(paths.cache() / "runs", paths.shipped("runs"))


def list_studies() -> str:
    """A line for each study: its name, how many of its records are there, and its question."""
    lines = []
    for name, make in sorted(catalogue.catalogue().items()):
        study = make(REFERENCE)
        known, waiting = len(study.arms) - len(study.missing()), len(study.expected)
        done = f"{known}/{len(study.arms) + waiting} records"
        lines.append(f"{name:24} {done:16} {study.title}")
    return "\n".join(lines)


def run_study_named(
    name: str, scale: Scale, *, jobs: int = 1, only: str = "", backend: str | None = None
) -> None:
    """Run what has no record yet of the study `name`, its pilot first; `only` as in `Study.only`.

    If no arm of the pilot has `only` in its name, the whole pilot is run: it chooses the settings
    of this study's. Records may add arms, as where the best rate of a pilot lies at the edge of its
    grid: then it goes on with those. The states of networks are kept, so that what was interrupted
    goes on where it stopped. An arm that fails does not keep others of its study from running, and
    is named at their end; a study does not begin where an arm of its pilot has failed. `backend`
    is one of joblib's, as in `run_study`; "dask" finds the scheduler that DASK_SCHEDULER_ADDRESS
    names.
    """
    catalogue.find(name, scale).refuse_early(only)  # before a pilot runs
    with workers_of(backend):
        _run_with_pilot(name, scale, jobs, only, backend)


def _run_with_pilot(name: str, scale: Scale, jobs: int, only: str, backend: str | None) -> None:
    for pilot in catalogue.find(name, scale).pilots:
        slugs = [arm.slug for arm in catalogue.find(pilot, scale).arms]
        named = any(only.lower() in slug for slug in slugs)
        _run_with_pilot(pilot, scale, jobs, only if named else "", backend)
    tried: set[str] = set()
    while True:
        study = catalogue.find(name, scale)  # its arms may depend on the pilot's records
        study = study.only(only) if only else study
        keys = {arm.experiment.key for arm in study.arms}
        if keys <= tried:
            return
        refuse_backend(study, backend)
        folder, cache = runs_folder(scale), usual_cache()
        if backend is None:
            _compare_processors(study, folder)
        if study.processes > 1 and here().alone:
            run_together(study, scale, folder=folder, cache=cache)
        else:
            how = {"jobs": jobs, "backend": backend, "keep_going": here().alone}
            run_study(study, folder=folder, cache=cache, **how)
        tried |= keys


def _compare_processors(study: Study, runs: Path) -> None:
    """Warn before a study goes on with another kind of processor: kinds round differently."""
    devices = (device for record in study.records(runs).values() for device in record.devices)
    known = {device.partition(",")[0] for device in devices}
    own = machine.device_name(machine.default_device()).partition(",")[0]
    if known - {own} and study.missing(runs):
        warnings.warn(
            f"{study.name} has records from {', '.join(sorted(known - {own}))}, and this is {own}: "
            "a difference between its arms may come from the processor",
            stacklevel=2,
        )


def run_everything(lines: Sequence[Line] | None = None, *, jobs: int = 1) -> list[str]:
    """Run or resume all that is missing at reference scale, by importance; the studies' names.

    `lines` are those of the plan, which is made where they are not given. A study with an arm that
    fails does not keep the next ones from running.
    """
    lines = make_plan() if lines is None else lines
    names, failed = [line.study for line in lines], []
    for name in names:
        try:
            run_study_named(name, REFERENCE, jobs=jobs)
        except StudyIncomplete as error:
            failed.append(f"{name}: {error}")
    if failed:
        raise RuntimeError("\n".join(failed))
    return names


def export_study_named(name: str) -> dict[str, int]:
    """Write the checkpoints of a study whose reference run has finished here; bytes by name."""
    return export_checkpoints(catalogue.find(name, REFERENCE), usual_cache())


def list_searches() -> str:
    """A line for each search: its name, how much of its budget is used, and its trials."""
    lines = []
    for name, search in catalogue.searches(REFERENCE).items():
        study = journal.read_search(search, runs_folder(REFERENCE))
        trials = study.get_trials(deepcopy=False) if study else []
        used = f"{journal.spent(search, trials)}/{search.budget} epochs"
        lines.append(f"{name:24} {used:16} {len(trials)} trials")
    grid = hyperparameters.GRID
    done, all_of_it = len(read_rows(grid.path)), len(grid.experiments())
    return "\n".join([*lines, f"{grid.name:24} {done}/{all_of_it} trainings"])


def searches_named(name: str, scale: Scale) -> list[Search]:
    """The searches of that name or group, none for the grid; other names are refused."""
    if name != hyperparameters.GRID.name:
        return catalogue.find_searches(name, scale)
    if scale.name != "reference":
        raise ValueError(f"{name} is trained at reference scale only: add --scale reference")
    return []


def run_searches(name: str, scale: Scale, *, jobs: int = 1) -> None:
    """Go on with the search `name`, or with all of the group of that name.

    Several searches run side by side, each in one process, so that each can be repeated exactly;
    a single one is shared by the processes. So is the grid, which is not a search but what
    searches are replayed on; it is trained at reference scale only.
    """
    searches, folder = searches_named(name, scale), runs_folder(scale)
    if name == hyperparameters.GRID.name:
        run_grid(hyperparameters.GRID, jobs)
        return
    if jobs == 1 or len(searches) == 1:
        for search in searches:
            run_search(search, folder, jobs=jobs)
    else:
        list(run_tasks(run_search, [(search, folder) for search in searches], jobs))
