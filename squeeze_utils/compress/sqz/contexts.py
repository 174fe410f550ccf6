"""A coder that knows where a weight stands: rows, columns and kernels with many or few zeros.

A weight (output, input, tap) is likely to be zero if most weights of its output, of its input (at
this tap) and of its kernel are. The tensor is cut into blocks. When a block is coded, the blocks
above it and to its left are known, and in each kernel the taps that came before. So encoder and
decoder sort the weights into the same classes, by how many times as often as on average their
surroundings are not zero, and each class learns its own probability. In a kernel the signs of the
taps that came before tell something about the sign, too.

All numbers come from whole numbers by single operations of float64, which every machine rounds
alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import constriction
import numpy as np

from squeeze_utils.compress.sqz.bits import ContainerError, Reader, varint
from squeeze_utils.compress.sqz.coders import (
    Parts,
    decoder_of,
    ended,
    message_of,
    read_adaptive,
    write_adaptive,
)

SIDES = 4, 16  # the least and the most outputs, and inputs, of a block
BLOCKS = 24  # about so many rows of blocks, where the sides allow it
BLOCKS_OF_KERNELS = 10  # the same where a block takes a step for each tap
TRUST = 16.0  # an output or input counts as so many average weights before any of it is known
BORDERS = np.multiply.accumulate([0.262144, *[1.25] * 12])  # of the classes; the middle one is 1
LONGEST = 256  # symbols between two looks at their frequencies
SUMS = 5  # of a kernel's signs: sums beyond that count as that

Channel = Callable[[np.ndarray, np.ndarray], np.ndarray]  # bits and probabilities of 1 to the bits
Encoder = constriction.stream.queue.RangeEncoder
Decoder = constriction.stream.queue.RangeDecoder


def encode(symbols: np.ndarray, alphabet: int, zero: int, border: int) -> Parts:
    """Symbols (outputs, inputs, taps); from `border` on they stand for weights of one sign."""
    encoder = Encoder()
    send = to_encoder(encoder)
    there = symbols != zero
    code_places(there, send)
    high = symbols >= border
    if symbols.shape[2] > 1:
        code_signs(high, there, send)
        write_adaptive(encoder, symbols[there & ~high], border, LONGEST)
        write_adaptive(encoder, symbols[there & high] - border, alphabet - border, LONGEST)
    else:
        write_adaptive(encoder, symbols[there], alphabet, LONGEST)
    return {"codes": varint(border) + message_of(encoder)}


def decode(reader: Reader, shape: tuple[int, int, int], alphabet: int, zero: int) -> np.ndarray:
    """The symbols, in a row; ContainerError for bytes that cannot be such a message."""
    border = reader.varint("border of the signs")
    if border > alphabet:
        raise ContainerError(f"a border of {border} in an alphabet of {alphabet}")
    decoder = decoder_of(reader)
    receive = from_decoder(decoder)
    there, high = np.zeros(shape, bool), np.zeros(shape, bool)
    symbols = np.full(shape, zero, np.int64)
    code_places(there, receive)
    if shape[2] > 1:
        code_signs(high, there, receive)
        low = there & ~high
        symbols[low] = read_adaptive(decoder, int(low.sum()), border, LONGEST)
        symbols[high] = read_adaptive(decoder, int(high.sum()), alphabet - border, LONGEST) + border
    else:
        symbols[there] = read_adaptive(decoder, int(there.sum()), alphabet, LONGEST)
    return ended(decoder, symbols.reshape(-1), alphabet)


def to_encoder(encoder: Encoder) -> Channel:
    """Bits into the encoder."""
    model = constriction.stream.model.Bernoulli(perfect=False)

    def send(bits: np.ndarray, odds: np.ndarray) -> np.ndarray:
        encoder.encode(bits.reshape(-1).astype(np.int32), model, odds.reshape(-1))
        return bits

    return send


def from_decoder(decoder: Decoder) -> Channel:
    """Bits from the decoder, whatever bits it is handed."""
    model = constriction.stream.model.Bernoulli(perfect=False)

    def receive(bits: np.ndarray, odds: np.ndarray) -> np.ndarray:
        try:
            return decoder.decode(model, odds.reshape(-1)).reshape(bits.shape) != 0
        except AssertionError as error:  # constriction raises it for data that no encoder wrote
            raise ContainerError("the range coder's data are damaged") from error

    return receive


def code_places(there: np.ndarray, channel: Channel) -> None:
    """Where the weights (outputs, inputs, taps) are not zero: sent, or received into `there`."""
    outputs, inputs, taps = there.shape
    least, most = SIDES
    blocks = BLOCKS if taps == 1 else BLOCKS_OF_KERNELS
    side = int(min(most, max(least, math.sqrt(outputs * inputs) / blocks)))
    known, classes = _Known(there.shape), _Classes(len(BORDERS) + 1)
    for row in _cuts(outputs, side):
        for column in _cuts(inputs, side):
            block, mean = there[row, column], known.mean
            often = known.often(row, column)
            kernels = np.zeros(block.shape[:2])
            for tap in range(taps):
                score = often[:, :, tap] * np.sqrt((kernels + mean) / ((tap + 1) * mean))
                block[:, :, tap] = classes.code(score, block[:, :, tap], channel)
                kernels += block[:, :, tap]
            known.add(row, column, block)


def code_signs(high: np.ndarray, there: np.ndarray, channel: Channel) -> None:
    """Which of the weights that are there have the high sign: sent, or received into `high`."""
    outputs, inputs, taps = there.shape
    classes = _Classes(2 * SUMS + 1)
    for row in _cuts(outputs, max(1, outputs // BLOCKS)):
        sums = np.zeros((row.stop - row.start, inputs), np.int64)
        for tap in range(taps):
            place = row, slice(None), tap
            found, signs = there[place], high[place]
            group = sums[found].clip(-SUMS, SUMS) + SUMS
            signs[found] = classes.code_groups(group, signs[found], channel)
            sums += np.where(found, np.where(signs, 1, -1), 0)


class _Known:
    """How many weights of each output and input are known, and how many of them are not zero."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        outputs, inputs, self.taps = shape
        self.outputs, self.seen_of_outputs = np.zeros(outputs), np.zeros(outputs)
        self.inputs, self.seen_of_inputs = np.zeros((inputs, self.taps)), np.zeros((inputs, 1))
        self.all = self.seen_of_all = 0.0

    @property
    def mean(self) -> float:
        return (self.all + 1) / (self.seen_of_all + 2)

    def often(self, row: slice, column: slice) -> np.ndarray:
        """How many times as often as on average a weight should be there, by output and input."""
        output = self._often(self.outputs[row], self.seen_of_outputs[row])
        return output[:, None, None] * self._often(self.inputs[column], self.seen_of_inputs[column])

    def _often(self, found: np.ndarray, seen: np.ndarray) -> np.ndarray:
        return (found + TRUST * self.mean) / ((seen + TRUST) * self.mean)

    def add(self, row: slice, column: slice, block: np.ndarray) -> None:
        self.outputs[row] += block.sum((1, 2))
        self.inputs[column] += block.sum(0)
        self.seen_of_outputs[row] += block.shape[1] * self.taps
        self.seen_of_inputs[column] += block.shape[0]
        self.all += block.sum()
        self.seen_of_all += block.size


class _Classes:
    """A probability for each class of bits, learned as they come."""

    def __init__(self, count: int) -> None:
        self.counts = np.full((count, 2), 0.5)

    def code(self, score: np.ndarray, bits: np.ndarray, channel: Channel) -> np.ndarray:
        """Bits of the classes between whose borders the scores lie."""
        group = np.searchsorted(BORDERS, score.reshape(-1))
        return self.code_groups(group, bits.reshape(-1), channel).reshape(bits.shape)

    def code_groups(self, group: np.ndarray, bits: np.ndarray, channel: Channel) -> np.ndarray:
        """Bits, each of a class."""
        odds = self.counts[:, 1] / self.counts.sum(1)
        bits = channel(bits, odds[group])
        for bit in (0, 1):
            self.counts[:, bit] += np.bincount(group[bits == bit], minlength=len(self.counts))
        return bits


def _cuts(count: int, side: int) -> list[slice]:
    return [slice(start, min(count, start + side)) for start in range(0, count, side)]
