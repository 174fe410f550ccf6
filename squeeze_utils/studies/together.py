"""Studies whose networks are trained by several processes together: started here, by torchrun."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.records import Record, read_records
from squeeze_utils.experiments.run_study import run_study
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Study
from squeeze_utils.training.distributed.launch import launch, take_part


def run_together(
    study: Study,
    scale: Scale,
    *,
    cache: PrefixCache,
    folder: Path | None = None,
) -> dict[str, Record]:
    """`run_study` of arms of a study of the series by its number of processes; records by key.

    The processes are started once for all arms. With a `folder` only what has no record there is
    run, and its records are kept; progress is shown then.
    """
    with ExitStack() as open_folders:
        place = folder
        if place is None:
            place = Path(open_folders.enter_context(tempfile.TemporaryDirectory()))
        wanted = {arm.experiment.key for arm in study.arms}
        done = study.records(place) if folder else {}
        if wanted - done.keys():
            launch(
                "squeeze_utils.studies.together",
                study.processes,
                seconds=None,
                show=folder is not None,
                name=study.name,
                scale=scale.name,
                keys=sorted(wanted),
                folder=str(place),
                states=str(cache.folder),
            )
        found = read_records(place / study.name)
    return {key: record for key, record in found.items() if key in wanted}


def job(name: str, scale: str, keys: list[str], folder: str, states: str) -> int:
    """What each process does: run the arms with these keys, all processes each of them."""
    from squeeze_utils.studies import catalogue

    study = catalogue.find(name, Scale(scale))
    arms = [arm for arm in study.arms if arm.experiment.key in keys]
    part = Study(study.name, study.title, arms, may_share=study.may_share)
    return len(run_study(part, folder=Path(folder), cache=PrefixCache(Path(states))))


if __name__ == "__main__":
    take_part(job)
