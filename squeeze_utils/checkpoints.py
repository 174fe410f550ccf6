"""Small trained models as float16 safetensors: committed, loaded without unpickling anything."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from . import places
from .files import write_atomically
from .models import ModelSpec, frozen
from .recipe import PrefixCache, run
from .study import Scale, Study, find


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.torch
    except ImportError as error:
        raise ImportError("checkpoints need safetensors: pip install safetensors") from error
    return safetensors


def save(model: nn.Module, path: Path, **metadata: str) -> int:
    """Write `model` (one that `build` made) with its weights as float16; return the bytes."""
    spec = {"name": model.spec.name, "options": dict(model.spec.options)}
    tensors = {
        name: (t.half() if t.is_floating_point() else t).contiguous().cpu()
        for name, t in model.state_dict().items()
    }
    broken = [n for n, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise ValueError(f"{', '.join(broken)} has values that float16 cannot hold")
    content = _safetensors().torch.save(tensors, {"spec": json.dumps(spec), **metadata})
    write_atomically(path, content)
    return len(content)


def load(name: str, folder: Path | None = None) -> tuple[nn.Module, dict[str, str]]:
    """The committed model `name` in evaluation mode, as float32, and the file's metadata."""
    folder = folder or places.shipped("checkpoints")
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.safetensors"))
        raise FileNotFoundError(f"no checkpoint {name!r}; there are: {', '.join(known) or 'none'}")
    library = _safetensors()
    try:
        with library.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        spec = json.loads(metadata["spec"])
        model = ModelSpec.of(
            spec["name"], **{k: frozen(v) for k, v in spec["options"].items()}
        ).build()
        model.load_state_dict(tensors)
    except (library.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path.name} is not a checkpoint of this series: {error}") from error
    return model.eval(), metadata


def export(study: Study, cache: PrefixCache, folder: Path | None = None) -> dict[str, int]:
    """Write the checkpoints that `study` names, from finished states in the cache.

    Returns the bytes of each file written; an arm whose state is not in the cache is left out.
    """
    folder = folder or places.shipped("checkpoints")
    written = {}
    for arm in study.arms:
        key = arm.experiment.key
        if arm.checkpoint is None or not cache.path(key).is_file():
            continue
        state, _ = run(arm.experiment, cache=cache)
        path = folder / f"{arm.checkpoint}.safetensors"
        written[arm.checkpoint] = save(state.model, path, record=key, study=study.name)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m squeeze_utils.checkpoints STUDY`: export what its reference run left behind."""
    parser = argparse.ArgumentParser(
        prog="python -m squeeze_utils.checkpoints",
        description="Write the checkpoints that a study names, after its reference run.",
    )
    parser.add_argument("study")
    try:
        study = find(parser.parse_args(arguments).study, Scale("reference"))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    written = export(study, PrefixCache(places.cache() / "states"))
    for name, size in written.items():
        print(f"{name}: {size:,} bytes")
    if not written:
        print("nothing written: this study names no checkpoint, or has not been run here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
