"""The exercises of notebook 19 about sets of scenes: cells, skips and coarse masks."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from squeeze_utils.base.scale import SCALES, Scale
from squeeze_utils.data import load_images
from squeeze_utils.models import build
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, named, numbers_in
from squeeze_utils.notebook.exercises.exercise import Claims
from squeeze_utils.studies import dense_answers
from squeeze_utils.training import boxes

SIDES = (3, 6, 12)
TIMES = (2, 4, 8)
MASKS = 200


def _unanswered(labels: torch.Tensor, side: int) -> int:
    """Objects for which no cell answers, looked for one by one."""
    missing = 0
    for scene in labels:
        answered = boxes.match(scene[None], side, side).box.tolist()
        objects = [one for one in scene.tolist() if one[0] >= 0]
        missing += sum(one[1:] not in answered for one in objects)
    return missing


@cache
def _in_training_scenes() -> dict[int, int]:
    labels = load_images("digit_scenes").train.labels
    return {side: _unanswered(labels, side) for side in SIDES}


def _scenes(count: int) -> torch.Tensor:
    """Labels of crowded scenes; about every fourth place holds no box."""
    corner = torch.rand(count, 6, 2) * 0.6
    label = torch.randint(0, 10, (count, 6, 1)).float()
    label[torch.rand(count, 6) < 0.25] = -1
    return torch.cat((label, corner, corner + 0.1 + 0.3 * torch.rand(count, 6, 2)), 2)


def objects_without_cell(answer: Any) -> Claims:
    given = named(answer, "function", "counts")
    for side in (2, 5, 12):
        crowd = _scenes(12)
        found = as_number(ask(given["function"], crowd, side), "without_cell")
        cells = boxes.match(crowd, side, side)
        total, right = int((crowd[:, :, 0] >= 0).sum()), _unanswered(crowd, side)
        padded = "places without a box (label −1) are no objects."
        empty = crowd.shape[0] * crowd.shape[1] - total
        yield "count", empty == 0 or found != right + empty, padded
        by_cell = "an object may have several cells. Count different objects, not cells."
        yield "count", len(cells.box) == total - right or found != total - len(cells.box), by_cell
        have = "this is how many objects have a cell."
        yield "count", 2 * right == total or found != total - right, have
        off = f"{found:g} is wrong for scenes made up with a grid of {side} × {side}."
        yield "count", found == right, off
    counts = named(given["counts"], *SIDES, what="counts")
    for side, right in _in_training_scenes().items():
        found = as_number(counts[side], f"counts[{side}]")
        off = f"{found:g} is not the count for {side} × {side} in the training scenes."
        yield "training scenes", found == right, off


def _saved(scale: str) -> int:
    """Parameters that the segmenter of the study saves without skips."""
    options = dict(dense_answers.network(Scale(scale), "segmentation").options)
    with torch.device("meta"):
        pair = [build("segmenter", **(options | {"skips": skips})) for skips in (True, False)]
    counts = [numbers_in(network) for network in pair]
    return counts[0] - counts[1]


def without_skips(answer: Any) -> Claims:
    given = named(answer, "with", "without", "saved")
    found, right = as_number(given["saved"], "saved"), {_saved(scale) for scale in SCALES}
    turned = "without skips the network has fewer parameters, so the difference is positive."
    yield "saved", found > 0, turned
    whole = "this is a whole network. By how many do the two differ?"
    yield "saved", found < 10 * max(right), whole
    options = "keep all options of the live network and change skips only."
    yield "saved", found in right, options
    scores = [as_number(given[name], name) for name in ("with", "without")]
    yield "mIoU", max(scores) > 1, "give per cent."
    yield "mIoU", max(scores) <= 100, "no mIoU is above 100 %."
    better = "skips bring finer maps to the decoder and should help. Are the two exchanged?"
    yield "mIoU", scores[0] > scores[1], better
    weak = f"{scores[0]:.0f} % with skips is low. Is it the whole training of the live network?"
    yield "mIoU", scores[0] > 35, weak


def _blocks(masks: torch.Tensor, times: int) -> torch.Tensor:
    """The pixels of each block in a row: (b, h / times, w / times, times²)."""
    blocks = masks.long().unfold(1, times, times).unfold(2, times, times)
    return blocks.flatten(3)


def _miou(answers: torch.Tensor, truth: torch.Tensor) -> float:
    values = []
    for label in truth.unique().tolist():
        a, b = answers == label, truth == label
        values.append(float((a & b).sum() / (a | b).sum()))
    return 100 * sum(values) / len(values)


def coarse_masks(answer: Any) -> Claims:
    given = named(answer, "coarse", "bounds")
    for times in (2, 3):
        masks = torch.randint(0, 3, (2, 6 * times, 4 * times))
        found = array(ask(given["coarse"], masks, times), tuple(masks.shape), "coarse")
        first = masks[:, ::times, ::times].repeat_interleave(times, 1).repeat_interleave(times, 2)
        yield "coarse", not close(found, first), "this takes one pixel of each block."
        blocks, answers = _blocks(masks, times), _blocks(found, times)
        flat = "a block has one class after it is enlarged again."
        yield "coarse", bool((answers == answers[..., :1]).all()), flat
        often = (blocks == answers[..., :1]).sum(-1)
        most = torch.stack([(blocks == label).sum(-1) for label in range(3)]).amax(0)
        yield "coarse", bool((often == most).all()), "each block takes its most frequent class."
    bounds = named(given["bounds"], *TIMES, what="bounds")
    truth = load_images("digit_masks").test.labels[:MASKS].long()
    for times in TIMES:
        found = as_number(bounds[times], f"bounds[{times}]")
        mode = _blocks(truth, times).mode(-1).values
        fine = mode.repeat_interleave(times, 1).repeat_interleave(times, 2)
        right, pixels = _miou(fine, truth), 100 * float((fine == truth).float().mean())
        yield "bounds", abs(found - right / 100) > 0.01, "give per cent."
        share = "this is the share of right pixels, not the mean IoU of the classes."
        yield "bounds", abs(found - pixels) > 0.1, share
        off = f"{found:.1f} % is not the mIoU for masks {times} times smaller."
        yield "bounds", abs(found - right) < 0.6, off
