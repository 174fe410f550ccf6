from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeeze_utils.compress.sqz.bits import ContainerError, Reader, pack, unpack, varint, width_of


@given(st.integers(0, 16), st.lists(st.integers(0, 2**16 - 1), max_size=50))
def test_packed_values_come_back(width, numbers):
    values = np.array(numbers, dtype=np.int64) & ((1 << width) - 1)
    data = pack(values, width)
    assert len(data) == (len(values) * width + 7) // 8
    assert unpack(data, width, len(values)).tolist() == values.tolist()


@given(st.integers(0, 2**35 - 1))
def test_numbers_of_variable_length_come_back(value):
    reader = Reader(varint(value))
    assert reader.varint("value") == value
    reader.end()


def test_reading_past_the_end_is_refused():
    with pytest.raises(ContainerError, match="truncated: 4 bytes of magic expected, 2 are left"):
        Reader(b"ab").take(4, "magic")
    with pytest.raises(ContainerError, match="no number of at most five bytes"):
        Reader(b"\xff" * 6).varint("a length")
    with pytest.raises(ContainerError, match="1 bytes too many"):
        Reader(b"a").end()
    with pytest.raises(ContainerError, match="3 bytes of packed values expected, 2 found"):
        unpack(b"ab", 3, 8)
    with pytest.raises(ValueError, match="does not fit"):
        varint(-1)
    assert [width_of(n) for n in (1, 2, 3, 4, 5, 256, 257)] == [0, 1, 2, 2, 3, 8, 9]
