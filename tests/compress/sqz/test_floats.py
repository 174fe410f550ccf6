from __future__ import annotations

import numpy as np
import pytest

from squeeze_utils.compress.sqz.bits import ContainerError, Reader, Writer
from squeeze_utils.compress.sqz.floats import Floats, read_floats, write_floats

KINDS = [
    Floats("halves", np.float32([0.5, -2, 0, 65504]), ascends=False),
    Floats("book of halves", np.float32([0, 0.25, 1, 3, -1]), ascends=True),
    Floats("whole", np.float32([0.1, -1e-30, 1e30, np.nan]), ascends=False),
    Floats("book", np.sort(np.random.default_rng(0).random(300)).astype(np.float32), ascends=True),
    Floats("empty", np.zeros(0, np.float32), ascends=False),
]
NEEDED = [(len(kind.values), kind.ascends) for kind in KINDS]


def written(coder: str) -> Writer:
    out = Writer()
    write_floats(out, KINDS, coder)
    return out


def content(coder: str) -> bytes:
    return Reader(bytes(written(coder).data)).framed("the floats").data


@pytest.mark.parametrize("coder", ["best", "raw"])
def test_all_kinds_come_back_bit_for_bit_and_the_parts_add_up(coder):
    out = written(coder)
    assert sum(out.parts.values()) == len(out.data)
    found = read_floats(Reader(content(coder)), NEEDED)
    for kind, values in zip(KINDS, found, strict=True):
        assert values.dtype == np.float32
        assert np.array_equal(values.view(np.uint32), kind.values.view(np.uint32)), kind.name


def test_halves_take_two_bytes_and_a_book_that_ascends_fewer_than_one_that_does_not():
    parts = written("raw").parts
    assert parts["halves/floats"] == 2 * 4 and parts["whole/floats"] == 4 * 4
    sizes = []
    for ascends in (True, False):
        out = Writer()
        write_floats(out, [Floats("book", KINDS[3].values, ascends)], "best")
        sizes.append(len(out.data))
    assert sizes[0] < sizes[1]


def test_floats_that_are_cut_or_of_an_unknown_coder_are_refused():
    data = content("best")
    for wrong in (data[:-1], data + b"\0", b""):
        with pytest.raises(ContainerError):
            read_floats(Reader(wrong), NEEDED)
    with pytest.raises(ContainerError, match="unknown coder 9"):
        read_floats(Reader(data[:1] + b"\x09" + data[2:]), NEEDED)
