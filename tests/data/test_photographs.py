from __future__ import annotations

import torch

from squeeze_utils.data.photographs import photographs


def test_photographs_are_normalised_squares():
    squares = photographs(side=16)
    assert squares.shape == (2 * (427 // 4 // 16) * (640 // 4 // 16), 3, 16, 16)
    torch.testing.assert_close(squares.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(squares.std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)


def test_squares_lie_beside_each_other():
    large, small = photographs(side=32), photographs(side=16)
    # both start at the upper left corner; the scale differs, as other pixels are left over
    corner = torch.corrcoef(torch.stack((large[0, 0, :16, :16].flatten(), small[0, 0].flatten())))
    assert corner[0, 1] > 0.999
