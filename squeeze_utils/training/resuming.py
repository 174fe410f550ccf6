"""Long trainings keep themselves on disk: a machine that goes away costs an epoch and a minute."""

from __future__ import annotations

import copy
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from squeeze_utils.base import machine
from squeeze_utils.base.files import set_aside
from squeeze_utils.training.distributed.ranks import from_first, here, wait_for_all
from squeeze_utils.training.tensor_files import UnusableFileError, load_tensors, save_tensors

SECONDS = 60.0
KEPT = ("name", "model", "average", "optimizer", "generator", "masks", "random", "cuda")


@dataclass
class TrainingState:
    """All that the next epoch of a training depends on. `name` tells one training from another.

    `average` is the network whose weights are a moving average, where there is one.
    """

    name: str
    model: nn.Module
    optimizer: Optimizer
    generator: torch.Generator
    masks: dict[str, Tensor]
    average: nn.Module | None = None

    def content(self) -> dict[str, Any]:
        """The state as tensors and plain values, with the random state of the process."""
        return {
            "name": self.name,
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "masks": self.masks,
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Bring everything to what `content` says.

        Where that is not of this training an UnusableFileError says why, and all is as before.
        """
        if content["name"] != self.name:
            raise UnusableFileError("it is of another training")
        masks = {name: mask.to(self.device) for name, mask in content["masks"].items()}
        before = copy.deepcopy(self.content())
        try:
            self._set(content)
        except (RuntimeError, ValueError, KeyError) as error:  # torch refuses what does not fit
            self._set(before)
            raise UnusableFileError(str(error)) from error
        self.masks.update(masks)

    def _set(self, content: dict[str, Any]) -> None:
        self.model.load_state_dict(content["model"])
        if self.average is not None:
            self.average.load_state_dict(content["average"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.generator.set_state(content["generator"])
        torch.set_rng_state(content["random"])
        if content["cuda"] is not None:
            torch.cuda.set_rng_state(content["cuda"])

    @property
    def device(self) -> torch.device:
        """Where the network is trained."""
        return next(self.model.parameters()).device


class HalfwayFile:
    """A file that holds a training between two epochs, renewed at most every `seconds`.

    `spent` are the seconds that went into what the file holds, in processes before this one, and
    `devices` the names of what they worked on; older files do not say those.
    """

    def __init__(self, path: Path, seconds: float = SECONDS) -> None:
        self.path, self.seconds = Path(path), seconds
        self.spent, self.devices = 0.0, ()
        self._started = self._kept = time.monotonic()

    def keep(self, training: TrainingState, history: list[dict[str, Any]]) -> None:
        """Write where the training stands, unless that was done just now."""
        now = time.monotonic()
        if now - self._kept < self.seconds:
            return
        spent = self.spent + now - self._started
        devices = json.dumps(self.with_earlier(machine.device_name(training.device)))
        progress = {"history": json.dumps(history), "spent": spent, "devices": devices}
        save_tensors(self.path, {**training.content(), **progress})
        self._kept = now

    def resume(self, training: TrainingState) -> list[dict[str, Any]]:
        """Go to where an earlier process was; its epochs, or none where it left nothing usable.

        A file that cannot be used is set aside.
        """
        try:
            content = load_tensors(self.path, (*KEPT, "history", "spent"))
            training.restore(content)
        except FileNotFoundError:
            return []
        except UnusableFileError as error:
            moved = set_aside(self.path)
            message = f"a training kept halfway cannot be used, moved to {moved.name}: {error}"
            warnings.warn(message, stacklevel=3)
            return []
        self.spent = content["spent"]
        self.devices = tuple(json.loads(content.get("devices", "[]")))
        return json.loads(content["history"])

    def with_earlier(self, device: str) -> list[str]:
        """The devices that have worked on the training, this process's as the last new one."""
        return list(dict.fromkeys((*self.devices, device)))

    def resume_together(self, training: TrainingState) -> list[dict[str, Any]]:
        """`resume` in each of the processes that train together, which must see the same file."""
        found: list[dict[str, Any]] = []
        if here().first:
            found = self.resume(training)
        count = from_first(lambda: len(found))
        if not here().first and count:
            found = self.resume(training)
        if len(found) != count:
            raise RuntimeError(
                f"process {here().rank} cannot read {self.path.name}, from which the first process "
                f"goes on after epoch {count}: the processes must share the folder of states"
            )
        wait_for_all()
        return found

    def remove(self) -> None:
        """The training is over."""
        self.path.unlink(missing_ok=True)
