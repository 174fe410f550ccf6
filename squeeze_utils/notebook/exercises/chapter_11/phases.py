"""The properties of right answers in notebook 11: what the phases do to weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from squeeze_utils.notebook.exercises.answers import (
    array,
    as_number,
    ask,
    close,
    items,
    named,
    number,
)
from squeeze_utils.notebook.exercises.exercise import Claims

DEVIATIONS = (0, 0.25, 0.5, 1, 2, 4)


def more_rounds(answer: Any) -> Claims:
    given = named(answer, "round_of", "one_round", "five_rounds")
    rng = np.random.default_rng(3)
    for _ in range(3):
        X, w = rng.standard_normal((30, 40)), rng.standard_normal(40)
        y = X @ w
        parts = items(ask(given["round_of"], X, y, w, 10), 2, "the answer of round_of")
        sparse = array(parts[0], (40,), "the sparse weights").numpy()
        dense = array(parts[1], (40,), "the dense weights").numpy()
        kept = np.flatnonzero(sparse)
        few = f"{len(kept)} weights are left after the sparse phase, not 10."
        yield "sparse", len(kept) == 10, few
        border = np.sort(np.abs(w))[-10]
        largest = "the sparse phase keeps the ten weights with the largest sizes."
        yield "sparse", bool((np.abs(w[kept]) >= border).all()), largest
        untrained = "the weights that are left are not trained again: minimise the error on them."
        yield "sparse", not np.allclose(sparse[kept], w[kept]), untrained
        slope = X[:, kept].T @ (y - X @ sparse)
        yield "sparse", np.abs(slope).max() < 1e-6, "with these ten weights a smaller error exists."
        yield "dense", np.abs(X @ dense - y).max() < 1e-6, "after the dense phase X w is not y."
        step = dense - sparse
        nearest = np.abs(step - np.linalg.lstsq(X, X @ step, rcond=None)[0]).max()
        zero = "it is a solution, but not the nearest to the sparse weights: start from them."
        yield "dense", nearest < 1e-6, zero
    shares = [as_number(given[key], key) for key in ("one_round", "five_rounds")]
    yield "shares", all(0 <= share <= 1 for share in shares), "give shares between 0 and 1."
    yield "shares", shares[1] >= shares[0], "a round does not lose a truth that was found."
    for key, share, rounds in zip(("one_round", "five_rounds"), shares, (1, 5), strict=True):
        here = _found(rounds)
        off = f"it is {share:.2f}; in 200 draws here it was {here:.2f}."
        yield key, abs(share - here) < 0.15, off


def _found(rounds: int) -> float:
    """How often rounds find eight entries of one among forty, by lstsq."""
    rng, hits = np.random.default_rng(5), 0
    truth = np.repeat([1.0, 0.0], [8, 32])
    for _ in range(200):
        X = rng.standard_normal((30, 40))
        y = X @ truth
        w = np.linalg.lstsq(X, y, rcond=None)[0]
        for _ in range(rounds):
            kept = np.argpartition(np.abs(w), -10)[-10:]
            w = np.zeros(40)
            w[kept] = np.linalg.lstsq(X[:, kept], y, rcond=None)[0]
            w = w + np.linalg.lstsq(X, y - X @ w, rcond=None)[0]
        hits += np.abs(w - truth).max() < 1e-4
    return hits / 200


def _medians(noise: float) -> tuple[float, float, float]:
    """Squared errors of the dense, the sparse and the last weights, by lstsq."""
    rng, truth, ends = np.random.default_rng(7), np.repeat([1.0, 0.0], [4, 36]), []
    for _ in range(150):
        X = rng.standard_normal((30, 40))
        y = X @ truth + noise * rng.standard_normal(30)
        first = np.linalg.lstsq(X, y, rcond=None)[0]
        kept = np.argpartition(np.abs(first), -10)[-10:]
        sparse = np.zeros(40)
        sparse[kept] = np.linalg.lstsq(X[:, kept], y, rcond=None)[0]
        last = sparse + np.linalg.lstsq(X, y - X @ sparse, rcond=None)[0]
        ends.append([((w - truth) ** 2).sum() for w in (first, sparse, last)])
    return tuple(np.median(ends, axis=0))


def more_noise(answer: Any) -> Claims:
    given = named(answer, "last_better", "beats_sparse", "error_of_zero")
    found = {noise: _medians(noise) for noise in DEVIATIONS}
    right = max(noise for noise, (dense, _, dsd) in found.items() if dsd < dense)
    worse = "at this deviation the dense control is already better."
    mistakes = {noise: worse for noise in DEVIATIONS if noise > right}
    mistakes |= {n: "DSD is still better at the next one." for n in DEVIATIONS if n < right}
    yield from number("last_better", given["last_better"], right, mistakes)
    beats = [noise for noise, (_, sparse, dsd) in found.items() if dsd < sparse - 1e-9]
    listed = {as_number(n) for n in items(given["beats_sparse"], what="beats_sparse")}
    extra = "the last phase fits the noise again: compare with the sparse phase, not the dense one."
    yield "beats_sparse", listed == set(beats), extra
    norm = float(np.repeat([1.0, 0.0], [4, 36]) @ np.ones(40))
    mistakes = {2.0: "this is the length. The error is its square.", 1.0: "four entries are 1."}
    yield from number("error_of_zero", given["error_of_zero"], norm, mistakes)


def kick(answer: Any) -> Claims:
    w = torch.randn(20, 30, dtype=torch.float64)
    found = array(ask(answer, w, 2.5), (20, 30), "the kicked weight")
    step = found - w
    far = float(step.norm())
    each = "every single weight gets noise of this deviation: the length is that of all together."
    yield "length", not close(far / 600**0.5, 2.5, 0.1), each
    yield "length", far > 1e-9, "the weight did not move."
    yield "length", close(far, 2.5), f"the step has the length {far:.3g}, not 2.5."
    same = array(ask(answer, w, 2.5), (20, 30), "the kicked weight")
    yield "random", not torch.equal(found, same), "a second kick goes the very same way."
    positive = float((step > 0).double().mean())
    sides = f"{positive:.0%} of the weights grow: normal noise has no preferred sign."
    yield "random", 0.35 < positive < 0.65, sides
    shrinks = float(torch.nn.functional.cosine_similarity(step.flatten(), w.flatten(), dim=0))
    along = "the step points along the weights themselves. Draw its direction."
    yield "random", abs(shrinks) < 0.3, along
