from __future__ import annotations

import pytest

from squeeze_utils.base.interpolating import bytes_at


def test_known_errors_keep_their_bytes_and_equal_factors_are_equal_steps():
    known, sizes = [0.01, 0.04, 0.16], [500.0, 400.0, 300.0]
    assert bytes_at(known, known, sizes) == pytest.approx(sizes)
    assert bytes_at([0.02, 0.08, 1.0], known, sizes) == pytest.approx([450.0, 350.0, 300.0])


@pytest.mark.parametrize(
    ("errors", "known"), [([0.0], [1.0, 2.0]), ([1.0], [2.0, 1.0]), ([1.0], [-1.0, 2.0])]
)
def test_errors_without_a_logarithm_or_out_of_order_are_refused(errors, known):
    with pytest.raises(ValueError, match="errors are positive numbers"):
        bytes_at(errors, known, [1.0, 2.0])
