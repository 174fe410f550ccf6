"""Rounding the weights of one layer so that bits and error at its output are both small.

Column by column, as optimal brain quantization and GPTQ do (Frantar et al. 2022): whatever error
rounding one column makes, the columns still to come take over as far as the covariance of the
inputs allows. Each weight goes to the multiple of the step that minimises error + price * bits,
where the bits are those that an entropy coder will need: so zeros, being frequent, are cheap.
Then every column is rounded again, twice, now that the others are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

MOST = 511  # a multiple of the step lies between -MOST and MOST
TOWARD_ZERO = np.array([[0], [1], [2], [MOST]], np.float32)  # steps that a number may be moved
ROUNDS = 3  # of rounding, each with the code lengths that the one before led to
FEW_ROUNDS = 2  # are enough to learn the size
SWEEPS = 2  # in which every column is rounded again
STEADY = 16  # how many times an error in a bias counts an equal one that varies by place
BLOCK = 32  # columns after which the rest is brought up to date
ORDERED = 128  # the same, where columns are put in their order


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


@dataclass(frozen=True)
class Columns:
    """The covariance of what a layer sees, columns in the `order` in which they are rounded.

    `triangle` is U of that order, see `factor`.
    """

    covariance: Tensor
    order: Tensor
    triangle: Tensor

    @classmethod
    def of(cls, covariance: Tensor) -> Columns:
        """In the order that makes the curvatures alike."""
        order = order_for(covariance)
        ordered = covariance[order][:, order]
        return cls(ordered, order, factor(ordered))


def order_for(covariance: Tensor) -> Tensor:
    """The order of columns: last the one that varies least, before it the next, and so on.

    A column's curvature is the variance that the later columns leave of it. The product of all
    curvatures is the same in every order, so their sum, and with it the error of a grid, is small
    where they are alike: where columns that vary much come first and have many to lean on.
    """
    left = covariance.double().numpy().copy()
    columns, variance = np.arange(len(left)), left.diagonal().copy()
    order: list[int] = []
    while len(columns):
        known = np.zeros((len(columns), min(ORDERED, len(columns))))  # by the columns of this block
        kept = np.ones(len(columns), dtype=bool)
        for k in range(known.shape[1]):
            at = int(np.where(kept, variance, np.inf).argmin())
            row = left[at] - known[:, :k] @ known[at, :k]
            known[:, k] = row / np.sqrt(max(row[at], 1e-12))
            variance -= known[:, k] ** 2
            kept[at] = False
            order.append(int(columns[at]))
        left = left[kept][:, kept] - known[kept] @ known[kept].T
        columns, variance = columns[kept], variance[kept]
    return torch.tensor(order[::-1])


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


def step_for(price: float, curvature: float, largest: float) -> float:
    """The step at which one more bit a number is worth its `price`, as a half-precision number.

    A grid of step s makes the error h s^2 / 12 in each number (h the curvature); a bit more
    divides it by 4, so at the optimum price = 2 ln 2 * h s^2 / 12. `largest` is the largest size
    of a number.
    """
    fine = (6 * price / (log(2) * curvature)) ** 0.5
    step = min(max(fine, largest / MOST), max(largest, 1e-6))
    return float(torch.tensor(step).half().clamp(min=1e-7))


def code_lengths(numbers: Tensor) -> Tensor:
    """Bits for each of -MOST..MOST by how often they occur; what does not occur is dear."""
    counts = torch.bincount((numbers + MOST).flatten(), minlength=2 * MOST + 1) + 0.1
    return -(counts / counts.sum()).log2()


class Grid(Protocol):
    """Which whole numbers a column may take, and what they cost."""

    finer: float
    """The step, as a share of that of `step_for`."""

    def nearest(self, wanted: np.ndarray) -> np.ndarray:
        """What is nearest to `wanted` (columns, rows), whatever it costs."""

    def lengths(self, numbers: np.ndarray) -> np.ndarray:
        """Bits of what may be chosen, by how often it occurs in `numbers` (columns, rows)."""

    def bits(self, found: Tensor) -> float:
        """All bits of the numbers of a layer (rows, columns)."""

    def chosen(self, wanted: np.ndarray, curvature: np.float32, costs: np.ndarray) -> np.ndarray:
        """What costs least for the numbers `wanted` in one column.

        `curvature` is the error of one step; `costs` are `lengths` times their price.
        """


class OneGrid:
    """Every whole number from -MOST to MOST, whatever its neighbours are."""

    finer = 1.0

    @staticmethod
    def nearest(wanted: np.ndarray) -> np.ndarray:
        """Each number by itself."""
        return np.rint(wanted).clip(-MOST, MOST)

    @staticmethod
    def lengths(numbers: np.ndarray) -> np.ndarray:
        """Of -MOST..MOST."""
        return code_lengths(torch.from_numpy(numbers).long()).numpy()

    @staticmethod
    def bits(found: Tensor) -> float:
        """By how often each number occurs."""
        return float(code_lengths(found)[found + MOST].sum())

    @staticmethod
    def chosen(wanted: np.ndarray, curvature: np.float32, costs: np.ndarray) -> np.ndarray:
        """The nearest whole number, one of the next two toward zero, or zero."""
        nearest = np.clip(np.rint(wanted), -MOST, MOST)
        others = np.sign(nearest) * np.maximum(np.abs(nearest) - TOWARD_ZERO, 0)
        paid = (wanted - others) ** 2 * curvature + costs[others.astype(np.int32) + MOST]
        return others[paid.argmin(0), np.arange(len(wanted))]


ONE_GRID = OneGrid()


def round_layer(
    weight: Tensor,
    columns: Columns,
    price: float,
    rounds: int = ROUNDS,
    sweeps: int = SWEEPS,
    grid: Grid = ONE_GRID,
) -> Rounded:
    """Round `weight` (rows, columns) at a `price` in error for a bit."""
    curvature = float((1 / columns.triangle.diagonal() ** 2).mean())
    step = grid.finer * step_for(price, curvature, float(weight.abs().max()))
    wanted = np.ascontiguousarray((weight[:, columns.order] / step).numpy().T)
    numbers = grid.nearest(wanted)  # a column of weights is a row here
    for _ in range(rounds):
        costs = price * grid.lengths(numbers)
        numbers = _by_columns(wanted, columns.triangle.numpy(), step, costs, grid)
    covariance = columns.covariance.numpy()
    for _ in range(sweeps):
        numbers = _again(wanted, numbers, covariance, step, price * grid.lengths(numbers), grid)
    missing = wanted - numbers
    error = step**2 * float((missing * (covariance @ missing)).sum())
    found = torch.empty_like(weight, dtype=torch.long)
    found[:, columns.order] = torch.from_numpy(np.ascontiguousarray(numbers.T)).long()
    return Rounded(found, step, error, grid.bits(found))


def round_bias(bias: Tensor, price: float) -> Tensor:
    """A bias on its own grid: the weight of one more column, which always sees a one.

    Its error is the same everywhere in a picture. Errors of weights change from place to place,
    and a part of them averages out before the prediction; so the bias's counts more.
    """
    step = step_for(price, STEADY, float(bias.abs().max()))
    return (bias / step).round().clamp(-MOST, MOST) * step


def _by_columns(
    wanted: np.ndarray, upper: np.ndarray, step: float, costs: np.ndarray, grid: Grid
) -> np.ndarray:
    """Numbers for `wanted`, in steps. Later columns are brought up to date in blocks."""
    left, numbers = wanted.copy(), np.empty_like(wanted)
    passed_on = upper / np.diagonal(upper)[:, None]
    curvatures = (step / np.diagonal(upper)) ** 2
    for start in range(0, len(left), BLOCK):
        stop = min(start + BLOCK, len(left))
        for j in range(start, stop):
            numbers[j] = grid.chosen(left[j], curvatures[j], costs)
            left[j + 1 : stop] -= passed_on[j, j + 1 : stop, None] * (left[j] - numbers[j])
        left[stop:] -= passed_on[start:stop, stop:].T @ (left[start:stop] - numbers[start:stop])
    return numbers


def _again(
    wanted: np.ndarray,
    numbers: np.ndarray,
    covariance: np.ndarray,
    step: float,
    costs: np.ndarray,
    grid: Grid,
) -> np.ndarray:
    """Every column chosen once more, with what is best for it given all others as they are now."""
    numbers, variances = numbers.copy(), np.diagonal(covariance)
    pulls = covariance @ (wanted - numbers)  # half the slope of the error
    for start in range(0, len(numbers), BLOCK):
        block = slice(start, min(start + BLOCK, len(numbers)))
        before = numbers[block].copy()
        for j in range(block.start, block.stop):
            best = numbers[j] + pulls[j] / variances[j]
            new = grid.chosen(best, variances[j] * step**2, costs)
            pulls[block] -= np.outer(covariance[block, j], new - numbers[j])
            numbers[j] = new
        moved = covariance[:, block] @ (numbers[block] - before)
        pulls[: block.start] -= moved[: block.start]
        pulls[block.stop :] -= moved[block.stop :]
    return numbers
