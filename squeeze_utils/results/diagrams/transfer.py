"""The diagram of transfer: which parts of a network stay, and which are trained again."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.figure import Figure

from squeeze_utils.results.diagrams.drawing import LARGE, Diagram, tint

PARTS = (
    ("conv1,\nfire2 to fire5", 1.9, "edges, colours,\ntextures"),
    ("fire6 to fire9", 1.7, "parts of objects"),
    ("conv10,\nmean", 1.1, "classes"),
)
ROWS = (
    ("head only", "kept", "kept", "new"),
    ("last modules", "kept", "trained on", "new"),
    ("all", "trained on", "trained on", "new"),
    ("from scratch", "random", "random", "random"),
)
COLOURS = {"kept": "sky", "trained on": "orange", "new": "orange", "random": "red"}


def ways_of_transfer() -> Figure:
    """Four ways to a network for new images: what is kept, trained on, or begun anew."""
    drawing = Diagram(9.0, 3.5)
    left, places = 2.6, []
    for words, width, about in PARTS:
        x = left + width / 2
        places.append((x, width))
        drawing.text(x, 3.27, words, LARGE, weight="bold")
        drawing.text(x, 0.2, about)
        left += width + 0.35
    for number, (name, *fates) in enumerate(ROWS):
        y = 2.7 - 0.62 * number
        drawing.text(0.2, y, name, LARGE, ha="left")
        boxes = [
            drawing.box(x, y, width, 0.44, fate, tint(COLOURS[fate], 0.35))
            for (x, width), fate in zip(places, fates, strict=True)
        ]
        for one, other in pairwise(boxes):
            drawing.arrow(one.right, other.left)
    return drawing.figure
