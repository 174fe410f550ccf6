"""The properties of right answers in notebook 03: losses, gradients and their accuracy."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from squeeze_utils.models import build
from squeeze_utils.notebook.exercises.answers import (
    array,
    as_number,
    ask,
    close,
    named,
    number,
)
from squeeze_utils.notebook.exercises.exercise import Claims


def _loss(*probabilities: float) -> float:
    """Of the first class, by torch."""
    scores = torch.tensor([probabilities], dtype=torch.float64).log()
    return float(F.cross_entropy(scores, torch.tensor([0])))


def sure_and_wrong(answer: Any) -> Claims:
    given = named(answer, "half", "tenth", "thousandth", "images")
    for name, p in (("half", 0.5), ("tenth", 0.1), ("thousandth", 0.001)):
        right = _loss(p, 1 - p)
        mistakes = {
            -right: "a loss is not negative: take minus the logarithm.",
            right / math.log(2): "this is the logarithm to base 2. Take the natural one.",
            right / math.log(10): "this is the logarithm to base 10. Take the natural one.",
            1 - p: "this is the probability of the other classes.",
        }
        yield from number(name, given[name], right, mistakes, relative=5e-3)
    yield from number(
        "images",
        given["images"],
        _loss(0.001, 0.999) / _loss(0.99, 0.01),
        {0.99 / 0.001: "probabilities do not add up in the mean loss. Losses do."},
        relative=1e-2,
    )


def without_effect(answer: Any) -> Claims:
    given = named(answer, "gradient_sum", "change", "probabilities")
    one = "the probabilities add up to one. What does the target add up to?"
    yield from number("gradient_sum", given["gradient_sum"], 0, {1: one}, absolute=1e-6)
    yield from number("change", given["change"], 0, {7: "softmax divides it out."}, absolute=1e-6)
    z = torch.randn(4, 10, dtype=torch.float64)
    found = array(ask(given["probabilities"], (z - z[:, -1:])[:, :-1]), (4, 10), "probabilities")
    total = close(found.sum(1), torch.ones(4))
    yield "add up to one", total, "each row has to add up to one."
    last = "add the last score's difference from itself: it is zero, not e⁰ = 1."
    yield "last class", close(found[:, -1], z.softmax(1)[:, -1]), last
    yield "probabilities", close(found, z.softmax(1)), "they differ from the softmax of the scores."
    large = ask(given["probabilities"], torch.full((1, 9), 1000.0, dtype=torch.float64))
    finite = bool(torch.isfinite(torch.as_tensor(large)).all())
    yield "large scores", finite, "for differences of 1000 the exponential overflows: use softmax."


def reviving(answer: Any) -> Claims:
    options = {"num_classes": 10, "in_channels": 1, "norm": "batch", "width": 0.25}
    net = build("squeezenet_small", final_relu=True, **options)
    nn.init.constant_(net.classifier[1].bias, -100.0)
    x, y = torch.rand(20, 1, 16, 16), torch.arange(20) % 3

    def gradient(last: nn.Module) -> Tensor:
        return array(ask(answer, net, last, x, y), (10,), "the gradient")

    dead = "with a ReLU the network is dead: its gradient is zero."
    yield "ReLU", not gradient(nn.ReLU()).any(), dead
    found = gradient(nn.Identity())
    still = "with the identity it is still zero: is the last ReLU replaced before the forward pass?"
    yield "identity", bool(found.any()), still
    flat = "by exercise 2 its ten numbers add up to zero; these do not."
    yield "identity", abs(float(found.sum())) < 1e-4, flat
    for name, last in (("identity", nn.Identity()), ("leaky ReLU", nn.LeakyReLU(0.01))):
        found, right = gradient(last), _by_differences(net, last, x, y)
        summed = "take the mean loss over the batch, not the sum."
        yield name, not close(found[:3], len(y) * right, 0.05, 1e-6), summed
        off = "it is not the gradient of the mean loss with respect to these biases."
        yield name, close(found[:3], right, 0.05, 1e-6), off


def _by_differences(net: nn.Module, last: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient by the first three biases, from loss differences in float64."""
    net = copy.deepcopy(net).double()
    net.classifier[2] = last
    bias, slopes = net.classifier[1].bias, []
    with torch.no_grad():
        for k in range(3):
            losses = []
            for step in (1e-4, -2e-4):
                bias[k] += step
                losses.append(float(F.cross_entropy(net(x.double()), y)))
            bias[k] += 1e-4
            slopes.append((losses[0] - losses[1]) / 2e-4)
    return torch.tensor(slopes)


def digits_of_an_accuracy(answer: Any) -> Claims:
    given = named(answer, "standard_error", "images")
    function = given["standard_error"]
    found = as_number(ask(function, 90.0, 10_000), "standard_error(90, 10000)")
    # by the variance of draws: a sum of n coins has n times the variance of one
    one = float(torch.tensor([1.0] * 9 + [0.0]).std(correction=0))
    right = 100 * one / math.sqrt(10_000)  # in points
    mistakes = {
        right / 100: "this is a share. Give points, as the accuracy is in per cent.",
        right**2: "this is the variance. Take its square root.",
        right * 100: "it does not shrink with the number of images: divide by n below the root.",
        right * 1.96: "this is half of a 95 % interval. Give one standard error.",
    }
    yield from number("90 % of 10,000", found, right, mistakes, relative=1e-3)
    few = as_number(ask(function, 90.0, 100), "standard_error(90, 100)")
    yield "number of images", close(few, 10 * found, 1e-3), "1/100 of the images: 10 × the error."
    mirrored = as_number(ask(function, 10.0, 10_000), "standard_error(10, 10000)")
    yield "10 %", close(mirrored, found, 1e-3), "10 % and 90 % have the same error."
    mistakes = {20_000: "the square root: twice the images do not halve it."}
    yield from number("images", given["images"], 4 * 10_000, mistakes)
