"""Checkpoints come from finished states, and from nothing else."""

from __future__ import annotations

import pytest
from tiny import tiny_experiment, tiny_set

from squeeze_utils.base import paths
from squeeze_utils.experiments.checkpoints import export_checkpoints
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study


def test_a_state_that_cannot_be_used_is_left_out_and_nothing_is_trained(
    tmp_path, monkeypatch, fits
):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    experiment, cache = tiny_experiment(), PrefixCache(tmp_path / "states")
    study = Study("net", "?", [Arm.of(experiment, "a-net", kind="net")])
    path = cache.path(experiment.key)
    run_experiment(experiment, data=tiny_set(), cache=cache)
    assert export_checkpoints(study, cache) == {}  # it is of other images
    path.unlink()
    run_experiment(experiment, cache=cache)
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    with pytest.warns(UserWarning, match="damaged cache file"):
        assert export_checkpoints(study, cache) == {}
    assert not (tmp_path / "checkpoints").exists()
    path.write_bytes(whole)
    assert list(export_checkpoints(study, cache)) == ["a-net"]
    assert len(fits) == 2
