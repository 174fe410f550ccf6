from __future__ import annotations

import pytest
import torch
from states import outputs, state_of
from torch import nn

from squeeze_utils.compress.pruning.steps import Remember, Rewind
from squeeze_utils.compress.quantizing import equalising
from squeeze_utils.compress.quantizing.after_training import QuantizeWeights
from squeeze_utils.compress.quantizing.equalising import CorrectBias, Equalise
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.training.loop import Train

FORMS = [
    {},
    {"bypass": "complex"},
    {"activation": "leaky_relu"},
    {"norm": "none", "pooling": "strided block"},
]


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_equalising_changes_no_output_and_evens_out_the_ranges(options):
    state = state_of(**options)
    if "norm" not in options:
        FoldBatchNorm().apply(state)
    before, fire = outputs(state.model), state.model.fires()[4]

    def imbalance() -> float:
        r1 = fire.squeeze.weight.abs().flatten(1).amax(1)
        pair = torch.cat((fire.expand1x1.weight, fire.expand3x3.weight.amax((2, 3), keepdim=True)))
        return float((r1 / pair.abs().amax((0, 2, 3))).log().abs().max().detach())

    spread = imbalance()
    assert Equalise().apply(state)["channels_scaled"] > 0
    assert torch.allclose(outputs(state.model), before, atol=1e-4)
    assert imbalance() < spread


def test_corrected_biases_bring_the_means_back():
    state = state_of()
    FoldBatchNorm().apply(state)
    whole = outputs(state.model)
    QuantizeWeights(3, "tensor", "minmax").apply(state)
    rounded = outputs(state.model)
    CorrectBias(images=48).apply(state)
    x = (whole - outputs(state.model)).mean(0).abs().sum()
    assert x < (whole - rounded).mean(0).abs().sum()
    with pytest.raises(ValueError, match="put a QuantizeWeights step before CorrectBias"):
        CorrectBias(images=48).apply(state)  # from biases that have moved it would move them again


@pytest.mark.parametrize("training", [Train(1), QuantizedTrain(1)], ids=["float", "rounded"])
def test_means_from_before_a_training_are_no_aim_for_biases(training):
    state = state_of(norm="none")
    QuantizeWeights(8).apply(state)
    training.apply(state)
    with pytest.raises(ValueError, match="put a QuantizeWeights step before CorrectBias"):
        CorrectBias(images=48).apply(state)
    QuantizeWeights(4).apply(state)
    assert CorrectBias(images=48).apply(state)["largest_correction"] > 0


def test_what_is_rounded_is_neither_folded_nor_equalised():
    state = state_of()
    QuantizeWeights(8).apply(state)
    with pytest.raises(ValueError, match="put FoldBatchNorm before rounding"):
        FoldBatchNorm().apply(state)
    state = state_of(norm="none")
    QuantizeWeights(8).apply(state)
    with pytest.raises(ValueError, match="put Equalise before rounding"):
        Equalise().apply(state)
    CorrectBias(images=48).apply(state)
    with pytest.raises(ValueError, match="put Equalise before rounding"):
        Equalise().apply(state)


def test_what_went_back_to_unrounded_weights_can_be_folded():
    state = state_of()
    Remember().apply(state)
    QuantizeWeights(8).apply(state)
    Rewind().apply(state)
    assert FoldBatchNorm().apply(state)["folded"] > 0


def test_means_of_a_layer_do_not_need_the_layers_behind_it():
    state = state_of(norm="none")
    layers = {n: m for n, m in state.model.named_modules() if isinstance(m, nn.Conv2d)}
    x, first = torch.rand(200, 1, 16, 16), next(iter(layers))  # two parts
    every = equalising._means(state.model, layers, x)
    ran = []
    for name, layer in layers.items():
        layer.register_forward_hook(lambda *_, name=name: ran.append(name))
    alone = equalising._means(state.model, {first: layers[first]}, x)
    assert ran == [first, first] and set(every) == set(layers)
    assert torch.equal(alone[first], every[first])
