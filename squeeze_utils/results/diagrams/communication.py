"""The diagram of a ring: how several processes add up their gradients, piece by piece."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from squeeze_utils.results.diagrams.drawing import LARGE, Diagram, tint

WORKERS = 4
SHADES = (0.08, 0.2, 0.35, 0.6)


def ring_states(workers: int = WORKERS) -> list[np.ndarray]:
    """How many gradients each worker (row) has added up in each piece (column), step by step.

    In the first n - 1 steps worker w sends piece w - s to its neighbour, who adds it; then each
    has one piece of all, which goes round once more.
    """
    state = np.ones((workers, workers), int)
    states = [state]
    for step in range(2 * (workers - 1)):
        after = state.copy()
        for worker in range(workers):
            piece, to = (worker - step) % workers, (worker + 1) % workers
            if step < workers - 1:
                after[to, piece] += state[worker, piece]
            else:
                after[to, piece] = state[worker, piece]
        state = after
        states.append(state)
    return states


def ring() -> Figure:
    """Four workers in a ring, and the pieces that each has after 0, 1, 3 and 6 steps."""
    drawing, states, y = Diagram(), ring_states(), 1.6
    orange = tint("orange", 0.3)
    places = [(0.55, 2.25), (1.65, 2.25), (1.65, 0.95), (0.55, 0.95)]
    boxes = [
        drawing.box(*place, 0.62, 0.42, f"worker {number}", orange)
        for number, place in enumerate(places, start=1)
    ]
    drawing.arrow(boxes[0].right, boxes[1].left)
    drawing.arrow(boxes[1].bottom, boxes[2].top)
    drawing.arrow(boxes[2].left, boxes[3].right)
    drawing.arrow(boxes[3].top, boxes[0].bottom)
    drawing.text(1.1, 3.05, "each sends to one", LARGE, weight="bold")
    shown = {0: "start", 1: "1 step", WORKERS - 1: "3 steps: added up", 6: "6 steps: passed on"}
    for column, (step, words) in enumerate(shown.items()):
        x = 2.95 + 1.67 * column
        state = states[step]
        drawing.cells(x, y, state, lambda i, j, s=state: tint("blue", SHADES[s[i, j] - 1]), 0.36)
        drawing.text(x, 2.55, words)
    for row in range(WORKERS):
        drawing.text(2.08, y + (1.5 - row) * 0.32, f"{row + 1}")
    drawing.text(5.45, 3.05, "gradients added up in each quarter", LARGE, weight="bold")
    drawing.text(5.45, 0.5, "Rows are workers, columns are quarters of the gradient.")
    return drawing.figure
