from __future__ import annotations

import pytest
import torch
from states import outputs, state_of
from torch import nn

from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import Densify, Prune
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm, MergeStatistics
from squeeze_utils.compress.sqz import container
from squeeze_utils.deploy.for_inference import without_norm
from squeeze_utils.training.step import check_masks

FORMS = [
    {},
    {"bypass": "simple"},
    {"bypass": "complex"},
    {"expand": "depthwise", "pooling": "stride"},
    {"pooling": "mixed", "activation": "prelu"},
    {"head": "dense", "first_repeat": 2},
    {"activation_bits": 8, "bypass": "complex"},
]


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_folding_changes_no_output_and_leaves_no_normalisation(options):
    state = state_of(**options)
    before = outputs(state.model)
    parameters = sum(p.numel() for p in state.model.parameters())
    FoldBatchNorm().apply(state)
    assert torch.allclose(outputs(state.model), before, atol=1e-5) and before.abs().max() > 0.01
    assert not any(isinstance(m, nn.BatchNorm2d) for m in state.model.modules())
    assert sum(p.numel() for p in state.model.parameters()) < parameters
    assert state.model.spec.build().state_dict().keys() == state.model.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "options"),
    [("vgg11", {}), ("vgg11", {"fire": True}), ("alexnet", {"normalisation": "batch"})],
    ids=str,
)
def test_the_other_networks_with_normalisation_fold_too(name, options):
    state = state_of(name, **options)
    before = outputs(state.model, 32)
    FoldBatchNorm().apply(state)
    after = outputs(state.model, 32)
    assert (after - before).abs().max() < 1e-5 * before.abs().max() and before.std() > 1e-3
    assert not any(isinstance(m, nn.BatchNorm2d) for m in state.model.modules())
    assert state.model.spec.build().state_dict().keys() == state.model.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "options"), [("squeezenet_small", {"pooling": "strided block"}), ("resnet20", {})]
)
def test_a_normalisation_that_folding_does_not_reach_is_refused(name, options):
    state = state_of(name, **options)
    with pytest.raises(ValueError, match="residual blocks and strided blocks cannot be folded"):
        FoldBatchNorm().apply(state)
    side = 16 if name == "squeezenet_small" else 32
    assert torch.equal(outputs(without_norm(state.model), side), outputs(state.model, side))


def test_zeros_stay_zeros_through_folding():
    state = state_of()
    Prune(0.6).apply(state)
    zeros = {n: int((p == 0).sum()) for n, p in prunable(state.model).items()}
    FoldBatchNorm().apply(state)
    check_masks(state)
    assert state.masks
    assert sum(zeros.values()) == sum(int((p == 0).sum()) for p in prunable(state.model).values())


def test_what_was_made_dense_again_stays_dense_through_folding():
    state = state_of()
    Prune(0.6).apply(state)
    Densify().apply(state)
    FoldBatchNorm().apply(state)
    assert not state.masks


def test_merged_statistics_compute_the_same_and_take_less_room():
    state = state_of(width=0.125)
    before, size = outputs(state.model), len(container.encode_sqz(state.model)[0])
    assert MergeStatistics().apply(state)["merged"] > 0
    assert (outputs(state.model) - before).abs().max() < 1e-4
    norms = [m for m in state.model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all((n.running_mean == 0).all() and (n.running_var == 1).all() for n in norms)
    assert len(container.encode_sqz(state.model)[0]) < size
