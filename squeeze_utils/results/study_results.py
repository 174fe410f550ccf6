"""What a study found: its records together with the study, as tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results import comparison, costs, tables
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
    found: Mapping[str, Record]
    cache: PrefixCache | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """How many of the study's experiments have a record; none counts as false."""
        return len(self.found)

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each record: labels, seed, and every number measured after the last step."""
        return results_table(self.study, self.found)

    @property
    def source(self) -> Sentence:
        """Where the results come from: images, seeds, epochs, device, versions, date."""
        return Sentence(tables.source_line(self.found, self.study))

    def where(self, **labels: Any) -> Results:
        """The part whose labels are these, or among these: `where(bypass=("none", "simple"))`."""
        study = self.study.where(**labels)
        keys = {arm.experiment.key for arm in study.arms}
        return replace(self, study=study, found={k: r for k, r in self.found.items() if k in keys})

    def table(self, by: str | None = None) -> pd.DataFrame:
        """A row for each arm: accuracy (mean ± sd), n, parameters, and what else tells them apart.

        `by` is the label to group by; without it all labels but the learning rate.
        """
        return tables.summary_table(self.study, self.found, by)

    def costs(self, by: str) -> pd.DataFrame:
        """Multiply-adds, activation memory, and milliseconds of a step where they were timed."""
        counted = costs.count_variants(self.study, by)
        return counted.join(costs.kept_timings(self.study.name, by))

    def epochs(self) -> pd.DataFrame:
        """One row for each epoch of each record: labels, seed, losses, accuracies, rate."""
        return tables.epochs(self.study, self.found)

    def confusion(self, **labels: Any) -> np.ndarray | None:
        """Counts (true class down, predicted across) over the seeds of the arms so labelled."""
        return tables.confusion(self.study, self.found, **labels)

    def compare(
        self, by: str, control: Any, value: str = ACCURACY, margin: float | None = None
    ) -> pd.DataFrame:
        """A row for each arm: difference from the control, interval, n, verdict.

        Arms that begin with the control's trained network are compared seed by seed, all others
        by Welch's interval, or with a pooled deviation where the study declares it. The intervals
        of a table hold all at once.
        """
        frame = self.frame
        if frame.empty or control not in set(frame[by]):
            return pd.DataFrame(columns=comparison.COLUMNS).rename_axis(by)
        shared = comparison.arms_that_share(self.study, by, control)
        pools = self.study.pools_deviation
        return comparison.differences_table(
            frame, by, control, value, shared=shared, pools=pools, margin=margin
        )

    def verdict(
        self, by: str, control: Any, value: str = ACCURACY, margin: float | None = None
    ) -> Sentence:
        """`compare` in one sentence."""
        if not self.found:
            return Sentence(tables.NO_RECORDS)
        if control not in set(self.frame[by]):
            return Sentence(f"{control} has no run yet: there is nothing to compare with.")
        gaps = self.compare(by, control, value, margin)
        return Sentence(comparison.comparison_sentence(gaps, control))

    def figure(self, by: str, control: Any, title: str = "") -> Figure:
        """Left every seed of each arm, right the differences from the control with intervals."""
        return comparison.comparison_figure(
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
        """The experiment of the first arm so labelled."""
        return self._first(labels).experiment

    def _first(self, labels: Mapping[str, Any]) -> Arm:
        arms = self.study.where(**labels).arms
        if not arms:
            raise ValueError(f"no arm of {self.study.name} has the labels {dict(labels)}")
        return arms[0]
