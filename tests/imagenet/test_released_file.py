from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from released import released_layers

from squeeze_utils.compress.sqz import container
from squeeze_utils.compress.sqz.bits import ContainerError
from squeeze_utils.imagenet import released_file
from squeeze_utils.imagenet.released_file import (
    preprocess,
    read_released,
    sizes,
    to_model,
    write_released,
)
from squeeze_utils.models import build


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    """SqueezeNet 1.0 with sparse weights of few values; one layer has gaps that need fillers."""
    torch.manual_seed(0)
    network = build("squeezenet1_0", last_padding=1).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim == 4:
                density = 0.02 if name.startswith("classifier") else 0.3
                weight.copy_(torch.randint(-90, 91, weight.shape) / 1000)
                weight.mul_(torch.rand(weight.shape) < density)
            else:
                weight.normal_()
    return network


@pytest.fixture(scope="module")
def data(model) -> bytes:
    return write_released(released_layers(model))


def test_what_is_written_is_read_and_written_again_byte_for_byte(model, data):
    layers = read_released(data)
    assert write_released(layers) == data
    assert sum(sizes(layers).values()) == len(data)
    assert sizes(layers)["header"] == 104 and sizes(layers)["codebooks"] == 26_624
    loaded = to_model(layers)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_fillers_bridge_what_four_bits_cannot(data):
    last = read_released(data)[-1]
    fillers = last.codes == 0
    assert fillers.any() and (last.gaps[fillers] == 2**released_file.GAP_BITS - 1).all()
    assert np.count_nonzero(last.weight()) == (~fillers).sum()
    assert last.density == pytest.approx(2, abs=0.1)


def test_a_layer_by_hand():
    weight = torch.zeros(1, 40, 1, 1)
    weight[0, [2, 3, 39]] = torch.tensor([0.5, -1.0, 0.5])[:, None, None]
    layer = released_file.pack("x", weight, torch.zeros(1))
    assert layer.codebook[:4].tolist() == [0, -1.0, 0.5, 0]
    assert layer.gaps.tolist() == [2, 0, 15, 15, 3]
    assert layer.codes.tolist() == [2, 1, 0, 0, 2]
    assert layer.sizes == {"codebooks": 1024, "biases": 4, "codes": 5, "gaps": 3}
    assert torch.equal(torch.from_numpy(layer.weight()), weight)


def test_the_network_is_torchvisions_but_for_the_padding(model, data):
    x = torch.randint(0, 256, (1, 3, 227, 227), dtype=torch.uint8)
    with torch.no_grad():
        out = to_model(read_released(data))(preprocess(x))
    assert out.shape == (1, 1000)
    pixel = torch.tensor([[[[10]], [[20]], [[30]]]], dtype=torch.uint8)
    assert preprocess(pixel).flatten().tolist() == [30 - 104, 20 - 117, 10 - 123]


def test_the_container_holds_the_same_in_fewer_bytes(data):
    network = to_model(read_released(data))
    smaller, parts = container.encode_sqz(network)
    assert len(smaller) < len(data) and sum(parts.values()) == len(smaller)
    again = write_released(released_layers(container.decode_sqz(smaller)))
    assert again == data


def test_cut_and_lengthened_files_are_refused(data):
    chance = random.Random(0)
    for length in [0, 50, 104, 1000, *(chance.randrange(len(data)) for _ in range(60))]:
        with pytest.raises(ContainerError, match="truncated"):
            read_released(data[:length])
    with pytest.raises(ContainerError, match="1 bytes too many"):
        read_released(data + b"x")


def test_impossible_numbers_are_refused(data):
    with pytest.raises(ContainerError, match=r"features\.0 has 4,294,967,295 entries for 14,112"):
        read_released(b"\xff" * 4 + data[4:])
    first = int.from_bytes(data[:4], "little")
    gaps = 104 + 4 * 256 + 4 * 96 + first
    broken = bytearray(data)
    broken[gaps : gaps + (first + 1) // 2] = b"\xff" * ((first + 1) // 2)
    with pytest.raises(ContainerError, match=r"lead out of the layer|a gap too many"):
        read_released(bytes(broken))


def test_changed_files_are_read_or_refused(data):
    """The format has no checksum: a changed code is another network, never a crash."""
    chance = random.Random(1)
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(3):
            broken[min(chance.randrange(len(data)) for _ in range(4))] = chance.randrange(256)
        try:
            layers = read_released(bytes(broken))
        except ContainerError:
            continue
        assert len(layers) == 26 and all(layer.weight().shape == layer.shape for layer in layers)


def test_too_many_values_have_no_code():
    with pytest.raises(ValueError, match="x has 300 different weights, at most 255"):
        released_file.pack("x", torch.arange(1.0, 301).view(300, 1, 1, 1), torch.zeros(300))
