"""What `squeeze` gives, kept on disk, so that a command that is cut off goes on after it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from squeeze_utils.base import machine, paths
from squeeze_utils.compress.pricing import after_training, layers_and_inputs, priced_rounding
from squeeze_utils.compress.pricing.after_training import Squeezed, squeeze
from squeeze_utils.compress.sqz import coders, container, contexts
from squeeze_utils.training.tensor_files import UnusableFileError, load_tensors, save_tensors

# What rounds and what writes the file: if it changes, what it gave before is out of date.
CODE = tuple(
    Path(module.__file__)
    for module in (after_training, layers_and_inputs, priced_rounding, container, coders, contexts)
)
KEPT = ("made_by", "data", "grids", "about")


def kept_squeeze(
    model: nn.Module,
    images: Tensor,
    target_bytes: int,
    seed: int = 0,
    progress: bool = False,
    coder: str = "best",
    folder: Path | None = None,
) -> Squeezed:
    """`squeeze`, or what it gave before for the same network, images and arguments.

    A damaged file in the cache folder, or one that other code has written, is replaced.
    """
    made_by = _signature(model, images, (target_bytes, seed, coder))
    path = (folder or paths.cache() / "rounded") / f"{made_by}.rounded"
    try:
        return _read(path, made_by)
    except (OSError, UnusableFileError):
        pass  # not there, or damaged
    found = squeeze(model, images, target_bytes, seed, progress, coder)
    about = {"parts": found.parts, "layers": found.layers, "price": found.price}
    data = torch.from_numpy(np.frombuffer(found.data, np.uint8).copy())
    content = {"data": data, "grids": found.grids, "about": json.dumps(about)}
    save_tensors(path, {"made_by": made_by, **content})
    return found


def _read(path: Path, made_by: str) -> Squeezed:
    content = load_tensors(path, KEPT)
    if content["made_by"] != made_by:
        raise UnusableFileError("it was made of something else")
    data, about = content["data"].numpy().tobytes(), json.loads(content["about"])
    return Squeezed(container.decode_sqz(data), data, grids=content["grids"], **about)


def _signature(model: nn.Module, images: Tensor, arguments: tuple[object, ...]) -> str:
    """A hash of all that the result depends on, the versions and the code too."""
    spec = json.dumps(model.spec.as_dict(), sort_keys=True)
    known = repr((spec, tuple(images.shape), arguments, machine.versions()))
    found = hashlib.blake2b(known.encode(), digest_size=16)
    for name, tensor in model.state_dict().items():
        found.update(name.encode() + tensor.contiguous().cpu().numpy().tobytes())
    found.update(images.float().contiguous().cpu().numpy())
    for file in CODE:
        found.update(file.read_bytes())
    return found.hexdigest()
