"""Cells that answer for boxes, and boxes that outputs stand for."""

from __future__ import annotations

import math

import pytest
import torch
from torchvision.ops import box_iou, nms

from squeeze_utils.data.types import NO_BOX
from squeeze_utils.training.boxes import ANCHOR, decoded, detect, match
from squeeze_utils.training.detection import Detection, _overlaps

EMPTY = [NO_BOX, 0.0, 0.0, 0.0, 0.0]


def outputs_for(boxes: list[list[float]], side: int = 4, classes: int = 3) -> torch.Tensor:
    """What a perfect detector would say of an image."""
    outputs = torch.full((1, 5 + classes, side, side), -9.0)
    cells = match(torch.tensor([boxes]), side, side)
    for _, row, column, label, box in zip(*cells, strict=True):
        x, y = (float(column) + 0.5) / side, (float(row) + 0.5) / side
        left, top, right, bottom = box.tolist()
        anchor = ANCHOR / side
        moved = [((left + right) / 2 - x) / anchor, ((top + bottom) / 2 - y) / anchor]
        stretched = [math.log((right - left) / anchor), math.log((bottom - top) / anchor)]
        outputs[0, 0, row, column] = 9.0
        outputs[0, 1:5, row, column] = torch.tensor([*moved, *stretched])
        outputs[0, 5 + label, row, column] = 9.0
    return outputs


def test_a_box_gets_the_cells_of_its_central_half():
    cells = match(torch.tensor([[[2.0, 0.0, 0.0, 1.0, 1.0]]]), 4, 4)
    assert sorted(zip(cells.row.tolist(), cells.column.tolist(), strict=True)) == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
    ]
    assert cells.label.tolist() == [2] * 4 and cells.box[0].tolist() == [0, 0, 1, 1]


def test_a_small_box_gets_the_cell_of_its_centre_also_at_the_border():
    rows = [[0.0, 0.3, 0.6, 0.35, 0.62], [1.0, 0.99, 0.98, 1.0, 1.0], EMPTY]
    cells = match(torch.tensor([rows]), 4, 4)
    found = zip(cells.row.tolist(), cells.column.tolist(), cells.label.tolist(), strict=True)
    assert list(found) == [(2, 1, 0), (3, 3, 1)]


def test_of_two_boxes_a_cell_answers_for_the_smaller():
    rows = [[0.0, 0.0, 0.0, 1.0, 1.0], [1.0, 0.25, 0.25, 0.5, 0.5]]
    for order in (rows, rows[::-1]):
        cells = match(torch.tensor([order]), 4, 4)
        at = {(r, c): k for r, c, k in zip(*(p.tolist() for p in cells[1:4]), strict=True)}
        assert at == {(1, 1): 1, (1, 2): 0, (2, 1): 0, (2, 2): 0}


def test_an_empty_scene_has_no_cell():
    assert len(match(torch.tensor([[EMPTY, EMPTY]]), 4, 4).label) == 0


def test_outputs_decode_to_the_boxes_they_were_made_from():
    boxes = [[1.0, 0.1, 0.2, 0.9, 0.7], [2.0, 0.0, 0.0, 0.2, 0.1]]
    outputs = outputs_for(boxes)
    cells = match(torch.tensor([boxes]), 4, 4)
    found = decoded(outputs)[cells.image, cells.row, cells.column]
    torch.testing.assert_close(found, cells.box)
    seen = detect(outputs)
    assert seen.label.tolist() == [1, 2] or seen.label.tolist() == [2, 1]
    assert float(box_iou(seen.box, torch.tensor(boxes)[:, 1:]).max(1).values.min()) > 0.999


def test_zeros_stand_for_the_anchor_of_three_cells_around_the_centre():
    box = decoded(torch.zeros(1, 6, 2, 4))[0, 1, 2]
    assert box.tolist() == pytest.approx([0.25, 0, 1, 1.5])


def test_detect_drops_the_unsure_and_what_it_has_twice():
    outputs = outputs_for([[0.0, 0.0, 0.0, 1.0, 1.0]])  # four cells, one box
    assert len(detect(outputs).score) == 1
    assert len(detect(torch.full((2, 8, 4, 4), -9.0)).score) == 0
    assert len(detect(outputs_for([EMPTY])).score) == 0


def test_detect_keeps_images_and_classes_apart_and_the_best():
    torch.manual_seed(0)
    outputs = torch.randn(3, 7, 5, 6)
    found = detect(outputs, sure=0.0, same=0.3, most=1000)
    for image in range(3):
        own = found.of(image)
        assert (own.score.diff() <= 0).all()
        for label in (0, 1):
            score = outputs[image, 0].sigmoid() * outputs[image, 5:].softmax(0).max(0).values
            here = outputs[image, 5:].argmax(0) == label
            boxes = decoded(outputs)[image].clamp(0, 1)[here]
            kept = boxes[nms(boxes, score[here], 0.3)]
            torch.testing.assert_close(own.box[own.label == label], kept)
    few = detect(outputs, sure=0.0, same=0.3, most=4)
    assert torch.bincount(few.image).tolist() == [4, 4, 4]
    torch.testing.assert_close(few.of(1).score, found.of(1).score[:4])


def test_overlaps_of_pairs_are_torchvisions():
    torch.manual_seed(0)
    boxes = torch.rand(2, 20, 2, 2).sort(2).values.flatten(2)
    torch.testing.assert_close(_overlaps(*boxes), box_iou(*boxes).diagonal())


def test_the_loss_of_a_perfect_answer_is_small_and_of_an_empty_scene_finite():
    task, boxes = Detection(), [[1.0, 0.1, 0.2, 0.9, 0.7]]
    outputs = outputs_for(boxes)
    terms = task.terms(outputs, torch.tensor([boxes]))
    assert all(float(term) < 0.01 for term in terms.values())
    assert float(task.share_right(outputs, torch.tensor([boxes]))) == 1
    nothing = torch.tensor([[EMPTY]])
    empty = task.terms(torch.zeros(1, 8, 4, 4), nothing)
    assert float(empty["object"]) == pytest.approx(16 * math.log(2))
    assert float(empty["box"]) == float(empty["class"]) == 0
    assert float(task.share_right(torch.zeros(1, 8, 4, 4), nothing)) == 1


def test_the_loss_of_a_toy_is_the_sum_written_out():
    outputs = torch.zeros(1, 7, 1, 1)  # one cell, a box of three by three
    outputs[0, 0] = 2.0
    truth = torch.tensor([[[1.0, 0.0, 0.0, 1.0, 1.0]]])
    terms = Detection().terms(outputs, truth)
    assert float(terms["box"]) == pytest.approx(1 - 1 / 9)  # IoU 1/9, hull the larger box
    assert float(terms["class"]) == pytest.approx(math.log(2))
    # The target of the score is the IoU: log(1 + e^z) - t z.
    assert float(terms["object"]) == pytest.approx(math.log1p(math.exp(2)) - 2 / 9)


def test_the_gradient_reaches_every_head():
    torch.manual_seed(0)
    outputs = torch.randn(2, 8, 4, 4, requires_grad=True)
    truth = torch.tensor([[[2.0, 0.1, 0.1, 0.6, 0.8]], [EMPTY]])
    Detection().loss(outputs, truth).backward()
    gradient = outputs.grad.abs()
    assert (gradient[0, 0] > 0).all() and (gradient[1, 0] > 0).all()
    cells = match(truth, 4, 4)
    assert (gradient[cells.image, :, cells.row, cells.column].sum(0) > 0).all()
    assert float(gradient[1, 1:].max()) == 0
