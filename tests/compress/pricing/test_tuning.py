"""Tuning the steps and biases of a rounded network, on a small one and images of noise."""

from __future__ import annotations

from itertools import repeat

import pytest
import torch
from biased_networks import biased_network
from torch import nn

from squeeze_utils.compress.pricing import Squeezed, squeeze, tuning
from squeeze_utils.compress.pricing.layers_and_inputs import weighted
from squeeze_utils.compress.pricing.tuning import Tuned, tune
from squeeze_utils.compress.sqz import container

TARGET = 3_500


def noise(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))


def batches(seed: int = 2):
    while True:
        yield noise(16, seed)
        seed += 1


def codes(network: nn.Module, grids) -> dict[str, torch.Tensor]:
    return {
        name: (layer.weight / grids[f"{name}.weight"]).round()
        for name, layer in weighted(network).items()
    }


def divergence(network: nn.Module, original: nn.Module, images: torch.Tensor) -> float:
    with torch.no_grad():
        wanted, now = (net(images).double().softmax(1) for net in (original, network))
    return float((wanted * (wanted / now).log()).sum(1).mean())


@pytest.fixture(scope="module")
def model() -> nn.Module:
    network = biased_network(0.125)
    with torch.no_grad():
        network.classifier[1].weight.mul_(8)  # so that predictions differ
    return network


@pytest.fixture(scope="module")
def rounded(model) -> Squeezed:
    return squeeze(model, noise(12, 0), TARGET)


@pytest.fixture(scope="module")
def held() -> torch.Tensor:
    return noise(40, 1)


@pytest.fixture(scope="module")
def tuned(model, rounded, held) -> Tuned:
    return tune(rounded, model, batches(), held, TARGET)


def test_images_that_were_held_back_are_answered_more_like_the_original(
    model, rounded, held, tuned
):
    assert tuned.after < 0.95 * tuned.before and 0 < tuned.step <= tuning.STEPS
    assert tuned.before == pytest.approx(divergence(rounded.model, model, held), rel=1e-3)
    assert tuned.after == pytest.approx(divergence(tuned.squeezed.model, model, held), rel=1e-3)
    others = noise(200, 10_000)  # which did not choose the state either
    assert divergence(tuned.squeezed.model, model, others) < divergence(
        rounded.model, model, others
    )


def test_the_whole_numbers_stay_and_steps_and_biases_move(rounded, tuned):
    before, after = (
        codes(rounded.model, rounded.grids),
        codes(tuned.squeezed.model, tuned.squeezed.grids),
    )
    assert all(torch.equal(before[name], after[name]) for name in before)
    biases = (
        [c.bias for c in weighted(net).values()] for net in (rounded.model, tuned.squeezed.model)
    )
    assert any(not torch.equal(*two) for two in zip(*biases, strict=True))
    assert any(tuned.squeezed.grids[name] != step for name, step in rounded.grids.items())
    assert [row["step"] for row in tuned.squeezed.layers] == [
        float(step) for step in tuned.squeezed.grids.values()
    ]


def test_the_file_fits_and_gives_the_same_outputs(held, tuned):
    found = tuned.squeezed
    assert len(found.data) == sum(found.parts.values()) <= TARGET
    assert torch.equal(container.decode_sqz(found.data)(held), found.model(held))


def test_what_it_was_given_is_left_as_it_was(model, rounded, held):
    state = {k: v.clone() for k, v in [*model.state_dict().items()]}
    data, weights = rounded.data, [p.clone() for p in rounded.model.parameters()]
    again = tune(rounded, model, batches(), held, TARGET, steps=3)
    assert again.squeezed.data != data
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(*two) for two in zip(weights, rounded.model.parameters(), strict=True))
    assert all(p.requires_grad for p in model.parameters())


def test_where_nothing_helps_the_start_comes_back(model, rounded, held, monkeypatch):
    monkeypatch.setattr(tuning, "RATE", 0.5)
    found = tune(rounded, model, batches(), held, TARGET, steps=20)
    assert found.squeezed is rounded and found.step == 0 and found.after == found.before


def test_a_state_whose_file_is_too_large_does_not_count(model, rounded, held, monkeypatch):
    class Larger:
        def encode_sqz(self, *arguments):
            data, parts = container.encode_sqz(*arguments)
            return data + b"x" * TARGET, parts

        def decode_sqz(self, data):
            return container.decode_sqz(data[:-TARGET])

    monkeypatch.setattr(tuning, "container", Larger())
    assert tune(rounded, model, batches(), held, TARGET, steps=20).squeezed is rounded


@pytest.mark.parametrize("bias", [0.5, -3.7, 0.0])
def test_a_single_bias_is_its_own_step(bias):
    one = torch.tensor([bias])
    step = tuning._step_of("one", one)
    assert step > 0 and float(one) / step in (-1, 0, 1)


def test_bad_arguments_are_refused(model, rounded, held):
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1, got 0"):
        tune(rounded, model, batches(), held, TARGET, steps=0)
    with pytest.raises(ValueError, match=r"has 3,\d+ bytes, more than the target 1,000"):
        tune(rounded, model, batches(), held, 1_000)
    with pytest.raises(ValueError, match=r"held images must be \(n, c, h, w\), got \(0, 1, 16"):
        tune(rounded, model, batches(), held[:0], TARGET)
    with pytest.raises(ValueError, match="2 batches were given, 3 steps need as many"):
        tune(rounded, model, repeat(held, 2), held, TARGET, steps=3)
    plain = Squeezed(model, rounded.data, {}, [], 1.0)
    with pytest.raises(ValueError, match=r"no step is known of features.0, .*what squeeze gives"):
        tune(plain, model, batches(), held, TARGET)
    plain = Squeezed(model, rounded.data, {}, [], 1.0, rounded.grids)
    with pytest.raises(ValueError, match=r"the biases of features.0 are not rounded"):
        tune(plain, model, batches(), held, TARGET)
