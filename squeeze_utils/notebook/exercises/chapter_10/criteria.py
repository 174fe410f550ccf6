"""The properties of right answers in notebook 10: which weights a criterion takes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from squeeze_utils.notebook.exercises.answers import (
    array,
    as_number,
    ask,
    close,
    items,
    named,
    same,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong

CRITERIA = ("global magnitude", "layer magnitude", "gradient times weight")


def _net(inputs: int, hidden: int, classes: int) -> nn.Sequential:
    layers = (nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))
    return nn.Sequential(*layers).double()


def where_magnitude_errs(answer: Any) -> Claims:
    given = named(answer, "rescaled", "changed")
    net, x, y = _net(16, 32, 10), torch.randn(64, 16).double(), torch.arange(64) % 10
    found = ask(given["rescaled"], net, 10.0)
    if not isinstance(found, nn.Module):
        raise Wrong("rescaled has to return the network.")
    larger = close(found[0].weight.detach(), 10 * net[0].weight.detach())
    yield "first layer", larger, "its weights have to be ten times as large."
    bias = close(found[0].bias.detach(), net[0].bias.detach())
    yield "bias", not bias, "the bias of the first layer has to grow as well."
    last = close(found[2].bias.detach(), net[2].bias.detach())
    yield "bias", last, "the bias of the second layer stays: its inputs are as before."
    same_ = close(found(x).detach(), net(x).detach())
    yield "same outputs", same_, "the network computes something else."
    kept = [_kept(each, x, y) for each in (net, found)]
    truth = [name for name in CRITERIA if not torch.equal(kept[0][name], kept[1][name])]
    chosen = {str(name) for name in items(given["changed"], what="changed")}
    unknown = sorted(chosen - set(CRITERIA))
    if unknown:
        raise Wrong(f"changed: no criterion {unknown[0]!r}; there are {', '.join(CRITERIA)}.")
    extra = "{} chooses the same weights as before."
    yield from same("changed", chosen, truth, "one criterion is missing.", extra)


def _kept(net: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Which half of all weights each criterion keeps."""
    weights = [net[0].weight, net[2].weight]
    slopes = torch.autograd.grad(F.cross_entropy(net(x), y), weights)
    sizes = [w.detach().abs().flatten() for w in weights]
    products = [(w.detach() * g).abs().flatten() for w, g in zip(weights, slopes, strict=True)]
    whole, both = torch.cat(sizes), torch.cat(products)
    return {
        "global magnitude": whole > whole.median(),
        "layer magnitude": torch.cat([s > s.median() for s in sizes]),
        "gradient times weight": both > both.median(),
    }


def brain_damage(answer: Any) -> Claims:
    net, x, y = _net(6, 5, 3), torch.randn(12, 6).double(), torch.arange(12) % 3
    w = net[0].weight.detach()
    found = array(ask(answer, net, x, y), tuple(w.shape), "the scores")
    yield "not negative", bool((found >= 0).all()), "a score is ½ h w², and never below zero."
    slopes = []
    for image, label in zip(x, y, strict=True):
        loss = F.cross_entropy(net(image[None]), label[None])
        slopes.append(torch.autograd.grad(loss, net[0].weight)[0])
    slopes = torch.stack(slopes)

    def alike(scores: Tensor) -> bool:
        """Up to a factor, which changes no order."""
        return close(found / found.sum(), scores / scores.sum(), 1e-4, 1e-9)

    yield "curvature", not alike(w.abs()) and not alike(w**2), "this is the size of the weights."
    batch = "this squares the mean gradient. Square the gradient of each image, then average."
    yield "curvature", not alike(slopes.mean(0) ** 2 * w**2), batch
    bare = "this is h alone: multiply by w²."
    yield "size", not alike((slopes**2).mean(0)), bare
    yield "scores", alike((slopes**2 * w**2).sum(0)), "they are not in proportion to h w²."


def taylor(answer: Any) -> Claims:
    mixed = torch.randn(4, 4, dtype=torch.float64)
    slope, curve = torch.randn(4, dtype=torch.float64), mixed @ mixed.T

    def loss(w: Tensor) -> Tensor:
        return slope @ w + 0.5 * w @ curve @ w

    w = torch.randn(4, dtype=torch.float64)
    for q in (0, 2):
        parts = items(ask(answer, loss, w.requires_grad_(), q), 2, "the answer of predicted")
        first, second = (as_number(part, "a prediction") for part in parts)
        without = w.detach().clone()
        without[q] = 0
        with torch.no_grad():
            true, slope_q = float(loss(without) - loss(w)), float((slope + curve @ w)[q] * w[q])
        sign = "the weight goes from w_q to 0, so the step is −w_q."
        yield "first order", not close(first, slope_q), sign
        yield "first order", close(first, -slope_q), "it is not −g_q w_q."
        half = "half of the curvature counts: ½ H w²."
        yield "second order", not close(second - first, 2 * (true - first)), half
        row = float((curve @ w.detach())[q] * w.detach()[q])
        whole = "only the entry H_qq counts, not the whole row: no other weight moves."
        yield "second order", not close(second - first, row / 2, 1e-6), whole
        exact = "on a quadratic loss the second order is exact, and this is not."
        yield "second order", close(second, true), exact
