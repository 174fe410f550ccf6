"""Mixup: mixed images, the two-label loss, and how it grows."""

from __future__ import annotations

import pytest
import torch
from tiny import QUICK, tiny_set, tiny_spec
from torch.nn import functional as F

from squeeze_utils.training import epochs
from squeeze_utils.training.loop import Train, fit
from squeeze_utils.training.mixing import Mixup, mixed, mixed_loss


def test_images_are_mixed_with_the_one_before():
    images = torch.tensor([0.0, 10.0, 100.0]).view(3, 1, 1, 1)
    shares = torch.tensor([1.0, 0.75, 0.5])
    assert mixed(images, shares).flatten().tolist() == [0.0, 7.5, 55.0]
    batch = torch.rand(6, 3, 4, 4).to(memory_format=torch.channels_last)
    assert mixed(batch, torch.rand(6)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_two_label_form_and_that_of_mixed_labels(smoothing):
    torch.manual_seed(0)
    logits, labels, shares = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0]), torch.rand(5)
    found = mixed_loss(logits, labels, shares, smoothing)
    expected = 0.0
    for i in range(5):
        both = [
            F.cross_entropy(logits[i : i + 1], labels[[j]], label_smoothing=smoothing)
            for j in (i, i - 1)
        ]
        expected += (shares[i] * both[0] + (1 - shares[i]) * both[1]) / 5
    torch.testing.assert_close(found, expected)
    hot = F.one_hot(labels, 3).float()
    soft = shares[:, None] * hot + (1 - shares[:, None]) * hot.roll(1, 0)
    torch.testing.assert_close(found, F.cross_entropy(logits, soft, label_smoothing=smoothing))


def test_with_whole_shares_it_is_the_ordinary_loss():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    found = mixed_loss(logits, labels, torch.ones(5), 0.1)
    torch.testing.assert_close(found, F.cross_entropy(logits, labels, label_smoothing=0.1))


def test_shares_are_the_larger_part_of_a_beta_distribution():
    torch.manual_seed(0)
    shares = Mixup(1.0).shares(20_000, 0.0)  # Beta(1, 1) is uniform: the larger part has mean 3/4
    assert shares.min() >= 0.5 and shares.max() <= 1
    assert float(shares.mean()) == pytest.approx(0.75, abs=0.005)
    torch.manual_seed(0)
    wide, narrow = Mixup(0.1).shares(2000, 0.0), Mixup(8.0).shares(2000, 0.0)
    assert wide.mean() > 0.9 and narrow.mean() < 0.65


@pytest.mark.parametrize(("done", "factor"), [(0.0, 0.0), (0.125, 0.25), (0.5, 1.0), (0.9, 1.0)])
def test_the_partners_share_grows(done, factor):
    torch.manual_seed(0)
    whole = Mixup(1.0).shares(100, done)
    torch.manual_seed(0)
    grown = Mixup(1.0, growth=0.5).shares(100, done)
    torch.testing.assert_close(1 - grown, factor * (1 - whole))


def test_training_mixes_training_images_only_and_knows_how_far_it_is(monkeypatch):
    dones, real = [], Mixup.shares
    monkeypatch.setattr(
        Mixup, "shares", lambda self, n, done: dones.append(done) or real(self, n, done)
    )
    losses = []
    monkeypatch.setattr(
        epochs, "mixed_loss", lambda *args: losses.append(args) or mixed_loss(*args)
    )
    data = tiny_set()
    fit(tiny_spec().build(), data, Train(2, mixup=1.0, label_smoothing=0.1, **QUICK))
    assert dones == pytest.approx([(step + 0.5) / 6 for step in range(6)])
    assert len(losses) == 6 and {args[3] for args in losses} == {0.1}


def test_the_same_seed_mixes_alike():
    plan = Train(2, mixup=0.3, **QUICK)

    def trained(seed: int, drawing: int = 0) -> torch.Tensor:
        torch.manual_seed(0)
        model = tiny_spec().build()
        torch.manual_seed(seed)
        fit(model, tiny_set(), plan, generator=torch.Generator().manual_seed(drawing))
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(trained(1), trained(2))
    assert not torch.equal(trained(1), trained(1, drawing=1))
