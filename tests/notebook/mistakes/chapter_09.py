"""Typical mistakes for the exercises of notebook 09, and what the check has to say."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import combinations

import torch
from torch import nn

FIFTH = {"options": {"first_channels": 128}, "gained": 5248, "lost": 12_416}
SIZE = {"parameters": 2_082_472, "megabytes": 7.944, "explained": False}


def scaled(model, by=None, parts=("expand1x1", "expand3x3")):
    with torch.no_grad():
        for fire in model:
            for part in parts:
                getattr(fire, part).weight.div_(by or len(model) ** 0.5)
    return model


def twice(model):
    return scaled(scaled(model))


BRANCH = {"factor": lambda L: (1 + 1 / L) ** (L / 2), "limit": math.exp(0.5), "scale": scaled}


def forwards(f, x, v):
    return torch.autograd.functional.jvp(f, x, v)[1]


ANGLE = {"jvp": forwards, "cosine": 0.32}


def means(accuracy_of, names, pick=None, least=0):
    found = []
    for k in range(least, len(names) + 1):
        values = [accuracy_of(*subset) for subset in combinations(names, k)]
        found.append(pick(values) if pick else sum(values) / len(values))
    return [0.0] * least + found


def first_ones(accuracy_of, names):
    return [accuracy_of(*names[:k]) for k in range(len(names) + 1)]


TAKEN = {"mean_by_count": means, "measured": [98, 80, 62, 38, 16]}


def forget(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = module.running_var = None
    return model


LOOK = {"function": lambda model: forget(deepcopy(model)), "wider": "of the batch"}
ONE = 100 / 143
PLAIN = {0.01: 27 * ONE, 0.03: 25 * ONE, 0.1: 48 * ONE}
BYPASS = {0.01: 42 * ONE, 0.03: 23 * ONE, 0.1: 82 * ONE}
DEEP = {"none": PLAIN, "simple": BYPASS, "lead": 34}

MISTAKES = {
    1: [
        (FIFTH | {"options": {"first_channels": 64}}, "can add their input"),
        (FIFTH | {"gained": 4736}, "the squeeze layer of fire2"),
        (FIFTH | {"gained": 5216}, "have biases"),
        (FIFTH | {"lost": 12_288}, "has biases too"),
        (FIFTH | {"options": {"first": 128}}, "does not take these options"),
    ],
    2: [
        (SIZE | {"parameters": 1_589_672}, "the four that need one"),
        (SIZE | {"parameters": 2_082_472 - 2560}, "each bypass has biases"),
        (SIZE | {"megabytes": 8.33}, "10⁶ bytes"),
        (SIZE | {"explained": True}, "not the number that the paper gives"),
    ],
    3: [
        (BRANCH | {"factor": lambda L: (1 + 1 / L) ** L}, "the squared length"),
        (BRANCH | {"factor": lambda L: 2 ** (L / 2)}, "without scaling"),
        (BRANCH | {"limit": math.e}, "L/2, not L"),
        (BRANCH | {"scale": twice}, "L times smaller"),
        (BRANCH | {"scale": lambda m: scaled(m, parts=("expand1x1",))}, "times as large"),
    ],
    4: [
        (ANGLE | {"jvp": lambda f, x, v: torch.autograd.functional.vjp(f, x, v)[1]}, "backwards"),
        (ANGLE | {"jvp": lambda f, x, v: f(x)}, "not its derivative"),
        (ANGLE | {"cosine": 2 / math.pi}, "Here half of them are zero"),
        (ANGLE | {"cosine": 71.0}, "between −1 and 1"),
    ],
    5: [
        (TAKEN | {"mean_by_count": first_ones}, "subsets are never tried"),
        (TAKEN | {"mean_by_count": lambda a, n: means(a, n, max)}, "the best subset"),
        (TAKEN | {"mean_by_count": lambda a, n: means(a, n, least=1)}, "nothing taken out"),
        (TAKEN | {"measured": [0.98, 0.8, 0.62, 0.38, 0.16]}, "in per cent"),
        (TAKEN | {"measured": [98, 97, 96, 95, 94]}, "not what such a network gives"),
    ],
    6: [
        (LOOK | {"function": forget}, "Work on a copy"),
        (LOOK | {"function": lambda m: deepcopy(m).train()}, "that were kept"),
        (LOOK | {"function": lambda m: nn.Sequential(m[0], nn.InstanceNorm2d(4))}, "the weights"),
        (LOOK | {"wider": "kept"}, "the smaller one"),
    ],
    7: [
        (DEEP | {"none": BYPASS, "simple": PLAIN}, "the stack with bypass minus the plain one"),
        (DEEP | {"none": dict.fromkeys(PLAIN, 14 * ONE)}, "above chance now"),
        (DEEP | {"none": {0.01: 0.2, 0.03: 0.2, 0.1: 0.3}}, "in per cent"),
        (DEEP | {"none": {0.01: 19.2, 0.03: 20.3, 0.1: 25.0}}, "no whole number"),
        (DEEP | {"lead": 34 * ONE}, "in points of accuracy"),
    ],
}
