"""The diagram of update rules: what each remembers, and which way it steps."""

from __future__ import annotations

from matplotlib.figure import Figure

from squeeze_utils.results.diagrams.drawing import Diagram, tint

# Name, colour of its family in chapter 04, what it remembers, the direction d of its step.
RULES = (
    ("gradient descent", "purple", "nothing", "g"),
    ("momentum", "blue", "velocity v", "v"),
    ("Nesterov", "blue", "velocity v", "g + μ v"),
    ("RMSprop", "sky", "mean square s", "g / √s"),
    ("Adam, AdamW", "grey", "mean m, mean square s", "m / √s"),
    ("Lion", "red", "mean m", "sign of a mean"),
    ("Muon", "green", "velocity v", "g + μ v, singular values ≈ 1"),
)


def update_rules() -> Figure:
    """Seven rules as lanes from one gradient to one kind of step."""
    drawing, pitch, height = Diagram(), 0.415, 0.31
    top = 0.27 + pitch * (len(RULES) - 1)
    middle = (top + 0.27) / 2
    tall = top - 0.27 + height
    gradient = drawing.box(0.62, middle, 0.92, tall, "gradient\ng", tint("orange", 0.3))
    step = drawing.box(8.3, middle, 1.2, tall, "step\nθ ← θ − η d", tint("orange", 0.3))
    for x, words in ((2.25, "rule"), (4.25, "what it remembers"), (6.4, "direction d")):
        drawing.title(x, top + 0.4, words)
    for row, (name, colour, memory, direction) in enumerate(RULES):
        y = top - row * pitch
        shade = tint(colour, 0.3)
        lane = [
            drawing.box(2.25, y, 1.5, height, name, shade),
            drawing.box(4.25, y, 1.8, height, memory),
            drawing.box(6.4, y, 1.8, height, direction, shade),
        ]
        ends = [(gradient.right[0], y), *(box.right for box in lane)]
        for start, end in zip(ends, [*(box.left for box in lane), (step.left[0], y)], strict=True):
            drawing.arrow(start, end)
    return drawing.figure
