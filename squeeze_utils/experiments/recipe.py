"""Recipes of steps: an experiment is (model, data, recipe, seed), and running it measures it."""

from __future__ import annotations

import hashlib
import io
import json
import time
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base import machine
from squeeze_utils.base.files import set_aside, write_atomically
from squeeze_utils.data import ImageSet
from squeeze_utils.data.sets import load_images
from squeeze_utils.models import ModelSpec, frozen
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.loop import Train
from squeeze_utils.training.resuming import HalfwayFile
from squeeze_utils.training.step import State, Step

__all__ = [
    "DataSpec",
    "Experiment",
    "PrefixCache",
    "State",
    "Step",
    "Train",
    "finish",
    "run_experiment",
]


@dataclass(frozen=True)
class DataSpec:
    """An image set as data: what `data.load` is called with."""

    name: str = "digits"
    size: int | None = None
    train_limit: int | None = None

    def load(self) -> ImageSet:
        """The image set, read from the data folder."""
        return load_images(self.name, size=self.size, train_limit=self.train_limit)

    def device(self) -> torch.device:
        """Where to train on these images: on the GPU, if there is one, but digits never.

        A step on digits is so short that a GPU would wait for the processor to say what is next.
        """
        return torch.device("cpu") if self.name == "digits" else machine.default_device()


@dataclass(frozen=True)
class Experiment:
    """What is trained on what, how, and from which seed. Identified by the hash of its JSON."""

    model: ModelSpec
    data: DataSpec
    recipe: tuple[Step, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe", tuple(self.recipe))
        if not self.recipe:
            raise ValueError("a recipe needs at least one step")

    def as_dict(self, defaults: bool = True) -> dict[str, Any]:
        """The experiment as plain values, with or without the steps' default fields."""
        return {
            "model": {"name": self.model.name, "options": dict(self.model.options)},
            "data": asdict(self.data),
            "recipe": [step.as_dict(defaults) for step in self.recipe],
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Experiment:
        """The experiment that `as_dict` described."""
        options = {name: frozen(v) for name, v in values["model"]["options"].items()}
        return cls(
            ModelSpec.of(values["model"]["name"], **options),
            DataSpec(**values["data"]),
            tuple(Step.from_dict(step) for step in values["recipe"]),
            values["seed"],
        )

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that name this experiment."""
        return _hash(self.as_dict(defaults=False))

    def prefix(self, steps: int) -> Experiment:
        """The experiment that stops after the first `steps` steps."""
        return replace(self, recipe=self.recipe[:steps])


def _hash(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _derived_seed(*parts: Any) -> int:
    return int(_hash(parts), 16) >> 1


class PrefixCache:
    """States of networks on disk, by the key of the experiment that made them.

    A file is only used if it was made from the same images; a damaged one is set aside.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """The file of the state named `key`."""
        return self.folder / f"{key}.pt"

    def halfway(self, key: str) -> HalfwayFile:
        """Where the last step of the experiment named `key` keeps itself while it runs."""
        return HalfwayFile(self.folder / f"{key}.halfway.pt")

    def lacks(self, experiment: Experiment) -> str:
        """The key of the shortest prefix of `experiment` that is not here: what runs next."""
        lengths = range(1, len(experiment.recipe) + 1)
        keys = (experiment.prefix(count).key for count in lengths)
        return next((key for key in keys if not self.path(key).is_file()), experiment.key)

    def save(self, key: str, state: State, steps: list[dict[str, Any]]) -> None:
        """Keep `state` and the measurements up to it."""
        buffer = io.BytesIO()
        content = {
            "model": state.model.state_dict(),
            "masks": state.masks,
            "codebooks": state.codebooks,
            "saved": state.saved,
            "steps": json.dumps(steps),
            "spec": json.dumps([state.model.spec.name, dict(state.model.spec.options)]),
            "fingerprint": state.data.fingerprint,
        }
        torch.save(content, buffer)
        write_atomically(self.path(key), buffer.getvalue())

    def restore(self, key: str, state: State) -> list[dict[str, Any]] | None:
        """Bring `state` to what was kept under `key`; None if there is nothing usable."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            content = torch.load(path, map_location=state.device, weights_only=True)
            steps = json.loads(content["steps"])
            if content["fingerprint"] != state.data.fingerprint:
                return None
            kept = {name: content[name] for name in ("masks", "codebooks")}
            kept["saved"] = content.get("saved", {})
            model = _same_model(state.model, content.get("spec"))
            _check_same_shapes(model.state_dict(), content["model"])
            model.load_state_dict(content["model"])
            vars(state).update(kept, model=model)
        except Exception as error:
            moved = set_aside(path)
            warnings.warn(f"damaged cache file, moved to {moved.name}: {error}", stacklevel=2)
            return None
        return steps


def _same_model(model: nn.Module, spec: str | None) -> nn.Module:
    """`model`, or a new one where a step had made another of it (files before 0.2 lack `spec`)."""
    if spec is None:
        return model
    name, options = json.loads(spec)
    kept = ModelSpec.of(name, **{key: frozen(value) for key, value in options.items()})
    if kept == model.spec:
        return model
    like = next(model.parameters())
    return kept.build().to(like.device, memory_format=torch.channels_last)


def _check_same_shapes(expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    if {n: t.shape for n, t in expected.items()} != {n: t.shape for n, t in found.items()}:
        raise ValueError("its tensors are not those of the model")


def run_experiment(
    experiment: Experiment,
    *,
    data: ImageSet | None = None,
    cache: PrefixCache | None = None,
    device: torch.device | str | None = None,
    progress: bool = False,
) -> tuple[State, list[dict[str, Any]]]:
    """Run the steps one after another; return the final state and each step's measurements.

    With a cache, the longest prefix that is already there is loaded instead of trained, and
    the state after every step is kept. The test split is not read: see `finish`.

    Everything happens and stays on `device`. Without one it happens where the images' `DataSpec`
    says, and the state comes back to the processor, where the caller's other tensors are.
    """
    given = data or experiment.data.load()
    place = torch.device(device) if device else experiment.data.device()
    state = State(_untrained(experiment, place), given.to(place), place, progress=progress)
    state.initial = lambda: _untrained(experiment, state.device)
    steps: list[dict[str, Any]] = []
    done = 0
    for count in range(len(experiment.recipe), 0, -1) if cache else ():
        found = cache.restore(experiment.prefix(count).key, state)
        if found is not None:
            steps, done = found, count
            break
    for position in range(done, len(experiment.recipe)):
        key = experiment.prefix(position + 1).key
        state.halfway = cache.halfway(key) if cache else None
        steps.append(_apply(experiment, position, state))
        if cache:
            cache.save(key, state, steps)
            state.halfway.remove()
    if device is None:
        state.to(torch.device("cpu"), given)
    return state, steps


def _untrained(experiment: Experiment, device: torch.device) -> nn.Module:
    """The network before the first step; the same for each call."""
    with torch.random.fork_rng():
        torch.manual_seed(_derived_seed(experiment.seed, "model"))
        return experiment.model.build().to(device, memory_format=torch.channels_last)


def _apply(experiment: Experiment, position: int, state: State) -> dict[str, Any]:
    step = experiment.recipe[position]
    state.generator = torch.Generator().manual_seed(_derived_seed(experiment.seed, position))
    start = time.perf_counter()
    measured = step.apply(state)
    seconds = time.perf_counter() - start + (state.halfway.spent if state.halfway else 0.0)
    found = evaluate(state.model, state.data.validation, state.data)
    return {
        "step": step.as_dict(),
        "seconds": round(seconds, 3),
        **measured,
        "validation_loss": found.loss,
        "validation_accuracy": found.accuracy,
        **count(state.model),
    }


def count(model: nn.Module) -> dict[str, int]:
    """Parameters, how many of them are not zero, and their bytes as dense float32."""
    total = sum(p.numel() for p in model.parameters())
    nonzero = sum(int(torch.count_nonzero(p)) for p in model.parameters())
    return {"parameters": total, "nonzero": nonzero, "dense_bytes": 4 * total}


def finish(state: State, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read the test split, once, and add what it says to the last step's measurements."""
    found = evaluate(state.model, state.data.test, state.data)
    last = {
        **steps[-1],
        "test_loss": found.loss,
        "test_accuracy": found.accuracy,
        "confusion": found.confusion.tolist(),
    }
    return [*steps[:-1], last]
