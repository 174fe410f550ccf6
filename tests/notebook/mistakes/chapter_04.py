"""Two typical mistakes for each exercise of notebook 04, and what the check has to say."""

from __future__ import annotations

import math

import numpy as np
import torch


def walk(noise, steps, when="after", assign=True):
    theta = torch.nn.Parameter(torch.tensor([1.0, 0.0], dtype=torch.float64))
    theta.grad = torch.zeros_like(theta)
    optimizer = torch.optim.SGD([theta], lr=0.1)
    for _ in range(steps):
        x, y = theta.detach()
        gradient = torch.stack([x, y**3 - y])
        theta.grad = gradient if assign else theta.grad + gradient
        if when == "before":
            theta.grad += noise * torch.randn(2)
        optimizer.step()
        theta.grad += noise * torch.randn(2)
    return theta.detach()


AREAS = {"one_cycle": 3.5, "restarts": 3.5, "with_floor": 3.85}


def roots(mu, ends):
    found = [np.roots([1, -(1 + mu - 4 / 121 * h), mu]) for h in ends]
    return abs(np.concatenate(found)).max()


def distance(kappa, steps, nesterov=True, lr=None):
    root = math.sqrt(3 * kappa + 1)
    lr, mu = lr or 4 / (3 * kappa + 1), (root - 2) / (root + 2)
    theta, v, ends = np.ones(2), np.zeros(2), np.array([1.0, kappa])
    for _ in range(steps):
        v = mu * v + ends * theta
        theta = theta - lr * (ends * theta + mu * v if nesterov else v)
    return np.linalg.norm(theta)


def apart(rule, g, q, r, turn_back=True):
    other = q @ rule(g) @ r.T if turn_back else rule(g)
    return (rule(q @ g @ r.T) - other).abs().max()


def left_only(rule, g, q, r):
    return (rule(q @ g) - q @ rule(g)).abs().max()


SHARES = {"sgd": 0.73, "momentum": 0.39, "adam": 0.0, "adamw": 0.73, "lion": 0.91, "muon": 0.04}
VALLEY = {
    "feel_angle": ["RMSprop", "Adam", "Lion"],
    "feel_kappa": ["gradient descent", "momentum", "Nesterov"],
    "peak": 25,
}

MISTAKES = {
    1: [
        (lambda noise, steps: walk(noise, steps, when="before"), "not before"),
        (lambda noise, steps: walk(noise, steps, assign=False), "set anew in every step"),
    ],
    2: [
        (["rmsprop", "adam", "adamw", "lion"], "one more rule"),
        (["rmsprop", "adam", "adamw", "lion", "muon", "momentum"], "momentum takes longer steps"),
        (["RMSprop", "Adagrad"], "no rule 'adagrad'"),
    ],
    3: [
        (AREAS | {"restarts": 0.5}, "this is the mean"),
        (AREAS | {"with_floor": 4.2}, "the floor does not lift it"),
    ],
    4: [
        (math.sqrt, "√µ is not the rate then"),
        (lambda mu: roots(mu, [1]), "the larger root of both ends"),
    ],
    5: [
        (lambda kappa, steps: distance(kappa, steps, nesterov=False), "the heavy ball"),
        (lambda kappa, steps: distance(kappa, steps, lr=1 / kappa), "the given µ with η = 1/L"),
    ],
    6: [
        (lambda rule, g, q, r: apart(rule, g, q, r, turn_back=False), "compared with Q rule(G) Rᵀ"),
        (left_only, "R has to turn as well"),
    ],
    7: [
        (SHARES | {"momentum": 0.73}, "acts again"),
        (SHARES | {"adam": 0.73}, "divides it by its own size"),
        (SHARES | {"lion": 0.09}, "the share that stays"),
        (SHARES | {"sgd": 0.535}, "the peak rate in every step"),
    ],
    8: [
        (VALLEY | {"feel_angle": ["RMSprop", "Adam", "Lion", "momentum"]}, "its path turns along"),
        (VALLEY | {"feel_kappa": ["gradient descent", "Nesterov"]}, "a rule is missing"),
        (VALLEY | {"peak": 40}, "the end of the walk"),
    ],
}
