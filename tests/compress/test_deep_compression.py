from __future__ import annotations

import pytest
import torch
from tiny import tiny_set
from torch import nn

from squeeze_utils.compress.pruning.during_training import Gradual
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.half_precision import Halve, MergeStatistics
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.compress.sqz import container, encode_step
from squeeze_utils.compress.sqz.encode_step import Encode
from squeeze_utils.compress.sqz.size_tables import PARTS, layers
from squeeze_utils.models import ModelSpec, checkpoint_files
from squeeze_utils.training.loop import Train
from squeeze_utils.training.start_from_checkpoint import Load
from squeeze_utils.training.step import State, Step

DATA = tiny_set(size=16)
SPEC = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, num_classes=3)


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    model = SPEC.build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.weight, 0.5, 2)
    model.to(memory_format=torch.channels_last)
    return State(model, DATA, generator=torch.Generator().manual_seed(1))


def outputs(model: nn.Module) -> torch.Tensor:
    x = torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    x = x.to(memory_format=torch.channels_last)
    with torch.no_grad():
        return model.eval()(x)


def squeezed(state: State) -> State:
    Prune(0.7, exclude=("features.0",)).apply(state)
    Share(3).apply(state)
    return state


@pytest.mark.parametrize("coder", ["best", *container.CODERS])
def test_the_network_goes_on_as_the_one_read_from_its_file(state, coder):
    squeezed(state)
    before, saved = outputs(state.model), state.model
    found = Encode(coder, details=True).apply(state)
    assert state.model is not saved and state.model.spec == SPEC
    assert torch.equal(outputs(state.model), before)
    dense = 4 * sum(p.numel() for p in saved.parameters())
    assert found["ratio"] == dense / found["file_bytes"]
    assert sum(found["parts"].values()) == sum(found["file_parts"].values()) == found["file_bytes"]
    assert found["coder_bytes"][coder] == found["file_bytes"]
    assert found["coder_bytes"]["best"] == min(found["coder_bytes"].values())


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


@pytest.mark.parametrize("coder", ["best", *container.CODERS])
@pytest.mark.parametrize("value", [0.0, 0.25])
def test_networks_of_a_single_value_come_back(coder, value):
    """All zero, or one symbol everywhere: alphabets that need no bits at all."""
    model = ModelSpec.of("lenet5", image_size=16, num_classes=3).build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    data, parts = container.encode_sqz(model, coder)
    again = container.decode_sqz(data)
    assert sum(parts.values()) == len(data) < 20_000
    assert all((p == value).all() for p in again.parameters())


def test_a_file_that_is_not_the_network_is_noticed(state, monkeypatch):
    squeezed(state)
    wrong = container.decode_sqz(container.encode_sqz(state.model)[0])
    with torch.no_grad():
        wrong.features[0].weight[0, 0, 0, 0] += 1
    monkeypatch.setattr(encode_step.container, "decode", lambda data: wrong)
    with pytest.raises(RuntimeError, match=r"other outputs|other values"):
        Encode().apply(state)


def test_every_column_of_the_table_adds_up_to_the_file(state):
    squeezed(state)
    data, parts = container.encode_sqz(state.model, "gaps")
    rows = layers(state.model, parts)
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
    rows = layers(state.model, parts)
    assert "weight_bits" not in rows[0] and rows[0]["floats"] == 4 * rows[0]["weights"]


def test_merged_statistics_compute_the_same_and_take_less_room(state):
    before, size = outputs(state.model), len(container.encode_sqz(state.model)[0])
    assert MergeStatistics().apply(state)["merged"] > 0
    assert (outputs(state.model) - before).abs().max() < 1e-4
    norms = [m for m in state.model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all((n.running_mean == 0).all() and (n.running_var == 1).all() for n in norms)
    assert len(container.encode_sqz(state.model)[0]) < size


def test_halves_are_exact_in_half_precision_and_stay_shared(state):
    squeezed(state)
    before = {n: w.detach().clone() for n, w in prunable(state.model).items()}
    Halve().apply(state)
    for tensor in state.model.state_dict().values():
        if tensor.is_floating_point():
            assert torch.equal(tensor, tensor.half().float())
    for name, weight in prunable(state.model).items():
        assert len(weight.detach().unique()) <= 8
        assert torch.equal(weight == 0, before[name] == 0)
    with torch.no_grad():
        state.model.features[0].weight[0] = 1e6
    with pytest.raises(ValueError, match=r"features\.0\.weight has values that float16"):
        Halve().apply(state)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_files.places, "shipped", lambda name: tmp_path / name)
    return tmp_path / "checkpoints"


def test_a_recipe_can_begin_with_a_checkpoint(state, folder):
    checkpoint_files.save_model(state.model, folder / "small.safetensors", record="abc")
    expected = checkpoint_files.load_model("small")[0].state_dict()
    fresh = State(SPEC.build(), DATA)
    assert Load("small").apply(fresh) == {"loaded": "small", "record": "abc"}
    assert all(torch.equal(v, expected[n]) for n, v in fresh.model.state_dict().items())


def test_a_checkpoint_of_another_network_or_too_late_is_refused(state, folder):
    checkpoint_files.save_model(state.model, folder / "small.safetensors")
    other = ModelSpec.of("squeezenet_small", width=0.25, in_channels=1, num_classes=3)
    with pytest.raises(ValueError, match="the checkpoint small holds"):
        Load("small").apply(State(other.build(), DATA))
    with pytest.raises(FileNotFoundError, match="no checkpoint 'gone'; there are: small"):
        Load("gone").apply(state)
    Prune(0.5).apply(state)
    with pytest.raises(ValueError, match="Load comes first"):
        Load("small").apply(state)


def test_gradual_pruning_leaves_exactly_what_it_says(state):
    """Momentum revives pruned weights before they are scored: those must not take a place."""
    plan = Train(4, batch_size=16, lr=0.05, precision="float32", during=(Gradual(0.8, every=1),))
    plan.apply(state)
    for weight in prunable(state.model).values():
        assert int(weight.count_nonzero()) == weight.numel() - round(0.8 * weight.numel())


def test_gradual_pruning_can_end_at_another_sparsity_in_each_layer(state):
    own = (("features.0.weight", 0.25),)
    part = Gradual(0.9, every=2, per_layer=own)
    plan = Train(4, batch_size=16, lr=0.01, precision="float32", during=(part,))
    assert Step.from_dict(plan.as_dict()) == plan
    plan.apply(state)
    for name, weight in prunable(state.model).items():
        share = 0.25 if name == "features.0.weight" else 0.9
        expected = max(1, weight.numel() - round(share * weight.numel()))
        assert int(weight.count_nonzero()) == expected


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Gradual(0.5, "global", per_layer=(("a", 0.1),)), 'per_layer needs scope "layer"'),
        (lambda: Gradual(0.5, per_layer=(("a", 1.5),)), "sparsity must lie in"),
        (lambda: Encode("zip"), "unknown coder 'zip'; accepted: best, raw, huffman"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
