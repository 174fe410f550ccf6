"""Rounding the weights of one layer so that bits and error at its output are both small.

Column by column, as optimal brain quantization and GPTQ do (Frantar et al. 2022): whatever error
rounding one column makes, the columns still to come take over as far as the covariance of the
inputs allows. Each weight goes to the multiple of the step that minimises error + price * bits,
where the bits are those that an entropy coder will need: so zeros, being frequent, are cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import torch
from torch import Tensor

MOST = 511  # a multiple of the step lies between -MOST and MOST
ROUNDS = 3  # of rounding, each with the code lengths that the one before led to
FEW_ROUNDS = 2  # are enough to learn the size
BLOCK = 32  # columns after which the rest is brought up to date


@dataclass(frozen=True)
class Rounded:
    """A layer's whole numbers (rows, columns), their step, and what they cost."""

    numbers: Tensor
    step: float
    error: float
    bits: float

    @property
    def weight(self) -> Tensor:
        """The weights that the numbers stand for."""
        return self.numbers.float() * self.step


def factor(covariance: Tensor) -> Tensor:
    """The upper triangular U with U^T U the inverse of the covariance.

    Rounding column j by e costs (e / U[j, j])^2 once all later columns have taken over what they
    can, which they do by -e U[j, later] / U[j, j].
    """
    wanted = covariance.double()
    lower, failed = torch.linalg.cholesky_ex(wanted)
    if failed:  # rounding has made it indefinite: the inputs hardly vary
        values, vectors = torch.linalg.eigh(wanted)
        wanted = (vectors * values.clamp(min=1e-8 * float(values.max()))) @ vectors.T
        lower = torch.linalg.cholesky(wanted)
    return torch.linalg.cholesky(torch.cholesky_inverse(lower), upper=True).float()


def step_for(price: float, triangle: Tensor, weight: Tensor) -> float:
    """The step at which one more bit a weight is worth its `price`, as a half-precision number.

    A grid of step s makes the error h s^2 / 12 in each weight (h the curvature, 1 / U[j, j]^2);
    a bit more divides it by 4, so at the optimum price = 2 ln 2 * h s^2 / 12.
    """
    curvature = float((1 / triangle.diagonal() ** 2).mean())
    fine = (6 * price / (log(2) * curvature)) ** 0.5
    coarsest = float(weight.abs().max())
    step = min(max(fine, coarsest / MOST), max(coarsest, 1e-6))
    return float(torch.tensor(step).half().clamp(min=1e-7))


def code_lengths(numbers: Tensor) -> Tensor:
    """Bits for each of -MOST..MOST by how often they occur; what does not occur is dear."""
    counts = torch.bincount((numbers + MOST).flatten(), minlength=2 * MOST + 1) + 0.1
    return -(counts / counts.sum()).log2()


def round_layer(weight: Tensor, triangle: Tensor, price: float, rounds: int = ROUNDS) -> Rounded:
    """Round `weight` (rows, columns) at a `price` in error for a bit."""
    step = step_for(price, triangle, weight)
    numbers = (weight / step).round().clamp(-MOST, MOST).long()
    error = 0.0
    for _ in range(rounds):
        numbers, error = _by_columns(weight, triangle, step, price * code_lengths(numbers))
    bits = code_lengths(numbers)[numbers + MOST].sum()
    return Rounded(numbers, step, error, float(bits))


def _by_columns(
    weight: Tensor, triangle: Tensor, step: float, costs: Tensor
) -> tuple[Tensor, float]:
    """Numbers (rows, columns) and the error. Later columns are brought up to date in blocks."""
    left = np.ascontiguousarray((weight / step).numpy().T)  # a column of weights is a row here
    upper, costs = triangle.numpy(), costs.numpy()
    passed_on = upper / np.diagonal(upper)[:, None]
    curvatures = (step / np.diagonal(upper)) ** 2
    numbers, error = np.empty_like(left), 0.0
    for start in range(0, len(left), BLOCK):
        stop = min(start + BLOCK, len(left))
        missing = np.empty((stop - start, len(weight)), np.float32)
        for j in range(start, stop):
            numbers[j] = _chosen(left[j], curvatures[j], costs)
            missing[j - start] = left[j] - numbers[j]
            left[j + 1 : stop] -= passed_on[j, j + 1 : stop, None] * missing[j - start]
        left[stop:] -= passed_on[start:stop, stop:].T @ missing
        error += float(curvatures[start:stop] @ (missing**2).sum(1))
    return torch.from_numpy(np.ascontiguousarray(numbers.T)).long(), error


def _chosen(wanted: np.ndarray, curvature: np.float32, costs: np.ndarray) -> np.ndarray:
    """The nearest whole number, one of the next two toward zero, or zero: what costs least.

    `curvature` is the error of one step; `costs` belong to -MOST..MOST.
    """
    nearest = np.clip(np.rint(wanted), -MOST, MOST)
    sign, size = np.sign(nearest), np.abs(nearest)
    best, least = nearest, np.inf
    for other in (
        nearest,
        sign * np.maximum(size - 1, 0),
        sign * np.maximum(size - 2, 0),
        0 * sign,
    ):
        paid = (wanted - other) ** 2 * curvature + costs[other.astype(np.int32) + MOST]
        best, least = np.where(paid < least, other, best), np.minimum(paid, least)
    return best
