"""A study as data: its arms, and those of their records that are on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from squeeze_utils.base import paths
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.records import Record, read_records
from squeeze_utils.training.step import Step


@dataclass(frozen=True)
class Arm:
    """One experiment of a study, with the labels that tables group it by."""

    experiment: Experiment
    labels: tuple[tuple[str, Any], ...]
    checkpoint: str | None = None

    @classmethod
    def of(cls, experiment: Experiment, checkpoint: str | None = None, **labels: Any) -> Arm:
        """An arm with its labels as keywords."""
        return cls(experiment, tuple(labels.items()), checkpoint)

    @property
    def slug(self) -> str:
        """The labels and the seed as the beginning of a file name."""
        text = "-".join(str(value) for _, value in self.labels).lower()
        safe = "".join(c if c.isalnum() or c in ".-" else "-" for c in text)
        return f"{safe}-s{self.experiment.seed}"

    def has(self, accepted: dict[str, tuple[Any, ...]]) -> bool:
        """Whether labels and seed are among the values that `accepted` lists for them."""
        known = {**dict(self.labels), "seed": self.experiment.seed}
        return all(known.get(name, ...) in values for name, values in accepted.items())


def by_seed(arms: Iterable[Arm]) -> list[Arm]:
    """All arms of the first seed, then those of the next: an early stop leaves whole seeds."""
    return sorted(arms, key=lambda arm: arm.experiment.seed)


@dataclass(frozen=True)
class Study:
    """A named set of arms; `title` says in one line what they answer.

    `pilot` names a study that comes first: it chooses settings of this one's arms, and an arm
    joins once its part of the pilot is done. `second_pilot` is another one, where arms differ in
    their pilots. Two arms are never the same experiment, since two
    rows with the same numbers are a mistake; `may_share` allows it where it is a result.
    `expected` are arms with settings that the pilot still has to choose, with a guess in their
    place: they are never run, but a plan can count them.
    `processes` train each of its networks together, started by `torchrun`.
    `pools_deviation` declares, before anything is trained, that all arms deviate alike between
    seeds, so that their differences get one common deviation instead of two of their own; arms
    with a label among `own_deviation` are left out of it.
    `certain` are values of a label whose arms give the same network from every seed: they have one
    seed, and are compared as numbers without an error of their own.
    """

    name: str
    title: str
    arms: Sequence[Arm]
    pilot: str | None = None
    may_share: bool = False
    pools_deviation: bool = False
    expected: Sequence[Arm] = ()
    processes: int = 1
    certain: Sequence[Any] = ()
    second_pilot: str | None = None
    own_deviation: Sequence[Any] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", tuple(self.arms))
        object.__setattr__(self, "expected", tuple(self.expected))
        keys = [arm.experiment.key for arm in self.arms]
        if len(set(keys)) != len(keys) and not self.may_share:
            raise ValueError(f"study {self.name} contains the same experiment twice")
        if self.pools_deviation and self.certain:
            raise ValueError(f"study {self.name}: certain arms have no deviation to be pooled")
        if self.own_deviation and not self.pools_deviation:
            raise ValueError(f"study {self.name} pools no deviation that arms could be left out of")

    @property
    def planned(self) -> tuple[Arm, ...]:
        """Every arm that it has in the end, expected ones too."""
        return (*self.arms, *self.expected)

    @property
    def pilots(self) -> tuple[str, ...]:
        """The studies that come first."""
        return tuple(filter(None, (self.pilot, self.second_pilot)))

    @property
    def finds_rates(self) -> bool:
        """Whether its networks only find learning rates for another study, as its name says."""
        return self.name.removesuffix("_long").endswith("_lr")

    def once(self, settled: bool) -> Study:
        """This study where its settings are `settled`, else one whose arms are only expected."""
        return self if settled else replace(self, arms=(), expected=self.planned)

    def with_arms_of(self, other: Study) -> Study:
        """This study with the arms of another one beside its own."""
        arms, expected = (*self.arms, *other.arms), (*self.expected, *other.expected)
        return replace(self, arms=arms, expected=expected)

    def each(self, change: Callable[[Arm], Arm | None]) -> Study:
        """This study with every arm changed, expected ones too; where it becomes None, without."""
        arms, expected = (
            [new for arm in part if (new := change(arm)) is not None]
            for part in (self.arms, self.expected)
        )
        return replace(self, arms=arms, expected=expected)

    def only(self, text: str) -> Study:
        """The same study with those arms alone whose slug contains `text`."""
        pilots = " and ".join(self.pilots)
        if not self.arms and self.expected:
            raise ValueError(f"{self.name} has no arms before its pilot {pilots} is complete")
        arms, expected = (
            [arm for arm in part if text.lower() in arm.slug] for part in (self.arms, self.expected)
        )
        if expected and not arms:
            raise ValueError(f"{expected[0].slug} of {self.name} waits for its pilot {pilots}")
        if not arms:
            slugs = ", ".join(arm.slug for arm in self.arms)
            raise ValueError(f"no arm of {self.name} has {text!r} in its name; there are: {slugs}")
        return replace(self, arms=arms)

    def refuse_early(self, text: str) -> None:
        """Refuse a text as `only` does, but where expected arms or a pilot may still fit it.

        A text with digits may hold a rate that the pilot chooses.
        """
        if text and self.planned and not any(letter.isdigit() for letter in text):
            replace(self, arms=self.planned).only(text)

    def where(self, **labels: Any) -> Study:
        """Those arms alone, expected ones too, whose labels are these, or among these.

        The seed counts as a label. There may be no arm left: those whose settings a pilot still
        has to choose are not there yet.
        """
        accepted = {k: tuple(v) if isinstance(v, tuple | list) else (v,) for k, v in labels.items()}
        known = {"seed", *(name for arm in self.arms for name, _ in arm.labels)}
        if self.arms and (unknown := accepted.keys() - known):
            raise ValueError(
                f"arms of {self.name} have no label {', '.join(sorted(unknown))}; "
                f"there are: {', '.join(sorted(known))}"
            )
        return self.each(lambda arm: arm if arm.has(accepted) else None)

    def observed(self, name: str, title: str, *steps: Step) -> Study:
        """A study of the same networks, in which each recipe goes on with `steps` that measure.

        Where a cache has the states of this study, only the measuring is left to do.
        """

        def go_on(arm: Arm) -> Arm:
            return replace(arm, experiment=arm.experiment.followed_by(*steps), checkpoint=None)

        return replace(self.each(go_on), name=name, title=title)

    def records(self, folder: Path | None = None) -> dict[str, Record]:
        """The records of this study's experiments that are on disk, by key."""
        found = read_records((folder or paths.shipped("runs")) / self.name)
        keys = {arm.experiment.key for arm in self.arms}
        return {key: record for key, record in found.items() if key in keys}

    def missing(self, folder: Path | None = None) -> list[Arm]:
        """The arms without a record."""
        done = self.records(folder)
        return [arm for arm in self.arms if arm.experiment.key not in done]
