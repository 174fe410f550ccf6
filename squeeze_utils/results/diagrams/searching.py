"""The diagram of a search for good settings: trials, a winner, and one look at the test images."""

from __future__ import annotations

from matplotlib.figure import Figure

from squeeze_utils.results.diagrams.drawing import Diagram, tint

# A toy of three trials: learning rate, validation accuracy (%) after each of at most four epochs.
TRIALS = ((0.01, (20, 35, 50, 60)), (0.1, (30, 50, 62, 70)), (1.0, (12, 14)))
EPOCHS = 4


def hyperparameter_search() -> Figure:
    """A search proposes settings, trials train with them, validation images choose the best."""
    drawing, pitch, top = Diagram(), 0.72, 2.6
    blue, orange, green = (tint(colour, 0.3) for colour in ("blue", "orange", "green"))
    middle = top - pitch
    search = drawing.box(0.75, middle, 1.1, 2 * pitch + 0.5, "search\nproposes\nsettings λ", blue)
    best = max(curve[-1] for _, curve in TRIALS if len(curve) == EPOCHS)
    choose = drawing.box(6.2, middle, 1.1, 0.8, f"winner:\nbest trial,\n{best} %", green)
    for row, (rate, curve) in enumerate(TRIALS):
        y, whole = top - row * pitch, len(curve) == EPOCHS
        words = f"{EPOCHS} epochs" if whole else f"stopped after {len(curve)}"
        reached = f"f(λ) = {curve[-1]} %" if whole else f"so far {curve[-1]} %"
        settings = drawing.box(2.15, y, 1.1, 0.5, f"trial {row + 1}\nrate {rate:g}")
        train = drawing.box(3.5, y, 1.2, 0.5, f"train a network\n{words}", blue)
        score = drawing.box(4.85, y, 1.1, 0.5, f"validation\n{reached}", orange)
        drawing.arrow((search.right[0], y), settings.left)
        drawing.arrow(settings.right, train.left)
        drawing.arrow(train.right, score.left)
        if whole:
            way = [choose.left] if y == middle else [(choose.x, y), choose.top]
            drawing.arrow(score.right, *way)
    retrain = drawing.box(7.35, middle, 0.85, 0.8, "train\nagain with\nnew seeds", blue)
    test = drawing.box(8.45, middle, 0.85, 0.8, "test\nimages,\nread once", orange)
    drawing.arrow(choose.right, retrain.left)
    drawing.arrow(retrain.right, test.left)
    low = top - 2 * pitch - 0.5
    drawing.arrow((4.85, low + 0.25), (4.85, low), (search.x, low), search.bottom)
    drawing.text(2.8, low - 0.17, "every accuracy may guide the next proposals")
    drawing.text(8.9, 0.09, "Made-up numbers.", ha="right", color="#595959")
    for x, words in ((3.5, "trials"), (7.35, "after the search")):
        drawing.title(x, 3.15, words)
    return drawing.figure
