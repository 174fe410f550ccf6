"""The exercises of notebook 01, the math of 1 × 1 convolutions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, named, number
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise


def count_a_classifier(answer: Any) -> Claims:
    given = named(answer, "parameters", "multiply_adds", "traffic", "intensity", "largest_term")
    layer, image = nn.Conv2d(512, 1000, 1), torch.zeros(512, 13, 13)
    held = answers.numbers_in(layer)
    maps = image.numel() + layer(image[None]).numel()
    work = layer.weight.numel() * image[0].numel()
    yield from number(
        "parameters",
        given["parameters"],
        held,
        {layer.weight.numel(): "these are the weights alone; each filter has a bias as well."},
    )
    yield from number(
        "multiply-adds",
        given["multiply_adds"],
        work,
        {
            layer.weight.numel(): "this is one pixel. The layer works on 13 × 13 of them.",
            2 * work: "these are operations. One multiply-add counts as one here.",
        },
    )
    yield from number(
        "traffic",
        given["traffic"],
        4 * (maps + held),
        {
            maps + held: "these are numbers. The traffic is in bytes, four for each.",
            4 * maps: "the parameters have to be read as well.",
            4 * (image.numel() + held): "the output has to be written as well.",
        },
    )
    yield from number(
        "intensity",
        given["intensity"],
        work / (2 * (maps + held)),
        {work / (4 * (maps + held)): "a multiply-add is two operations."},
        relative=0.01,
    )
    terms = {"input": image.numel(), "output": maps - image.numel(), "parameters": held}
    said = answers.one_of(given["largest_term"], "largest_term", *terms)
    yield "largest term", terms[said] == max(terms.values()), f"{said}: another term is larger."


def stride_and_padding(answer: Any) -> Claims:
    given = named(answer, "strided", "border", "never_read")
    x, layer = torch.randn(2, 16, 9, 8), nn.Conv2d(16, 32, 1)
    found = array(ask(given["strided"], x, layer), (2, 32, 5, 4), "strided")
    other = F.conv2d(x[..., 1::2, 1::2], layer.weight, layer.bias)
    odd = other.shape == found.shape and close(found, other)
    wrong = "it takes the odd rows and columns; a stride begins at the first pixel."
    yield "stride", not odd, wrong
    right = F.conv2d(x, layer.weight, layer.bias, stride=2)
    yield "stride", close(found, right), "it differs from conv2d with stride=2."
    edge = array(ask(given["border"], layer), (32,), "border")
    zero = "beyond the border the channels are zero, but the bias is added all the same."
    yield "border", not close(edge, torch.zeros(32)), zero
    outside = F.conv2d(x, layer.weight, layer.bias, padding=1)[0, :, 0, 0]
    yield "border", close(edge, outside), "it differs from the corner of conv2d with padding=1."
    image = torch.ones(1, 16, 8, 8, requires_grad=True)
    F.conv2d(image, layer.weight.abs(), stride=2).sum().backward()
    yield from number(
        "share never read",
        given["never_read"],
        float((image.grad == 0).double().mean()),
        {
            1 / 4: "this is the share that is read.",
            1 / 2: "every second row is left out, and in the rows that stay every second pixel.",
            75: "give a share between 0 and 1.",
        },
    )


def when_factorising_pays(answer: Any) -> Claims:
    def first(C: int, K: int) -> int:
        """By counting the weights of real layers."""

        def weights(*widths: int) -> int:
            pairs = pairwise(widths)
            return sum(nn.Conv2d(*pair, 1, device="meta").weight.numel() for pair in pairs)

        return next(r for r in range(1, C + K) if weights(C, r, K) > weights(C, K))

    def found(C: int, K: int) -> float:
        return as_number(ask(answer, C, K), f"the rank for {C} and {K} channels")

    rank = found(512, 64)
    whole = f"{rank:g} is no rank: a rank is a whole number."
    yield "whole number", rank == int(rank), whole
    last = "this is the last rank that saves weights. Give the first that costs more."
    yield "fire9", rank != first(512, 64) - 1, last
    yield "fire9", rank == first(512, 64), f"for 512 and 64 channels {rank:g} is not the first."
    square = found(64, 64)
    equal = "at half the channels the pair has exactly as many weights, not more."
    yield "square layer", square != 32, equal
    yield "square layer", square == first(64, 64), f"for 64 and 64 channels it gives {square:g}."
    ends = [found(C, K) == first(C, K) for C, K in ((16, 64), (64, 16), (1000, 3))]
    yield "other layers", all(ends), "(16, 64), (64, 16) or (1000, 3) channels give a wrong rank."


class _Kernels(TorchDispatchMode):
    """Notes the kernel sizes of the convolutions that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.sizes.append(tuple(args[1].shape[2:]))
        return func(*args, **(kwargs or {}))


def nine_in_one(answer: Any) -> Claims:
    x, weight = torch.randn(2, 5, 7, 6), torch.randn(4, 5, 3, 3)
    with _Kernels() as kernels:
        result = ask(answer, x, weight)
    found = array(result, (2, 4, 7, 6))

    def like(other: Tensor) -> bool:
        return close(found, F.conv2d(x, other, padding=1), 1e-3, 1e-4)

    mirrored = "the offsets are mirrored: the upper left weight reads the upper left neighbour."
    yield "offsets", not like(weight.flip(2, 3)), mirrored
    turned = "rows and columns of the kernel are exchanged."
    yield "offsets", not like(weight.mT), turned
    middle = torch.zeros_like(weight)
    middle[:, :, 1, 1] = weight.sum((2, 3))
    unmoved = "all nine use the same pixels: each has to read a shifted copy."
    yield "offsets", not like(middle), unmoved
    yield "equal to conv2d", like(weight), "it differs from conv2d with padding=1."
    large = [size for size in kernels.sizes if size != (1, 1)]
    one = f"it calls a convolution with a {large and large[0]} kernel; use 1 × 1 only."
    yield "1 × 1 only", not large, one


def layout(answer: Any) -> Claims:
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)

    result = ask(answer, x, copied=False)  # the very tensor has to arrive
    found = array(result, (2 * 4 * 5, 3), "the matrix")
    rows = torch.stack([x[n, :, h, w] for n in range(2) for h in range(4) for w in range(5)])
    mixed = "a row does not hold the channels of one pixel. Order the rows by image, row, column."
    yield "a row for each pixel", close(found, rows), mixed
    copied = "the numbers were copied: move the channels to the end before you reshape."
    yield "no copy", result.data_ptr() == x.data_ptr(), copied


def another_number_type(answer: Any) -> Claims:
    def gain(place: float, peak: float) -> float:
        """For a layer whose intensity is ``place`` ridges."""
        return as_number(ask(answer, 20.0 * place, 20.0, peak), "the speed-up")

    slope = "left of the ridge the bytes decide, and they are halved, whatever the peak does."
    yield "on the slope", all(close(gain(0.1, g), 2) for g in (1.0, 2.0, 3.0)), slope
    flat = "far right of the ridge the peak decides, so the layer gains what the peak gains."
    yield "on the flat part", all(close(gain(50, g), g) for g in (0.5, 1.0, 3.0)), flat
    even = "if the peak doubles too, every layer becomes twice as fast."
    yield "both double", all(close(gain(p, 2.0), 2) for p in (0.6, 0.9, 1.0, 1.5)), even
    between = (
        "some layers change sides, because the ridge moves. Compare the two limits of a layer "
        "before and after."
    )
    falling = [gain(p, g) * p for g in (1.0, 1.5) for p in (0.8, 0.95)]
    rising = [gain(p, 4.0) / p for p in (1.1, 1.9)]
    steady = close(falling[0], falling[1]) and close(falling[2], falling[3])
    joined = close(gain(1 + 1e-7, 1.0), gain(1 - 1e-7, 1.0)) and close(gain(2, 4.0), 4)
    yield "between the ridges", steady and joined and close(*rising), between


def cut_by_data(answer: Any) -> Claims:
    mixed = torch.randn(8, 8, dtype=torch.float64) * torch.logspace(0, -3, 8, dtype=torch.float64)
    X = mixed @ torch.randn(8, 200, dtype=torch.float64)
    W = torch.randn(12, 8, dtype=torch.float64)
    for r in (1, 3, 5):
        found = array(ask(answer, W, X, r), (12, 8), "M")
        rank = int(torch.linalg.matrix_rank(found, rtol=1e-8))
        yield "rank", rank <= r, f"for r = {r} the matrix has the rank {rank}."
        U, s, Vt = torch.linalg.svd(W, full_matrices=False)
        plain = U[:, :r] * s[:r] @ Vt[:r]
        ignores = "this is the cut that ignores the data: nearest to W, not to W on X."
        yield "looks at the data", not close(found, plain, 1e-6), ignores
        least = (torch.linalg.svdvals(W @ X)[r:] ** 2).sum().sqrt()
        felt = torch.linalg.norm((W - found) @ X)
        more = f"for r = {r} another matrix has {float(felt / least):.2f} times less error on X."
        yield "least error on X", bool(felt <= 1.0001 * least), more


EXERCISES = {
    1: Exercise(
        "Count a classifier",
        count_a_classifier,
        "The three terms are the input (C · 169 numbers), the output (K · 169) and the parameters. "
        "Four bytes each.",
    ),
    2: Exercise(
        "Stride and padding",
        stride_and_padding,
        "conv(x[..., rows, columns]) with the right slices is the whole first answer. The second "
        "is a part of the layer that you can read off: conv.weight or conv.bias?",
    ),
    3: Exercise(
        "When does factorising pay?",
        when_factorising_pays,
        "The pair has r · C + r · K weights. At which r does this pass C · K? Integer division "
        "helps. At the bound itself both cost the same, so take the next rank.",
    ),
    4: Exercise(
        "Nine in one",
        nine_in_one,
        "Pad once. For the offset (u, v) take the slice of the padded image that begins at row u "
        "and column v and is as large as the image.",
    ),
    5: Exercise(
        "Layout",
        layout,
        "permute changes the order of the axes without moving a number. Which order of the four "
        "axes is the one in which channels_last stores them?",
    ),
    6: Exercise(
        "Another number type",
        another_number_type,
        "The time is the larger of two: operations / peak and bytes / bandwidth. Write both for "
        "float32 with bytes = bandwidth = 1, then halve the bytes.",
    ),
    7: Exercise(
        "Cut what the data does not use",
        cut_by_data,
        "The best matrix projects the outputs on r directions, and nothing has to be inverted. "
        "Are these directions left singular vectors of W, or of W X?",
    ),
}
