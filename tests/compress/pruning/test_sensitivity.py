from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_set

from squeeze_utils.compress.pruning.scores import prunable, scores
from squeeze_utils.compress.pruning.sensitivity import allocate, scan
from squeeze_utils.compress.pruning.steps import Prune, sparsity
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State

DATA = tiny_set(size=16)


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    spec = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, num_classes=3)
    found = State(spec.build(), DATA)
    Train(3, batch_size=16, lr=0.02, precision="float32").apply(found)
    return found


def test_the_scan_prunes_one_layer_at_a_time_and_puts_it_back(state):
    before = [p.detach().clone() for p in state.model.parameters()]
    names = list(prunable(state.model))[:4]
    curves = scan(state, scores("magnitude", state, names), (0.0, 0.9))
    assert all(torch.equal(a, b) for a, b in zip(before, state.model.parameters(), strict=True))
    assert list(curves) == names
    for curve in curves.values():
        assert [s for s, _ in curve] == [0.0, 0.0, 0.9]
        assert curve[0][1] == curve[1][1] >= 50.0  # nothing pruned, nothing lost
    assert min(accuracy for curve in curves.values() for _, accuracy in curve) < 100


def test_the_budget_spares_the_layer_that_suffers():
    curves = {
        "tough": [(0.0, 90.0), (0.5, 90.0), (0.9, 89.0)],
        "tender": [(0.0, 90.0), (0.5, 70.0), (0.9, 10.0)],
    }
    chosen = allocate(curves, {"tough": 100, "tender": 100}, 0.45)
    assert chosen == {"tough": pytest.approx(0.9), "tender": 0.0}
    more = allocate(curves, {"tough": 100, "tender": 100}, 0.55)
    assert more["tender"] == pytest.approx(0.2)


@given(st.floats(0.05, 0.9), st.lists(st.integers(10, 1000), min_size=2, max_size=5))
def test_the_budget_is_met_whatever_the_sizes(target, sizes):
    names = [f"layer{i}" for i in range(len(sizes))]
    curves = {n: [(0.0, 90.0), (0.5, 90.0 - i), (0.95, 50.0)] for i, n in enumerate(names)}
    chosen = allocate(curves, dict(zip(names, sizes, strict=True)), target)
    removed = sum(chosen[n] * size for n, size in zip(names, sizes, strict=True))
    assert removed == pytest.approx(target * sum(sizes), abs=0.6)
    assert all(0 <= share <= 0.95 + 1e-9 for share in chosen.values())


def test_more_than_the_scan_has_seen_is_refused():
    with pytest.raises(ValueError, match=r"reaches sparsity 0\.5 only, 0\.9 is asked for"):
        allocate({"a": [(0.0, 90.0), (0.5, 80.0)]}, {"a": 10}, 0.9)


def test_pruning_by_sensitivity_reaches_the_sparsity_over_all(state):
    state = copy.deepcopy(state)
    Prune(0.6, scope="sensitivity").apply(state)
    names = list(prunable(state.model))
    assert sparsity(state.model, names) == pytest.approx(0.6, abs=0.01)
    shares = {float((p == 0).float().mean()) for p in prunable(state.model).values()}
    assert len(shares) > 3  # not the same for all
