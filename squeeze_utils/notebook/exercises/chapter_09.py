"""The exercises of notebook 09; the last three are in `chapter_09_networks`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from squeeze_utils.models import build
from squeeze_utils.models.fire import Fire
from squeeze_utils.models.squeezenet import initialise
from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, named, number
from squeeze_utils.notebook.exercises.chapter_09_networks import (
    deep_and_normalised,
    several_at_once,
    statistics_of_the_batch,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise, Wrong


def _network(**options: Any) -> nn.Module:
    """A SqueezeNet 1.0 of shapes without contents."""
    with torch.device("meta"):
        try:
            return build("squeezenet1_0", **options)
        except (TypeError, ValueError) as error:
            raise Wrong(f"sq.build does not take these options: {error}") from None


def fifth_identity(answer: Any) -> Claims:
    given = named(answer, "options", "gained", "lost")
    options = given["options"]
    if not isinstance(options, dict) or "bypass" in options:
        raise Wrong("options is a dictionary for sq.build with the one number that you changed.")
    changed = _network(**options)
    adding = [i for i, fire in _network(bypass="simple", **options).fires().items() if _adds(fire)]
    few = f"{', '.join(f'fire{i}' for i in adding)} can add their input. There must be five."
    yield "five identities", len(adding) == 5, few
    plain = _network()
    first = answers.numbers_in(changed.features[0]) - answers.numbers_in(plain.features[0])
    right = answers.numbers_in(changed) - answers.numbers_in(plain)
    known = {
        first: "the squeeze layer of fire2 reads the new channels as well.",
        right - 32: "the new filters have biases.",
        right - first: "the first convolution has grown too.",
    }
    yield from number("gained", given["gained"], right, known)
    paths = [_bypass_parameters(_network(bypass="complex", **how)) for how in ({}, options)]
    right = paths[0] - paths[1]
    known = {
        right - 128: "the 1 × 1 convolution has biases too.",
        paths[1]: "this is what the complex bypass still costs. How many fewer are they?",
        paths[0]: "this is what the complex bypass cost before. How many fewer are they now?",
    }
    yield from number("lost", given["lost"], right, known)


def _bypass_parameters(network: nn.Module) -> int:
    bypasses = [fire.bypass for fire in network.fires().values() if fire.bypass is not None]
    return sum(map(answers.numbers_in, bypasses))


def _adds(fire: Fire) -> bool:
    return bool(fire.adds_input)


def megabytes(answer: Any) -> Claims:
    given = named(answer, "parameters", "megabytes", "explained")
    plain = _network()
    with torch.device("meta"):
        bypasses = [
            nn.Conv2d(fire.squeeze.in_channels, fire.out_channels, 1)
            for fire in plain.fires().values()
        ]
    added = sum(map(answers.numbers_in, bypasses))
    right = answers.numbers_in(plain) + added
    known = {
        answers.numbers_in(_network(bypass="complex")): "this has only the four that need one.",
        added: "these are the bypasses alone.",
        right - sum(conv.out_channels for conv in bypasses): "each bypass has biases.",
    }
    yield from number("parameters", given["parameters"], right, known)
    size = right * 4 / 2**20
    known = {
        right * 4 / 1e6: "these MB have 10⁶ bytes.",
        right / 2**20: "a parameter has four bytes.",
        added * 4 / 2**20: "these are the bypasses alone.",
    }
    yield from number("MB", given["megabytes"], size, known, relative=2e-3)
    explained = answers.yes_or_no(given["explained"], "explained")
    off = f"{size:.1f} MB is not the number that the paper gives."
    yield "explained", explained == (abs(size - 7.7) < 0.1), off


def _stack(depth: int, bypass: str = "simple") -> nn.Sequential:
    fires = [Fire(32, 8, 16, 16, bypass=bypass) for _ in range(depth)]
    model = nn.Sequential(*fires)
    initialise(model, last=None)
    return model


def without_normalisation(answer: Any) -> Claims:
    given = named(answer, "factor", "limit", "scale")
    for depth in (10, 1, 4, 40):
        found = as_number(ask(given["factor"], depth), f"factor({depth})")
        squared = math.exp(depth * math.log1p(1 / depth))
        length = "this is the factor of the squared length."
        yield "factor", not close(found, squared), length
        full = "this is the factor without scaling: ρ² is 1/L now, not 1."
        yield "factor", depth == 1 or not close(found, 2 ** (depth / 2)), full
        root = "this takes ρ for 1/L. The branch is multiplied by 1/√L, so ρ² is 1/L."
        wrong = (1 + depth**-2) ** (depth / 2)
        yield "factor", depth == 1 or not close(found, wrong), root
        yield "factor", close(found, squared**0.5, 1e-4), f"factor({depth}) gives {found:.3f}."
    known = {
        math.e: "the exponent is L/2, not L.",
        1.0: "every factor tends to 1, but there are more and more of them.",
    }
    right = math.exp(0.5)
    yield from number("limit", given["limit"], right, known, "the factor tends elsewhere.", 2e-3)
    for depth in (4, 9):
        model, x = _stack(depth), torch.rand(2, 32, 6, 6)
        scaled = ask(given["scale"], model)
        if not isinstance(scaled, nn.Sequential) or len(scaled) != depth:
            raise Wrong("scale returns the stack, an nn.Sequential of as many Fire modules.")
        with torch.no_grad():
            before = [fire(x) - x for fire in model]
            after = [fire(x) - x for fire in scaled]
        ratio = float(torch.stack(after).norm() / torch.stack(before).norm())
        twice = f"with L = {depth} the branch becomes L times smaller, not √L times."
        yield "branches", abs(ratio * depth - 1) > 1e-3, twice
        size = f"with L = {depth} the branches become {ratio:.3f} times as large."
        yield "branches", abs(ratio * depth**0.5 - 1) < 1e-3, size
        alike = all(
            close(a * depth**0.5, b, 1e-3, 1e-4) for a, b in zip(after, before, strict=True)
        )
        yield "branches", alike, "every branch has to be scaled, in all of its channels."


def more_than_predicted(answer: Any) -> Claims:
    given = named(answer, "jvp", "cosine")
    A = torch.randn(5, 5)
    x, v = torch.randn(5), torch.randn(5)

    def curved(z: torch.Tensor) -> torch.Tensor:
        return A @ z + z.square()

    found = array(ask(given["jvp"], curved, x, v), (5,), "jvp")
    back = (A.T @ v + 2 * x * v).double()
    yield "J v", not close(found, back, 1e-3), "this is Jᵀ v, which goes backwards."
    value = "this is the function, not its derivative."
    yield "J v", not close(found, curved(x), 1e-3), value
    step = 1e-3
    slope = curved(x + step * v) - curved(x - step * v)
    yield "J v", close(found, slope / (2 * step), 1e-2, 1e-2), "a difference quotient differs."
    cosines = []
    for _ in range(6):
        maps = torch.randn(8, 32, 8, 8).relu()
        with torch.no_grad():
            output = _stack(1, "none")[0](maps)
        cosines.append(float(nn.functional.cosine_similarity(maps.flatten(), output.flatten(), 0)))
    middle = sum(cosines) / len(cosines)
    found = as_number(given["cosine"], "cosine")
    yield "cosine", abs(found) <= 1, "a cosine lies between −1 and 1."
    sign = "x and J x = f(x) have no negative entries, so the cosine is not negative."
    yield "cosine", found >= 0, sign
    half = "this holds for entries that are all positive. Here half of them are zero."
    yield "cosine", abs(found - 2 / math.pi) > 0.02, half
    off = f"{found:.2f} is not what a Fire module with Kaiming's start gives."
    yield "cosine", abs(found - middle) < max(0.06, 3 * (max(cosines) - min(cosines))), off


EXERCISES = {
    1: Exercise(
        "A fifth identity",
        fifth_identity,
        "A module adds its input if as many channels enter as leave. fire2 puts out 128; which "
        "option of sq.build sets the channels of conv1?",
    ),
    2: Exercise(
        "Where do 7.7 MB come from?",
        megabytes,
        "The channels between the modules are 96, 128, 128, 256, 256, 384, 384, 512, 512: eight "
        "pairs. Each adds c_in · c_out + c_out to the plain network.",
    ),
    3: Exercise(
        "Bypass without normalisation",
        without_normalisation,
        "(1 + ρ²)^(L/2) with ρ² = 1/L. For the stack divide expand1x1.weight and expand3x3.weight "
        "of each module by √L, inside torch.no_grad().",
    ),
    4: Exercise(
        "Why more than predicted?",
        more_than_predicted,
        "torch.autograd.functional.jvp(f, x, v) returns two things; the second is J v. The "
        "cosine is (x * Jx).sum() / (x.norm() * Jx.norm()).",
    ),
    5: Exercise(
        "Two, three, four at once",
        several_at_once,
        "for k in range(len(names) + 1): the mean of accuracy_of(*subset) over "
        "combinations(names, k).",
    ),
    6: Exercise(
        "Statistics of the batch",
        statistics_of_the_batch,
        "In evaluation a BatchNorm2d uses the statistics that it holds. Which attributes are "
        "these, and what does PyTorch do where a layer holds none? Work on a copy.",
    ),
    7: Exercise(
        "Deep and normalised",
        deep_and_normalised,
        "A 3 × 3 convolution to 32 channels, the stack, an average pool and a linear layer in an "
        "nn.Sequential; sq.fit(...)[-1]['validation_accuracy']. The lead in points times the "
        "number of validation images / 100 is the lead in images.",
    ),
}
