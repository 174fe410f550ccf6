from __future__ import annotations

import pytest
import torch
from states import DATA, state_of

from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.models import ModelSpec, checkpoint_files
from squeeze_utils.training.start_from_checkpoint import Load
from squeeze_utils.training.step import State

SPEC = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, num_classes=3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_files.paths, "shipped", lambda name: tmp_path / name)
    return tmp_path / "checkpoints"


def test_a_recipe_can_begin_with_a_checkpoint(folder):
    state = state_of(width=0.125)
    checkpoint_files.save_model(state.model, folder / "small.safetensors", record="abc")
    expected = checkpoint_files.load_model("small")[0].state_dict()
    fresh = State(SPEC.build(), DATA)
    assert Load("small").apply(fresh) == {"loaded": "small", "record": "abc"}
    assert all(torch.equal(v, expected[n]) for n, v in fresh.model.state_dict().items())


def test_a_checkpoint_of_another_network_or_too_late_is_refused(folder):
    state = state_of(width=0.125)
    checkpoint_files.save_model(state.model, folder / "small.safetensors")
    other = ModelSpec.of("squeezenet_small", width=0.25, in_channels=1, num_classes=3)
    with pytest.raises(ValueError, match="the checkpoint small holds"):
        Load("small").apply(State(other.build(), DATA))
    with pytest.raises(FileNotFoundError, match="no checkpoint 'gone'; there are: small"):
        Load("gone").apply(state)
    Prune(0.5).apply(state)
    with pytest.raises(ValueError, match="Load comes before Prune"):
        Load("small").apply(state)
