from __future__ import annotations

import hashlib
import json
import random
import zlib
from pathlib import Path

import pytest
import torch
from torch import nn

from squeeze_utils.compress.sqz import bits, coders, container, forms
from squeeze_utils.compress.sqz.bits import varint
from squeeze_utils.compress.sqz.container import (
    ContainerError,
    decode_sqz,
    encode_sqz,
    itemise,
    load_sqz,
    save_sqz,
)
from squeeze_utils.models import ModelSpec, build

VERSION_1 = Path(__file__).parent / "version_1"
STATE_OF_VERSION_1 = "5d835c6af9b7754ef8057aeec997ebc24b562e50246a1d81b997a07714b62e1f"
CHOICES = ("best", *container.TENSOR_CODERS)


@torch.no_grad()
def squeezed(name: str, bits: int = 4, sparsity: float = 0.7, **options) -> nn.Module:
    """A network whose weights are pruned and rounded, with statistics as after training."""
    torch.manual_seed(0)
    model = build(name, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
    for weight in model.parameters():
        if weight.ndim >= 2:
            threshold = weight.abs().flatten().quantile(sparsity) if sparsity else -1
            step = weight.abs().max() / (2 ** (bits - 1) - 1)
            weight.copy_(torch.round(weight * (weight.abs() > threshold) / step) * step)
    return model


SMALL = {"image_size": 8, "num_classes": 4, "in_channels": 1}
NETWORKS = [
    ("lenet_300_100", SMALL),
    ("lenet5", {}),
    ("squeezenet_small", {"width": 0.125}),
    ("squeezenet_small", {"width": 0.125, "bypass": "complex", "norm": "none"}),
    ("squeezenet_small", {"width": 0.125, "pooling": "mixed", "activation": "prelu"}),
    ("squeezenet1_1", {"num_classes": 10, "width": 0.125}),
]


def same_state(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=str)
@pytest.mark.parametrize("coder", CHOICES)
def test_what_is_loaded_is_what_was_saved_bit_for_bit(tmp_path, name, options, coder):
    model, path = squeezed(name, **options), tmp_path / "network.sqz"
    parts = save_sqz(model, path, coder)
    assert path.stat().st_size == sum(parts.values())
    loaded = load_sqz(path)
    assert loaded.spec == model.spec and not loaded.training and same_state(model, loaded)
    x = torch.randn(2, *model.input_shape)
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))


def test_best_is_never_larger_and_sparse_codes_are_small():
    model = squeezed("squeezenet_small", width=0.5)
    sizes = {coder: len(encode_sqz(model, coder)[0]) for coder in CHOICES}
    plain = [sizes[coder] for coder in coders.CODERS]
    assert sizes["contexts"] <= sizes["best"] <= min(plain)
    dense = 4 * sum(p.numel() for p in model.parameters())
    assert sizes["raw"] < dense / 4 and sizes["best"] < sizes["huffman"] < sizes["raw"]
    fewer = len(encode_sqz(squeezed("squeezenet_small", 4, 0.9, width=0.5))[0])
    assert fewer < 0.6 * sizes["best"]


def test_dense_weights_are_kept_whole():
    model = squeezed("lenet_300_100", 24, 0, **SMALL)
    torch.manual_seed(1)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    data, parts = encode_sqz(model, "raw")
    assert itemise(parts)["floats"] == 4 * sum(p.numel() for p in model.parameters())
    assert same_state(decode_sqz(data), model)
    assert len(encode_sqz(model.half().float())[0]) < 0.65 * len(data)  # halves where that is exact


def test_the_items_name_every_tensor_and_add_up():
    model = squeezed("lenet5")
    data, parts = encode_sqz(model, "gaps")
    assert sum(parts.values()) == len(data)
    for name, _ in model.named_parameters():
        assert any(part.startswith(f"{name}/") for part in parts)
    total = itemise(parts)
    assert sum(total.values()) == len(data) and total["gaps"] > 0 and total["tables"] > 0


def test_the_size_does_not_depend_on_the_order_in_which_weights_were_set():
    model, other = squeezed("lenet5"), build("lenet5")
    state = model.state_dict()
    other.load_state_dict({name: state[name] for name in reversed(list(state))})
    assert encode_sqz(model)[0] == encode_sqz(other)[0]


@pytest.fixture(scope="module")
def whole() -> bytes:
    return encode_sqz(squeezed("lenet_300_100", **SMALL))[0]


def outcome(data: bytes, expected: nn.Module | None = None) -> str:
    try:
        model = decode_sqz(data)
    except ContainerError:
        return "refused"
    assert expected is not None and same_state(model, expected), "a wrong model was loaded"
    return "loaded"


def test_every_truncation_is_refused(whole):
    step = max(1, len(whole) // 400)
    for length in [*range(60), *range(60, len(whole), step), len(whole) - 1]:
        assert outcome(whole[:length]) == "refused"
    assert outcome(whole + b"\0") == "refused"


def test_thousands_of_damaged_files_are_refused(whole):
    """Bits flipped, bytes changed, pieces cut out, doubled or moved: never another model."""
    chance = random.Random(0)
    for _ in range(3000):
        data = bytearray(whole)
        kind = chance.randrange(4)
        at = min(chance.randrange(len(data)), chance.randrange(len(data)))
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at : at + 4] = chance.randbytes(4)
        elif kind == 2:
            del data[at : at + chance.randint(1, 40)]
        else:
            data[at:at] = data[at : at + chance.randint(1, 40)]
        assert bytes(data) == whole or outcome(bytes(data)) == "refused"


@torch.no_grad()
def imagenet_like(rounded: bool) -> nn.Module:
    """Narrow, padded at its end: codebooks as in the released file, or grids and halves."""
    torch.manual_seed(0)
    model = build("squeezenet_small", width=0.0625, norm="none", last_padding=1).eval()
    for p in model.parameters():
        if p.ndim == 1:
            p.copy_(torch.randn(p.shape).half() if rounded else torch.randn(p.shape))
        else:
            numbers = (p / p.std() * 2).round() * (torch.rand(p.shape) < 0.4)
            book = torch.randn(64).sort().values
            p.copy_(numbers * 0.03125 if rounded else book[numbers.long() + 32] * (numbers != 0))
    return model


@pytest.mark.parametrize("rounded", [False, True], ids=["codebooks", "grids and halves"])
def test_damaged_files_of_the_imagenet_kind_are_refused(rounded):
    model = imagenet_like(rounded)
    data, _ = encode_sqz(model)
    assert same_state(decode_sqz(data), model)
    kinds = {form for name, form in forms_in(model)}
    assert ("grid" if rounded else "codebook") in kinds
    chance = random.Random(2)
    for _ in range(100):
        broken = bytearray(data)
        broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        assert outcome(bytes(broken)) == "refused"
        assert outcome(data[: chance.randrange(len(data))]) == "refused"


def forms_in(model: nn.Module) -> list[tuple[str, str]]:
    """Name and chosen form of every tensor."""
    found = []
    for name, tensor in container._tensors(model):
        found.append((name, forms.smallest(tensor).form.kind))
    return found


def test_hostile_files_with_right_checksums_are_refused_or_read(whole, monkeypatch):
    """An attacker can compute checksums: without them, decoders must refuse or give some model."""
    monkeypatch.setattr(bits, "checksum", lambda data: b"\0\0\0\0")
    data = encode_sqz(squeezed("lenet_300_100", **SMALL))[0]
    chance, loaded = random.Random(1), 0
    for _ in range(1000):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            at = min(chance.randrange(len(data)) for _ in range(3))
            changed[at] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
        try:
            model = decode_sqz(bytes(changed))
            loaded += 1
            assert sum(p.numel() for p in model.parameters()) < 10_000_000
        except ContainerError:
            pass
    assert 0 < loaded < 1000


def with_config(config: bytes) -> bytes:
    return b"SQZ\x01" + varint(len(config)) + config + zlib.crc32(config).to_bytes(4, "little")


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b'["lenet5"]',
        b'["lenet6", {}]',
        b'["lenet5", []]',
        b'["lenet5", {"legs": 4}]',
        b'["squeezenet1_0", {"width": "wide"}]',
        b'["squeezenet1_0", {"num_classes": 1e99}]',
        b'["squeezenet_small", {"first_repeat": 1000000000}]',
        json.dumps(["squeezenet1_0", {"num_classes": 10**8}]).encode(),
        json.dumps(["squeezenet1_0", {"num_classes": 10**30}]).encode(),
        json.dumps(["squeezenet1_0", {"width": 10**5}]).encode(),
        b"[" * 50_000,
    ],
    ids=lambda config: config[:40].decode(errors="replace"),
)
def test_a_config_of_no_network_is_refused_without_much_memory(config):
    with pytest.raises(ContainerError, match=r"config describes no network|a network of|truncated"):
        decode_sqz(with_config(config))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "truncated"),
        (b"PK\x03\x04 a zip file", "not a .sqz file"),
        (b"SQZ\x09", "version 9 of the format; this program reads 1"),
        (b"SQZ\x01\xff\xff\x7f", "bytes, at most 65536 are accepted"),
    ],
)
def test_what_is_no_container_is_said_to_be_none(data, words, tmp_path):
    path = tmp_path / "x.sqz"
    path.write_bytes(data)
    with pytest.raises(ContainerError, match=words):
        load_sqz(path)


def test_what_cannot_be_saved_is_refused(tmp_path):
    path = tmp_path / "x.sqz"
    with pytest.raises(ValueError, match="unknown coder 'zip'; accepted: best, raw, huffman"):
        save_sqz(build("lenet5"), path, "zip")
    with pytest.raises(ValueError, match=r"squeeze_utils\.models\.build has made"):
        save_sqz(nn.Linear(2, 2), path)
    with pytest.raises(ValueError, match="only float32 and shorter"):
        save_sqz(build("lenet5").double(), path)
    for coder in ("best", *container.COMPACT):
        other = build("lenet_300_100")
        other.classifier[4] = nn.Linear(100, 3)
        with pytest.raises(ValueError, match=r"classifier\.4\.weight is not as .* builds it"):
            save_sqz(other, path, coder)
        other = build("lenet_300_100")
        nn.utils.parametrizations.weight_norm(other.classifier[0])
        with pytest.raises(ValueError, match=r"classifier\.0\.weight is not as .* builds it"):
            save_sqz(other, path, coder)
    assert not path.exists()


@pytest.mark.parametrize("coder", ["best", *container.TENSOR_CODERS])
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


@pytest.mark.parametrize("coder", ["best", *coders.CODERS])
def test_files_of_the_first_days_are_read_as_ever_and_written_as_ever(coder):
    """Made before grids travelled with the state; every form and, over all files, every coder."""
    data = (VERSION_1 / f"{coder}.sqz").read_bytes()
    model = decode_sqz(data)
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    assert digest.hexdigest() == STATE_OF_VERSION_1
    assert {form for _, form in forms_in(model)} == set(forms.KINDS)
    assert encode_sqz(model, coder)[0] == data
