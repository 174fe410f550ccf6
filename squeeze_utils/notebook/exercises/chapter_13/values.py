"""The properties of right answers in notebook 13: which values to round weights to."""

from __future__ import annotations

from typing import Any

import torch

from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, items, named
from squeeze_utils.notebook.exercises.exercise import Claims


def sign_and_size(answer: Any) -> Claims:
    weight = torch.randn(40, 30, dtype=torch.float64) * 0.1
    weight *= weight.abs() > weight.abs().quantile(0.8)
    found = array(ask(answer, weight), (40, 30), "the ternary weights")
    kept = torch.equal(found == 0, weight == 0)
    yield "zeros", kept, "what is pruned stays zero, and nothing else becomes zero."
    signs = torch.equal(found.sign(), weight.sign())
    yield "signs", signs, "a weight keeps its sign."
    sizes = found.abs()[weight != 0]
    one = close(sizes, sizes[0].expand_as(sizes))
    yield "one size", one, "plus and minus have the same size in every place."
    size, all_weights = float(sizes[0]), float(weight.abs().mean())
    zeros = "this is the mean over all weights. Leave out those that are zero."
    yield "size", not close(size, all_weights), zeros
    better = {
        scale: float(((sizes * 0 + size * scale) - weight.abs()[weight != 0]).square().sum())
        for scale in (0.999, 1.0, 1.001)
    }
    off = "another size has a smaller squared error."
    yield "size", min(better, key=better.get) == 1.0, off


def rate_and_distortion(answer: Any) -> Claims:
    given = named(answer, "point", "better")

    def point(rounded: list[float], values: list[float]) -> list[float]:
        pair = ask(given["point"], torch.tensor(rounded), torch.tensor(values))
        return [as_number(part, "point") for part in items(pair, 2, "the answer of point")]

    entropy, error = point([1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0])
    nats = "use the logarithm to base 2."
    yield "entropy", not close(entropy, 0.6931, 1e-3), nats
    yield (
        "entropy",
        close(entropy, 1),
        f"two values used equally often have 1 bit, not {entropy:g}.",
    )
    yield "error", abs(error) < 1e-6, "nothing is changed, so the error is 0."
    entropy, error = point([3.0, 0.0, 0.0, 0.0], [3.0, 4.0, 0.0, 0.0])
    yield (
        "entropy",
        close(entropy, 0.8113, 1e-3),
        f"shares of ¼ and ¾ have 0.811 bits, not {entropy:g}.",
    )
    share = "give per cent."
    yield "error", not close(error, 0.8, 1e-3), share
    squared = "take norms, not squares: 4 of a norm of 5."
    yield "error", not close(error, 64, 1e-3), squared
    yield "error", close(error, 80, 1e-3), f"an error of 4 in a norm of 5 is 80 %, not {error:g}."
    better = answers.one_of(given["better"], "better", "even grid", "k-means")
    fine = "k-means has the smaller error for a number of values. Compare at equal entropy."
    yield "better", better == _better_at_three_bits(), fine


def _better_at_three_bits() -> str:
    """On normal numbers, with the step and the number of values that come nearest to 3 bits."""
    from squeeze_utils.compress.sharing import codebooks

    values = torch.randn(8_000, generator=torch.Generator().manual_seed(1))

    def measured(rounded: torch.Tensor) -> tuple[float, float]:
        _, counts = rounded.unique(return_counts=True)
        bits = float(torch.distributions.Categorical(counts.double()).entropy()) / 0.6931472
        return bits, float((rounded - values).norm())

    ways = {"even grid": [torch.round(values / s) * s for s in (0.45, 0.5, 0.55, 0.6)]}
    books = (codebooks.centroids(values, k, "exact") for k in (9, 10, 11, 12))
    ways["k-means"] = [book[codebooks.assign(values, book)] for book in books]
    nearest = {
        name: min(map(measured, tried), key=lambda pair: abs(pair[0] - 3))
        for name, tried in ways.items()
    }
    return min(nearest, key=lambda name: nearest[name][1] * 2 ** nearest[name][0])
