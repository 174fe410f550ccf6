"""What a study found: its records together with the study, as tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from squeeze_utils.base.checks import choose
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results import comparison, costs, tables
from squeeze_utils.results.comparison_figure import comparison_figure
from squeeze_utils.results.tables import ACCURACY, results_table
from squeeze_utils.training.step import State

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Sentence(str):
    """Text that a notebook shows as Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Results:
    """A study and those of its records that exist; a notebook gets it from `NamedStudy`.

    Where records are missing, tables are empty and `verdict` and `source` say so in a sentence.

    >>> import squeeze_utils as sq
    >>> found = sq.study("dsd").records()
    >>> len(found), found.compare("recipe", "dense control").loc["DSD 50%", "verdict"]
    (25, 'undecided')
    """

    study: Study
    by_key: Mapping[str, Record]
    cache: PrefixCache | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """How many of the study's experiments have a record; none counts as false."""
        return len(self.by_key)

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each record: labels, seed, and every number measured after the last step."""
        return results_table(self.study, self.by_key)

    @property
    def source(self) -> Sentence:
        """Where the results come from: images, seeds, epochs, device, versions, date."""
        return Sentence(tables.source_line(self.by_key, self.study))

    def where(self, **labels: Any) -> Results:
        """The part whose labels are these, or among these: `where(bypass=("none", "simple"))`."""
        part = self.study.where(**labels)
        if self._labels() and not part.planned:
            known = "; ".join(f"{name}: {self._values(name)}" for name in labels)
            raise ValueError(
                f"no arm of {self.study.name} has the labels {labels}; there are {known}"
            )
        return self._with(part, self.by_key)

    def _labels(self) -> list[dict[str, Any]]:
        """Of every arm, whether it has a record or not; the seed counts as a label."""
        planned = self.study.planned
        return [{**dict(arm.labels), "seed": arm.experiment.seed} for arm in planned]

    def _values(self, by: str) -> list[Any]:
        """The values of a label; a name that no arm has is refused."""
        labels = self._labels()
        choose("label", by, dict.fromkeys(name for own in labels for name in own))
        return list(dict.fromkeys(own[by] for own in labels if by in own))

    def _with(self, study: Study, found: Mapping[str, Record]) -> Results:
        """Those records of `found` that are of the arms of `study`, with it."""
        keys = {arm.experiment.key for arm in study.arms}
        kept = {key: record for key, record in found.items() if key in keys}
        return replace(self, study=study, by_key=kept)

    def with_control(self, by: str, control: Any, other: Results) -> Results:
        """The same arms, but the networks of `other` stand in the place of the arm `control`.

        For arms whose control was trained in another way, and once more in theirs.
        """
        known = {name for arm in self.study.arms for name, _ in arm.labels} - {by}
        arms = [arm for arm in self.study.arms if dict(arm.labels)[by] != control]
        place = [dict(arm.labels)[by] for arm in self.study.arms].index(control)
        for arm in reversed(other.study.arms):
            kept = (pair for pair in arm.labels if pair[0] in known)
            arms.insert(place, replace(arm, labels=((by, control), *kept)))
        return self._with(replace(self.study, arms=arms), {**self.by_key, **other.by_key})

    def table(self, by: str | None = None) -> pd.DataFrame:
        """A row for each arm: accuracy (mean ± sd), n, parameters, and what else tells them apart.

        `by` is the label to group by; without it all labels but the learning rate.
        """
        if by is not None and self._labels():
            self._values(by)
        return tables.summary_table(self.study, self.by_key, by)

    def costs(self, by: str) -> pd.DataFrame:
        """Multiply-adds, activation memory, and milliseconds of a step where they were timed."""
        counted = costs.count_variants(self.study, by)
        return counted.join(costs.kept_timings(self.study.name, by))

    def recorded(self) -> Iterator[tuple[dict[str, Any], Record]]:
        """Each arm that has a record: its labels and seed as the beginning of a row, and it."""
        return tables.recorded(self.study, self.by_key)

    def epochs(self) -> pd.DataFrame:
        """One row for each epoch of each record: labels, seed, and all that was noted of the epoch.

        `epoch` counts through all training steps of a recipe. Where a label has the name of
        something noted, such as `lr`, the label stands.
        """
        rows: list[dict[str, Any]] = []
        for named, record in self.recorded():
            noted = enumerate(record.history, 1)
            rows += [{**epoch, **named, "epoch": count} for count, epoch in noted]
        return pd.DataFrame(rows)

    def steps(self) -> pd.DataFrame:
        """One row for each step of each record: labels, seed, its place, its name, and accuracy.

        `validation_accuracy` is that after the step; `place` counts from 0.
        """
        rows: list[dict[str, Any]] = []
        for named, record in self.recorded():
            for place, measured in enumerate(record.steps):
                row = {"place": place, "step": measured["step"]["step"]}
                accuracy = measured["validation_accuracy"]
                rows.append({**named, **row, "validation_accuracy": accuracy})
        return pd.DataFrame(rows)

    def signals(self) -> pd.DataFrame:
        """One row for each layer of each record: labels, seed, and what `ObserveSignals` noted."""
        every = self.recorded()
        return pd.DataFrame(
            [{**named, **layer} for named, record in every for layer in record.final["signals"]]
        )

    def confusion(self, **labels: Any) -> np.ndarray | None:
        """Counts (true class down, predicted across) over the seeds of the arms so labelled.

        None if there is no such record yet. Counts are of the test split, after the last step.
        """
        found = self.where(**labels).by_key.values()
        counts = [np.array(record.final["confusion"], dtype=np.int64) for record in found]
        return sum(counts) if counts else None

    def compare(
        self, by: str, control: Any, value: str = ACCURACY, margin: float | None = None
    ) -> pd.DataFrame:
        """A row for each arm: difference from the control, interval, n, verdict.

        Arms that begin with the control's trained network are compared seed by seed, all others
        by Welch's interval, or with a pooled deviation where the study declares it. The intervals
        of a table hold all at once, with those of arms that are not trained yet. An arm that lacks
        networks, or whose control does, has no verdict: it is "not complete yet".
        """
        frame = self.frame
        if self._labels():
            choose(by, control, self._values(by))
        if frame.empty or control not in set(frame[by]):
            return pd.DataFrame(columns=comparison.COLUMNS).rename_axis(by)
        choose("value", value, frame.columns)
        study = self.study
        how = {
            "shared": comparison.arms_that_share(study, by, control),
            "pools": comparison.arms_that_pool(study, by),
            "certain": study.certain,
            "planned": comparison.planned_networks(study, by),
        }
        return comparison.differences_table(frame, by, control, value, **how, margin=margin)

    def verdict(
        self, by: str, control: Any, value: str = ACCURACY, margin: float | None = None
    ) -> Sentence:
        """`compare` in one sentence."""
        gaps = self.compare(by, control, value, margin)
        if not self.by_key:
            return Sentence(tables.NO_RECORDS)
        if control not in set(self.frame[by]):
            return Sentence(f"{control} has no run yet: there is nothing to compare with.")
        return Sentence(comparison.comparison_sentence(gaps, control))

    def prediction(
        self,
        by: str,
        control: Any,
        predicted: Mapping[Any, str],
        margin: float | None = None,
    ) -> Sentence:
        """Whether `compare` gives each arm its predicted verdict: `{"early": "lower"}`.

        With a `margin`, "equal" can be predicted too.
        """
        known = self._values(by)
        choose(by, control, known)
        for name in predicted:
            choose(f"{by} against {control!r}", name, [one for one in known if one != control])
        if not self.by_key:
            return Sentence(f"The prediction is still open: {tables.NO_RECORDS}.")
        gaps = self.compare(by, control, margin=margin)
        return Sentence(comparison.prediction_sentence(gaps, predicted))

    def figure(self, by: str, control: Any, title: str = "") -> Figure | None:
        """Left every seed of each arm, right the differences from the control with intervals.

        None while there are no records.
        """
        if not self.by_key:
            return None
        return comparison_figure(
            self.frame, self.compare(by, control), by, control, title or self.study.title
        )

    def state(self, steps: int | None = None, **labels: Any) -> State:
        """The network of the first arm so labelled, after its first `steps` steps (all of them).

        It comes from the states that a live run has kept, and is trained where they lack it.
        """
        experiment = self._first(labels).experiment
        wanted = experiment if steps is None else experiment.prefix(steps)
        return run_experiment(wanted, cache=self.cache)[0]

    def experiment(self, **labels: Any) -> Experiment:
        """The experiment of the first arm so labelled.

        Where a pilot still has to choose its learning rate, a guess stands in its place.
        """
        return self._first(labels, self.study.expected).experiment

    def _first(self, labels: Mapping[str, Any], expected: Sequence[Arm] = ()) -> Arm:
        study = replace(self.study, arms=(*self.study.arms, *expected))
        arms = study.where(**labels).arms
        if not arms:
            raise ValueError(f"no arm of {study.name} has the labels {dict(labels)}")
        return arms[0]
