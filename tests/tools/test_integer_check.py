from __future__ import annotations

import torch

import squeeze_utils as sq
from squeeze_utils.base.measurements import read_measurement
from tools import integer_check


def test_every_image_of_a_network_is_counted_as_equal():
    torch.manual_seed(0)
    digits = sq.load_images("digits", size=16)
    model = sq.build("squeezenet_small", width=0.25, in_channels=1)
    found = integer_check.counts(model, digits)
    assert found["images"] == found["equal"] == len(digits.test)
    assert 0 < found["right"] < len(digits.test) and 0 < found["right_float"] < len(digits.test)
    assert found["parameters"] == sum(p.numel() for p in model.parameters())


def test_the_kept_counts_are_those_of_the_whole_test_split():
    (row,) = read_measurement(integer_check.NAME).rows
    assert row["equal"] == row["images"] == 10_000 and row["parameters"] == 730_570
