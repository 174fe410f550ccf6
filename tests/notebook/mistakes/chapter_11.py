"""Two typical mistakes for each exercise of notebook 11, and what the check has to say."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import stats

import squeeze_utils as sq


def steps(name, images, up=False):
    round_ = math.ceil if up else math.floor
    plan = sq.study(name).recipe(recipe="dense control")
    return [step.epochs * round_(images / step.batch_size) for step in plan]


PEAKS = [step.lr for step in sq.study("dsd").recipe(recipe="dense control")]
SHORT = steps("dsd", 20_000)
COUNTS = {
    "short": SHORT,
    "long": steps("dsd_long", 45_000),
    "share_of_steps": SHORT[-1] / sum(SHORT),
    "share_of_rate": SHORT[-1] * PEAKS[-1] / np.dot(SHORT, PEAKS),
}


def laplace(s):
    q = -math.log(1 - s)
    return 1 - (1 - s) * (1 + q + q * q / 2)


SHAPES = {"uniform": lambda s: s**3, "laplace": laplace, "smallest": "Laplace"}


def round_of(X, y, w, keep, trained=True, from_zero=False, smallest=False):
    order = np.argsort(np.abs(w) if smallest else -np.abs(w))
    kept, sparse = order[:keep], np.zeros(len(w))
    sparse[kept] = np.linalg.pinv(X[:, kept]) @ y if trained else w[kept]
    start = np.zeros(len(w)) if from_zero else sparse
    return sparse, start + np.linalg.pinv(X) @ (y - X @ start)


ROUNDS = {"round_of": round_of, "one_round": 0.76, "five_rounds": 0.96}
NOISE = {"last_better": 1, "beats_sparse": [], "error_of_zero": 4}


def kick(w, length):
    noise = torch.randn_like(w)
    return w + length * noise / noise.norm()


def power(effect, n, normal=False):
    if normal:
        return stats.norm.sf(1.96 - effect * n**0.5)
    return stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect * n**0.5)


CONTROL = {"power": power, "seeds_80": 5, "seeds_95": 6, "arms": 4}

MISTAKES = {
    1: [
        (COUNTS | {"short": steps("dsd", 20_000, up=True)}, "the incomplete batch"),
        (COUNTS | {"share_of_rate": COUNTS["share_of_steps"]}, "a lower rate"),
    ],
    2: [
        (SHAPES | {"uniform": lambda s: s**1.5}, "The squared length"),
        (SHAPES | {"laplace": lambda s: 1 - laplace(s)}, "the share that stays"),
        (SHAPES | {"smallest": "uniform"}, "compare the three"),
    ],
    3: [
        (ROUNDS | {"round_of": lambda *given: round_of(*given, trained=False)}, "not trained"),
        (ROUNDS | {"round_of": lambda *given: round_of(*given, from_zero=True)}, "start from them"),
        (ROUNDS | {"round_of": lambda *given: round_of(*given, smallest=True)}, "largest sizes"),
        (ROUNDS | {"one_round": 0.3}, "in 200 draws here"),
    ],
    4: [
        (NOISE | {"last_better": 2}, "already better"),
        (NOISE | {"beats_sparse": [0, 0.25]}, "not the dense one"),
        (NOISE | {"error_of_zero": 2}, "its square"),
    ],
    5: [
        (lambda w, length: w + length * torch.randn_like(w), "of all together"),
        (lambda w, length: w * (1 + length / w.norm()), "the very same way"),
        (lambda w, length: w + torch.randn_like(w) / w.numel() ** 0.5, "not 2.5"),
    ],
    6: [
        (CONTROL | {"power": lambda effect, n: power(effect, n, normal=True)}, "Student's t"),
        (CONTROL | {"seeds_80": 90}, "0.3 / 0.15"),
        (CONTROL | {"arms": 3}, "two differences"),
    ],
}
