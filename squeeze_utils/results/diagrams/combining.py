"""A diagram of combining: two techniques, two orders, and what each of them adds."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from squeeze_utils.results.diagrams.drawing import Box, Diagram, signed, tint
from squeeze_utils.results.factorial.attribution import shapley

BITS = {"": 32.0, "P": 4.2, "R": 5.0, "PR": 4.2}  # bits of a weight, as the text derives


def two_orders() -> Figure:
    """Bits of a weight along both orders of pruning (P) and rounding (R), and the fair shares.

    Each arrow says how many halvings the step gains; the share of a technique is the mean over
    its two arrows.
    """
    gain = {name: math.log2(BITS[""] / value) for name, value in BITS.items()}
    shares = shapley("PR", lambda applied: gain["".join(sorted(applied))])
    drawing = Diagram(9.0, 3.5)
    names = {"": "dense", "P": "pruned", "R": "rounded", "PR": "both"}
    places = {"": (1.2, 2.0), "P": (4.5, 2.95), "R": (4.5, 1.05), "PR": (7.8, 2.0)}
    fills = {"": "grey", "P": "blue", "R": "orange", "PR": "green"}
    boxes: dict[str, Box] = {}
    for name, (x, y) in places.items():
        words = f"{names[name]}\n{BITS[name]:.3g} bits a weight"
        boxes[name] = drawing.box(x, y, 1.7, 0.62, words, tint(fills[name], 0.3))
    for start, end in (("", "P"), ("", "R"), ("P", "PR"), ("R", "PR")):
        added = (set(end) - set(start)).pop()
        colour = {"P": "#0072B2", "R": "#B36B00"}[added]
        a, b = boxes[start].right, boxes[end].left
        drawing.arrow(a, b, colour=colour, width=1.4)
        verb = {"P": "prune", "R": "round"}[added]
        words = f"{verb}: {signed(round(gain[end] - gain[start], 2))}"
        aside = 0.3 if "P" in (start, end) else -0.3
        drawing.text((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + aside, words)
    note = (
        "Numbers at the arrows: halvings that the step gains. Means over both orders: "
        f"pruning {shares['P']:.2f}, rounding {shares['R']:.2f}, together {gain['PR']:.2f}."
    )
    drawing.text(4.5, 0.3, note)
    return drawing.figure
