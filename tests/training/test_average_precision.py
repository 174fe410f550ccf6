"""Average precision by hand, at its edges, and beside plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from squeeze_utils.data.types import NO_BOX
from squeeze_utils.training.average_precision import average_precision, joined, judge
from squeeze_utils.training.detection import BoxTally

A, B, C = [0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9], [0.0, 0.6, 0.2, 0.8]


def boxes(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows).view(-1, 4)


def test_the_toy_of_the_chapter():
    """Right, wrong, right of three objects: precisions 1, 1/2, 2/3 at recalls 1/3, 1/3, 2/3."""
    found = judge(torch.tensor([0.9, 0.8, 0.7]), boxes(A, C, B), boxes(A, B, [0.9, 0, 1, 0.1]))
    assert found.right.tolist() == [True, False, True] and found.found.tolist() == [1, 1, 0]
    assert average_precision(found) == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)


def test_an_object_is_found_once_and_by_the_surest():
    found = judge(torch.tensor([0.5, 0.9]), boxes(A, A), boxes(A))
    assert found.score.tolist() == pytest.approx([0.9, 0.5]) and found.right.tolist() == [1, 0]
    assert average_precision(found) == 1


def test_overlap_must_reach_the_half():
    half = [0.0, 0.0, 0.4, 0.2]  # exactly half of A
    assert judge(torch.ones(1), boxes(half), boxes(A)).right.item()
    assert not judge(torch.ones(1), boxes([0.0, 0.0, 0.4, 0.19]), boxes(A)).right.item()


def test_edges_no_detection_no_object_nothing():
    nothing = judge(torch.zeros(0), boxes(), boxes(A))
    assert average_precision(nothing) == 0 and nothing.objects == 1
    alarm = judge(torch.ones(1), boxes(A), boxes())
    assert math.isnan(average_precision(alarm)) and alarm.right.tolist() == [False]
    assert average_precision(joined([nothing, alarm])) == 0


def random_answers(images: int, classes: int) -> tuple[list[dict], list[dict]]:
    generator = torch.Generator().manual_seed(0)

    def some(count: int) -> torch.Tensor:
        corner = torch.rand(count, 2, generator=generator) * 0.6
        return torch.cat(
            (corner, corner + 0.1 + torch.rand(count, 2, generator=generator) * 0.3), 1
        )

    predictions, truths = [], []
    for _ in range(images):
        truth, labels = some(4), torch.randint(classes, (4,), generator=generator)
        near = truth + 0.03 * torch.randn(4, 4, generator=generator)
        guess = torch.cat((near, some(3)))
        named = torch.cat((labels, torch.randint(classes, (3,), generator=generator)))
        scores = torch.rand(7, generator=generator)
        predictions.append({"boxes": guess, "labels": named, "scores": scores})
        truths.append({"boxes": truth, "labels": labels})
    return predictions, truths


def ours(predictions: list[dict], truths: list[dict], classes: int) -> list[float]:
    found = []
    for label in range(classes):
        parts = []
        for guess, truth in zip(predictions, truths, strict=True):
            own, real = guess["labels"] == label, truth["labels"] == label
            parts.append(judge(guess["scores"][own], guess["boxes"][own], truth["boxes"][real]))
        found.append(average_precision(joined(parts)))
    return found


def overlap(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = ((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return width * height / (sum(areas) - width * height)


def by_loops(predictions: list[dict], truths: list[dict], label: int) -> float:
    """COCO's rules for one class, one detection after another, from the surest down."""
    left = {
        (image, place): box
        for image, real in enumerate(truths)
        for place, (box, own) in enumerate(zip(real["boxes"].tolist(), real["labels"], strict=True))
        if own == label
    }
    objects, right = len(left), []
    every = [
        (score, image, box)
        for image, guess in enumerate(predictions)
        for score, own, box in zip(
            *(guess[k].tolist() for k in ("scores", "labels", "boxes")), strict=True
        )
        if own == label
    ]
    for _, image, box in sorted(every, reverse=True):
        free = [(overlap(box, left[key]), key) for key in left if key[0] == image]
        best, key = max(free, default=(0.0, None))
        right.append(best >= 0.5)
        if right[-1]:
            del left[key]
    points = [(sum(right[:k]) / objects, sum(right[:k]) / k) for k in range(1, len(right) + 1)]
    recalls = [step / 100 for step in range(101)]
    return sum(max((p for r, p in points if r >= at), default=0.0) for at in recalls) / 101


def test_it_is_that_of_plain_loops():
    predictions, truths = random_answers(12, 3)
    found = ours(predictions, truths, 3)
    assert all(0.1 < one < 0.95 for one in found) and len(set(found)) == 3
    assert found == pytest.approx([by_loops(predictions, truths, n) for n in range(3)], abs=1e-9)


def test_the_tally_counts_found_and_missed_and_leaves_absent_classes_out():
    tally = BoxTally(3)
    outputs = torch.full((2, 8, 1, 1), -9.0)
    third = math.log(1 / 3)
    outputs[0] = torch.tensor([9.0, 0.0, 0.0, third, third, 9.0, 0.0, 0.0])[:, None, None]
    box = [0.0, 0.0, 0.0, 1.0, 1.0]
    truth = torch.tensor([[box, [1.0, 0.0, 0.0, 0.1, 0.1]], [[NO_BOX, 0, 0, 0, 0]] * 2])
    tally.add(outputs, truth)
    judged = tally.judged()
    assert judged.score == pytest.approx(50) and judged.details["per_class"] == [100, 0, None]
    assert judged.confusion.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert judged.details["found_by_size"] == {"small": 0, "middle": 100}


def test_a_tally_of_empty_scenes_is_zero():
    tally = BoxTally(2)
    tally.add(torch.full((1, 7, 2, 2), -9.0), torch.tensor([[[NO_BOX, 0.0, 0, 0, 0]]]))
    judged = tally.judged()
    assert judged.score == 0 and judged.confusion.tolist() == [[0, 0], [0, 0]]
