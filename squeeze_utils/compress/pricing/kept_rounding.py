"""What `squeeze` gives, kept on disk, so that a command that is cut off goes on after it."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from squeeze_utils.base import machine, paths
from squeeze_utils.compress import replacing
from squeeze_utils.compress.pricing import after_training, layers_and_inputs, priced_rounding
from squeeze_utils.compress.pricing.after_training import Squeezed, squeeze
from squeeze_utils.compress.sqz import container
from squeeze_utils.training.tensor_files import keep, load_kept

# What rounds and what writes the file: if it changes, what it gave before is out of date.
CODE = (
    *sorted(Path(container.__file__).parent.glob("*.py")),
    *(Path(m.__file__) for m in (after_training, layers_and_inputs, priced_rounding, replacing)),
)


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
    if content := load_kept(path, made_by, ("data", "grids", "about")):
        return _squeezed(content)
    found = squeeze(model, images, target_bytes, seed, progress, coder)
    about = {"parts": found.parts, "layers": found.layers, "price": found.price}
    data = torch.from_numpy(np.frombuffer(found.data, np.uint8).copy())
    keep(path, made_by, data=data, grids=found.grids, about=json.dumps(about))
    return found


def _squeezed(content: dict[str, Any]) -> Squeezed:
    data, about = content["data"].numpy().tobytes(), json.loads(content["about"])
    return Squeezed(container.decode_sqz(data), data, grids=content["grids"], **about)


def _signature(model: nn.Module, images: Tensor, arguments: tuple[object, ...]) -> str:
    """A hash of all that the result depends on, the versions and the code too."""
    spec = json.dumps(model.spec.as_dict(), sort_keys=True)
    versions = {**machine.versions(), "constriction": metadata.version("constriction")}
    known = repr((spec, tuple(images.shape), arguments, versions))
    found = hashlib.blake2b(known.encode(), digest_size=16)
    for name, tensor in model.state_dict().items():
        found.update(name.encode() + tensor.contiguous().cpu().numpy().tobytes())
    found.update(images.float().contiguous().cpu().numpy())
    for file in CODE:
        found.update(file.read_bytes())
    return found.hexdigest()
