"""The deployment files that are committed: two networks trained on CIFAR-10, four forms of each.

`NAME.json` beside them holds the classes, how an image is normalised, where the weights come from,
and the bytes and SHA-256 of every file. A program on another machine needs a file and that JSON,
and nothing of this package.
"""

from __future__ import annotations

from pathlib import Path

from squeeze_utils.base import paths
from squeeze_utils.base.checks import choose
from squeeze_utils.base.paths import STARTING_NETWORK
from squeeze_utils.compress.sharing.steps import Share
from squeeze_utils.compress.sqz.container import save_sqz
from squeeze_utils.deploy.for_inference import without_norm
from squeeze_utils.deploy.interleaved import Way
from squeeze_utils.deploy.optional_parts import has
from squeeze_utils.deploy.write_files import FORMS
from squeeze_utils.models.checkpoint_files import load_model
from squeeze_utils.training.step import State

NAMES = (STARTING_NETWORK, "lenet-5-cifar10")
SHARED_BITS = 6  # of the weights in `shared_sqz`


def folder() -> Path:
    """Where the committed files lie; the checkpoints they were made from lie one folder above."""
    return paths.shipped("checkpoints") / "deploy"


def deployment_file(name: str, form: str) -> Path:
    """The committed file of a checkpoint in one of `FORMS`, for example "int8.onnx"."""
    choose("form", form, FORMS)
    path = folder() / f"{name}.{form}"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.name} is not there: take it from the repository, or make deploy-files"
        )
    return path


def ways(name: str = NAMES[0]) -> dict[str, Way]:
    """Every way in which a committed network can be run here, by what it is called in tables."""
    checkpoint = folder().parent / f"{name}.safetensors"
    found = {
        "torch": Way(checkpoint),
        "torch, channels-last": Way(checkpoint, channels_last=True),
        "ONNX Runtime, float": Way(deployment_file(name, "float16.onnx")),
        "ONNX Runtime, int8": Way(deployment_file(name, "int8.onnx")),
    }
    if has("ai_edge_litert"):
        found["LiteRT, float"] = Way(deployment_file(name, "float16.tflite"))
        found["LiteRT, int8"] = Way(deployment_file(name, "int8.tflite"))
    return found


def shared_sqz(target: Path, name: str = NAMES[0]) -> Path:
    """Write a committed network as `.sqz` into a folder: normalisation folded, weights shared."""
    state = State(without_norm(load_model(name)[0]), None)
    Share(SHARED_BITS).apply(state)
    path = target / f"{name}.sqz"
    save_sqz(state.model, path)
    return path
