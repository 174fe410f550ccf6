from __future__ import annotations

import hashlib
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from squeeze_utils.compress.sqz.bits import ContainerError, checksum
from squeeze_utils.compress.sqz.compact import MOST, numbers_of
from squeeze_utils.compress.sqz.container import COMPACT, decode_sqz, encode_sqz
from squeeze_utils.models import build

HERE = Path(__file__).parent
FIRST_FILES = (HERE / "version_2" / "compact.sqz", HERE / "version_3" / "contexts.sqz")
STATE_OF_FIRST_FILES = "2fde688b373ad8824a49292e712b6cd1c5fbe3f0486f969ff20c70ad47fd0138"
OUTPUTS_OF_FIRST_FILES = ((12.208623, -9.145032, 4.607155), (-0.556171, 0.223017, 1.503960))


def on_grids(name: str = "lenet5", keep: float = 0.1, seed: int = 0, **options):
    """A network of small whole numbers times steps, and those."""
    torch.manual_seed(seed)
    model, steps = build(name, **options).eval(), {}
    for key, parameter in model.named_parameters():
        step = torch.tensor([0.01]).half().float()
        size = torch.round(torch.randn(parameter.shape) * 2)
        parameter.data = size * (torch.rand(parameter.shape) < keep) * step
        steps[key] = step
    return model, steps


def same(one, other) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("coder", COMPACT)
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("name", ["lenet5", "lenet_300_100", "lenet5_fire"])
def test_a_network_comes_back_bit_for_bit(name, keep, coder):
    model, steps = on_grids(name, keep)
    data, parts = encode_sqz(model, coder, steps)
    assert sum(parts.values()) == len(data) and same(decode_sqz(data), model)


def around_the_codes(made) -> int:
    """Bytes of a compact file that are no codes."""
    data, parts = encode_sqz(*_args(made))
    return len(data) - sum(size for part, size in parts.items() if part.endswith("/codes"))


@pytest.mark.parametrize(
    ("name", "keep"), [("lenet5", 0.1), ("lenet_300_100", 0.1), ("lenet5_fire", 0.02)]
)
def test_the_header_of_a_small_network_takes_at_most_100_bytes(name, keep):
    assert around_the_codes(on_grids(name, keep)) <= 100


def test_the_header_of_a_fire_network_needs_empty_tensors_to_stay_below_100_bytes():
    """100 bytes do not hold for every file of its 18 tensors.

    15 bytes do not depend on tensors, an empty one takes one byte and any other at least five. So
    it is at least 105 where none is empty, and 120 without any zero. With zeros spread evenly it
    stays below 100 up to 4.5 % nonzeros, because then some biases are empty.
    """
    model, steps = on_grids("lenet5_fire", 1.0)
    assert 105 <= around_the_codes((model, steps)) <= 120
    for name, parameter in model.named_parameters():
        if name.startswith("features") and name.endswith("bias"):
            parameter.data.zero_()
    assert around_the_codes((model, steps)) <= 100


def _args(made):
    return made[0], "compact", made[1]


def test_what_is_no_multiple_is_kept_as_floats():
    model, steps = on_grids("squeezenet_small", width=0.125)
    with torch.no_grad():
        model.features[0].weight[0, 0, 0, 0] = 0.12345
    data, parts = encode_sqz(model, "compact", steps)
    assert same(decode_sqz(data), model)
    assert "features.0.weight/codes" not in parts


@pytest.mark.parametrize("value", [1, MOST, MOST + 1, 1e9, float("inf"), float("nan")])
def test_one_weight_one_value_and_numbers_beyond_the_range(value):
    model, steps = on_grids("lenet_300_100", 0.0, image_size=8)
    with torch.no_grad():
        model.classifier[4].bias.fill_(value * steps["classifier.4.bias"].item())
    data, parts = encode_sqz(model, "compact", steps)
    back = decode_sqz(data).classifier[4].bias
    assert torch.equal(back.view(torch.int32), model.classifier[4].bias.view(torch.int32))
    assert ("classifier.4.bias/codes" in parts) == (value <= MOST)


def test_steps_are_one_for_each_tensor_and_exact():
    values = np.array([0.5, -1.0, 0.0], np.float32)
    assert numbers_of(values, torch.tensor([0.5])).numbers.tolist() == [1, -2, 0]
    for wrong in (None, torch.tensor([0.5, 0.5]), torch.tensor([0.3]), torch.tensor([0.0])):
        assert numbers_of(values, wrong) is None


def test_contexts_find_the_inputs_that_no_weight_reads():
    model, steps = on_grids("lenet_300_100", 0.1)
    with torch.no_grad():
        model.classifier[0].weight[:, ::2] = 0
    sizes = [len(encode_sqz(model, coder, steps)[0]) for coder in COMPACT]
    assert sizes[1] < 0.95 * sizes[0]


@pytest.mark.parametrize("coder", COMPACT)
def test_damage_is_noticed(coder):
    model, steps = on_grids(keep=0.02)
    data, _ = encode_sqz(model, coder, steps)
    for at in range(0, len(data), 37):
        with pytest.raises(ContainerError):
            decode_sqz(data[:at])
        broken = bytearray(data)
        broken[at] ^= 1 << (at % 8)
        with pytest.raises(ContainerError):
            decode_sqz(bytes(broken))


@pytest.mark.parametrize("coder", COMPACT)
@pytest.mark.parametrize(("name", "size"), [("lenet_300_100", 8), ("lenet5_fire", 16)])
def test_hostile_files_are_refused_or_make_a_network(name, size, coder):
    """Bytes changed, and the checksum made to fit: nothing but a ContainerError comes out."""
    model, steps = on_grids(name, 0.02, image_size=size)
    data, _ = encode_sqz(model, coder, steps)
    rng, refused, read = random.Random(0), 0, 0
    for _ in range(300):
        body = bytearray(data[8:])
        for _ in range(rng.choice((1, 2, 8))):
            body[rng.randrange(min(len(body), rng.choice((8, 60, 10**6))))] = rng.randrange(256)
        cut = body[: rng.choice((len(body), rng.randrange(len(body))))]
        try:
            decode_sqz(data[:4] + checksum(bytes(cut)) + bytes(cut))
        except ContainerError:
            refused += 1
        else:
            read += 1
    assert refused > 200 and read


def test_an_unknown_version_names_those_that_are_known():
    data, _ = encode_sqz(*_args(on_grids("lenet_300_100", 0.0)))
    with pytest.raises(ContainerError, match="1, 2, 3"):
        decode_sqz(data[:3] + b"\x09" + data[4:])


@pytest.mark.parametrize("path", FIRST_FILES, ids=lambda path: path.parent.name)
def test_the_first_files_of_versions_2_and_3_are_read_as_ever(path):
    """A small LeNet-5 with numbers in most tensors, floats in one bias, only zeros in another."""
    data = path.read_bytes()
    assert data[:4] == b"SQZ" + bytes([int(path.parent.name[-1])])
    model, digest = decode_sqz(data), hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    assert digest.hexdigest() == STATE_OF_FIRST_FILES
    x = torch.linspace(-1, 1, 512).view(2, 1, 16, 16)
    torch.testing.assert_close(model(x), torch.tensor(OUTPUTS_OF_FIRST_FILES), rtol=0, atol=1e-4)
