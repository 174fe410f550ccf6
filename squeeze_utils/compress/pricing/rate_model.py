"""How many bits a whole number takes: zero has a probability of its own, the rest a falling tail.

    P(0) = z,    P(k) = (1 - z) / 2 * (1 - q) q^(|k| - 1)    for k = 1, -1, 2, -2, ...

Training pays the lengths -log2 P(k); `sqz/mixture` gives a range coder the same P.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from squeeze_utils.compress.sqz.mixture import Counts

LEAST_ZERO = 0.5  # the smallest probability of zero that a price assumes


class Lengths(NamedTuple):
    """Code lengths in bits: of 0, of 1 or -1, and of every step that a number is further out."""

    zero: Tensor
    one: Tensor
    more: Tensor


def count(numbers: Tensor) -> Counts:
    """The counts of a tensor of whole numbers."""
    size = numbers.detach().abs()
    return Counts(numbers.numel(), float((size > 0).sum()), float(size.double().sum()))


def lengths(nonzero: Tensor, size: Tensor, least_zero: float = LEAST_ZERO) -> Lengths:
    """The code lengths where a share `nonzero` is not zero and the mean of |k| is `size`.

    Both may be tensors of any equal shape. The largest likelihood has z = 1 - nonzero and
    q = 1 - nonzero / size; the probability of zero is at least `least_zero`, and no probability is
    0 or 1.

    >>> found = lengths(torch.tensor(0.25), torch.tensor(0.5))
    >>> [round(float(bits), 3) for bits in found]  # z = 3/4, q = 1/2
    [0.415, 4.0, 1.0]
    """
    z = (1 - nonzero).clamp(max(least_zero, 1e-6), 1 - 1e-6)
    q = (1 - nonzero / size.clamp(min=1e-9)).clamp(1e-3, 1 - 1e-3)
    return Lengths(-z.log2(), -((1 - z) / 2 * (1 - q)).log2(), -q.log2())


def bits(u: Tensor, found: Lengths) -> Tensor:
    """The length of each number, drawn as a line between whole numbers: a gradient everywhere.

    At whole `u` it is the code length; half-way between two of them it is their mean.

    >>> found = lengths(torch.tensor(0.25), torch.tensor(0.5))
    >>> bits(torch.tensor([0.0, 0.5, -1.0, 3.0]), found)
    tensor([0.4150, 2.2075, 4.0000, 6.0000])
    """
    size = u.abs()
    near = size.clamp(max=1)
    return found.zero + (found.one - found.zero) * near + found.more * (size - near)
