"""Small trained models as float16 safetensors: which studies leave one behind, and exporting it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.recipe import PrefixCache, run_experiment
from squeeze_utils.experiments.study import Study
from squeeze_utils.models.checkpoint_files import load_model, save_model
from squeeze_utils.studies.catalogue import find

__all__ = ["export", "load_model", "main", "save_model"]


def export(study: Study, cache: PrefixCache, folder: Path | None = None) -> dict[str, int]:
    """Write the checkpoints that `study` names, from finished states in the cache.

    Returns the bytes of each file written; an arm whose state is not in the cache is left out.
    """
    folder = folder or paths.shipped("checkpoints")
    written = {}
    for arm in study.arms:
        key = arm.experiment.key
        if arm.checkpoint is None or not cache.path(key).is_file():
            continue
        state, _ = run_experiment(arm.experiment, cache=cache)
        path = folder / f"{arm.checkpoint}.safetensors"
        written[arm.checkpoint] = save_model(state.model, path, record=key, study=study.name)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what the reference run of a study left behind."""
    parser = argparse.ArgumentParser(
        prog="python -m squeeze_utils.experiments.checkpoints",
        description="Write the checkpoints that a study names, after its reference run.",
    )
    parser.add_argument("study")
    try:
        study = find(parser.parse_args(arguments).study, Scale("reference"))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    written = export(study, PrefixCache(paths.cache() / "states"))
    for name, size in written.items():
        print(f"{name}: {size:,} bytes")
    if not written:
        print("nothing written: this study names no checkpoint, or has not been run here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
