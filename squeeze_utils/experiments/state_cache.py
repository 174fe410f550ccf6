"""States of networks on disk, so that what experiments begin with in common is trained once."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
import weakref
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from squeeze_utils.base import paths
from squeeze_utils.base.files import set_aside
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.models.checkpoint_files import network_of
from squeeze_utils.training.resuming import HalfwayFile
from squeeze_utils.training.step import State, Step
from squeeze_utils.training.tensor_files import UnusableFileError, load_tensors, save_tensors

KEPT = ("model", "masks", "codebooks", "saved", "spec", "steps", "fingerprint")


class PrefixCache:
    """States of networks on disk, by the key of the experiment that made them.

    A file is used only if it was made from the same images by the same steps; a damaged one is
    set aside. Without a folder the states lie in a temporary one, which goes with the cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="squeeze_utils-states-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """The file of the state named `key`."""
        return self.folder / f"{key}.state"

    def halfway(self, key: str) -> HalfwayFile:
        """Where the last step of the experiment named `key` keeps itself while it runs."""
        return HalfwayFile(self.folder / f"{key}.halfway")

    def missing(self, experiment: Experiment) -> list[str]:
        """The keys of its prefixes beyond the longest that has a file here: what it will make.

        The shortest comes first; the last one is that of the experiment itself.
        """
        keys = [experiment.prefix(count + 1).key for count in range(len(experiment.recipe))]
        made = [count for count, key in enumerate(keys, 1) if self.path(key).is_file()]
        return keys[max(made, default=0) :]

    def lacks(self, experiment: Experiment) -> str:
        """What of it runs next: the first that is `missing`, or itself where nothing is."""
        return next(iter(self.missing(experiment)), experiment.key)

    def save(self, experiment: Experiment, state: State, steps: list[dict[str, Any]]) -> None:
        """Keep what `experiment` came to, and the measurements after each of its steps."""
        content = {
            "model": state.model.state_dict(),
            "masks": state.masks,
            "codebooks": state.codebooks,
            "saved": state.saved,
            "spec": json.dumps(state.model.spec.as_dict()),
            "steps": json.dumps(steps),
            "fingerprint": state.data.fingerprint,
        }
        save_tensors(self.path(experiment.key), content)

    def restore_longest(self, experiment: Experiment, state: State) -> list[dict[str, Any]]:
        """Bring `state` to where the longest kept prefix ended; the measurements of its steps."""
        for count in range(len(experiment.recipe), 0, -1):
            steps = self.restore(experiment.prefix(count), state)
            if steps is not None:
                return steps
        return []

    def restore(self, experiment: Experiment, state: State) -> list[dict[str, Any]] | None:
        """Bring `state` to what `experiment` came to; None if there is nothing usable."""
        path = self.path(experiment.key)
        try:
            content = load_tensors(path, KEPT, state.device)
            steps = json.loads(content["steps"])
            if content["fingerprint"] != state.data.fingerprint or not _made_by(experiment, steps):
                return None
            model = _network(json.loads(content["spec"]), content["model"])
        except FileNotFoundError:  # not made yet, or set aside by another process just now
            return None
        except UnusableFileError as error:
            moved = set_aside(path)
            warnings.warn(f"damaged cache file, moved to {moved.name}: {error}", stacklevel=2)
            return None
        state.model = model
        state.masks, state.codebooks = content["masks"], content["codebooks"]
        state.saved = content["saved"]
        return steps


def usual_cache() -> PrefixCache:
    """Where long runs keep their states: in the checkout, or in the user's cache folder."""
    return PrefixCache(paths.cache() / "states")


def _made_by(experiment: Experiment, steps: list[dict[str, Any]]) -> bool:
    """Whether the measured steps were those of `experiment`, in all their fields.

    Equal keys do not say so: a key leaves out what holds its default, and defaults change.
    """
    try:
        made = [Step.from_dict(step["step"]).as_dict() for step in steps]
    except (ValueError, TypeError):  # a step had other fields then
        return False
    return made == experiment.as_dict()["recipe"]


def _network(spec: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    try:
        return network_of(spec, tensors)
    except (ValueError, RuntimeError) as error:
        raise UnusableFileError(f"its tensors are not those of the model: {error}") from error
