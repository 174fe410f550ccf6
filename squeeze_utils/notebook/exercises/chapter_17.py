"""The exercises of notebook 17; those that measure something are in `chapter_17_measured`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from squeeze_utils import anatomy
from squeeze_utils.anatomy import energy
from squeeze_utils.deploy import on_chip
from squeeze_utils.models import build
from squeeze_utils.notebook.exercises.answers import as_number, items, named, number, yes_or_no
from squeeze_utils.notebook.exercises.chapter_17_measured import batch_or_latency, calibrate
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise, Wrong

SIDES = range(24, 41)
LARGEST = 255  # of an activation in 8 bits, unsigned


def bits_that_fit(answer: Any) -> Claims:
    given = named(answer, "bits", "products", "enough")
    for m, value in named(given["bits"], 2, 4, 8, what="bits").items():
        w = as_number(value, f"bits[{m}]")
        yield "bits", w == int(w), "a weight has a whole number of bits: round down."
        reached = m * LARGEST * 2 ** (w - 1)
        over = f"with {w:g} bits {m} products reach {reached:,.0f}; 16 bits signed end below that."
        yield "bits", reached < 2**15, over
        more = f"more than {w:g} bits fit for m = {m}: a signed weight reaches 2^(w−1), not 2^w."
        yield "bits", w > 7 or 2 * reached > 2**15, more
    limit, full = 2**31 - 1, 2**7
    known = {
        float((2**32 - 1) // (LARGEST * full)): "the sum has a sign: 32 bits end at 2³¹ − 1.",
        float(limit // (LARGEST * (full - 1))): "the weight −128 exists, too.",
        float(limit // LARGEST**2): "a signed weight reaches 128, not 255.",
        limit / (LARGEST * full): "give a whole number of products.",
    }
    yield from number("products", given["products"], limit // (LARGEST * full), known)
    enough = yes_or_no(given["enough"], "enough")
    network = build("squeezenet1_0")
    sums = [conv.weight[0].numel() for conv in network.modules() if isinstance(conv, nn.Conv2d)]
    longest = f"compare with the longest sum of a layer, which has {max(sums)} products."
    yield "enough", enough == (max(sums) * LARGEST * full <= limit), longest


def _maps(network: nn.Module, side: int, up: bool) -> list[tuple[int, ...]]:
    for module in network.modules():
        if isinstance(module, nn.MaxPool2d):
            module.ceil_mode = up
    return list(anatomy.layer_table(network, (3, side, side))["output"])


def changing_maps(answer: Any) -> Claims:
    given = {int(as_number(side, "A side")) for side in items(answer)}
    beyond = sorted(given - set(SIDES))
    yield "sides", not beyond, f"{beyond} lie outside 24 to 40."
    with torch.device("meta"):
        network = build("squeezenet_small", num_classes=10)
    right = {s for s in SIDES if _maps(network, s, up=True) != _maps(network, s, up=False)}
    even = {side for side in SIDES if side % 2 == 0}
    first = "these are the sides that the first pooling rounds. The two others round as well."
    yield "sides", given != even, first
    odd = "these are the odd sides: n − 3 is even then, and the first pooling does not round."
    yield "sides", given != set(SIDES) - even, odd
    extra = sorted(given - right)
    yield "sides", not extra, f"with {extra} pixels no map changes."
    yield "sides", given == right, "at other sides some map changes as well."


def break_even(answer: Any) -> Claims:
    given = named(answer, "share", "format_matters")
    network = build("squeezenet1_0")
    weights = int(anatomy.summary(network, network.input_shape)["parameters"])
    activations = anatomy.written_bytes(network, network.input_shape) // 4

    def surplus(c: float, form: str = "float32", once: bool = False) -> float:
        """By how much the activations cost more than the weights, where `c` of them stay."""
        outside, inside = (
            energy.estimate(0, weights, activations, form, memory=m) for m in ("DRAM", "1 MB")
        )
        cost = (1 - c) * outside.activations + c * inside.activations
        return cost / (2 if once else 1) - outside.weights

    def zero(form: str = "float32", once: bool = False) -> float:
        at_none, at_all = surplus(0.0, form, once), surplus(1.0, form, once)
        return at_none / (at_none - at_all)  # the cost is linear in c

    right = zero()
    free = surplus(0.0) / (surplus(0.0) + energy.estimate(0, weights, 0, "float32").weights)
    known = {
        100 * right: "give a share between 0 and 1.",
        zero(once=True): "each activation is written and read: two transfers.",
        free: "what stays on the chip costs energy as well.",
        1 - right: "this is the share that goes through DRAM.",
    }
    yield from number("share", given["share"], right, known, relative=1e-3)
    same = "weights and activations shrink by the same factor."
    depends = abs(zero("int8") - right) > 1e-3
    yield "format", yes_or_no(given["format_matters"], "format_matters") == depends, same


def row_by_row(answer: Any) -> Claims:
    given = named(answer, "bytes", "layer", "peak", "fits")
    network = build("squeezenet1_0")
    table = anatomy.layer_table(network, network.input_shape).set_index("name")
    image = 3 * 224**2
    channels, side, _ = table.loc["conv1", "output"][-3:]
    pooled = torch.Size(table.loc["maxpool1", "output"]).numel()
    right = image + 3 * channels * side + pooled
    known = {
        image + channels * side**2 + pooled: "only three rows of conv1 are kept.",
        image + channels * side + pooled: "a pooling window reads three rows, this is one.",
        right - image: "add the input: the image is still there.",
        right - pooled: "the pooled maps are missing. They are kept whole.",
        4 * right: "in int8 a number is one byte.",
        right + 6 * channels * side: "the 7 × 7 kernel reads the image. Of conv1, keep 3 rows.",
    }
    yield from number("bytes", given["bytes"], right, known)
    profile = anatomy.memory_profile(network, network.input_shape, join_in_place=True)
    alive = profile.set_index("name")["alive_bytes"] // 4
    begins = list(alive.index).index("maxpool1")
    if given["layer"] not in alive.index:
        raise Wrong("layer is a name of anatomy.memory_profile.")
    beginning = given["layer"] in alive.index[: begins + 1]
    yield "layer", not beginning, "the beginning is small now. Look at the rows after maxpool1."
    after = alive.iloc[begins + 1 :]
    less = f"{given['layer']} needs {after.get(given['layer'], 0):,} bytes; another one needs more."
    yield "layer", after.get(given["layer"], 0) == after.max(), less
    known = {
        4 * float(after.max()): "in int8 a number is one byte.",
        float(alive.max()): "this is the old peak at the beginning.",
    }
    yield from number("peak", given["peak"], float(after.max()), known)
    fits = yes_or_no(given["fits"], "fits")
    (chip,) = (chip for chip in on_chip.CHIPS if chip.name == "STM32H743")
    block = f"its largest block has {chip.ram:,} bytes. Both peaks must fit."
    yield "fits", fits == (max(right, after.max()) <= chip.ram), block


EXERCISES = {
    1: Exercise(
        "How many bits fit?",
        bits_that_fit,
        "Try w = 8, 7, 6 ... and stop at the first with 255 · 2^(w−1) · m ≤ 32,767. For 32 bits "
        "divide 2³¹ − 1 by the largest product.",
    ),
    2: Exercise(
        "Which maps change?",
        changing_maps,
        "For each side follow the three poolings, n → ⌈(n − 3) / 2⌉ + 1, and note whether one of "
        "the three n is even.",
    ),
    3: Exercise(
        "Batch or latency",
        batch_or_latency,
        "The throughput is one divided by the time of an image. Look for the smallest batch with "
        "at least 0.9 of the largest throughput.",
    ),
    4: Exercise(
        "Calibrate on something else",
        calibrate,
        "np.abs(expected − found).max() / np.abs(expected).max(), times 100. A range measured on "
        "one image lies within the range of all images.",
    ),
    5: Exercise(
        "Break-even of the chip's memory",
        break_even,
        "Divide by e_far: weights / (2 · activations) = 1 − c (1 − e_near / e_far), and solve "
        "for c. The energies are in energy.MEMORIES.",
    ),
    6: Exercise(
        "Row by row",
        row_by_row,
        "3 · 224² + 3 · 96 · 109 + 96 · 54². alive_bytes counts float32, so divide it by four.",
    ),
}
