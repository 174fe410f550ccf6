from __future__ import annotations

import pytest
import torch
from torch import nn

from squeeze_utils.compress.quantizing.integers import fixed_point, integer_fire, shifted
from squeeze_utils.models import Fire
from squeeze_utils.models.fake_quant import FakeQuant


def calibrated(seed: int, channels: int = 12, bits: int = 8, **options):
    """A Fire module, the FakeQuant of its input, and numbers of an input map."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    fire = Fire(channels, 4, 8, 8, activation_bits=bits, **options).eval()
    for module in fire.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias, std=0.3)
    source = FakeQuant(bits)
    source.set_range(-0.7 if seed % 2 else 0.0, 2.3)
    for point in (m for m in fire.modules() if isinstance(m, FakeQuant)):
        point.set_range(0.0, 0.5 + float(torch.rand((), generator=generator)))
    q = torch.randint(0, 2**bits, (3, channels, 7, 7), generator=generator)
    return fire, source, q


@torch.no_grad()
@pytest.mark.parametrize(("bits", "maps"), [(8, 8), (4, 8), (2, 4)])
@pytest.mark.parametrize("seed", range(6))
def test_whole_numbers_equal_the_simulation_bit_for_bit(seed, bits, maps):
    fire, source, q = calibrated(seed, bits=maps)
    whole, simulated = integer_fire(fire, source, bits)
    x = source.double().scale * (q.double() - source.zero)
    found = whole(q)
    assert found.dtype == torch.int32
    step = simulated.expand_activation[1].scale
    assert torch.equal(found.double() * step, simulated(x))
    assert 0 < found.float().mean() < 2**maps - 1 and found.unique().numel() > 2**maps / 8


@torch.no_grad()
@pytest.mark.parametrize("bias", [0.3, 0.0, 1e-9, -0.3])
def test_a_channel_without_weights_is_its_bias(bias):
    fire, source, q = calibrated(1)
    fire.expand1x1.weight[2], fire.expand1x1.bias[2] = 0.0, bias
    whole, simulated = integer_fire(fire, source)
    step, x = simulated.expand_activation[1].scale, source.double().scale * (q - source.zero)
    found = whole(q).double() * step
    assert torch.equal(found, simulated(x.double()))
    assert found[:, 2].unique().numel() == 1
    assert (found[:, 2] - max(bias, 0)).abs().max() <= step / 2


@torch.no_grad()
def test_the_simulation_is_close_to_the_module_it_stands_for():
    fire, source, q = calibrated(0)
    _, simulated = integer_fire(fire, source)
    x = source.scale * (q.float() - source.zero)
    assert (simulated(x.double()) - fire(x)).abs().max() < 0.03


def test_weights_are_numbers_of_their_bits_and_multipliers_have_31():
    whole, _ = integer_fire(*calibrated(0)[:2], bits=4)
    for layer in (whole.squeeze, whole.expand1x1, whole.expand3x3):
        assert layer.weight.abs().max() <= 7 and layer.weight.dtype == torch.int32
        assert ((layer.multiplier >= 2**30) & (layer.multiplier < 2**31)).all()


def test_factors_as_multiplier_and_shift_are_right_to_31_bits():
    factor = torch.tensor([1.0, 0.5, 3e-5, 0.99999999999, 7.3, 1 / 3], dtype=torch.float64)
    multiplier, shift = fixed_point(factor)
    back = multiplier.double() / 2.0**shift
    assert ((back / factor - 1).abs() <= 2.0**-31).all()
    assert (multiplier[:2].tolist(), shift[:2].tolist()) == ([2**30, 2**30], [30, 31])


def test_shifting_rounds_halves_to_even_as_torch_does():
    numbers = torch.arange(-40, 41)
    found = shifted(numbers, torch.tensor(3))
    assert found.tolist() == (numbers.double() / 8).round().long().tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda fire, source: Fire(12, 4, 8, 8, normalisation="batch"), "fold batch norm"),
        (lambda fire, source: Fire(12, 4, 8, 8, expand="dilated"), "only plain Fire modules"),
        (lambda fire, source: Fire(16, 4, 8, 8, bypass="simple"), "without a bypass"),
        (lambda fire, source: Fire(12, 4, 8, 8), "need a ReLU and a FakeQuant"),
        (lambda fire, source: Fire(12, 4, 8, 8, act="gelu", activation_bits=8), "need a ReLU"),
        (lambda fire, source: Fire(12, 4, 8, 8, activation_bits=8), "calibrate first"),
    ],
)
def test_what_cannot_be_written_with_whole_numbers_is_refused(change, words):
    fire, source, _ = calibrated(0)
    with pytest.raises(ValueError, match=words):
        integer_fire(change(fire, source), source)


def test_bad_factors_are_refused():
    for bad in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="only positive factors"):
            fixed_point(torch.tensor([bad]))
    for extreme in (1e-12, 1e12):
        with pytest.raises(ValueError, match="needs a shift beyond 0 to 62"):
            fixed_point(torch.tensor([extreme]))
