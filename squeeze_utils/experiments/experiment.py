"""An experiment as data: (model, data, recipe, seed), named by the hash of its JSON."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch

from squeeze_utils.base import machine
from squeeze_utils.base.checks import whole_number
from squeeze_utils.data import ImageSet
from squeeze_utils.data.few import few_images
from squeeze_utils.data.sets import is_built_in, load_images
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.step import Step


@dataclass(frozen=True)
class DataSpec:
    """An image set as data: what `load_images` is called with.

    With `per_class`, only so many training and validation images of each class: see `few_images`,
    for which `draw` is the seed.

    >>> import squeeze_utils as sq
    >>> len(sq.DataSpec("digits", size=8, train_limit=100).load().train)
    100
    """

    name: str = "digits"
    size: int | None = None
    train_limit: int | None = None
    train_on_validation: bool = False
    copies: bool = True
    per_class: int = 0
    draw: int = 0

    def __post_init__(self) -> None:
        whole_number("per_class", self.per_class, 0)
        whole_number("draw", self.draw, 0)

    def load(self) -> ImageSet:
        """The image set, read from the data folder."""
        asked = asdict(self)
        few, draw = asked.pop("per_class"), asked.pop("draw")
        found = load_images(**asked)
        return few_images(found, few, draw) if few else found

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values; those after the third where they are changed."""
        first = ("name", "size", "train_limit")  # the fields of the first records' keys
        changed = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        return {name: v for name, v in asdict(self).items() if name in first or name in changed}

    def device(self) -> torch.device:
        """Where to train on these images: on the GPU, if there is one, but digits never.

        A step on digits is so short that a GPU would wait for the processor to say what is next.
        """
        return torch.device("cpu") if is_built_in(self.name) else machine.default_device()


@dataclass(frozen=True)
class Experiment:
    """What is trained on what, how, and from which seed. Identified by the hash of its JSON.

    >>> import squeeze_utils as sq
    >>> model = sq.ModelSpec.of("lenet_300_100", image_size=8)
    >>> first = sq.Experiment(model, sq.DataSpec(size=8), (sq.Train(2), sq.Prune(0.5)), seed=0)
    >>> second = sq.Experiment(model, sq.DataSpec(size=8), (sq.Train(2), sq.Prune(0.5)), seed=1)
    >>> first.key == second.key
    False
    """

    model: ModelSpec
    data: DataSpec
    recipe: tuple[Step, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.recipe, Step):
            raise ValueError("a recipe is a tuple of steps: write (step,)")
        whole_number("seed", self.seed, 0)
        object.__setattr__(self, "recipe", tuple(self.recipe))
        if not self.recipe:
            raise ValueError("a recipe needs at least one step")

    def as_dict(self, defaults: bool = True) -> dict[str, Any]:
        """The experiment as plain values, with or without the steps' default fields."""
        return {
            "model": self.model.as_dict(),
            "data": self.data.as_dict(),
            "recipe": [step.as_dict(defaults) for step in self.recipe],
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Experiment:
        """The experiment that `as_dict` described, whichever steps have been imported so far."""
        importlib.import_module("squeeze_utils.experiments.every_step")
        return cls(
            ModelSpec.from_dict(values["model"]),
            DataSpec(**values["data"]),
            tuple(Step.from_dict(step) for step in values["recipe"]),
            values["seed"],
        )

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that name this experiment.

        Fields that hold their default are left out, so that a step may gain fields.
        """
        return _hash(self.as_dict(defaults=False))

    def prefix(self, steps: int) -> Experiment:
        """The experiment that stops after the first `steps` steps."""
        return replace(self, recipe=self.recipe[:steps])

    def followed_by(self, *steps: Step) -> Experiment:
        """The experiment that goes on with `steps` after its last step."""
        return replace(self, recipe=(*self.recipe, *steps))

    def seed_of(self, part: int | str) -> int:
        """The seed of one part: of the "model", or of the step at a position of the recipe."""
        return int(_hash((self.seed, part)), 16) >> 1


def _hash(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
