"""Do the sizes of neighbours help to code a size? A coder of sizes with and without contexts.

A weight that is not zero has a size: 1, 2, ... steps. The coder sends it as bits: is it larger than
1, than 2, and so on. Each question learns its probability as the bits come. With contexts it has
one for each class of surroundings: the mean size so far in the same output, in the same input at
this tap, and in the same kernel, against the mean of all. No file uses it: it serves to compare.
"""

from __future__ import annotations

import itertools
from typing import Any

import constriction
import numpy as np

from squeeze_utils.compress.sqz.contexts import Channel, from_decoder, to_encoder

SIDE = 12  # outputs, and inputs, of a block
TRUST = 16.0  # an output, input or kernel counts as so many average sizes before any is known
BORDERS = np.array([0.5, 0.65, 0.8, 0.95, 1.1, 1.3, 1.6])  # of the classes; 1 is average


def encode(sizes: np.ndarray, by_contexts: bool) -> np.ndarray:
    """The words of a message with those sizes (outputs, inputs, taps) that are not zero.

    Its reader knows which ones these are, and the largest size.
    """
    encoder = constriction.stream.queue.RangeEncoder()
    most = int(sizes.max(initial=0))
    _code(sizes.copy(), sizes != 0, most, by_contexts, to_encoder(encoder))
    return encoder.get_compressed()


def decode(words: np.ndarray, there: np.ndarray, most: int, by_contexts: bool) -> np.ndarray:
    """The sizes that `encode` was given."""
    sizes = there.astype(np.int64)
    decoder = constriction.stream.queue.RangeDecoder(words)
    _code(sizes, there, most, by_contexts, from_decoder(decoder))
    return sizes


def _code(
    sizes: np.ndarray, there: np.ndarray, most: int, by_contexts: bool, channel: Channel
) -> None:
    """Send the sizes, or receive them into `sizes`."""
    outputs, inputs, taps = sizes.shape
    counts = np.full((most, len(BORDERS) + 1, 2), 0.5)  # by question, class and answer
    output, column, kernel = _Means(outputs), _Means(inputs, taps), _Means(outputs, inputs)
    every = _Means(1)
    for rows, columns, tap in itertools.product(_cuts(outputs), _cuts(inputs), range(taps)):
        found, place = there[rows, columns, tap], (rows, columns)
        mean = every.mean(0, 1.0)
        score = output.mean(rows, mean)[:, None] * column.mean((columns, tap), mean)
        score = score * kernel.mean(place, mean) / mean**3
        group = np.searchsorted(BORDERS, score[found]) * by_contexts
        block = sizes[rows, columns, tap]
        block[found] = _answers(block[found], group, counts, channel)
        output.add(rows, block.sum(1), found.sum(1))
        column.add((columns, tap), block.sum(0), found.sum(0))
        kernel.add(place, block, found)
        every.add(0, block.sum(), found.sum())


def _answers(
    sizes: np.ndarray, group: np.ndarray, counts: np.ndarray, channel: Channel
) -> np.ndarray:
    """The sizes, from the answers to: is it larger than 1, than 2, ...?"""
    known, asked = np.ones_like(sizes), np.arange(len(sizes))
    for level in range(1, len(counts)):
        if not len(asked):
            break
        odds = counts[level, :, 1] / counts[level].sum(1)
        larger = channel(sizes[asked] > level, odds[group[asked]]) != 0
        np.add.at(counts[level], (group[asked], larger.astype(int)), 1)
        asked = asked[larger]
        known[asked] += 1
    return known


class _Means:
    """Mean sizes of groups of weights, of which more and more are known."""

    def __init__(self, *shape: int) -> None:
        self.sums, self.seen = np.zeros(shape), np.zeros(shape)

    def mean(self, place: Any, usual: float) -> np.ndarray:
        """The mean sizes at a place, where `usual` stands for what is not known."""
        return (self.sums[place] + TRUST * usual) / (self.seen[place] + TRUST)

    def add(self, place: Any, sizes: np.ndarray, there: np.ndarray) -> None:
        """Take more sizes into account."""
        self.sums[place] += sizes
        self.seen[place] += there


def _cuts(count: int) -> list[slice]:
    return [slice(start, min(count, start + SIDE)) for start in range(0, count, SIDE)]
