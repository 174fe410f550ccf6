"""The properties of right answers in notebook 04: what the update rules feel."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.notebook.exercises.answers import (
    array,
    as_number,
    ask,
    close,
    items,
    named,
    number,
    same,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong
from squeeze_utils.training.optimizers import OPTIMIZERS, make_optimizer

SIX = {
    "gradient descent": "sgd",
    "momentum": "momentum",
    "Nesterov": "nesterov",
    "RMSprop": "rmsprop",
    "Adam": "adam",
    "Lion": "lion",
}


def late_noise(answer: Any) -> Claims:
    def ends(noise: float, steps: int) -> Tensor:
        return array(ask(answer, noise, steps), (2,), "theta")

    begin = ends(0.0, 0)
    yield "start", close(begin, [1.0, 0.0]), "after 0 steps theta has to be (1, 0)."
    quiet = ends(0.0, 3)
    summed = "without noise this is not gradient descent: is theta.grad set anew in every step?"
    yield "without noise", close(quiet, [(1 - 0.1) ** 3, 0.0]), summed
    noisy = ends(10.0, 3)
    felt = "the noise changes the path: add it to theta.grad after step(), not before."
    yield "with noise", close(noisy, quiet), felt
    yield "400 steps", abs(float(ends(10.0, 400)[1])) < 1e-12, "y has to stay 0."


def other_units(answer: Any) -> Claims:
    given = {str(name).lower() for name in items(answer)}
    unknown = sorted(given - set(OPTIMIZERS))
    if unknown:
        raise Wrong(f"There is no rule {unknown[0]!r}; the nine are {', '.join(OPTIMIZERS)}.")
    gradient = torch.randn(4, 4)
    kept = []
    for name in OPTIMIZERS:
        small, large = (_first_step(name, scale * gradient) for scale in (1, 1000))
        kept += [name] if close(small, large, 0.02, 1e-5) else []
    missing = "one more rule divides by the size of its gradient, or takes only its sign."
    extra = "{} takes longer steps if the gradient is longer."
    yield from same("rules", given, kept, missing, extra)


def _first_step(name: str, gradient: Tensor) -> Tensor:
    torch.default_generator.manual_seed(0)
    layer = nn.Linear(4, 4, bias=False)
    before, layer.weight.grad = layer.weight.detach().clone(), gradient
    make_optimizer(name, layer, lr=1e-3).step()
    return (layer.weight.detach() - before) / 1e-3


def turned_matrix(answer: Any) -> Claims:
    g, a, b = torch.randn(3, 5, 5, dtype=torch.float64)
    q, r = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    order, one = torch.eye(5, dtype=torch.float64)[torch.randperm(5)], torch.eye(5).double()

    def apart(rule: Any, left: Tensor, right: Tensor) -> float:
        return as_number(ask(answer, rule, g, left, right), "the difference")

    def shift(x: Tensor) -> Tensor:
        return x @ a

    def polar(x: Tensor) -> Tensor:
        u, _, vt = torch.linalg.svd(x)
        return u @ vt

    unturned = "with Q = R = 1 nothing is turned, so it has to be 0."
    yield "nothing turned", apart(torch.sign, one, one) < 1e-9, unturned
    apply = "turn the result of the rule as well: it is compared with Q rule(G) Rᵀ."
    yield "turns along", apart(polar, q, r) < 1e-9, apply
    both = "R has to turn as well: you find no difference for a rule that depends on R."
    yield "from the right", apart(shift, one, r) > 0.01, both
    left = "Q has to turn as well: you find no difference for a rule that depends on Q."
    yield "from the left", apart(lambda x: a @ x, q, one) > 0.01, left
    signs = "the sign of a matrix does not turn along: the difference is not 0."
    yield "the sign", apart(torch.sign, q, r) > 0.1, signs
    largest = float(apart(torch.sign, order, one))
    yield "another order", largest < 1e-9, "if Q only reorders rows, it has to be 0."


def turned_valley(answer: Any) -> Claims:
    given = named(answer, "feel_angle", "feel_kappa", "peak")
    truth: dict[str, list[str]] = {"feel_angle": [], "feel_kappa": []}
    for name, rule in SIX.items():
        straight, turned = (_walk(rule, 25, degrees) for degrees in (0, 45))
        steep = _walk(rule, 2500, 0)
        truth["feel_angle"] += [] if close(straight, turned, 1e-4) else [name]
        truth["feel_kappa"] += [] if close(straight, steep, 1e-4) else [name]
    said = {
        "feel_angle": "{} only adds and scales vectors: its path turns along.",
        "feel_kappa": "{} divides by the size of each coordinate, or takes its sign.",
    }
    for key, right in truth.items():
        names = {str(name) for name in items(given[key], what=key)}
        unknown = sorted(names - set(SIX))
        if unknown:
            raise Wrong(f"{key}: no rule {unknown[0]!r}; the six are {', '.join(SIX)}.")
        yield from same(key, names, right, "a rule is missing.", said[key])
    rho = (math.sqrt(2500) - 1) / (math.sqrt(2500) + 1)
    step = max(range(1, 200), key=lambda t: t * rho**t)
    mistakes = {40: "this is the end of the walk.", rho: "this is ρ."}
    yield from number("peak", given["peak"], step, mistakes, absolute=1)


def _walk(rule: str, kappa: float, degrees: float) -> Tensor:
    """Where a rule is after forty short steps, turned back, in float64."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    theta = nn.Parameter(turn @ torch.tensor([-3.87, 0.83], dtype=torch.float64))
    optimizer = OPTIMIZERS[rule]([{"params": [theta], "weight_decay": 0.0}], 2e-4)
    ends = torch.tensor([1.0, kappa], dtype=torch.float64)
    for _ in range(40):
        theta.grad = turn @ (ends * (turn.T @ theta.detach()))
        optimizer.step()
    return turn.T @ theta.detach()
