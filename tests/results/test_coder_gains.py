from __future__ import annotations

import pytest
import torch
from tiny import tiny_set

from squeeze_utils.compress.pricing.in_training import priced_parameters
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.models import build
from squeeze_utils.results.coder_gains import CODERS, FLOAT_BIASES, coder_gains, file_sizes
from squeeze_utils.training.step import State

STEP = torch.tensor([0.1]).half().float()


def rounded(biases: bool = True) -> State:
    """A network of whole numbers times a step; half of its inputs are read by no unit."""
    torch.manual_seed(0)
    state = State(build("lenet_300_100", 3, image_size=8), tiny_set())
    steps = {}
    for name, parameter in priced_parameters(state.model).items():
        if biases or parameter.ndim > 1:
            parameter.data = torch.round(3 * torch.randn(parameter.shape)) * STEP
            steps[name] = STEP
    state.model.classifier[0].weight.data[:, ::2] = 0
    state.saved["grids"] = steps
    return state


def test_sizes_are_those_of_the_files_and_the_network_stays():
    state = rounded()
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    model, grids = state.model, dict(state.saved["grids"])
    sizes = file_sizes(state)
    assert sizes["compact contexts"] < sizes["compact"] < sizes[FLOAT_BIASES]
    assert state.model is model and state.saved["grids"] == grids
    assert all(torch.equal(t, before[name]) for name, t in state.model.state_dict().items())
    assert sizes["compact"] == Encode("compact").apply(state)["file_bytes"]


def test_every_file_has_its_times():
    table = coder_gains(rounded(), repetitions=2)
    assert list(table.index) == [*CODERS, FLOAT_BIASES]
    assert list(table.columns) == ["file (bytes)", "encoding (ms)", "decoding (ms)"]
    assert (table > 0).all(axis=None) and not table.isna().any(axis=None)


def test_without_whole_numbers_for_biases_there_is_no_file_with_other_biases():
    assert list(file_sizes(rounded(biases=False))) == list(CODERS)


def test_a_network_without_small_numbers_is_smaller_where_sizes_are_learned():
    state = rounded()
    for name, parameter in priced_parameters(state.model).items():
        pushed = torch.where(parameter != 0, parameter + 4 * STEP * parameter.sign(), 0)
        parameter.data = torch.round(pushed / STEP) * STEP
        assert name in state.saved["grids"]
    sizes = file_sizes(state)
    assert sizes["contexts"] < 0.9 * sizes["compact contexts"]


def test_a_network_that_was_never_rounded_is_refused():
    state = rounded()
    state.saved.clear()
    with pytest.raises(ValueError, match="never rounded"):
        coder_gains(state)
