from __future__ import annotations

import copy

import pytest
import torch

from squeeze_utils.compress.pricing import Squeezed
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.sharing.steps import Share
from squeeze_utils.compress.sqz import container
from squeeze_utils.data.sets import load_images
from squeeze_utils.models import build
from squeeze_utils.training.step import State, check_masks

TARGET = 8_000


@pytest.fixture(scope="module")
def digits():
    return load_images("digits", 16)


def fresh(digits, seed: int = 0) -> State:
    torch.manual_seed(0)
    model = build("squeezenet_small", num_classes=10, in_channels=1, width=0.125)
    return State(model, digits, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def squeezed(digits) -> State:
    state = fresh(digits)
    FoldBatchNorm().apply(state)
    found = Squeeze(TARGET, images=40).apply(state)
    assert found["price"] > 0 and len(found["rounded"]) == 26
    return state


def test_the_file_fits_and_zeros_are_masked_for_what_comes_after(squeezed):
    assert 0.9 * TARGET < len(container.encode_sqz(squeezed.model)[0]) <= TARGET
    check_masks(squeezed)
    zeros = sum(int((p == 0).sum()) for p in squeezed.model.parameters() if p.ndim == 4)
    assert zeros == sum(int((~mask).sum()) for mask in squeezed.masks.values()) > 0


@pytest.mark.slow
def test_the_seed_draws_the_images(digits, squeezed):
    again = [fresh(digits, seed) for seed in (0, 1)]
    for state in again:
        FoldBatchNorm().apply(state)
        Squeeze(TARGET, images=40).apply(state)
    same, other = (container.encode_sqz(state.model)[0] for state in again)
    assert same == container.encode_sqz(squeezed.model)[0] != other


def test_the_images_are_of_the_training_split(digits, squeezed, monkeypatch):
    shown = []

    def look(model, images, target_bytes, seed, progress):
        shown.append((images, seed))
        return Squeezed(model, b"", {}, [], 1.0)

    monkeypatch.setattr("squeeze_utils.compress.pricing.steps.squeeze", look)
    for seed in (0, 0, 1):
        Squeeze(TARGET, images=40).apply(fresh(digits, seed))
    (first, drawn), (again, same), (other, changed) = shown
    assert torch.equal(first, again) and drawn == same != changed
    assert first.shape == other.shape == (40, 1, 16, 16) and not torch.equal(first, other)
    pixels = digits.train.images.float().div(255).sub(digits.mean[0]).div(digits.std[0])
    assert all((pixels - image).abs().amax((1, 2, 3)).min() < 1e-4 for image in first)


def test_what_it_cannot_do_is_said(digits):
    with pytest.raises(ValueError, match="target_bytes must be"):
        Squeeze(0)
    with pytest.raises(ValueError, match="images must be"):
        Squeeze(1000, images=1)
    state = fresh(digits)
    with pytest.raises(ValueError, match="accepted: a network after FoldBatchNorm"):
        Squeeze(TARGET).apply(state)
    Share(4).apply(state)
    with pytest.raises(ValueError, match="leave Share out"):
        Squeeze(TARGET).apply(state)


def test_pruning_goes_on_from_what_it_made_zero(squeezed):
    state = copy.deepcopy(squeezed)
    before = sum(int((p != 0).sum()) for p in state.model.parameters() if p.ndim == 4)
    Prune(0.9).apply(state)
    assert sum(int((p != 0).sum()) for p in state.model.parameters() if p.ndim == 4) < before
