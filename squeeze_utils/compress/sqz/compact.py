"""Versions 2 and 3 of `.sqz`: for a network whose tensors are whole numbers times a step.

Magic and version, one checksum of all that follows, the network's spec (JSON, deflated with a
dictionary of the series' words), for each tensor its largest number, its step as a half and two
counts, then floats of tensors that are no whole numbers, then the numbers of all tensors in one
stream of a range coder. Its probabilities are those of `mixture`, which the counts determine. In
version 3 the places of a large tensor's nonzeros come first, coded with `contexts`; what they are
follows, and there zero has no probability to speak of.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import constriction
import numpy as np
from torch import Tensor

from squeeze_utils.compress.sqz.bits import ContainerError, Reader, Writer, checksum, varint
from squeeze_utils.compress.sqz.contexts import code_places, from_decoder, to_encoder
from squeeze_utils.compress.sqz.floats import Floats, read_floats, write_floats
from squeeze_utils.compress.sqz.mixture import Counts, mixture_table

MOST = 1023  # the largest number; a tensor with a larger one is stored as floats
MOST_CONFIG = 1 << 16
LARGE = 256  # numbers of a tensor in which contexts learn something
# Words of specs, the likeliest last. Part of the format: never change it.
WORDS = (
    b'["squeezenet1_1","squeezenet1_0","resnet20","alexnet","vgg16_fire","vgg16","fire":true,'
    b'"bypass":"simple","in_channels":1,"width":0.5,"normalisation":"vgg11","squeezenet_small",'
    b'{"num_classes":10,"image_size":32}],"image_size":16}]["lenet5_fire",{"channels":["hidden":['
    b'["lenet_300_100",{"hidden":[300,100]}]["lenet5",{}]["lenet5",{"channels":[20,50],"hidden":['
)


@dataclass(frozen=True)
class Numbers:
    """A tensor as whole numbers times a step."""

    numbers: np.ndarray
    step: np.float16

    @property
    def most(self) -> int:
        """The largest size of a number."""
        return int(np.abs(self.numbers).max(initial=0))

    @property
    def counts(self) -> Counts:
        """What the probabilities are made of."""
        size = np.abs(self.numbers)
        return Counts(len(size), int(np.count_nonzero(size)), int(size.sum()))


def numbers_of(values: np.ndarray, step: Tensor | None) -> Numbers | None:
    """`values` as multiples of one step that a half holds; None where they are not, bit for bit."""
    if not values.any():
        return Numbers(np.zeros(len(values), np.int64), np.float16(0))
    if step is None or step.numel() != 1 or not float(step) > 0:
        return None
    kept = np.float16(float(step))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        numbers = np.nan_to_num(np.rint(values / np.float32(kept))).clip(-MOST - 1, MOST + 1)
    back = numbers.astype(np.float32) * np.float32(kept)
    if np.abs(numbers).max() > MOST or not np.array_equal(back, values):
        return None
    return Numbers(numbers.astype(np.int64), kept)


Shapes = Mapping[str, tuple[int, int, int]]  # outputs, inputs and taps of tensors


def write_compact(
    out: Writer,
    spec: list,
    tensors: Mapping[str, np.ndarray],
    steps: Mapping[str, Tensor],
    shapes: Shapes | None = None,
) -> None:
    """Everything after magic and version: of version 3 if `shapes` are given, else of version 2."""
    body, whole, found = Writer(), [], {}
    config = _deflate(json.dumps(spec, separators=(",", ":")).encode())
    body.add("config", varint(len(config)) + config)
    for name, values in tensors.items():
        one = numbers_of(values, steps.get(name))
        if one is None:
            whole.append(Floats(name, values, False))
            body.add(f"{name}/header", varint(0))
            continue
        found[name] = one
        body.add(f"{name}/header", varint(1 + one.most))
        if one.most:
            _, nonzero, size = one.counts
            counts = varint(int(nonzero)) + varint(int(size - nonzero))
            body.add(f"{name}/header", np.array([one.step], "<f2").tobytes() + counts)
    if whole:
        write_floats(body, whole, "best")
    _write_stream(body, found, shapes or {})
    out.add("checksum", checksum(bytes(body.data)))
    out.data += body.data
    for part, size in body.parts.items():
        out.count(part, size)


def _write_stream(out: Writer, found: Mapping[str, Numbers], shapes: Shapes) -> None:
    """All numbers in one message; a tensor's share are the words that were added."""
    encoder, words = constriction.stream.queue.RangeEncoder(), 0
    for name, one in found.items():
        if one.most:
            numbers, counts = one.numbers, one.counts
            if name in shapes and numbers.size >= LARGE:
                there = numbers != 0
                code_places(there.reshape(shapes[name]), to_encoder(encoder))
                numbers, counts = numbers[there], _of_nonzeros(counts)
            symbols = np.ascontiguousarray(numbers + one.most, dtype=np.int32)
            encoder.encode(symbols, _model(counts, one.most))
            now = len(encoder.get_compressed())
            out.count(f"{name}/codes", 4 * (now - words))
            words = now
    out.data += encoder.get_compressed().astype("<u4").tobytes()


def _of_nonzeros(counts: Counts) -> Counts:
    return counts._replace(numbers=counts.nonzero)


def _model(counts: Counts, most: int) -> constriction.stream.model.Categorical:
    table = mixture_table(counts, most).astype(float)
    return constriction.stream.model.Categorical(table, perfect=False)


def read_config(reader: Reader) -> bytes:
    """The spec as JSON, after the checksum of all that is left has been compared."""
    told = reader.take(4, "checksum")
    if told != checksum(reader.data[reader.at :]):
        raise ContainerError("the file is damaged: its checksum is wrong")
    length = reader.varint("length of the config")
    return _inflate(reader.take(length, "the config"))


def read_tensors(reader: Reader, shapes: Shapes, places: bool) -> dict[str, np.ndarray]:
    """The values of every tensor; `places`: where the nonzeros are comes first, as in version 3."""
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    heads = {name: _read_head(reader, name, size) for name, size in sizes.items()}
    whole = [name for name, head in heads.items() if head is None]
    values: dict[str, np.ndarray] = {}
    if whole:
        floats = read_floats(reader.framed("the floats"), [(sizes[n], False) for n in whole])
        values.update(zip(whole, floats, strict=True))
    left = len(reader.data) - reader.at
    if left % 4:
        raise ContainerError(f"the numbers take {left} bytes, not a multiple of 4")
    words = np.frombuffer(reader.take(left, "numbers"), "<u4").astype(np.uint32)
    decoder = constriction.stream.queue.RangeDecoder(words)
    for name, head in heads.items():
        if head is not None:
            there = None
            if places and head[0] and sizes[name] >= LARGE:
                there = np.zeros(shapes[name], bool)
                code_places(there, from_decoder(decoder))
            values[name] = _read_numbers(decoder, sizes[name], there, *head)
    if any(head and head[0] for head in heads.values()):
        if not decoder.maybe_exhausted():
            raise ContainerError("the numbers do not end with the last tensor")
    elif left:
        raise ContainerError(f"{left} bytes too many")
    return values


Head = tuple[int, np.float16, Counts]


def _read_head(reader: Reader, name: str, size: int) -> Head | None:
    """Largest number, step and counts; None for a tensor of floats."""
    most = reader.varint(f"kind of {name}") - 1
    if most < 0:
        return None
    if most > MOST:
        raise ContainerError(f"{name} has a number of {most}, at most {MOST} are accepted")
    if most == 0:
        return 0, np.float16(0), Counts(size, 0, 0)
    step = np.frombuffer(reader.take(2, f"step of {name}"), "<f2")[0]
    nonzero, more = (reader.varint(f"counts of {name}") for _ in range(2))
    fits = 0 < nonzero <= size and most - 1 <= more <= nonzero * (most - 1)
    if not (fits and np.isfinite(step) and step > 0):
        raise ContainerError(f"{name}: step {step}, {nonzero} of {size} not zero, {more} more")
    return most, step, Counts(size, nonzero, nonzero + more)


def _read_numbers(
    decoder: constriction.stream.queue.RangeDecoder,
    size: int,
    there: np.ndarray | None,
    most: int,
    step: np.float16,
    counts: Counts,
) -> np.ndarray:
    if most == 0:
        return np.zeros(size, np.float32)
    numbers, found = np.zeros(size, np.int64), slice(None)
    if there is not None:
        found, counts = there.reshape(-1), _of_nonzeros(counts)
        size = int(found.sum())
    try:
        numbers[found] = decoder.decode(_model(counts, most), size) - most
    except AssertionError as error:  # constriction raises it for data that no encoder wrote
        raise ContainerError("the range coder's data are damaged") from error
    return numbers.astype(np.float32) * np.float32(step)


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, WORDS)
    return packer.compress(data) + packer.flush()


def _inflate(data: bytes) -> bytes:
    opener = zlib.decompressobj(-15, WORDS)
    try:
        text = opener.decompress(data, MOST_CONFIG)
    except zlib.error as error:
        raise ContainerError(f"the config is damaged: {error}") from error
    if not opener.eof or opener.unused_data:
        raise ContainerError(f"the config has no end within {MOST_CONFIG} bytes")
    return text
