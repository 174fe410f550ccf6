from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from tiny import tiny_set

from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.quantizing.after_training import QuantizeWeights
from squeeze_utils.compress.quantizing.mixed_bits import (
    MixedBits,
    Option,
    assign,
    options,
)
from squeeze_utils.compress.sqz import container, forms
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.step import State, Step

DATA = tiny_set(size=16)
TOY = {
    "A": {2: Option(100, 5.0), 4: Option(200, 1.0), 8: Option(400, 0.9)},
    "B": {2: Option(300, 1.0), 4: Option(600, 0.1)},
}


def state_of() -> State:
    torch.manual_seed(0)
    spec = ModelSpec.of("squeezenet_small", width=0.1, in_channels=1, num_classes=3, norm="none")
    state = State(spec.build(), DATA)
    torch.nn.init.normal_(state.model.classifier[1].weight, std=0.5)
    return state


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (400, {"A": 2, "B": 2}),
        (700, {"A": 8, "B": 2}),  # B's piece does not fit, A's next does
        (800, {"A": 4, "B": 4}),
        (1e9, {"A": 8, "B": 4}),
    ],
)
def test_pieces_are_bought_by_price_as_long_as_they_fit(budget, expected):
    assert assign(TOY, budget) == expected


def test_a_bulge_is_skipped_and_bits_that_do_harm_are_not_bought():
    layers = {"A": {2: Option(10, 4.0), 3: Option(20, 3.9), 4: Option(30, 0.0), 8: Option(60, 0.5)}}
    assert assign(layers, 20) == {"A": 2}  # 3 bits lie above the line from 2 to 4
    assert assign(layers, 100) == {"A": 4}


def test_greedy_is_within_the_budget_and_close_to_the_best_of_all():
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(20):
        layers = {
            name: {b: Option(float(size * b), w * 4.0**-b) for b in (2, 3, 4, 8)}
            for name, size, w in zip(
                "ABCD", rng.integers(50, 500, 4), rng.lognormal(size=4), strict=True
            )
        }
        budget = sum(each[4].bytes for each in layers.values())

        def total(bits, layers=layers):
            pairs = [each[b] for each, b in zip(layers.values(), bits, strict=True)]
            return sum(o.bytes for o in pairs), sum(o.damage for o in pairs)

        found = total(assign(layers, budget).values())
        every = map(total, itertools.product((2, 3, 4, 8), repeat=4))
        best = min(damage for size, damage in every if size <= budget)
        assert found[0] <= budget
        ratios.append(found[1] / best)
    assert min(ratios) >= 1 - 1e-9 and sum(ratios) / len(ratios) < 1.6


def test_bytes_are_those_that_the_weight_takes_in_a_file():
    state = state_of()
    QuantizeWeights(4).apply(state)
    _, parts = container.encode_sqz(state.model)
    for name, weight in prunable(state.model).items():
        stored = sum(size for part, size in parts.items() if part.startswith(f"{name}/"))
        # A header and a checksum more; its floats, coded together with others, may be fewer.
        alone = forms.smallest(weight).size
        assert 0.7 * alone <= stored <= alone + 16


def test_options_leave_the_network_alone_and_more_bits_do_less_harm():
    state = state_of()
    state.model.train()
    before = {n: w.detach().clone() for n, w in prunable(state.model).items()}
    found = options(state, (2, 8), images=32)
    assert found.keys() == before.keys()
    assert all(torch.equal(w, before[n]) for n, w in prunable(state.model).items())
    assert all(module.training for module in state.model.modules())
    for each in found.values():
        assert each[2].bytes < each[8].bytes and all(o.damage > -1e-12 for o in each.values())
    assert sum(e[8].damage for e in found.values()) < 0.1 * sum(e[2].damage for e in found.values())


def test_the_step_rounds_each_layer_to_its_bits_in_the_bytes_of_all_alike():
    state = state_of()
    every = options(state, (2, 3, 8), images=32)
    said = MixedBits(like=3, choices=(2, 3, 8), images=32).apply(state)
    assert len(set(said["bits"].values())) > 1
    for name, weight in prunable(state.model).items():
        levels = max(len(row.unique()) for row in weight.detach().flatten(1))
        assert levels <= 2 ** said["bits"][name] - 1
    spent = sum(every[name][bits].bytes for name, bits in said["bits"].items())
    assert spent <= sum(each[3].bytes for each in every.values())
    assert math.isclose(
        said["damage"]["classifier.1.weight"]["3"], every["classifier.1.weight"][3].damage
    )
    assert Step.from_dict(MixedBits(3).as_dict()) == MixedBits(3)


def test_ends_with_more_bits_widen_the_budget_by_their_bytes():
    ends = (("classifier.1.weight", 8),)
    every = options(state_of(), (2, 3, 8), images=32)
    state, step = state_of(), MixedBits(3, choices=(2, 3, 8), images=32, ends=ends)
    bits = step.apply(state)["bits"]
    spent = sum(every[name][b].bytes for name, b in bits.items())
    budget = sum(each[8 if name == ends[0][0] else 3].bytes for name, each in every.items())
    assert sum(each[3].bytes for each in every.values()) < spent <= budget
    with pytest.raises(ValueError, match="no layer is called nowhere"):
        MixedBits(3, images=8, ends=(("nowhere", 8),)).apply(state_of())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: assign(TOY, 399), "a budget of 399 bytes is too small: the least is 400"),
        (lambda: MixedBits(5), "unknown number of bits 5; accepted: 2, 3, 4, 6, 8"),
        (lambda: MixedBits(1, choices=(1, 2)), "bits must be a whole number from 2 to 16"),
        (lambda: MixedBits(range="best"), "unknown range 'best'"),
        (lambda: MixedBits(images=0), "images must be a whole number"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
