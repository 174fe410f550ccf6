"""Two typical mistakes for each exercise of notebook 10, and what the check has to say."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F

import squeeze_utils as sq
from squeeze_utils.compress.pruning.steps import Remember, Rewind

EVEN = {"csr": 1 / 3, "mask": 1 / 32, "mask_smaller_up_to": 15 / 16}


def rescaled(net, factor, first_bias=True, last_bias=False):
    net = copy.deepcopy(net)
    with torch.no_grad():
        net[0].weight.mul_(factor)
        net[0].bias.mul_(factor if first_bias else 1)
        net[2].weight.div_(factor)
        net[2].bias.div_(factor if last_bias else 1)
    return net


SCALE = {"rescaled": rescaled, "changed": ["global magnitude"]}


def without_bias(net, factor):
    return rescaled(net, factor, first_bias=False)


def both_biases(net, factor):
    return rescaled(net, factor, last_bias=True)


def of_the_batch(net, x, y):
    (slope,) = torch.autograd.grad(F.cross_entropy(net(x), y), net[0].weight)
    return slope**2 * net[0].weight.detach() ** 2


CHOICES = {
    "without_hulls": {"A": 0.9, "B": 0.5},
    "best_pair": (0.5, 0.7),
    "allocated": {"A": 0.5, "B": 19 / 30},
}
ONE = sq.Train(1)
CUTS = [sq.Prune(share) for share in (0.5, 0.75, 0.9)]
THREE = (*(step for cut in CUTS for step in (ONE, cut, Rewind())), ONE)
EARLY = (ONE, Remember(), *THREE[1:])
SHARES_OF_REST = tuple(sq.Prune(0.5) if isinstance(s, sq.Prune) else s for s in THREE)
REWIND = {"three_rounds": THREE, "early_point": EARLY}


def empty_filters(mask):
    return int((~mask.flatten(1).any(1)).sum())


def empty_kernels(mask):
    return int((~mask.flatten(2).any(2)).sum()) if mask.ndim == 4 else empty_filters(mask)


def empty_columns(mask):
    return int((~mask.any(0)).sum()) if mask.ndim == 2 else empty_filters(mask)


NAMED = {"one shot": 0, "SNIP": 2, "SNIP, global": 0}
FORGETS = {"empty_filters": empty_filters, "never_named": NAMED}


def product(values, columns, starts, maps, add=True):
    result = np.zeros((len(starts) - 1, maps.shape[1]))
    for row in range(len(result)):
        for place in range(starts[row], starts[row + 1]):
            new = values[place] * maps[columns[place]]
            result[row] = result[row] + new if add else new
    return result


def predicted(loss, w, q, sign=-1, half=0.5, whole=False):
    (g,) = torch.autograd.grad(loss(w), w, create_graph=True)
    (row,) = torch.autograd.grad(g[q], w)
    w = w.detach()
    first = sign * (g[q] * w[q]).item()
    return first, first + half * float((row @ w if whole else row[q] * w[q]) * w[q])


MISTAKES = {
    1: [
        (EVEN | {"csr": 2 / 3}, "the share that is kept"),
        (EVEN | {"csr": 0.5}, "two bytes, not four"),
        (EVEN | {"mask": 0.25}, "an eighth of a byte"),
    ],
    2: [
        (SCALE | {"rescaled": without_bias}, "the first layer has to grow as well"),
        (SCALE | {"rescaled": both_biases}, "the bias of the second layer stays"),
        (SCALE | {"changed": ["global magnitude", "layer magnitude"]}, "the same weights"),
    ],
    3: [
        (of_the_batch, "this squares the mean gradient"),
        (lambda net, x, y: net[0].weight.detach().abs(), "the size of the weights"),
    ],
    4: [
        (CHOICES | {"without_hulls": {"A": 0.5, "B": 19 / 30}}, "buy A's first"),
        (CHOICES | {"best_pair": (0.9, 0.5)}, "another pair fewer"),
        (CHOICES | {"best_pair": (0.7, 0.5)}, "first A's and then B's"),
        (CHOICES | {"allocated": {"A": 0.9, "B": 0.5}}, "call sensitivity.allocate"),
    ],
    5: [
        (REWIND | {"three_rounds": THREE[:-1]}, "train once more"),
        (REWIND | {"three_rounds": SHARES_OF_REST}, "it has to rise"),
        (REWIND | {"early_point": THREE}, "remember the weights once"),
    ],
    6: [
        (FORGETS | {"empty_filters": empty_kernels}, "a kernel for each channel"),
        (FORGETS | {"empty_filters": empty_columns}, "the first axis of a mask"),
        (FORGETS | {"never_named": NAMED | {"SNIP": 3}}, "one for each seed"),
        (FORGETS | {"never_named": NAMED | {"SNIP": 0}}, "in each run by itself"),
    ],
    7: [
        (lambda *given: product(*given, add=False), "add up over the weights"),
        (lambda v, c, s, maps: product(v, c, s, maps)[:, ::-1].copy(), "the dense product"),
    ],
    8: [
        (lambda loss, w, q: predicted(loss, w, q, sign=1), "the step is −w_q"),
        (lambda loss, w, q: predicted(loss, w, q, half=1), "half of the curvature"),
        (lambda loss, w, q: predicted(loss, w, q, whole=True), "not the whole row"),
    ],
}
