from __future__ import annotations

import pytest
import torch
from states import state_of

from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.after_training import Calibrate
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.quantizing.in_training import STEPS, QuantizedTrain, _Rounded
from squeeze_utils.models.fake_quant import FakeQuant
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import check_masks

PLAN = {"epochs": 2, "batch_size": 16, "lr": 0.01, "precision": "float32"}


def test_learned_steps_neither_decay_nor_count_as_matrices():
    part = _Rounded(torch.randn(8, 4, 3, 3), 4, "channel", "learned")
    learned = [p for p in part.parameters() if p.requires_grad]
    assert [p.ndim for p in learned] == [1] and part(torch.randn(8, 4, 3, 3)).shape == (8, 4, 3, 3)
    assert not any(
        p.requires_grad for p in _Rounded(torch.randn(8, 4), 4, "channel", "fixed").parameters()
    )


@pytest.mark.parametrize("steps", STEPS)
def test_layers_can_have_bits_of_their_own_while_training(steps):
    state = state_of(norm="none")
    own = (("classifier.1.weight", 5),)
    QuantizedTrain(**PLAN, bits=2, steps=steps, per_layer=own).apply(state)
    found = {
        n: max(len(r.unique()) for r in w.detach().flatten(1))
        for n, w in prunable(state.model).items()
    }
    assert found.pop("classifier.1.weight") > 3 and max(found.values()) <= 3


@pytest.mark.parametrize("steps", STEPS)
def test_training_with_rounding_ends_on_the_grid_and_learns_its_steps_if_asked(steps):
    state = state_of(activation_bits=4)
    FoldBatchNorm().apply(state)
    Calibrate(images=48).apply(state)
    before = [float(m.scale) for m in state.model.modules() if isinstance(m, FakeQuant)]
    QuantizedTrain(**PLAN, bits=3, steps=steps).apply(state)
    for weight in prunable(state.model).values():
        assert max(len(row.unique()) for row in weight.detach().flatten(1)) <= 7
    after = [float(m.scale) for m in state.model.modules() if isinstance(m, FakeQuant)]
    assert (before != after) == (steps == "learned")
    assert not any("parametrizations" in name for name, _ in state.model.named_parameters())
    assert not any(p.requires_grad for n, p in state.model.named_parameters() if "scale" in n)


def test_pruned_weights_stay_zero_through_training_with_rounding():
    state = state_of()
    Prune(0.7).apply(state)
    QuantizedTrain(**PLAN, bits=4).apply(state)
    check_masks(state)
    for name, mask in state.masks.items():
        weight = dict(state.model.named_parameters())[name]
        assert not weight.detach()[~mask].any() and weight.detach()[mask].any()


def test_a_step_below_zero_is_an_error_or_a_result(monkeypatch):
    state = state_of(activation_bits=4)
    FoldBatchNorm().apply(state)
    Calibrate(images=48).apply(state)
    point = next(m for m in state.model.modules() if isinstance(m, FakeQuant))

    def too_far(plan, state):
        point.scale.data.fill_(-0.1)
        return {}

    monkeypatch.setattr(Train, "apply", too_far)
    with pytest.raises(RuntimeError, match="became negative: lower the learning rate"):
        QuantizedTrain(**PLAN, steps="learned").apply(state)
    found = QuantizedTrain(**PLAN, steps="learned", may_diverge=True).apply(state)
    assert "became negative" in found["diverged"]
