"""`study("dsd")`: a study of the series by name, to be run live or read from its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.run_study import run_study
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results.one_more_seed import OneMoreSeed
from squeeze_utils.results.study_results import Results
from squeeze_utils.results.tables import ACCURACY
from squeeze_utils.studies import catalogue, replication
from squeeze_utils.studies.together import refuse_backend, run_together
from squeeze_utils.training.step import Step

REFERENCE = Scale("reference")


@dataclass(frozen=True)
class NamedStudy:
    """A study of the series, before a scale has been chosen."""

    name: str

    def at(self, scale: Scale) -> Study:
        """Its arms at a scale."""
        return catalogue.find(self.name, scale)

    @property
    def title(self) -> str:
        """The question that it answers."""
        return self.at(REFERENCE).title

    def records(self) -> Results:
        """The committed records, at reference scale."""
        study = self.at(REFERENCE)
        return Results(study, study.records())

    def pilot(self) -> Results:
        """The committed records of the pilot that chose the learning rates of this study."""
        name = self.at(REFERENCE).pilot
        if name is None:
            raise ValueError(f"the study {self.name} has no pilot")
        return NamedStudy(name).records()

    def run(
        self,
        scale: Scale | None = None,
        *,
        jobs: int = 2,
        cache: PrefixCache | None = None,
        backend: str | None = None,
        **labels: Any,
    ) -> Results:
        """Run the arms with these labels (all of them) now, in this notebook; nothing is kept.

        What arms begin with in common is trained once. `jobs` processes share the work; with a
        `backend` of joblib, such as "dask", they are its workers, which may be on other machines
        if they share the folder of `cache`. Where a study's networks are trained by several
        processes together, `torchrun` starts those, once for all arms; a `backend` is refused.

        >>> import squeeze_utils as sq
        >>> live = sq.study("baseline").run(model="LeNet-5", jobs=1)
        >>> len(live), live.frame["parameters"].tolist()
        (1, [656080])
        """
        study = Results(self.at(scale or Scale()), {}).where(**labels).study
        cache = cache or PrefixCache()
        refuse_backend(study, backend)
        if study.processes > 1:
            return Results(study, run_together(study, scale or Scale(), cache=cache), cache)
        return Results(study, run_study(study, cache=cache, jobs=jobs, backend=backend), cache)

    def replicate(self, arm: Any, seed: int, **labels: Any) -> OneMoreSeed:
        """Train one more seed of an arm in full, on this machine: where does it fall?

        `arm` is the value of one of its labels, such as "simple bypass"; where several arms have
        it, `labels` tell them apart. Takes as long as the records say, and goes on where it
        stopped when it is called again.
        """
        found = self.records().where(**labels)
        arms = [one for one in found.study.arms if arm in dict(one.labels).values()]
        if not arms:
            known = dict.fromkeys(value for one in found.study.arms for _, value in one.labels)
            names = ", ".join(map(str, known)) or "none yet: its pilot has no records"
            raise ValueError(f"{self.name} has no arm {arm!r}; accepted: {names}")
        wanted = [replace(one.experiment, seed=seed) for one in arms]
        if len(set(wanted)) > 1:
            raise ValueError(f"{self.name} has several arms {arm!r}: {_what_differs(arms)}")
        if wanted[0] in [one.experiment for one in arms]:
            raise ValueError(f"seed {seed} of {arm!r} is one of the study's own: give another")
        known = tuple(record.final[ACCURACY] for record in _of(found, arms))
        accuracy, measure = replication.train_arm(wanted[0])
        return OneMoreSeed(seed, accuracy, known, measure)

    def recipe(self, scale: Scale | None = None, **labels: Any) -> tuple[Step, ...]:
        """The steps of the first arm so labelled, at reference scale unless another is given."""
        return Results(self.at(scale or REFERENCE), {}).experiment(**labels).recipe


def _what_differs(arms: Sequence[Arm]) -> str:
    """What tells them apart: the labels to be given, or their seeds, which come with more."""
    values = {name: {dict(arm.labels).get(name) for arm in arms} for name, _ in arms[0].labels}
    names = [name for name, found in values.items() if len(found) > 1]
    if names:
        return f"give {', '.join(names)} too"
    return "each of its seeds has settings or images of its own, so one more cannot be compared"


def _of(found: Results, arms: Sequence[Arm]) -> list[Record]:
    """The records of these arms that there are."""
    keys = [arm.experiment.key for arm in arms]
    return [found.by_key[key] for key in keys if key in found.by_key]


def study(name: str) -> NamedStudy:
    """The study called `name`; an unknown name is refused with a list of all.

    >>> import squeeze_utils as sq
    >>> sq.study("dsd").title
    'does a sparse phase make the dense network better?'
    >>> sq.study("dsd").recipe(recipe="DSD 50%")[1] # doctest: +ELLIPSIS
    Prune(sparsity=0.5, ...)
    """
    catalogue.maker(name)  # refuses an unknown one
    return NamedStudy(name)
