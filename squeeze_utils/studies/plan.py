"""What is missing of the reference runs, in the order of importance, and how long it will take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from squeeze_utils.base import machine, paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Study
from squeeze_utils.studies import catalogue, durations
from squeeze_utils.training.loop import Train

# By importance. Pilots come with their studies, and what is not listed comes last.
ORDER = (
    "residual_long",
    "linear_squeeze_long",
    "dsd_long",
    "dsd_overfit_long",
    "pruning_long",
    "quantization_training_long",
    "quantization_mixed_long",
    "combining_long",
    "combining_order_long",
    "ladder",
    "headline",
    "few_bytes",
    "priced",
    "priced_large",
    "optimizers_long",
    "squeeze_ratio_long",
    "downsampling_long",
    "pooling_long",
    "baseline_long",
    "float32_controls",
    "residual_72_long",
    "linear_squeeze_72_long",
    "transfer_files",
    "transfer",
    "transfer_head_curve",
    "transfer_copies",
    "transfer_few_images",
    "detection",
    "segmentation",
    "dense_compressed",
    "exchanges_long",
    "federated",
    "exchanges_vgg",
)


class Line(NamedTuple):
    """A study with its missing experiments, and hours of this machine that they take."""

    study: str
    missing: int
    waiting: int  # of these, so many have settings that a pilot still has to choose
    hours: float


def make_plan() -> list[Line]:
    """A line for each study of which experiments are missing, its pilot's included.

    A pilot of two studies is counted in the first. So are the hours of an experiment that two
    studies have, and of what two recipes begin with; what one study has recorded costs the other
    none. Hours are epochs x images / speed, where trainings run side by side, one on each core. The
    speed is that of the half-width SqueezeNet, see `durations.speed`. Other networks take (their
    multiply-adds / those of that one) ** 0.5 as long, which holds within a third where both were
    timed, or what `RELATIVE` says.
    """
    scale = Scale("reference")
    studies = {name: make(scale) for name, make in catalogue.catalogue().items()}
    pilots = {study.pilot for study in studies.values()}
    others = [name for name in studies if name not in (*ORDER, *pilots)]
    done = {path.stem.rpartition("-")[2] for path in paths.shipped("runs").glob("*/*.json")}
    trained: set[str] = set()
    listed: set[str] = set()
    lines = []
    usual = durations.usual_speed(studies.values())
    for name in [*(name for name in ORDER if name in studies), *others]:
        line, group = Line(name, 0, 0, 0.0), list(_with_pilots(name, studies))
        images = 0.0
        for study in group:
            if study.name not in listed:
                listed.add(study.name)
                missing = {arm.experiment.key: arm.experiment for arm in study.missing()}
                waiting = {arm.experiment.key: arm.experiment for arm in study.expected}
                todo = {key: e for key, e in (missing | waiting).items() if key not in done}
                done |= todo.keys()
                images += sum(_images(experiment, trained) for experiment in todo.values())
                both, late = len(missing) + len(waiting), len(waiting)
                line = Line(name, line.missing + both, line.waiting + late, 0.0)
        if line.missing:  # only then are records read for the speed
            hour = 3600 * durations.speed(group, usual)
            lines.append(line._replace(hours=images / hour))
    return lines


class Announcement(NamedTuple):
    """What a study and its pilots still have to train, and the hours of this machine it takes."""

    study: str
    experiments: int  # without a record
    trainings: int  # steps that train, each counted once where experiments share it
    hours: float

    def __str__(self) -> str:
        if not self.experiments:
            return f"{self.study}: nothing to do"
        return (
            f"{self.study}: {self.experiments} experiments are missing, pilots included; "
            f"{self.trainings} trainings, about {self.hours:.1f} hours with JOBS={machine.cores()}"
        )


def announce(name: str) -> Announcement:
    """What running one study at reference scale means, before it starts; see `make_plan`."""
    scale = Scale("reference")
    catalogue.find(name, scale)  # an unknown name is refused
    studies = {known: make(scale) for known, make in catalogue.catalogue().items()}
    done = {path.stem.rpartition("-")[2] for path in paths.shipped("runs").glob("*/*.json")}
    trained: set[str] = set()
    todo: dict[str, Experiment] = {}
    for study in _with_pilots(name, studies):
        missing = (*study.missing(), *study.expected)
        todo |= {arm.experiment.key: arm.experiment for arm in missing}
    todo = {key: experiment for key, experiment in todo.items() if key not in done}
    trainings = {
        experiment.prefix(position).key
        for experiment in todo.values()
        for position, step in enumerate(experiment.recipe, start=1)
        if isinstance(step, Train)
    }
    images = sum(_images(experiment, trained) for experiment in todo.values())
    hours = images / (
        3600 * durations.speed(_with_pilots(name, studies), durations.usual_speed(studies.values()))
    )
    return Announcement(name, len(todo), len(trainings), hours)


def show_plan() -> str:
    """The plan as a table."""
    lines = make_plan()
    if not lines:
        return "nothing to do: every study has its records"
    rows = [f"{'study':28}{'missing':>8}{'hours':>8}"]
    for line in lines:
        waits = f"   {line.waiting} wait for a pilot" if line.waiting else ""
        rows.append(f"{line.study:28}{line.missing:8}{line.hours:8.1f}{waits}")
    total = sum(line.hours for line in lines)
    rows.append(f"{'all':28}{sum(line.missing for line in lines):8}{total:8.1f}")
    how = (
        f"Hours with JOBS={machine.cores()}: make reference STUDY=name runs one, ALL=1 all of them."
    )
    return "\n".join([*rows, "", how])


def _with_pilots(name: str, studies: dict[str, Study]) -> Iterator[Study]:
    study = studies[name]
    if study.pilot:
        yield from _with_pilots(study.pilot, studies)
    yield study


def _images(experiment: Experiment, trained: set[str]) -> float:
    """Images to train on, as HALF's in bfloat16, that no recipe before trains or state holds."""
    states, images = PrefixCache(paths.cache() / "states"), 0.0
    for position, step in enumerate(experiment.recipe):
        key = experiment.prefix(position + 1).key
        if key not in trained and not states.path(key).is_file() and durations.epochs_of(step):
            seen = durations.epochs_of(step) * durations.training_images(experiment)
            slower = durations.slowdown(experiment.recipe, position)
            images += seen * slower * durations.relative(experiment.model)
        trained.add(key)
    return images
