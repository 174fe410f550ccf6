from __future__ import annotations

import pytest
import torch
from tiny import tiny_set
from torch import nn
from torch.nn import functional as F

from squeeze_utils.compress.pruning.scores import CRITERIA, NothingToPrune, prunable, scores
from squeeze_utils.data import normalise
from squeeze_utils.models import ModelSpec, build
from squeeze_utils.training.step import State


def test_what_can_be_pruned_are_weights_of_convolutions_and_dense_layers():
    names = list(prunable(build("lenet5")))
    assert len(names) == 4 and all(name.endswith(".weight") for name in names)
    model = build("squeezenet_small", width=0.25, bypass="complex")
    assert len(prunable(model)) == 1 + 8 * 3 + 4 + 1
    assert "features.0.weight" not in prunable(model, ("features.0",))


def test_a_model_without_prunable_layers_is_refused():
    with pytest.raises(NothingToPrune, match="no Conv2d and no Linear layer, only ReLU, Sequen"):
        prunable(nn.Sequential(nn.ReLU()))
    with pytest.raises(NothingToPrune, match="every layer is excluded"):
        prunable(nn.Sequential(nn.Linear(2, 2)), ("0",))
    with pytest.raises(ValueError, match="no layer is called 'conv1'"):
        prunable(nn.Sequential(nn.Linear(2, 2)), ("conv1",))


DATA = tiny_set(size=16)


SPEC = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, num_classes=3)


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return State(SPEC.build(), DATA, generator=torch.Generator().manual_seed(1))


def test_criteria_choose_different_weights_and_leave_the_model_alone(state):
    state.data = tiny_set(size=16, counts=(400, 24, 24))  # more than one batch
    names = list(prunable(state.model))
    before = {n: v.clone() for n, v in state.model.state_dict().items()}
    first = {c: scores(c, state, names)[names[3]].flatten().argsort() for c in CRITERIA}
    after = state.model.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in before)
    orders = [tuple(order.tolist()) for order in first.values()]
    assert len(set(orders)) == len(orders)


def test_movement_with_dropout_depends_on_the_seed_alone():
    names = ["features.0.weight"]

    def found(seed: int, elsewhere: int) -> torch.Tensor:
        torch.manual_seed(0)
        model = ModelSpec.of(SPEC.name, **dict(SPEC.options), dropout=0.5).build()
        state = State(model, DATA, generator=torch.Generator().manual_seed(seed))
        torch.manual_seed(elsewhere)
        before = torch.get_rng_state()
        score = scores("movement", state, names)[names[0]]
        assert torch.equal(torch.get_rng_state(), before)
        return score

    assert torch.equal(found(1, 2), found(1, 3))
    assert not torch.equal(found(1, 2), found(4, 2))


def test_gradient_times_weight_is_what_the_loss_changes_when_a_weight_shrinks(state):
    name = "features.0.weight"
    found = scores("snip", state, [name])[name]
    weight = dict(state.model.named_parameters())[name]
    at = tuple(int(i) for i in (found == found.max()).nonzero()[0])
    data = state.data
    x = normalise(data.train.images, data.mean, data.std)

    def loss() -> float:
        with torch.no_grad():
            return float(F.cross_entropy(state.model.eval()(x), data.train.labels))

    share, whole = 0.01, loss()
    with torch.no_grad():
        weight[at] *= 1 - share
    assert abs(loss() - whole) / share == pytest.approx(float(found[at]), rel=0.1)
