"""The properties of right answers in notebook 04: rates, schedules and decay."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base.scale import Scale
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, named, number
from squeeze_utils.notebook.exercises.exercise import Claims
from squeeze_utils.training.optimizers import make_optimizer, make_schedule, set_lr

RULES = ("sgd", "momentum", "adam", "adamw", "lion", "muon")


def equal_areas(answer: Any) -> Claims:
    given = named(answer, "one_cycle", "restarts", "with_floor")
    places = [(step + 0.5) / 7000 for step in range(7000)]
    one, cosines = make_schedule("one_cycle"), make_schedule("restarts", (1, 2, 4), 7)
    sums = {
        "one_cycle": sum(map(one, places)) / 1000,
        "restarts": sum(map(cosines, places)) / 1000,
        "with_floor": sum(max(0.0, 0.1 + 0.9 * cosines(t)) for t in places) / 1000,
    }
    for name, right in sums.items():
        mistakes = {
            right / 7: "this is the mean. Add up the factors of all seven epochs.",
            7: "this would be a constant rate.",
        }
        if name == "with_floor":
            mistakes[sums["restarts"] + 0.7] = "the peak stays 1: the floor does not lift it."
            mistakes[sums["restarts"]] = "this is without the floor."
        yield from number(name, given[name], right, mistakes, relative=2e-3)


def wrong_momentum(answer: Any) -> Claims:
    def right(mu: float) -> float:
        """The spectral radius of one step on (theta, velocity), the worse of both ends."""
        eta, radius = 4 / 121, 0.0
        for h in (1.0, 100.0):
            step = torch.tensor([[1 - eta * h, -eta * mu], [h, mu]], dtype=torch.float64)
            radius = max(radius, float(torch.linalg.eigvals(step).abs().max()))
        return radius

    for mu in (0.9, 0.75, 0.6, 0.5):
        found = as_number(ask(answer, mu), f"rho({mu:g})")
        root = "for too small a momentum some roots are real: √µ is not the rate then."
        complex_ = close(right(mu), math.sqrt(mu), 1e-6)
        yield f"µ = {mu:g}", complex_ or not close(found, math.sqrt(mu), 1e-3), root
        modulus = "a complex root has the absolute value √µ, and this holds for both ends here."
        worse = "the larger root of both ends counts, h = 1 and h = 100."
        said = modulus if complex_ else worse
        yield f"µ = {mu:g}", close(found, right(mu), 5e-3), f"{found:.3f}: {said}"


def faster_nesterov(answer: Any) -> Claims:
    for kappa in (10.0, 100.0):
        given = as_number(ask(answer, kappa, 0), "the distance after 0 steps")
        yield "start", close(given, math.sqrt(2)), "at the start (1, 1) it is √2."
        found = as_number(ask(answer, kappa, 25), "the distance after 25 steps")
        root, usual = math.sqrt(3 * kappa + 1), math.sqrt(kappa)
        rate, mu = 4 / (3 * kappa + 1), (root - 2) / (root + 2)
        known = {
            "the heavy ball: Nesterov adds the gradient and µ times the velocity": (
                {"lr": rate, "momentum": mu}
            ),
            "the usual η = 1/L and its µ": (
                {"lr": 1 / kappa, "momentum": (usual - 1) / (usual + 1), "nesterov": True}
            ),
            "the given µ with η = 1/L": {"lr": 1 / kappa, "momentum": mu, "nesterov": True},
            "η = 4/(L + 3ℓ): the three belongs to L": (
                {"lr": 4 / (kappa + 3), "momentum": mu, "nesterov": True}
            ),
        }
        for name, how in known.items():
            yield "rate", not close(found, _descend(kappa, how), 1e-3, 0), f"this is {name}."
        right = _descend(kappa, {"lr": rate, "momentum": mu, "nesterov": True})
        yield "rate", close(found, right, 1e-3, 0), f"for κ = {kappa:g} it is {found:.2e}."


def _descend(kappa: float, how: dict[str, Any]) -> float:
    """The distance from the minimum after 25 steps of torch's SGD; infinite if it is lost."""
    theta = nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = torch.optim.SGD([theta], **how)
    ends = torch.tensor([1.0, kappa], dtype=torch.float64)
    for _ in range(25):
        theta.grad = ends * theta.detach()
        optimizer.step()
    return float(theta.detach().norm())


def decay(answer: Any) -> Claims:
    given = named(answer, *RULES)
    shares = {name: as_number(given[name], name) for name in RULES}
    for name in RULES:
        found, right = shares[name], _share(name)
        said = f"{found:.3g} is not what is left after all steps of the schedule."
        if close(found, _share(name, constant=True), 0.01, 0.005):
            said = "this is the peak rate in every step. The schedule lowers it."
        if name == "momentum" and close(found, _share("sgd"), 0.03):
            said = "a pull stays in the velocity and acts again: its effect is 1 / (1 − µ) times."
        if name == "adam" and found > 0.1:
            said = "λθ is the only gradient here, and Adam divides it by its own size."
        if close(found, 1 - right, 0.02) and not close(right, 0.5, 0.1):
            said = "this is the share that goes. Give the share that stays."
        yield name, abs(found - right) <= 0.02, said


@cache
def _share(name: str, constant: bool = False) -> float:
    """By running the optimizer itself on one weight without a gradient, through the schedule."""
    from squeeze_utils.results.named_study import study

    arms = study("optimizers").at(Scale("reference")).arms
    arm = next(arm for arm in arms if dict(arm.labels)["optimizer"] == name)
    plan = arm.experiment.recipe[0]
    steps = plan.epochs * (arm.experiment.data.train_limit // plan.batch_size)
    factor = make_schedule("constant" if constant else plan.schedule)
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    optimizer = make_optimizer(plan.optimizer, layer, plan.lr, plan.weight_decay)
    for step in range(steps):
        set_lr(optimizer.param_groups, plan.lr * factor((step + 0.5) / steps))
        layer.weight.grad = torch.zeros(1, 1)
        optimizer.step()
    return _size(layer.weight)


def _size(weight: Tensor) -> float:
    return abs(weight.item())
