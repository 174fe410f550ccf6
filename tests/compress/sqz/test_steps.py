from __future__ import annotations

import pytest
import torch
from states import DATA, outputs, state_of

from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.after_training import QuantizeWeights
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.quantizing.mixed_bits import MixedBits
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.compress.sqz import container, forms
from squeeze_utils.compress.sqz.steps import PARTS, Encode, layer_sizes
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State

TRAINING = {"batch_size": 16, "lr": 0.01, "precision": "float32"}
FIND_STEPS = forms.find_steps


@pytest.fixture
def state() -> State:
    return state_of(width=0.125)


def squeezed(state: State) -> State:
    Prune(0.7, exclude=("features.0",)).apply(state)
    Share(3).apply(state)
    return state


@pytest.mark.parametrize("coder", ["best", *container.TENSOR_CODERS])
def test_the_network_goes_on_as_the_one_read_from_its_file(state, coder):
    squeezed(state)
    before, saved = outputs(state.model), state.model.train()
    found = Encode(coder, details=True).apply(state)
    assert state.model is not saved and state.model.spec == saved.spec
    assert saved.training
    assert torch.equal(outputs(state.model), before)
    dense = 4 * sum(p.numel() for p in saved.parameters())
    assert found["ratio"] == dense / found["file_bytes"]
    assert sum(found["parts"].values()) == sum(found["file_parts"].values()) == found["file_bytes"]
    assert found["coder_bytes"].get(coder, found["file_bytes"]) == found["file_bytes"]
    assert found["coder_bytes"]["best"] == min(found["coder_bytes"].values())


def test_a_network_that_has_diverged_is_named_as_such(state):
    with torch.no_grad():
        state.model.features[0].weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"features\.0\.weight is not finite: .*diverged"):
        Encode().apply(state)


def test_training_shared_weights_does_not_change_the_order_in_the_file():
    """Tied weights are registered anew, behind the bias: a file in that order is unreadable."""
    spec = ModelSpec.of("lenet_300_100", image_size=16, num_classes=3)
    state = State(spec.build().to(memory_format=torch.channels_last), DATA)
    Prune(0.7).apply(state)
    Share(3).apply(state)
    TuneCentroids(1, batch_size=16, precision="float32").apply(state)
    again = spec.build()
    again.load_state_dict(state.model.state_dict())
    assert list(again.state_dict()) != list(state.model.state_dict())
    assert container.encode_sqz(state.model)[0] == container.encode_sqz(again)[0]
    before = outputs(state.model)
    Encode().apply(state)
    assert torch.equal(outputs(state.model), before)


def test_a_file_that_is_not_the_network_is_noticed(state, monkeypatch):
    squeezed(state)
    wrong = container.decode_sqz(container.encode_sqz(state.model)[0])
    with torch.no_grad():
        wrong.features[0].weight[0, 0, 0, 0] += 1
    monkeypatch.setattr(container, "decode_sqz", lambda data: wrong)
    with pytest.raises(RuntimeError, match=r"other outputs|other values"):
        Encode().apply(state)


def test_every_column_of_the_table_adds_up_to_the_file(state):
    squeezed(state)
    data, parts = container.encode_sqz(state.model, "gaps")
    rows = layer_sizes(state.model, parts)
    assert sum(row["bytes"] for row in rows) == len(data)
    total = container.itemise(parts)
    for part in ("codes", "gaps", "tables", "floats"):
        assert sum(row[part] for row in rows) == total[part] > 0
    assert all(sum(row[part] for part in PARTS) == row["bytes"] for row in rows)
    for row, (name, weight) in zip(rows, prunable(state.model).items(), strict=False):
        assert row["layer"] == name and row["weights"] == weight.numel()
        assert row["nonzero"] == int(weight.count_nonzero()) <= row["entries"] <= row["weights"]
        assert 1 <= row["weight_bits_huffman"] <= row["weight_bits"] + 1e-9 <= 3 + 1e-9
        codewords = row["entries"] * row["weight_bits_huffman"] / 8
        assert codewords <= row["codes"] < codewords + 4  # their length and the last byte
    assert rows[0]["index_bits"] == 0 and rows[1]["index_bits"] > 0  # the first stayed dense


def test_a_layer_that_is_not_shared_has_bytes_but_no_bits(state):
    _, parts = container.encode_sqz(state.model, "gaps")
    rows = layer_sizes(state.model, parts)
    assert "weight_bits" not in rows[0] and rows[0]["floats"] == 4 * rows[0]["weights"]


def test_the_grids_that_steps_set_travel_to_the_file(monkeypatch):
    """Nothing is searched for, and the bytes are those of a search."""
    searched = []
    monkeypatch.setattr(forms, "find_steps", lambda values, rows: searched.append(len(values)))
    for step in (QuantizeWeights(4), QuantizedTrain(1, bits=3, **TRAINING), MixedBits(images=8)):
        state = state_of("lenet5", image_size=16)
        step.apply(state)
        rounded = {id(p): name for name, p in prunable(state.model).items()}
        searched.clear()
        found = Encode().apply(state)
        assert sorted(searched) == sorted(  # biases have no grid
            p.numel() for p in state.model.parameters() if p.ndim == 1 and p.numel() >= 8
        )
        assert len(rounded) == 4 and state.saved["grids"].keys() == set(rounded.values())
        with monkeypatch.context() as undone:
            undone.setattr(forms, "find_steps", FIND_STEPS)
            assert len(container.encode_sqz(state.model)[0]) == found["file_bytes"]


def test_a_grid_that_is_no_longer_true_is_not_believed():
    state = state_of(norm="none", width=0.125)
    QuantizeWeights(4).apply(state)
    Train(1, **TRAINING).apply(state)
    before = outputs(state.model)
    Encode().apply(state)  # which compares every tensor
    assert torch.equal(outputs(state.model), before)


def test_an_unknown_coder_is_refused():
    with pytest.raises(ValueError, match="unknown coder 'zip'; accepted: best, raw, huffman"):
        Encode("zip")


def test_more_coders_are_measured_and_change_nothing(state):
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    found = Encode(coders=("raw", "huffman", "best")).apply(state)
    assert list(found["coder_bytes"]) == ["raw", "huffman", "best"]
    assert found["coder_bytes"]["best"] == found["file_bytes"]
    assert found["coder_bytes"]["best"] <= found["coder_bytes"]["huffman"]
    assert all(torch.equal(tensor, before[n]) for n, tensor in state.model.state_dict().items())
    assert "coders" not in Encode().as_dict(defaults=False)  # so keys are as they were
    with pytest.raises(ValueError, match="coder"):
        Encode(coders=("zip",))
    with pytest.raises(ValueError, match="leave coders out"):
        Encode(details=True, coders=("raw",))
