"""The diagram of training: one step, forwards to a loss and backwards to new parameters."""

from __future__ import annotations

from itertools import pairwise

import torch
from matplotlib.figure import Figure
from torch.nn import functional as F

from squeeze_utils.results.diagrams.drawing import LARGE, Diagram, tint

ODDS, TRUE = (1, 2, 5), 1  # of three classes, and the true one, counted from 0


def _numbers() -> tuple[str, str, float]:
    """Probabilities and gradient of the toy's scores, in parts of all odds, and its loss."""
    z = torch.tensor(ODDS, dtype=torch.float64).log().requires_grad_()
    loss = F.cross_entropy(z[None], torch.tensor([TRUE]))
    loss.backward()
    parts = (sum(ODDS) * torch.stack([z.softmax(0), z.grad])).round().int().tolist()
    p, gradient = (", ".join(map(str, row)).replace("-", "−") for row in parts)
    return p, gradient, loss.item()


def training_step() -> Figure:
    """One turn of the training loop, with the numbers of one image of three classes."""
    drawing, top, low = Diagram(), 2.45, 1.05
    p, gradient, loss = _numbers()
    target = ", ".join(str(int(k == TRUE)) for k in range(len(ODDS)))
    blue, orange, green = (tint(colour, 0.3) for colour in ("blue", "orange", "green"))
    forward = (
        (0.95, 1.4, "batch\nimages x\nclasses y", "white"),
        (2.95, 1.4, "network\nparameters θ", blue),
        (4.85, 1.4, f"scores\nz = log ({', '.join(map(str, ODDS))})", "white"),
        (6.65, 1.4, f"probabilities\np = ({p}) / {sum(ODDS)}", "white"),
        (8.3, 1.1, f"loss\nL = −log p₂\n= {loss:.2f}", orange),
    )
    back = (
        (7.3, 2.4, f"gradient: scores\np − ({target}) = ({gradient}) / {sum(ODDS)}", orange),
        (5.0, 1.6, "gradient:\nparameters\ng = ∂L / ∂θ", orange),
        (2.5, 2.4, "step: change the parameters\nv ← μ v + g\nθ ← θ − η (g + μ v)", green),
    )
    above = [drawing.box(x, top, width, 0.8, words, fill) for x, width, words, fill in forward]
    below = [drawing.box(x, low, width, 0.8, words, fill) for x, width, words, fill in back]
    for boxes, begin, end in ((above, "right", "left"), (below, "left", "right")):
        for one, other in pairwise(boxes):
            drawing.arrow(getattr(one, begin), getattr(other, end))
    network, last = above[1], above[-1]
    drawing.arrow(last.bottom, (last.x, below[0].top[1]))
    drawing.arrow((network.x, below[-1].top[1]), network.bottom)
    for words, y in (("forward, to a loss", 3.15), ("backward, to a step", 1.72)):
        drawing.text(0.25, y, words, LARGE, ha="left", weight="bold")
    words = "The numbers are those of one image with three classes; the second one is true. "
    drawing.text(4.5, 0.2, f"{words}The next batch starts the next turn.")
    return drawing.figure
