"""Intersection over union of classes, void, weights."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import jaccard_score
from torch.nn import functional as F

from squeeze_utils.data import load_images
from squeeze_utils.data.types import VOID
from squeeze_utils.training.segmentation import (
    FLAT,
    PixelCounts,
    Segmentation,
    class_weights,
    ious,
    shares,
)

TRUTH = torch.tensor([[[0, 0, 1], [1, 1, VOID]]], dtype=torch.uint8)


def logits_of(predicted: list, classes: int = 3) -> torch.Tensor:
    return F.one_hot(torch.tensor(predicted), classes).movedim(-1, 1).float()


def test_the_toy_of_the_chapter():
    tally = PixelCounts(3)
    tally.add(logits_of([[[0, 1, 1], [1, 0, 2]]]), TRUTH)
    judged = tally.judged()
    assert judged.confusion.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert ious(judged.confusion)[:2].tolist() == [1 / 3, 1 / 2]
    assert judged.score == pytest.approx(100 * (1 / 3 + 1 / 2) / 2)
    assert judged.details["per_class"][2] is None and judged.details["pixel_accuracy"] == 60


def test_a_class_that_only_the_answer_has_counts_as_zero():
    tally = PixelCounts(3)
    tally.add(logits_of([[[0, 0, 1], [1, 2, 0]]]), TRUTH)
    assert tally.judged().details["per_class"] == [100, pytest.approx(66.6667), 0]


def test_void_changes_neither_loss_nor_score():
    task = Segmentation((1.0, 1.0, 1.0))
    torch.manual_seed(0)
    one = torch.randn(1, 3, 2, 3, requires_grad=True)
    loss = task.loss(one, TRUTH)
    loss.backward()
    assert (one.grad[0, :, 1, 2] == 0).all() and (one.grad[0, :, :, :2] != 0).all()
    known = TRUTH[0] != VOID
    rows = one[0].movedim(0, -1)[known]
    torch.testing.assert_close(loss, F.cross_entropy(rows, TRUTH[0][known].long()))
    assert float(task.share_right(logits_of([[[0, 0, 1], [1, 1, 0]]]), TRUTH)) == 1


def test_classes_that_the_masks_do_not_know_weigh_nothing():
    torch.manual_seed(0)
    outputs = torch.randn(1, 4, 2, 3)
    weights = torch.tensor([1.0, 2.0, 3.0, 0.0])
    wanted = F.cross_entropy(outputs, TRUTH.long(), weights, ignore_index=VOID)
    assert torch.equal(Segmentation((1.0, 2.0, 3.0)).loss(outputs, TRUTH), wanted)


def test_masks_of_weightless_classes_alone_give_a_loss_of_zero():
    ones, outputs = torch.ones(1, 2, 2, dtype=torch.uint8), torch.randn(1, 2, 2, 2)
    assert float(Segmentation((1.0, 0.0)).loss(outputs, ones)) == 0


def test_masks_of_void_alone_give_a_loss_of_zero():
    task, void = Segmentation((1.0, 2.0)), torch.full((1, 2, 2), VOID, dtype=torch.uint8)
    outputs = torch.randn(1, 2, 2, 2, requires_grad=True)
    loss = task.loss(outputs, void)
    loss.backward()
    assert float(loss.detach()) == 0 and (outputs.grad == 0).all()
    tally = PixelCounts(2)
    tally.add(outputs.detach(), void)
    assert tally.judged().score == 0


def test_it_is_that_of_scikit_learn():
    torch.manual_seed(0)
    outputs, masks = torch.randn(2, 4, 9, 9), torch.randint(0, 3, (2, 9, 9), dtype=torch.uint8)
    masks[0, :2] = VOID
    tally = PixelCounts(4)
    tally.add(outputs, masks)
    known = masks != VOID
    expected = jaccard_score(masks[known], outputs.argmax(1)[known], average="macro")
    assert tally.judged().score == pytest.approx(100 * expected, rel=1e-5)


def test_weights_of_rare_and_absent_classes():
    weights = class_weights(torch.tensor([0.5, 0.5 - 1e-9, 0.0]))
    assert weights[2] == 0 and float(weights[0]) == pytest.approx(1 / math.log(FLAT + 0.5))
    data = load_images("digit_masks", train_limit=50)
    share = shares(data)
    assert float(share.sum()) == pytest.approx(1) and share[0] > 0.7
    task = Segmentation.of(data)
    assert len(task.weights) == 11 and min(task.weights[1:]) > task.weights[0]
