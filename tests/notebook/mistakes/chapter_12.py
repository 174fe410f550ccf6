"""Two typical mistakes for each exercise of notebook 12, and what the check has to say."""

from __future__ import annotations

import torch

from squeeze_utils.compress.quantizing.mixed_bits import assign


def floor(x, s):
    return s * torch.floor(x / s)


CUT = {"cut": floor, "mean_square": 1 / 3, "bits_lost": 1, "after_bias": 1 / 12}
ZERO = {
    "step": 1.3 / 7,
    "zero_point": 2,
    "error_of_zero": -0.3 + 2.6 / 7,
    "error_of_sum": 576 * (-0.3 + 2.6 / 7),
}


def from_sums(products, q_sum, n_sum, z_w, z_x, N, last=1):
    return products - z_w * q_sum - z_x * n_sum + last * N * z_w * z_x


def no_last_term(*given):
    return from_sums(*given, last=0)


AFFINE = {"from_sums": from_sums, "depend_on_image": ["products", "q_sum"], "additions": 15}


def equalised(first, second, power=0.5):
    k = (first.abs().amax(1) / second.abs().amax(0)) ** power
    return first / k[:, None], second * k


def by_whole_layer(first, second):
    k = (first.abs().max() / second.abs().max()).sqrt()
    return first / k, second * k


def zero_share(w, border=0.5, rows=True):
    largest = w.abs().amax(1, keepdim=True) if rows else w.abs().max()
    return (w.abs() < border * largest).double().mean()


ZEROS = {"zero_share": zero_share, "fixed": 40.0, "largest": 80.0}


def everything(layers, budget):
    return dict.fromkeys(layers, 8)


def smallest(layers, budget):
    return dict.fromkeys(layers, 2)


def rounded(w, H, step, sign=-1, moves=True):
    w, found = w.clone(), torch.empty_like(w)
    for i in range(len(w)):
        found[i] = step * torch.round(w[i] / step)
        rest = slice(i + 1, None)
        if moves and i + 1 < len(w):
            w[rest] += sign * torch.linalg.solve(H[rest, rest], H[rest, i]) * (found[i] - w[i])
    return found


MISTAKES = {
    1: [
        (CUT | {"cut": lambda x, s: s * torch.trunc(x / s)}, "below zero it goes up"),
        (CUT | {"mean_square": 1 / 12}, "Its mean is not zero"),
        (CUT | {"bits_lost": 2}, "the noise is the square of it"),
    ],
    2: [
        (ZERO | {"step": 1.3 / 8}, "seven steps"),
        (ZERO | {"error_of_sum": 9 * ZERO["error_of_zero"]}, "64 channels as well"),
        (ZERO | {"zero_point": 0.3 / (1.3 / 7)}, "round"),
    ],
    3: [
        (AFFINE | {"from_sums": no_last_term}, "the last term is missing"),
        (AFFINE | {"from_sums": lambda *given: from_sums(*given, last=-1)}, "minus times minus"),
        (AFFINE | {"depend_on_image": ["products", "q_sum", "n_sum"]}, "n_sum is known before"),
        (AFFINE | {"additions": 960}, "the same for all 64 outputs"),
    ],
    4: [
        (lambda a, b: equalised(a, b, power=1), "take the root of their ratio"),
        (by_whole_layer, "a row of the first layer and a column of the second"),
        (lambda a, b: equalised(a, b, power=-0.5), "farther apart now"),
        (lambda a, b: (equalised(a, b)[0], b), "compute something else"),
    ],
    5: [
        (ZEROS | {"zero_share": lambda w: zero_share(w, border=1)}, "half of the largest"),
        (
            ZEROS | {"zero_share": lambda w: zero_share(w, rows=False)},
            "a largest weight of its own",
        ),
        (ZEROS | {"fixed": 80.0, "largest": 40.0}, "exchanged"),
    ],
    6: [
        ({"optimum": assign, "mean_ratio": 1.1}, "this is what assign buys"),
        ({"optimum": everything, "mean_ratio": 1.1}, "over the budget"),
        ({"optimum": smallest, "mean_ratio": 1.1}, "times less damage"),
    ],
    7: [
        (lambda w, H, step: rounded(w, H, step, moves=False), "rounds each weight by itself"),
        (lambda w, H, step: rounded(w, H, step, sign=1), "Check the sign"),
        (lambda w, H, step: w, "a multiple of 0.5"),
    ],
}

RIGHT_TOO = {2: [ZERO | {"error_of_sum": 41.1}]}  # rounded
