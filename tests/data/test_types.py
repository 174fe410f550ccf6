"""Splits and sets of images, and counts that are checked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from squeeze_utils.data import DataError, Split
from squeeze_utils.data.sets import load_images
from squeeze_utils.data.types import checked_count


def test_split_checks_itself():
    with pytest.raises(DataError, match="uint8"):
        Split(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(DataError, match="labels"):
        Split(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))


def test_moving_a_set_keeps_layout():
    moved = load_images("digits").to("meta")
    assert moved.train.images.device.type == "meta"
    assert moved.train.images.is_contiguous(memory_format=torch.channels_last)


def test_counts_may_be_numpys_and_are_refused_with_this_rooms_error():
    number = checked_count("size", np.int64(3), 1, 5)
    assert number == 3 and type(number) is int
    for wrong in (np.int64(6), np.float64(3.0), True, "3", 0):
        with pytest.raises(DataError, match="size must be a whole number from 1 to 5, got"):
            checked_count("size", wrong, 1, 5)
