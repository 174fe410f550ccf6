"""A trained model as a float16 safetensors file, read back without unpickling anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base import paths
from squeeze_utils.base.files import write_atomically
from squeeze_utils.models import ModelSpec


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.torch
    except ImportError as error:
        raise ImportError("checkpoints need safetensors: pip install safetensors") from error
    return safetensors


def save_model(model: nn.Module, path: Path, **metadata: str) -> int:
    """Write `model` (one that `build` made) with its weights as float16; return the bytes."""
    tensors = {
        name: (t.half() if t.is_floating_point() else t).contiguous().cpu()
        for name, t in model.state_dict().items()
    }
    broken = [n for n, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise ValueError(f"{', '.join(broken)} has values that float16 cannot hold")
    content = _safetensors().torch.save(
        tensors, {"spec": json.dumps(model.spec.as_dict()), **metadata}
    )
    write_atomically(path, content)
    return len(content)


def network_of(spec: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    """The network of `spec` with these very tensors: no memory is asked for besides theirs."""
    with torch.device("meta"):
        model = ModelSpec.from_dict(spec).build()
    model.load_state_dict(tensors, assign=True)
    return model


def load_model(name: str, folder: Path | None = None) -> tuple[nn.Module, dict[str, str]]:
    """The committed model `name` in evaluation mode, as float32, and the file's metadata.

    >>> import squeeze_utils as sq
    >>> model, about = sq.load_model("squeezenet-cifar10")
    >>> model.num_classes
    10
    """
    folder = folder or paths.shipped("checkpoints")
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.safetensors"))
        raise FileNotFoundError(f"no checkpoint {name!r}; there are: {', '.join(known) or 'none'}")
    library = _safetensors()
    try:
        with library.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        whole = {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}
        model = network_of(json.loads(metadata["spec"]), whole)
    except (
        library.SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RuntimeError,
    ) as error:
        raise ValueError(f"{path.name} is not a checkpoint of this series: {error}") from error
    return model.eval(), metadata
