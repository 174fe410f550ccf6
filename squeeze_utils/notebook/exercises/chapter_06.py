"""The exercises of notebook 06, activations; the last four are in `chapter_06_networks`."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from scipy import integrate, optimize, stats
from torch import nn

from squeeze_utils.models.layers import ACTIVATIONS, FUNCTIONS
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, named, number, same
from squeeze_utils.notebook.exercises.chapter_06_networks import (
    killing_units,
    linear_squeeze,
    own_function,
    what_max_pooling_does,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise


def leaky_gain(answer: Any) -> Claims:
    given = named(answer, "gain", "no_gain")
    u = torch.randn(5000, dtype=torch.float64)
    u = torch.cat((u, -u)) / u.square().mean().sqrt()  # symmetric, with mean square 1

    def after(alpha: float) -> float:
        """The mean square behind the function and the gain: 1 if the gain is right."""
        g = as_number(ask(given["gain"], alpha), "gain")
        return g**2 * float(nn.functional.leaky_relu(u, alpha).square().mean())

    root = "this is the square of the gain."
    yield "ReLU", not close(after(0.0), 2), root
    yield "ReLU", close(after(0.0), 1), f"for α = 0 the mean square becomes {after(0.0):.3f}."
    slope = "the slope α enters the mean square as α²."
    yield "leaky", not close(after(0.25), (1 + 0.25**2) / (1 + 0.25)), slope
    for alpha in (0.1, 0.25, 0.5, 1.0, 3.0):
        value = after(alpha)
        yield "leaky", close(value, 1), f"for α = {alpha:g} the mean square becomes {value:.3f}."
    alpha = as_number(given["no_gain"], "no_gain")
    kept = float(nn.functional.leaky_relu(u, alpha).square().mean())
    half = "ReLU loses half of the mean square, so it needs a gain."
    yield "no gain", alpha != 0, half
    yield "no gain", close(kept, 1), f"α = {alpha:g} leaves {kept:.3f} of the mean square."


def at_the_kink(answer: Any) -> Claims:
    places = {"relu": 0.0, "leaky_relu": 0.0, "elu": 0.0, "hardswish_low": -3.0}
    places |= {"hardswish_high": 3.0}
    given = named(answer, *places, "numbers_that_move")
    for case, place in places.items():
        name = case.split("_low")[0].split("_high")[0]
        z = torch.tensor(place, requires_grad=True)
        FUNCTIONS[name](z).backward()
        right, step = float(z.grad), 1e-3
        near = [FUNCTIONS[name](torch.tensor(place + d)) for d in (-step, 0.0, step)]
        sides = [float(b - a) / step for a, b in itertools.pairwise(near)]
        found = as_number(given[case], case)
        no_kink = "ELU has no kink: both sides have the same slope at 0."
        yield case, case != "elu" or abs(found - 1) < 0.01, no_kink
        between = "PyTorch does not take the mean of the two slopes. Ask autograd."
        yield case, close(found, right, 1e-3) or abs(found - sum(sides) / 2) > 0.02, between
        other = f"autograd says something else than {found:g}; both sides are possible at a kink."
        yield case, close(found, right, 1e-3, 1e-3), other
    hidden, last = nn.Linear(4, 8), nn.Linear(8, 3)
    net = nn.Sequential(hidden, nn.ReLU(), last)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    nn.functional.cross_entropy(net(torch.rand(5, 4)), torch.tensor([0, 0, 1, 0, 2])).backward()
    moving = sum(int((p.grad != 0).sum()) for p in net.parameters())
    known = {
        0: "the gradient of one tensor is not multiplied by a zero.",
        3 + 24: "the last weights see only zeros: their gradient is zero too.",
        3 + 24 + 8: "a hidden bias gets its gradient through weights that are zero.",
    }
    yield from number("numbers that move", given["numbers_that_move"], moving, known)


def _slopes(name: str) -> tuple[Any, Any]:
    """The function and its derivative, of a number."""

    def value(u: float) -> float:
        return float(FUNCTIONS[name](torch.tensor(u, dtype=torch.float64)))

    def slope(u: float) -> float:
        z = torch.tensor(u, dtype=torch.float64, requires_grad=True)
        return float(torch.autograd.grad(FUNCTIONS[name](z), z)[0])

    return value, slope


def stein(answer: Any) -> Claims:
    given = named(answer, "covered", "inside", "spikes")
    u = torch.linspace(-4, 4, 801, dtype=torch.float64)  # is f(z) = z f'(z)?
    covered = []
    for name in ACTIVATIONS:
        z = u.clone().requires_grad_()
        (slope,) = torch.autograd.grad(FUNCTIONS[name](z).sum(), z)
        if close(FUNCTIONS[name](u), u * slope, 1e-5):
            covered.append(name)
    missing = "one more function is straight on both sides of 0 and is 0 there."
    extra = "{} is curved somewhere, or its slope jumps where f is not 0."
    yield from same("covered", given["covered"], covered, missing, extra)
    f, slope = _slopes("hardswish")
    density = stats.norm.pdf

    def mean(what: Any) -> float:
        return integrate.quad(what, -9, 9, points=(-3, 3), limit=200)[0]

    signal = mean(lambda v: v * f(v) * slope(v) * density(v))
    difference = signal - mean(lambda v: slope(v) ** 2 * density(v))
    bend = (slope(0.5) - slope(-0.5)) / 1.0  # the second derivative, the same between the kinks
    smooth = bend * integrate.quad(lambda v: f(v) * density(v), -3, 3)[0]
    whole = bend * mean(lambda v: f(v) * density(v))
    yield from number(
        "between the kinks",
        given["inside"],
        smooth,
        {
            whole: "beyond ±3 hard-swish is straight: f″ is zero there.",
            difference: "this is the whole difference. The spikes at the kinks are a part of it.",
        },
        relative=0.01,
    )
    yield from number(
        "spikes",
        given["spikes"],
        difference - smooth,
        {
            0.0: "at 3 the slope jumps, and f is not 0 there.",
            smooth - difference: "the slope jumps down at 3.",
            -1.5: "weigh the jump with the density of u at 3.",
            -0.5 * density(3): "the jump of the slope is multiplied by f, which is 3 there.",
        },
        relative=0.01,
    )


def where_it_settles(answer: Any) -> Claims:
    given = named(answer, "q", "s")

    def rule(q: float, g2: float = 2.0) -> float:
        def inside(v: float) -> float:
            return math.tanh(math.sqrt(q) * v) ** 2 * stats.norm.pdf(v)

        return g2 * integrate.quad(inside, -10, 10)[0]

    def steepness(q: float) -> float:
        return (rule(q + 1e-3) - rule(q - 1e-3)) / 2e-3

    q = optimize.brentq(lambda q: rule(q) - q, 0.1, 3)
    found = as_number(given["q"], "q")
    zero = "0 is a fixed point too, but nothing goes there: a small q doubles in a layer."
    yield "fixed point", found > 1e-3, zero
    start = "this is one step from q = 1. Go on until it stays."
    yield "fixed point", not close(found, rule(1.0), 1e-3), start
    moves = f"the rule makes {found:.4f} into {rule(found):.4f}, so this q does not stay."
    yield "fixed point", abs(rule(found) - found) < 5e-3, moves
    derivative = integrate.quad(
        lambda v: (1 - math.tanh(math.sqrt(q) * v) ** 2) ** 2 * stats.norm.pdf(v), -10, 10
    )[0]
    yield from number(
        "s there",
        given["s"],
        steepness(q),
        {
            steepness(1.0): "this is the steepness at q = 1. Take it at the fixed point.",
            2 * derivative: "this is χ, for the gradient.",
            steepness(q) / 2: "the gain belongs to the rule: g² = 2.",
        },
        relative=0.02,
    )


EXERCISES = {
    1: Exercise(
        "Leaky gain",
        leaky_gain,
        "g² (1 + α²) / 2 = 1. With which α does a leaky ReLU not change the length of any vector?",
    ),
    2: Exercise(
        "At the kink",
        at_the_kink,
        "z = torch.tensor(0.0, requires_grad=True); FUNCTIONS['relu'](z).backward(); z.grad. For "
        "the network write out the gradient of each of the four tensors, from the last one back.",
    ),
    3: Exercise(
        "Stein's lemma",
        stein,
        "Between the kinks f″ = 1/3. At a kink f″ is a spike as high as the jump of f′, and its "
        "part of E[f f″] is the jump times f times the density of u there.",
    ),
    4: Exercise(
        "Where the signal settles",
        where_it_settles,
        "rule(q) = 2 E[tanh(√q u)²]. Apply it two hundred times, beginning at 1; then "
        "(rule(q + h) − rule(q − h)) / 2h.",
    ),
    5: Exercise(
        "What max pooling does",
        what_max_pooling_does,
        "z.relu().amax(1).square().mean() / z.relu().square().mean(), with z = √c · common + "
        "√(1 − c) · own. Try values of c until the factor is 2.",
    ),
    6: Exercise(
        "Killing units",
        killing_units,
        "pd.DataFrame(layer_statistics(net, x, labels))['dead_percent'].mean() after the training, "
        "with the first 256 training images, normalised.",
    ),
    7: Exercise(
        "A function of your own",
        own_function,
        "α = −E[u⁺] / E[(eᵘ − 1) for u < 0]. Then λ is 1 over the root of E[(f / λ)²]. χ is "
        "E[f′²], s is E[u f f′].",
    ),
    8: Exercise(
        "Linear squeeze",
        linear_squeeze,
        "einsum: the merged weights are the sum over the squeeze channels s of "
        "expand[k, s, u, v] · squeeze[s, c].",
    ),
}
