"""Small trained models for the repository: the networks that a study names, from its states."""

from __future__ import annotations

from squeeze_utils.base import paths
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Study
from squeeze_utils.models.checkpoint_files import save_model


def export_checkpoints(study: Study, cache: PrefixCache) -> dict[str, int]:
    """Write the checkpoints that `study` names, from finished states in the cache.

    Returns the bytes of each file written; an arm whose state is not in the cache is left out.
    """
    written = {}
    for arm in study.arms:
        key = arm.experiment.key
        if arm.checkpoint is None or not cache.path(key).is_file():
            continue
        state, _ = run_experiment(arm.experiment, cache=cache)
        path = paths.shipped("checkpoints") / f"{arm.checkpoint}.safetensors"
        written[arm.checkpoint] = save_model(state.model, path, record=key, study=study.name)
    return written
