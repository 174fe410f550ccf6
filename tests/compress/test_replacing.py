from __future__ import annotations

import pytest
import torch
from states import outputs, state_of
from torch import nn

from squeeze_utils.compress.replacing import rebuilt, restored


def test_a_rebuilt_network_holds_the_numbers_of_the_old_one():
    model = state_of(pooling="max").model
    other = rebuilt(model, {"pooling": "average"})
    assert other.spec.options == state_of(pooling="average").model.spec.options
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
    assert not torch.equal(outputs(other), outputs(model)) and other.training == model.training


def test_what_is_left_out_keeps_its_own_numbers():
    model = state_of().model

    def norms(network: nn.Module) -> list[nn.Module]:
        return [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]

    other = rebuilt(model, {}, norms)
    assert torch.equal(other.features[0].weight, model.features[0].weight)
    assert all((norm.running_mean == 0).all() for norm in norms(other))
    assert all((norm.running_mean != 0).all() for norm in norms(model))


def test_parameters_are_restored_also_after_an_error():
    layer = nn.Linear(3, 2)
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    with pytest.raises(RuntimeError, match="stop"), restored(layer.weight, layer.bias):
        layer.weight.data = torch.zeros(2, 3)
        layer.bias.data = torch.ones(2)
        assert layer(torch.ones(3)).tolist() == [1, 1]
        raise RuntimeError("stop")
    assert all(torch.equal(p, before[name]) for name, p in layer.named_parameters())
