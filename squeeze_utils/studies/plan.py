"""What is missing of the reference runs, in the order of importance, and how long it will take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from squeeze_utils.base import machine, paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.state_cache import usual_cache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.studies import catalogue, durations

# By importance: first what the chapters' summaries rest on, chapter 16's combinations after that.
# Pilots come with their studies, and what is not listed comes last.
ORDER = (
    "residual_long",
    "linear_squeeze_long",
    "dsd_long",
    "dsd_overfit_long",
    "pruning_long",
    "quantization_training_long",
    "quantization_mixed_long",
    "optimizers_long",
    "squeeze_ratio_long",
    "combining_long",
    "combining_order_long",
    "ladder",
    "headline",
    "few_bytes",
    "priced",
    "priced_coders",
    "priced_large",
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
    "detection_short",
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
    multiply-adds / those of that one) ** 0.5 as long, or what `RELATIVE` says. That is a rough
    guess: detectors took five to ten times as long. So a study's own records go before it.
    """
    scale = Scale("reference")
    studies = {name: make(scale) for name, make in catalogue.catalogue().items()}
    pilots = {pilot for study in studies.values() for pilot in study.pilots}
    others = [name for name in studies if name not in (*ORDER, *pilots)]
    done = _recorded_keys()
    trained: set[str] = set()
    listed: set[str] = set()
    lines = []
    usual = durations.usual_speed(studies.values())
    for name in [*(name for name in ORDER if name in studies), *others]:
        line, group = Line(name, 0, 0, 0.0), [part for part, _ in _with_pilots(name, studies)]
        images = 0.0
        for study in group:
            if study.name not in listed:
                listed.add(study.name)
                todo = _todo(study, done)
                done |= todo.keys()
                images += sum(sum(_left(experiment, trained)) for experiment in todo.values())
                late = len(study.expected)
                both = len(study.missing()) + late
                line = Line(name, line.missing + both, line.waiting + late, 0.0)
        if line.missing:  # only then are records read for the speed
            hour = 3600 * durations.speed(group, usual)
            lines.append(line._replace(hours=images / hour))
    return lines


class Announcement(NamedTuple):
    """What a study and its pilots still have to train, and the hours of this machine it takes."""

    study: str
    experiments: int  # without a record
    trainings: int  # steps that train and whose state is not kept, shared ones counted once
    hours: float

    def __str__(self) -> str:
        if not self.experiments:
            return f"{self.study}: nothing to do"
        return (
            f"{self.study}: {self.experiments} experiments are missing, pilots included; "
            f"{self.trainings} trainings, about {self.hours:.1f} hours with JOBS={machine.cores()}"
        )


def announce(name: str, only: str = "") -> Announcement:
    """What running one study at reference scale means, before it starts; see `make_plan`.

    With `only` it is about the arms that `commands.run_study_named` then runs.
    """
    scale = Scale("reference")
    catalogue.find(name, scale).refuse_early(only)  # as is an unknown study
    studies = {known: make(scale) for known, make in catalogue.catalogue().items()}
    parts, done = list(_with_pilots(name, studies, only)), _recorded_keys()
    group = [study for study, _ in parts]
    todo: dict[str, Experiment] = {}
    for study, text in parts:
        named = study.each(partial(_if_named, text.lower()))
        todo |= _todo(named, done)
    trained: set[str] = set()
    left = [part for experiment in todo.values() for part in _left(experiment, trained)]
    speed = durations.speed(group, durations.usual_speed(studies.values()))
    return Announcement(name, len(todo), len(left), sum(left) / (3600 * speed))


def announce_all(lines: Sequence[Line]) -> str:
    """What running a whole plan means, before it starts."""
    if not lines:
        return "every study has its records"
    missing, hours = sum(line.missing for line in lines), sum(line.hours for line in lines)
    return (
        f"{len(lines)} studies lack {missing} experiments: "
        f"about {hours:.1f} hours with JOBS={machine.cores()}"
    )


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
    jobs = f"JOBS={machine.cores()}"
    how = f"With {jobs}: make reference STUDY=name {jobs} runs one, ALL=1 {jobs} all of them."
    return "\n".join([*rows, "", how])


def _with_pilots(
    name: str, studies: dict[str, Study], only: str = ""
) -> Iterator[tuple[Study, str]]:
    """A study behind its pilots, each with the text that its arms must have in their names.

    As in `commands.run_study_named`, a pilot without such an arm is run whole, with its own pilots.
    """
    study = studies[name]
    for pilot in study.pilots:
        named = any(only.lower() in arm.slug for arm in studies[pilot].arms)
        yield from _with_pilots(pilot, studies, only if named else "")
    yield study, only


def _if_named(text: str, arm: Arm) -> Arm | None:
    return arm if text in arm.slug else None


def _recorded_keys() -> set[str]:
    """The keys of all experiments that have a record, in whichever study."""
    return {path.stem.rpartition("-")[2] for path in paths.shipped("runs").glob("*/*.json")}


def _todo(study: Study, done: set[str]) -> dict[str, Experiment]:
    """What a study still has to run, expected arms included, but for what is `done`; by key."""
    arms = (*study.missing(), *study.expected)
    found = {arm.experiment.key: arm.experiment for arm in arms}
    return {key: experiment for key, experiment in found.items() if key not in done}


def _left(experiment: Experiment, trained: set[str]) -> list[float]:
    """For each step that still has to train: its images, in images of HALF in bfloat16.

    Steps that are in `trained`, or whose state is kept, do not count. Afterwards `trained` has all.
    """
    missing, left = set(usual_cache().missing(experiment)), []
    for position in range(len(experiment.recipe)):
        key, images = experiment.prefix(position + 1).key, durations.units(experiment, position)
        if images and key not in trained and key in missing:
            left.append(images)
        trained.add(key)
    return left
