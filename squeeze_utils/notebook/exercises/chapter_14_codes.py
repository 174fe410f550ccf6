"""The exercises of notebook 14 about bits: gaps between weights, and a coder that adapts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from squeeze_utils.compress.sqz import coders
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, named
from squeeze_utils.notebook.exercises.exercise import Claims

DENSITIES = (0.1, 0.2, 0.33)
CHOSEN = 4  # bits of a gap in the released file
SHARES = (0.5, 0.25, 0.125, 0.125)
LENGTHS = (100, 1_000, 10_000, 100_000)


def _entries(symbols: list[int], limit: int) -> int:
    """Entries of the relative index, by walking over the symbols."""
    entries, passed, since = 0, 0, 0
    for symbol in symbols:
        passed = 0 if symbol else passed + 1
        since = 0 if symbol else since
        entries += bool(symbol)
        if passed == limit:  # the last of these zeros is stored
            entries, passed, since = entries + 1, 0, since + 1
    return entries - since  # zeros after the last weight need no filler


def _expected(density: float, bits: int) -> float:
    """Bits of the entries for one weight: a gap is long with the chance (1 − d)^(2^bits)."""
    return density / (1 - (1 - density) ** 2**bits) * (8 + bits)


def best_gap(answer: Any) -> Claims:
    given = named(answer, "function", "best", "best_for")
    generator = np.random.default_rng(0)
    for density, bits in ((0.1, 2), (0.2, 3), (0.33, 4), (0.05, 4)):
        symbols = (generator.random(8000) < density).astype(np.int64)
        found = as_number(ask(given["function"], symbols, bits), "gap_bytes")
        count, stored = int(symbols.sum()), _entries(symbols.tolist(), 2**bits)
        right = stored * (8 + bits) / 8
        bare = "the fillers are missing: each is stored like an entry."
        yield "bytes", stored == count or abs(found - count * (8 + bits) / 8) > 2, bare
        yield "bytes", not close(found, 8 * right), "these are bits. A byte has eight."
        gaps = "an entry has 8 bits besides its gap."
        yield "bytes", abs(found - stored * bits / 8) > 2, gaps
        codes = "the bits of the gaps are missing."
        yield "bytes", abs(found - stored) > 2, codes
        off = f"for density {density:g} and {bits} bits it gives {found:g} bytes."
        yield "bytes", abs(found - right) <= 1, off
    best = named(given["best"], *DENSITIES, what="best")
    for density in DENSITIES:
        bits = as_number(best[density], f"best[{density}]")
        least = min(range(2, 7), key=lambda b, d=density: _expected(d, b))
        why = "shorter gaps cost less" if bits > least else "fillers cost more there"
        yield "best", bits == least, f"{bits:g} bits are not best for density {density}: {why}."
    match = f"the best there is {best.get(given['best_for'], 'not computed')}."
    yield "best for", best.get(given["best_for"]) == CHOSEN, f"the authors chose another: {match}"


def _coded(message: np.ndarray) -> float:
    """Bits a symbol of the range coder with 256 symbols."""
    stored = coders.CODERS["range"].encode(message, 256, None)["codes"]
    return len(stored) / len(message) * 8


def price_of_adapting(answer: Any) -> Claims:
    given = named(answer, "function", "measured")
    generator = np.random.default_rng(1)
    for count in (50, 700, 3000):
        message = generator.choice(4, count, p=SHARES)
        found, right = as_number(ask(given["function"], message), "bits_of"), _coded(message)
        yield "bits", not close(found, right / 8, 1e-2), "these are bytes a symbol."
        whole = "this is the whole message. How many bits does a symbol need?"
        yield "bits", not close(found, right * count, 1e-2), whole
        small = len(coders.CODERS["range"].encode(message, 4, None)["codes"]) * 8 / count
        alphabet = "the alphabet has 256 symbols, not only the four that come."
        yield "bits", not close(found, small, 1e-3), alphabet
        yield "bits", close(found, right, 1e-2), f"{count} symbols give {found:.3f} bits."
    measured = named(given["measured"], *LENGTHS, what="measured")
    bits = [as_number(value, f"measured[{n}]") for n, value in measured.items()]
    entropy = sum(share * math.log2(1 / share) for share in SHARES)
    yield "measured", min(bits) > 0.99 * entropy, "no message of this kind needs less than 1.75."
    falls = "the longer the message, the fewer bits a symbol."
    yield "measured", bits == sorted(bits, reverse=True), falls
    for n, value in zip(LENGTHS, bits, strict=True):
        near = abs(value / _coded(generator.choice(4, n, p=SHARES)) - 1) < 0.5 / n**0.5 + 0.01
        yield "measured", near, f"{value:.3f} bits are not what {n:,} symbols need."
