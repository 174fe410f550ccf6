"""The exercises of notebook 07, pooling; the last four are in `chapter_07_networks`."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from squeeze_utils.anatomy.shifts import apply_periodically, mirrored, pooling_error
from squeeze_utils.data.photographs import photographs
from squeeze_utils.models.layers import pooling
from squeeze_utils.notebook.exercises.answers import (
    array,
    as_number,
    ask,
    close,
    items,
    named,
    number,
    yes_or_no,
)
from squeeze_utils.notebook.exercises.chapter_07_networks import (
    all_convolutional,
    equal_work,
    order_matters,
    other_sizes,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise, Wrong

KERNELS = {"1.0": 7, "1.1": 3}


def _sides(kernel: int, ceil: bool = True) -> list[int]:
    """The sides that the layers themselves give, for an image of 224 pixels."""
    with torch.device("meta"):
        x, sides = torch.empty(1, 1, 224, 224), []
        pool = nn.MaxPool2d(3, stride=2, ceil_mode=ceil)
        for layer in (nn.Conv2d(1, 1, kernel, stride=2), pool, pool, pool):
            x = layer(x)
            sides.append(x.shape[-1])
    return sides


def from_224(answer: Any) -> Claims:
    given = named(answer, *KERNELS, "ceil_matters")
    for version, kernel in KERNELS.items():
        right, floor = _sides(kernel), _sides(kernel, ceil=False)
        sides = items(given[version], 4, version)
        found = [as_number(side, f"a side of {version}") for side in sides]
        first = (
            f"conv1 of {version} does not turn 224 into {found[0]:g}. It has no padding and floors."
        )
        yield version, found[0] == right[0], first
        down = "this rounds down: with ceil_mode a window that is partly inside counts too."
        yield version, found == right or found != floor, down
        at = next((i for i in range(4) if found[i] != right[i]), 0)
        yield version, found == right, f"pool {at} of {version} does not make {found[at]:g}."
    ceil = [(v, i) for v, k in KERNELS.items() for i in (1, 2, 3) if _differs(k, i)]
    wanted = {f"{version} pool {i}" for version, i in ceil}
    listed = {str(place) for place in items(given["ceil_matters"], what="ceil_matters")}
    known = {f"{version} pool {i}" for version in KERNELS for i in (1, 2, 3)}
    if listed - known:
        odd = sorted(listed - known)[0]
        raise Wrong(f"ceil_matters has {odd!r}; write places like '1.1 pool 3'.")
    even = f"at {', '.join(sorted(listed - wanted))} floor and ceil agree: n − 3 is even."
    yield "ceil_mode", listed <= wanted, even
    yield "ceil_mode", listed == wanted, "at one more place n − 3 is odd."


def _differs(kernel: int, pool: int) -> bool:
    return (_sides(kernel)[pool - 1] - 3) % 2 == 1


def stripe(answer: Any) -> Claims:
    given = named(answer, "average", "binomial", "turned_from")

    def left(weights: tuple[int, ...], f: float) -> float:
        """What a filter leaves of a wave, read at a crest."""
        wave = torch.cos(2 * math.pi * f * torch.arange(-1, 2, dtype=torch.float64))
        return float(wave @ torch.tensor(weights, dtype=torch.float64)) / sum(weights)

    average, binomial = left((1, 1, 1), 1 / 3), left((1, 2, 1), 1 / 3)
    found = as_number(given["average"], "average")
    sign = "a shift of one pixel is a third of a turn: the neighbours have cos 120° = −1/2."
    yield "average", close(found, average, absolute=1e-6), sign
    known = {
        0.5: "the weights are 1/4, 1/2, 1/4, and the neighbours stand at −1/2.",
        0.0: "this is the average. The binomial filter weighs the middle twice.",
        0.75: "the neighbours stand at cos 120°, which is negative.",
    }
    yield from number("binomial", given["binomial"], binomial, known, absolute=1e-6)
    f = as_number(given["turned_from"], "turned_from")
    period = "this is a period in pixels. A frequency is one over it."
    yield "turned upside down", f <= 0.5, period
    before, after = left((1, 1, 1), f - 0.01), left((1, 1, 1), f + 0.01)
    border = f"at f = {f:g} the gain is {left((1, 1, 1), f):.2f}; it should change its sign there."
    yield "turned upside down", before > 0 > after, border


def without_the_mean(answer: Any) -> Claims:
    given = named(answer, "error", "same_order")
    photos = torch.rand(2, 3, 16, 16) + torch.tensor([1.0, 5.0, 0.0])[:, None, None]
    for name in ("average", "max", "blur"):
        layer = pooling(name, 3)
        whole = pooling_error(layer, photos, 1)
        found = as_number(ask(given["error"], layer, photos), "error")
        with torch.no_grad():
            y = apply_periodically(layer, mirrored(photos))
        spread = y.flatten(2).var(2, correction=0).mean().sqrt()  # within each map
        size = y.square().mean().sqrt()
        kept = "this is pooling_error itself: the mean is still in the norm."
        yield "without the mean", not close(found, whole, 1e-3), kept
        one = whole * float(size / (y - y.mean()).square().mean().sqrt())
        every = "this takes off one mean for all maps. Each map has its own."
        yield "without the mean", not close(found, one, 1e-3), every
        upside = "the error gets larger without the mean: divide by the smaller number."
        yield "without the mean", found > whole, upside
        right = whole * float(size / spread)
        yield "without the mean", close(found, right, 2e-3), f"{name}: {found:.3g} is not right."
    same_order = yes_or_no(given["same_order"], "same_order")
    tiles = photographs()
    names = ("max", "average", "mixed", "blur", "blur of 3x3")
    with torch.no_grad():
        maps = [apply_periodically(pooling(name, 3), mirrored(tiles)) for name in names]
    errors = [pooling_error(pooling(name, 3), tiles, 1) for name in names]
    scaled = [
        error * float((y.square().mean() / y.flatten(2).var(2, correction=0).mean()).sqrt())
        for error, y in zip(errors, maps, strict=True)
    ]
    kept = torch.tensor(errors).argsort().tolist() == torch.tensor(scaled).argsort().tolist()
    off = "sort the five layers of the exercise by each of the two errors and compare."
    yield "order", same_order == kept, off


def longer_filter(answer: Any) -> Claims:
    given = named(answer, "gain", "pool", "error")
    for f in (0.125, 0.0, 0.25, 0.4, 0.5):
        found = as_number(ask(given["gain"], f), f"H({f:g})")
        wave = torch.cos(2 * math.pi * f * torch.arange(-2, 3, dtype=torch.float64))
        for _ in range(4):  # the mean of two neighbours, four times
            wave = (wave[1:] + wave[:-1]) / 2
        right = float(wave)
        short = math.cos(math.pi * f) ** 2
        one = "this is the filter of three weights. The longer one is that filter twice."
        yield "gain", f in (0, 0.5) or not close(found, short), one
        yield "gain", close(found, right, 1e-5, 1e-6), f"H({f:g}) is not {found:.3f}."
    x = torch.rand(2, 3, 20, 24)
    found = array(ask(given["pool"], x), (2, 3, 10, 12), "the map").float()
    rows = F.unfold(F.pad(F.max_pool2d(x, 3, 1, 1), (1, 1, 1, 1)), 3).view(2, 3, 9, 20, 24)
    binomial = torch.tensor([1.0, 2, 1, 2, 4, 2, 1, 2, 1]) / 16
    once = torch.einsum("nckhw,k->nchw", rows, binomial)
    rows = F.unfold(F.pad(once, (1, 1, 1, 1)), 3).view(2, 3, 9, 20, 24)
    right = torch.einsum("nckhw,k->nchw", rows, binomial)[..., ::2, ::2]

    def inside(maps: Tensor) -> Tensor:
        """Far from the border, where padding does not matter."""
        return maps[..., 2:-2, 2:-2]

    few = "this is the filter of three weights."
    yield "blur-pool", not close(inside(found), inside(once[..., ::2, ::2]), 1e-3), few
    size = float(inside(found).mean() / inside(right).mean())
    yield "blur-pool", abs(size - 1) < 0.02, f"the weights add up to {size:.2f}, not 1."
    yield "blur-pool", close(inside(found), inside(right), 1e-3), "inside the map it differs."
    layer = nn.Module()
    layer.forward = given["pool"]  # type: ignore[method-assign]
    error = pooling_error(layer, photographs(), 1)
    short = pooling_error(pooling("blur of 3x3", 3), photographs(), 1)
    known = {short: "this is the filter of three weights.", error / 100: "give it in per cent."}
    yield from number("error", given["error"], error, known, relative=0.06)


EXERCISES = {
    1: Exercise(
        "From 224 pixels",
        from_224,
        "conv1: floor((224 − k) / 2) + 1. A pool: ceil((n − 3) / 2) + 1. Go through the four "
        "layers one after the other.",
    ),
    2: Exercise(
        "A stripe of period 3",
        stripe,
        "The average leaves (1 + 2 cos 2πf) / 3, the binomial filter (1 + cos 2πf) / 2. Where "
        "does the first one change its sign?",
    ),
    3: Exercise(
        "Without the mean",
        without_the_mean,
        "y = apply_periodically(layer, mirrored(photos)). Multiply the error by the norm of y and "
        "divide by the norm of y − y.mean((2, 3), keepdim=True).",
    ),
    4: Exercise(
        "A longer filter",
        longer_filter,
        "max_pool2d(x, 3, stride=1, padding=1), a margin of two pixels, then a convolution with "
        "groups and stride 2 whose weights are the outer product of (1, 4, 6, 4, 1)/16.",
    ),
    5: Exercise(
        "Order matters",
        order_matters,
        "Two 2 × 2 averages with stride 1 are the binomial filter. Put them in an nn.Sequential "
        "before pooling('max', 3), with a ReplicationPad2d(1) at its beginning.",
    ),
    6: Exercise(
        "Equal work for the latest places",
        equal_work,
        "Work grows about with the square of the width: width ≈ 0.5 · √(goal / work at 0.5). "
        "sq.count(net, (3, 32, 32)) gives all three numbers.",
    ),
    7: Exercise(
        "Other sizes",
        other_sizes,
        "Cell i of 4 begins at floor(i n / 4) and ends before ceil((i + 1) n / 4).",
    ),
    8: Exercise(
        "The all-convolutional form",
        all_convolutional,
        "Walk through model.features.named_children(), keep the number of channels that the last "
        "conv or Fire module gives, and use setattr(model.features, name, nn.Sequential(...)).",
    ),
}
