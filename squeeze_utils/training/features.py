"""What the frozen part of a network says of each picture, computed once and kept on disk.

Behind the last Fire module SqueezeNet has a 1x1 convolution and a mean over positions. Without an
activation in between these two may change places: the mean of W f(p) + b over positions p is
W (mean of f) + b. That needs a convolution without padding. So a frozen network's head sees nothing
of a picture but `averaged_features`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from squeeze_utils import models
from squeeze_utils.base import machine, paths
from squeeze_utils.data import Batches, ImageSet, Split, batches
from squeeze_utils.models import SqueezeNet
from squeeze_utils.training.evaluation import evaluating
from squeeze_utils.training.tensor_files import keep, load_kept

WORTH_KEEPING = 20_000_000  # numbers of a split's pictures, from where its features go to disk
BATCH = 100
# What computes features: if it changes, those that are kept are out of date.
CODE = (
    Path(__file__),
    Path(batches.__file__),
    *sorted(Path(models.__file__).parent.glob("*.py")),
)


def check_linear_head(model: nn.Module) -> None:
    """Raise unless the scores of `model` are linear in its averaged features."""
    if not isinstance(model, SqueezeNet) or model.config.head != "average":
        raise ValueError("features are averaged for a SqueezeNet with the paper's head only")
    if model.config.final_relu:
        raise ValueError(
            "an activation behind the last convolution keeps the mean from changing places with "
            "it: build the network with final_relu=False"
        )
    if model.config.last_padding:
        raise ValueError(
            "padding at the last convolution has a part in the mean of its map: build the network "
            "with last_padding=0"
        )


@torch.no_grad()
def averaged_features(model: nn.Module, split: Split, data: ImageSet) -> Tensor:
    """The last maps of `model` as means over positions, float32 (pictures, channels)."""
    device = next(model.parameters()).device
    with evaluating(model):
        found = [
            model.features(x.to(device)).mean((2, 3)).cpu()
            for x, _ in Batches(split, BATCH, mean=data.mean, std=data.std)
        ]
    return torch.cat(found)


def signature(model: nn.Module, split: Split, data: ImageSet) -> dict[str, str]:
    """Hashes of all that features depend on.

    These are network and weights, images with their scale, and the code and its libraries.
    """
    weights = hashlib.blake2b(repr(model.config).encode(), digest_size=16)
    for name, tensor in model.features.state_dict().items():
        weights.update(name.encode() + tensor.contiguous().cpu().numpy().tobytes())
    images = hashlib.blake2b(digest_size=16)
    images.update(repr((tuple(split.images.shape), data.mean, data.std)).encode())
    images.update(split.images.permute(0, 2, 3, 1).contiguous().cpu().numpy())
    code = hashlib.blake2b(repr(machine.versions()).encode(), digest_size=16)
    for file in CODE:
        code.update(file.read_bytes())
    found = {"weights": weights, "images": images, "code": code}
    return {name: one.hexdigest() for name, one in found.items()}


def kept_features(
    model: nn.Module, split: Split, data: ImageSet, folder: Path | None = None
) -> Tensor:
    """`averaged_features` from the cache folder, or computed and put there.

    What is small is computed each time; a damaged or stale file is replaced.
    """
    if folder is None and split.images.numel() < WORTH_KEEPING:
        return averaged_features(model, split, data)
    made_by = signature(model, split, data)
    name = f"{data.name}-{data.size}-{made_by['weights'][:8]}-{made_by['images'][:8]}.features"
    path = (folder or paths.cache() / "features") / name
    if kept := load_kept(path, made_by, ["features"]):
        return kept["features"]
    features = averaged_features(model, split, data)
    keep(path, made_by, features=features)
    return features
