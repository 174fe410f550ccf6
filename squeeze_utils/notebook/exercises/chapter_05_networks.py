"""The last four exercises of notebook 05: trained filters, equal weights, seeds, small maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats

from squeeze_utils.base.paths import STARTING_NETWORK
from squeeze_utils.data.sets import load_images
from squeeze_utils.models import build
from squeeze_utils.models.checkpoint_files import load_model
from squeeze_utils.models.fire import Fire
from squeeze_utils.notebook.exercises.answers import (
    array,
    as_number,
    ask,
    close,
    items,
    named,
    number,
    numbers_in,
)
from squeeze_utils.notebook.exercises.exercise import Claims
from squeeze_utils.results.named_study import study


def _strongest(matrix: torch.Tensor) -> float:
    """Share of the largest eigenvalue of MᵀM."""
    values = torch.linalg.eigvalsh(matrix.T.double() @ matrix.double())
    return float(values[-1] / values.sum())


def nearly_separable(answer: Any) -> Claims:
    given = named(answer, "first_share", "trained")
    patterns = torch.randn(3, 9)
    rank1 = torch.einsum("oc,ct->oct", torch.randn(6, 3), patterns).unflatten(2, (3, 3))
    found = as_number(ask(given["first_share"], rank1), "first_share")
    across = "for a separable layer it is 1. Do you take the weights of one input channel?"
    yield "separable layer", close(found, 1, 1e-4), across
    for outputs, inputs in ((12, 5), (5, 12)):
        weight = torch.randn(outputs, inputs, 3, 3)
        share = as_number(ask(given["first_share"], weight), "first_share")
        matrices = [weight[:, c].flatten(1) for c in range(inputs)]
        roots = [torch.linalg.svdvals(matrix) for matrix in matrices]
        unsquared = sum(float(s[0] / s.sum()) for s in roots) / inputs
        energy = "this adds up singular values. The energy is the sum of their squares."
        yield "random layer", not close(share, unsquared, 1e-4), energy
        right = sum(map(_strongest, matrices)) / inputs
        yield "random layer", close(share, right, 1e-3), "for random weights it differs."
    network, _ = load_model(STARTING_NETWORK)
    layers = [fire.expand3x3.weight.detach() for fire in network.fires().values()]
    listed = items(given["trained"], len(layers), "trained")
    for place, (one, weight) in enumerate(zip(listed, layers, strict=True), 2):
        parts = [_strongest(weight[:, c].flatten(1)) for c in range(weight.shape[1])]
        right = sum(parts) / len(parts)
        yield from number(
            "checkpoint", one, right, {100 * right: "give shares, not per cent."},
            f"the share of fire{place} is another one.", 0.01, 0.006,
        )  # fmt: skip


def spent_differently(answer: Any) -> Claims:
    given = named(answer, "share", "accuracies")

    def weights(ratio: float, share: float) -> int:
        e3 = round(96 * share)
        return numbers_in(Fire(96, round(96 * ratio), 96 - e3, e3), 2)

    wanted = weights(1 / 2, 1 / 2)
    for ratio in (1.0, 1 / 3, 1 / 2):
        p = as_number(ask(given["share"], ratio), "share")
        yield "a share", 0 <= p <= 1, f"for ρ = {ratio:.2f}, {p:g} is no share of the filters."
        found = weights(ratio, p)
        more = f"for ρ = {ratio:.2f} the module has {found / wanted:.2f} times the weights."
        yield "the same weights", abs(found / wanted - 1) < 0.01, more
    count = len(load_images("digits", size=16, train_limit=800).validation)
    for place, one in enumerate(items(given["accuracies"], 3, "accuracies"), 1):
        percent = as_number(one, f"accuracy {place}")
        images = percent * count / 100
        yield "per cent", percent > 1, "give the accuracies in per cent."
        whole = f"{percent:g} % of {count} validation images is no whole number of images."
        yield "validation images", abs(images - round(images)) < 0.08, whole
        low = f"{percent:.0f} % is far below what these networks learn in three epochs."
        yield "plausible", 50 <= percent <= 100, low


def how_many_seeds(answer: Any) -> Claims:
    given = named(answer, "half_width", "needed", "covered", "sigma")

    def trust(n: int, half: float) -> float:
        """The probability that an interval of this half-width holds the truth."""
        return 1 - 2 * float(stats.t.sf(half / np.sqrt(2 / n), 2 * n - 2))

    known = {
        float(stats.norm.isf(0.025)) / np.sqrt(2): "this is the normal quantile. σ is estimated, "
        "so take Student's.",
        float(stats.t.isf(0.05, 6)) / np.sqrt(2): "this is the quantile at 0.95, not 0.975.",
        float(stats.t.isf(0.025, 3)) / np.sqrt(2): "two arms have 2 n − 2 degrees of freedom.",
        float(stats.t.isf(0.025, 6)) / 2: "both means deviate: √(2 / n), not √(1 / n).",
    }
    found = as_number(ask(given["half_width"], 4), "half_width(4)")
    for wrong, said in known.items():
        yield "half-width", not close(found, wrong, 2e-3), said
    for n in (3, 2, 5, 40):
        held = trust(n, as_number(ask(given["half_width"], n), "half_width"))
        loose = f"for n = {n} it contains the truth with probability {held:.1%}, not 95%."
        yield "half-width", abs(held - 0.95) < 1e-3, loose
    for target, least in zip((1.0, 0.5, 0.2), items(given["needed"], 3, "needed"), strict=True):
        n = as_number(least, "needed")
        yield "needed", n == int(n) and n > 1, f"{n:g}: give a whole number, 2 or more."
        enough, fewer = trust(int(n), target), trust(int(n) - 1, target) if n > 2 else 0
        yield "needed", enough > 0.95, f"{n:g} networks an arm are too few for {target:g} σ."
        yield "needed", fewer <= 0.95, f"fewer than {n:g} suffice for {target:g} σ."
    covered = as_number(given["covered"], "covered")
    share = "give the share of intervals that contain the truth, between 0 and 1."
    yield "simulation", covered <= 1, share
    known_sigma = "with σ known the intervals differ: estimate σ from the six numbers of each pair."
    yield "simulation", covered > 0.9, f"{covered:.3f} is far too low for 95 %. {known_sigma}"
    yield "simulation", abs(covered - 0.95) < 0.012, f"{covered:.3f} is too far from 0.95."
    frame = study("squeeze_ratio").records().frame
    arms = [one["test_accuracy"].to_numpy() for _, one in frame.groupby("squeeze_ratio")]
    freedom = sum(len(arm) - 1 for arm in arms)
    yield from number(
        "σ of the records",
        given["sigma"],
        np.sqrt(sum(((arm - arm.mean()) ** 2).sum() for arm in arms) / freedom),
        {
            np.concatenate(arms).std(ddof=1): "this is the deviation of all networks together. "
            "Compare each network with its own ratio only.",
            np.mean(
                [arm.std(ddof=1) for arm in arms]
            ): "average the variances, not the deviations.",
        },
        relative=0.02,
    )


def no_room(answer: Any) -> Claims:
    given = named(answer, "side", "taps", "same_as")
    with torch.device("meta"):
        net = build("squeezenet_small", width=0.25, in_channels=1)
        side = net.features(torch.empty(1, 1, 16, 16)).shape[-1]
    known = {4: "a 32-pixel image gives 4. The live images have 16 pixels."}
    yield from number("side of the map", given["side"], side, known)
    ones = torch.ones(1, 1, side, side)
    inside = F.conv2d(ones, torch.ones(1, 1, 3, 3), padding=2, dilation=2).mean()
    known = {4.0: "this is a plain filter on this map.", 9.0: "most taps meet padding."}
    yield from number("taps inside", given["taps"], float(inside), known)
    weight, maps = torch.randn(4, 3, 3, 3), torch.randn(5, 3, side, side)
    found = array(ask(given["same_as"], weight), (4, 3, 1, 1), "same_as").float()
    summed = weight.sum((2, 3), keepdim=True)
    every = "this adds up all nine taps. How many of them meet a pixel?"
    yield "the same output", not close(found, summed, 1e-4), every
    dilated = F.conv2d(maps, weight, padding=2, dilation=2)
    equal = close(F.conv2d(maps, found), dilated, 1e-3, 1e-4)
    yield "the same output", equal, "it differs from the dilated filter. Which tap lies inside?"
