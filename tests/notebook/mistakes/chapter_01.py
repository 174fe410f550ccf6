"""Two typical mistakes for each exercise of notebook 01, and what the check has to say."""

from __future__ import annotations

import torch
import torch.nn.functional as F

COUNTS = {
    "parameters": 513_000,
    "multiply_adds": 86_528_000,
    "traffic": 4 * (512 * 169 + 1000 * 169 + 513_000),
    "intensity": 56.3,
    "largest_term": "parameters",
}


def odd_rows(x, conv):
    return conv(x[..., 1::2, 1::2])


def padded_odd_rows(x, conv):
    return F.conv2d(x, conv.weight, conv.bias, stride=2, padding=0)[..., 1:, :]


def even_rows(x, conv):
    return conv(x)[..., ::2, ::2]


def bias(conv):
    return conv.bias


STRIDE = {"strided": even_rows, "border": bias, "never_read": 0.75}


def nine(x, weight, flip=False, swap=False):
    height, width = x.shape[-2:]
    padded, total = F.pad(x, (1, 1, 1, 1)), 0
    for u in range(3):
        for v in range(3):
            a, b = (2 - u, 2 - v) if flip else (v, u) if swap else (u, v)
            one = weight[:, :, a, b, None, None]
            total = total + F.conv2d(padded[..., u : u + height, v : v + width], one)
    return total


def gain_without_a_ridge_that_moves(intensity, ridge, peak_gain):
    return 2.0 if intensity < ridge else peak_gain


def valid_part_only(x, weight):
    return F.conv2d(x, weight)


def svd(matrix, by, r):
    U = torch.linalg.svd(by, full_matrices=False).U[:, :r]
    return U @ U.T @ matrix


def too_large(C, K):
    return C * K // (C + K)


MISTAKES = {
    1: [
        (COUNTS | {"parameters": 512_000}, "each filter has a bias"),
        (COUNTS | {"multiply_adds": 512_000}, "this is one pixel"),
        (COUNTS | {"multiply_adds": 173_056_000}, "these are operations"),
        (COUNTS | {"traffic": COUNTS["traffic"] // 4}, "in bytes, four for each"),
        (COUNTS | {"intensity": 28.15}, "two operations"),
        (COUNTS | {"largest_term": "output"}, "another term is larger"),
    ],
    2: [
        (STRIDE | {"strided": odd_rows}, "has the shape (2, 32, 4, 4), not (2, 32, 5, 4)"),
        (STRIDE | {"border": lambda conv: torch.zeros(32)}, "the bias is added all the same"),
        (STRIDE | {"never_read": 0.5}, "every second row is left out"),
        (STRIDE | {"strided": lambda x, conv: conv(x[:, ::2])}, "raised RuntimeError"),
    ],
    3: [
        (too_large, "the last rank that saves weights"),
        (lambda C, K: C * K / (C + K), "a rank is a whole number"),
        (lambda C, K: -(-C * K // (C + K)), "exactly as many weights, not more"),
    ],
    4: [
        (lambda x, weight: nine(x, weight, flip=True), "the offsets are mirrored"),
        (lambda x, weight: nine(x, weight, swap=True), "rows and columns of the kernel"),
        (valid_part_only, "(2, 4, 5, 4), not (2, 4, 7, 6)"),
        (lambda x, weight: F.conv2d(x, weight, padding=1), "use 1 × 1 only"),
    ],
    5: [
        (lambda x: x.reshape(-1, x.shape[1]), "does not hold the channels of one pixel"),
        (lambda x: x.permute(0, 2, 3, 1).reshape(-1, 3).clone(), "the numbers were copied"),
        (lambda x: x.flatten(2), "the shape (2, 3, 20), not (40, 3)"),
    ],
    6: [
        (gain_without_a_ridge_that_moves, "some layers change sides"),
        (lambda intensity, ridge, peak_gain: peak_gain, "left of the ridge the bytes decide"),
        (lambda intensity, ridge, peak_gain: 2.0, "the layer gains what the peak gains"),
    ],
    7: [
        (lambda W, X, r: svd(W, W, r), "the cut that ignores the data"),
        (lambda W, X, r: svd(W, W @ X, r + 1), "has the rank"),
        (lambda W, X, r: svd(W, W @ X.abs(), r), "times less error on X"),
    ],
}
