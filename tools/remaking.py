"""`python -m tools.remaking`: what a better network would have to train again.

Prints a row for each study that begins with a committed checkpoint, as data/README.md lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from squeeze_utils.base.paths import STARTING_NETWORK
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Study
from squeeze_utils.studies import few_bytes
from squeeze_utils.studies.catalogue import catalogue
from squeeze_utils.training.start_from_checkpoint import Load


class Begun(NamedTuple):
    """A study, and its experiments that begin with a checkpoint."""

    study: str
    experiments: int
    recorded: int  # of these, so many have a record
    hours: float  # that the recorded ones took

    def __str__(self) -> str:
        hours = f"{self.hours:.1f} hours of one thread"
        if self.recorded < self.experiments:
            hours = f"{hours} for {self.recorded} of them"
        return (
            f"| study `{self.study}`, {self.experiments} experiments "
            f"| `make reference STUDY={self.study}` | {hours} |"
        )


def begun_with(checkpoint: str, studies: Iterable[Study]) -> Iterator[Begun]:
    """The studies with an experiment that loads `checkpoint`; none where nothing does."""
    for study in studies:
        experiments = [arm.experiment for arm in study.planned]
        keys = {one.key for one in experiments if Load(checkpoint) in one.recipe}
        if keys:
            records = study.records()
            seconds = [records[key].seconds for key in keys & records.keys()]
            yield Begun(study.name, len(keys), len(seconds), sum(seconds) / 3600)


def main() -> None:
    """Print the rows."""
    studies = [make(Scale("reference")) for make in catalogue().values()]
    for checkpoint in (STARTING_NETWORK, few_bytes.CHECKPOINT):
        for row in begun_with(checkpoint, studies):
            print(row)


if __name__ == "__main__":
    main()
