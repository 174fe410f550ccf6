"""Dependent rounding: two grids that take turns; a machine of four states says whose turn it is.

In units of the step, grid 0 has the even numbers, grid 1 has zero and the odd ones. Together they
have all whole numbers, but each number is written as its place k in one grid of twice the step:

    grid 0: 2 k,    grid 1: 2 k - sign(k)

The machine is in grid 0 in the states 0 and 1, in grid 1 in the states 2 and 3, and goes on to
`NEXT[state][k % 2]`. The decoder follows it. The encoder looks for the path that costs least in
error and bits (Viterbi's algorithm). A path runs through at most `RUN` outputs of a column; its
columns and runs do not depend on each other. Trellis-coded quantization is by Marcellin and Fischer
(1990); this machine is that of the video standard H.266.
"""

from __future__ import annotations

from dataclasses import dataclass

import constriction
import numpy as np
from torch import Tensor

from squeeze_utils.compress.sqz.bits import ContainerError, Reader, varint
from squeeze_utils.compress.sqz.coders import (
    decoder_of,
    ended,
    message_of,
    read_adaptive,
    write_adaptive,
)

MOST = 511  # the largest size of k
RUN = 64  # outputs of a path
NEXT = np.array([[0, 2], [2, 0], [1, 3], [3, 1]])  # the state after an even k, and after an odd one
# The two ways into each state: from which state, and whether by an even or an odd k.
FROM = np.array([[0, 1], [2, 3], [0, 1], [2, 3]])
PARITY = np.array([[0, 1], [0, 1], [1, 0], [1, 0]])
STATES = np.arange(4)


@dataclass(frozen=True)
class Dependent:
    """Two grids in turn, as the `grid` of `priced_rounding.round_layer`.

    `finer` is the step as a share of the one that one grid would have: about 0.55 where a weight
    takes three bits, 0.65 at two, 0.75 below one.
    """

    finer: float = 0.65

    @staticmethod
    def nearest(wanted: np.ndarray) -> np.ndarray:
        """The paths with the least error for outputs (columns, rows)."""
        costs = np.zeros((2, MOST + 1), np.float32)
        return np.stack([Dependent.chosen(row, np.float32(1), costs) for row in wanted])

    @staticmethod
    def lengths(numbers: np.ndarray) -> np.ndarray:
        """Bits of each place of each grid, by how often it occurs in `numbers` (columns, rows)."""
        return _lengths(*places_of(numbers))

    @staticmethod
    def bits(found: Tensor) -> float:
        """All bits of the numbers of a layer (rows, columns)."""
        places, grids = places_of(found.numpy().T)
        return float(_lengths(places, grids)[grids, np.abs(places)].sum())

    @staticmethod
    def chosen(wanted: np.ndarray, curvature: np.float32, costs: np.ndarray) -> np.ndarray:
        """The path with the least error and bits for the outputs of one column.

        `curvature` is the error of one step; `costs` belong to grids and sizes of places.
        """
        paths = _in_runs(np.abs(wanted)[None])
        prices, places = _best_of_each_parity(paths, curvature, costs)
        arriving = prices[FROM >> 1, PARITY]  # state, way into it, position, run
        total = np.where(STATES == 0, 0, np.inf)[:, None].repeat(paths.shape[1], 1)
        ways = np.empty((len(paths), *total.shape), np.int8)
        for at in range(len(paths)):
            both = total[FROM] + arriving[:, :, at]
            ways[at] = both[:, 1] < both[:, 0]
            total = both.min(1)
        found = _followed_back(ways, places, total.argmin(0))
        sizes = _out_of_runs(found, len(wanted))[0]
        return np.copysign(sizes, wanted).astype(wanted.dtype)


def _lengths(places: np.ndarray, grids: np.ndarray) -> np.ndarray:
    """Bits of each size of a place, for each grid by how often it occurs there."""
    sizes = np.abs(places)
    counts = np.stack([np.bincount(sizes[grids == g], minlength=MOST + 1) for g in (0, 1)])
    shares = (counts + 0.1) / (counts + 0.1).sum(1, keepdims=True)
    signs = np.arange(MOST + 1) > 0
    return (signs - np.log2(shares)).astype(np.float32)


def _followed_back(ways: np.ndarray, places: np.ndarray, state: np.ndarray) -> np.ndarray:
    """The sizes of the numbers on the paths that end in `state`."""
    runs = np.arange(len(state))
    sizes = np.empty((len(ways), len(state)))
    for at in range(len(ways) - 1, -1, -1):
        way = ways[at, state, runs]
        parity, state = PARITY[state, way], FROM[state, way]
        place = places[state >> 1, parity, at, runs]
        sizes[at] = _number(place, state >> 1)
    return sizes


def _best_of_each_parity(
    sizes: np.ndarray, curvature: np.float32, costs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For grids 0 and 1, even and odd k: the price of the best k (from 0), and this k."""
    price, best = np.empty((2, 2, *sizes.shape), np.float32), np.empty((2, 2, *sizes.shape), int)
    for grid in (0, 1):
        for parity in (0, 1):
            nearest = 2 * np.rint(((sizes + grid) / 2 - parity) / 2) + parity
            tried = np.stack([nearest, nearest - 2, np.full_like(nearest, parity)])
            tried = tried.clip(parity, MOST - 1 + parity).astype(int)
            paid = (sizes - _number(tried, grid)) ** 2 * curvature + costs[grid, tried]
            least = paid.argmin(0)[None]
            price[grid, parity] = np.take_along_axis(paid, least, 0)[0]
            best[grid, parity] = np.take_along_axis(tried, least, 0)[0]
    return price, best


def _number(place: np.ndarray, grid: np.ndarray | int) -> np.ndarray:
    """The number at a place k of a grid."""
    return 2 * place - grid * np.sign(place)


def places_of(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and grids of `numbers` (columns, rows); ValueError where a grid lacks its number."""
    places, grids = _followed(_in_runs(numbers))
    rows = numbers.shape[1]
    return _out_of_runs(places, rows), _out_of_runs(grids, rows)


def _followed(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and grids of numbers in runs, those included that fill the last ones."""
    runs = numbers.astype(np.int64)
    places, grids, state = np.empty_like(runs), np.empty_like(runs), np.zeros(runs.shape[1], int)
    for at, row in enumerate(runs):
        grids[at] = state >> 1
        places[at] = np.sign(row) * ((np.abs(row) + grids[at]) // 2)
        state = NEXT[state, places[at] & 1]
    if not np.array_equal(_number(places, grids), runs):
        raise ValueError("these numbers do not lie on two grids that take turns")
    return places, grids


def numbers_at(places: np.ndarray) -> np.ndarray:
    """What a decoder makes of places (columns, rows)."""
    runs = _in_runs(places).astype(np.int64)
    numbers, state = np.empty_like(runs), np.zeros(runs.shape[1], int)
    for at, row in enumerate(runs):
        numbers[at] = _number(row, state >> 1)
        state = NEXT[state, row & 1]
    return _out_of_runs(numbers, places.shape[1])


def encode(numbers: np.ndarray) -> bytes:
    """Numbers (columns, rows) as bytes: the places of each grid with frequencies of their own."""
    places, grids = _followed(_in_runs(numbers))
    most = int(np.abs(places).max(initial=0))
    encoder = constriction.stream.queue.RangeEncoder()
    for grid in (0, 1):
        write_adaptive(encoder, places[grids == grid] + most, 2 * most + 1)
    return varint(most) + varint(int((grids == 0).sum())) + message_of(encoder)


def decode(data: bytes, shape: tuple[int, int]) -> np.ndarray:
    """What `encode` was given; ContainerError for bytes that cannot be such a message."""
    reader = Reader(data)
    most, first = reader.varint("largest place"), reader.varint("places of grid 0")
    runs = _in_runs(np.zeros(shape, np.int64))
    if most > MOST or first > runs.size:
        raise ContainerError(f"{first} places of grid 0 of {runs.size}, up to {most}")
    decoder = decoder_of(reader)
    alphabet = 2 * most + 1
    found = [read_adaptive(decoder, n, alphabet) for n in (first, runs.size - first)]
    reader.end()
    left = np.split(ended(decoder, np.concatenate(found), alphabet) - most, [first])
    state = np.zeros(runs.shape[1], int)
    for row in runs:
        for grid in (0, 1):
            here = state >> 1 == grid
            if here.sum() > len(left[grid]):
                raise ContainerError("the places do not fit the turns of the grids")
            row[here], left[grid] = np.split(left[grid], [here.sum()])
        row[:], state = _number(row, state >> 1), NEXT[state, row & 1]
    return _out_of_runs(runs, shape[1])


def _in_runs(values: np.ndarray) -> np.ndarray:
    """Values (columns, rows) as (positions in a run, all runs), the last ones filled with zeros."""
    columns, rows = values.shape
    count = -(-rows // RUN)
    length = -(-rows // count)
    filled = np.zeros((columns, count * length), values.dtype)
    filled[:, :rows] = values
    return filled.reshape(columns * count, length).T


def _out_of_runs(runs: np.ndarray, rows: int) -> np.ndarray:
    """The inverse of `_in_runs`."""
    count = -(-rows // RUN)
    return runs.T.reshape(-1, count * len(runs))[:, :rows]
