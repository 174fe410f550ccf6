"""Small trained models for the repository: the networks that a study names, from its states."""

from __future__ import annotations

from squeeze_utils.base import paths
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Study
from squeeze_utils.models.checkpoint_files import save_model
from squeeze_utils.training.step import State


def export_checkpoints(study: Study, cache: PrefixCache) -> dict[str, int]:
    """Write the checkpoints that `study` names, from finished states in the cache.

    Returns the bytes of each file written. Nothing is trained: an arm whose state is not in the
    cache, or is not of these images and steps, is left out.
    """
    written = {}
    for arm in study.arms:
        key = arm.experiment.key
        if arm.checkpoint is None or not cache.path(key).is_file():
            continue
        state = State(arm.experiment.model.build(), arm.experiment.data.load())
        if cache.restore(arm.experiment, state) is None:
            continue
        path = paths.shipped("checkpoints") / f"{arm.checkpoint}.safetensors"
        written[arm.checkpoint] = save_model(state.model, path, record=key, study=study.name)
    return written
