"""The diagram of training with a price on bits: what a weight goes through, and who pays."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from squeeze_utils.compress.pricing import rate_model
from squeeze_utils.results.diagrams.drawing import Diagram, signed, tint

WEIGHT, STEP, PRICE = 0.37, 0.2, 1e-6
NONZERO, SIZE = 0.1, 0.12  # of the toy layer: the share of numbers not zero, their mean size


def priced_training() -> Figure:
    """One weight on its way into the loss, twice: by what the layer computes, and by its bits."""
    drawing, top, low = Diagram(), 2.55, 1.1
    number = round(WEIGHT / STEP)
    shares = torch.tensor(NONZERO, dtype=torch.float64), torch.tensor(SIZE, dtype=torch.float64)
    bits = float(rate_model.bits(torch.tensor(float(number)), rate_model.lengths(*shares)))
    blue, orange, green = (tint(colour, 0.3) for colour in ("blue", "orange", "green"))
    weight = drawing.box(0.75, top, 1.1, 0.7, f"weight\nw = {signed(WEIGHT)}")
    divided = drawing.box(2.35, top, 1.3, 0.7, f"in steps\nw / Δ = {WEIGHT / STEP:.2f}")
    rounded = drawing.box(4.05, top, 1.3, 0.7, f"rounded\nn = {number}", blue)
    used = drawing.box(5.75, top, 1.3, 0.7, f"used\nΔ n = {signed(number * STEP)}")
    layers = drawing.box(7.6, top, 1.6, 0.7, "network\ncross entropy", orange)
    counts = f"counts of the layer: {100 * (1 - NONZERO):.0f} %\nzeros, mean size {SIZE}"
    model = drawing.box(2.35, low, 2.1, 0.7, counts, green)
    length = drawing.box(4.6, low, 1.7, 0.7, f"code length\n−log₂ P({number}) = {bits:.1f} bits")
    paid = drawing.box(7.0, low, 1.7, 0.7, f"price λ = {PRICE:.0e}\nλ · bits".replace("e-0", "e−"))
    loss = drawing.box(8.5, low, 0.8, 0.7, "loss", orange)
    for one, other in ((weight, divided), (divided, rounded), (rounded, used), (used, layers)):
        drawing.arrow(one.right, other.left)
    for one, other in ((model, length), (length, paid), (paid, loss)):
        drawing.arrow(one.right, other.left)
    drawing.arrow((4.3, top - 0.35), (4.3, low + 0.35))
    drawing.arrow((3.8, top - 0.35), (3.8, 1.78), (2.35, 1.78), model.top)
    drawing.arrow((8.3, top - 0.35), (8.3, low + 0.35))
    drawing.text(3.2, 3.1, "the gradient passes the rounding as if it were not there")
    drawing.text(
        4.5,
        0.3,
        "A step Δ for each layer is learned; the file holds Δ, the counts and n.\n"
        "In the loss, straight lines join the code lengths: it takes them at w / Δ, not at n.",
    )
    return drawing.figure
