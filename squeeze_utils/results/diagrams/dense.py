"""The diagram of a detector and a segmenter: one backbone, two ways to answer for each place."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from squeeze_utils.models import Detector, Segmenter, build
from squeeze_utils.results.diagrams.drawing import LARGE, LEFT, Box, Diagram, tint
from squeeze_utils.results.diagrams.networks import numbers_in

NOTE = "Below each block: channels, height × width of the map. Blocks are not drawn to scale."


def detector_and_segmenter() -> Figure:
    """Above the detector for BCCD, below the segmenter for CamVid, on SqueezeNet 1.1's backbone."""
    with torch.device("meta"):
        detector = build("detector", num_classes=3, image_size=(240, 320), pools=2)
        segmenter = build("segmenter", num_classes=11, image_size=(180, 240))
        seen, masked = (torch.zeros(1, *model.input_shape) for model in (detector, segmenter))
    drawing = Diagram()
    _draw_detector(drawing, detector.eval(), seen, 2.6)
    _draw_segmenter(drawing, segmenter.eval(), masked, 0.95)
    drawing.text(8.9, 0.09, NOTE, ha="right", color="#595959")
    return drawing.figure


def _draw_detector(drawing: Diagram, model: Detector, image: Tensor, y: float) -> None:
    maps = model.backbone(image)
    size = numbers_in(model)
    drawing.text(0.1, y + 0.76, f"Detector: {size:,} parameters", LARGE, **LEFT)
    before = _map(drawing, 0.45, y, image, "grey", "image")
    for x, made in zip((1.9, 3.2, 4.5), maps, strict=True):
        before = _after(drawing, before, _map(drawing, x, y, made, "blue", ""))
    drawing.text(3.2, y + 0.52, "backbone")
    neck = model.neck(maps[-1])
    before = _after(drawing, before, _map(drawing, 5.8, y, neck, "blue", "Fire"))
    answer = _map(drawing, 7.1, y, model.predict(neck), "orange", "3 × 3 layer")
    _after(drawing, before, answer)
    words = f"each cell:\nobject?\n4 numbers of its box\n{model.num_classes} classes"
    drawing.text(7.5, y, words, ha="left")


def _draw_segmenter(drawing: Diagram, model: Segmenter, image: Tensor, y: float) -> None:
    *finer, x = model.backbone(image)
    size = numbers_in(model)
    drawing.text(0.1, y + 0.76, f"Segmenter: {size:,} parameters", LARGE, **LEFT)
    before, skips = _map(drawing, 0.35, y, image, "grey", "image"), []
    for place, made in zip((1.35, 2.2, 3.05, 3.9), [*finer, x], strict=True):
        before = _after(drawing, before, _map(drawing, place, y, made, "blue", ""))
        skips.append(before)
    for place, skip, fire, kept in zip(
        (4.85, 5.75, 6.65), reversed(finer), model.decoder, reversed(skips[:-1]), strict=True
    ):
        x = torch.nn.functional.interpolate(x, size=skip.shape[2:])
        x = fire(torch.cat((x, skip), dim=1))
        made = _map(drawing, place, y, x, "green", "")
        level = y + 0.24 + 0.12 * (len(skips) - skips.index(kept) - 1)
        path = [kept.top, (kept.x, level), (made.x, level), made.top]
        drawing.arrow(*path, colour=tint("red", 0.9))
        before = _after(drawing, before, made)
    _after(drawing, before, _map(drawing, 7.6, y, model.predict(x), "orange", ""))
    drawing.text(7.9, y, f"1 × 1 layer:\n{model.num_classes} classes\nfor each pixel", ha="left")


def _after(drawing: Diagram, before: Box, box: Box) -> Box:
    drawing.arrow(before.right, box.left)
    return box


def _map(drawing: Diagram, x: float, y: float, made: Tensor, colour: str, words: str) -> Box:
    """A block for a map (1, c, h, w) around `x`, its numbers below it, words above."""
    _, channels, height, width = made.shape
    tall, wide = 0.046 * height**0.5, 0.012 * channels**0.5 + 0.03
    box = drawing.block(x - wide / 2, y, [(wide, colour)], tall, 0.05)
    drawing.text(x, y - 0.51, f"{channels}")
    drawing.text(x, y - 0.67, f"{height} × {width}", color="#595959")
    if words:
        drawing.text(x, y + 0.52, words)
    return box
