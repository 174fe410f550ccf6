"""Two typical mistakes for each exercise of notebook 02, and what the check has to say."""

from __future__ import annotations

from math import ceil

import torch

from squeeze_utils.models import build

TEN = {
    "squeezenet1_0": 1_248_424 - 990 * 513,
    "squeezenet1_1": 1_235_496 - 990 * 513,
    "share_1_0": 990 * 513 / 1_248_424,
    "share_1_1": 990 * 513 / 1_235_496,
}
HALF = {"parameters": ["conv10", "fire9"], "multiply_adds": ["conv1", "fire8", "fire4"]}
LENET = {
    "dense_share": 400_500 / 408_844,
    "lenet5_convs": 25_570,
    "lenet5_fire_convs": 3_334,
    "without_dense": 3_844,
}
PEAK = {"module": "fire4", "bytes": 5_971_968, "in_one_tensor": 3_359_232, "next": "maxpool1"}


def rows(layers, side, positive=True, middle=True, pixels=False):
    if positive:
        with torch.no_grad():
            for parameter in layers.parameters():
                parameter.abs_()
    image = torch.rand(1, 3, side, side, requires_grad=True)
    output = layers(image)
    at = output.shape[-1] // 2 if middle else 0
    output[0, :, at, at].sum().backward()
    touched = image.grad[0].abs().sum(0) > 0
    return int(touched.sum() if pixels else touched.any(1).sum())


def everything(layers, side):
    image = torch.rand(1, 3, side, side, requires_grad=True)
    layers(image).sum().backward()
    return int((image.grad.abs().sum((0, 1, 3)) > 0).sum())


def kept(fire, shares, biases=True, rounding=ceil):
    module = build("squeezenet1_0").fires()[int(fire[4:])]
    layers = (module.squeeze, module.expand1x1, module.expand3x3)
    hundredths = sum(n.weight.numel() * s for n, s in zip(layers, shares, strict=True))
    return rounding(hundredths / 100) + biases * sum(layer.bias.numel() for layer in layers)


def ratio_for(p):
    """ρ that keeps the size of SqueezeNet 1.0 with the share p of 3 × 3 filters."""
    e = {i: 128 + 128 * ((i - 2) // 2) for i in range(2, 10)}
    b = sum(e[i] * ({2: 96}.get(i, e.get(i - 1, 0)) + 1 + e[i]) for i in e)
    c = 8 * sum(width**2 for width in e.values())
    return (b + 0.5 * c) / (b + p * c) / 8


PAPER = {
    "kept_parameters": kept,
    "wrong_row": "fire8",
    "right_shares": (100, 50, 30),
    "bypass_mb": 6.32,
}

MISTAKES = {
    1: [
        (TEN | {"squeezenet1_0": 1_248_424 - 990 * 512}, "but not their biases"),
        (TEN | {"squeezenet1_1": 1_235_496}, "for a thousand classes"),
        (TEN | {"share_1_0": 0.593}, "the share that stays"),
        (TEN | {"share_1_1": 41.1}, "between 0 and 1"),
    ],
    2: [
        (HALF | {"parameters": ["conv10"]}, "41.1%, less than half"),
        (HALF | {"multiply_adds": ["conv1", "fire8", "fire4", "conv10"]}, "fewer modules"),
        (HALF | {"parameters": ["conv11"]}, "no module 'conv11'"),
    ],
    3: [
        (LENET | {"dense_share": 405_510 / 408_844}, "these are both dense layers"),
        (LENET | {"lenet5_convs": 431_080}, "this is the whole network"),
        (LENET | {"without_dense": 3_334}, "has parameters too"),
        (LENET | {"without_dense": 3_334 + 8_010}, "average over the map"),
    ],
    4: [
        ([(0.125, 0.5), (0.2, 0.2), (0.1, 0.7)], "is the paper's own"),
        ([(0.25, 0.25), (0.0625, 1.0), (0.5, 0.125)], "more parameters"),
        ([(0.75, ratio_for(0.75)), (0.1, 0.7), (0.2, 0.2)], "the squeeze ratio comes first"),
        ([(ratio_for(p), p) for p in (0.2, 0.22, 0.8)], "nearly the same"),
        ([(0.1, 0.65)], "1 entries, not 3"),
    ],
    5: [
        ({"fire9": 155, "rows_seen": rows}, "this is SqueezeNet 1.0"),
        ({"fire9": 207, "rows_seen": lambda n, side: rows(n, side, pixels=True)}, "not rows"),
        ({"fire9": 207, "rows_seen": everything}, "one output pixel only"),
        ({"fire9": 207, "rows_seen": lambda n, side: rows(n, side, middle=False)}, "border"),
    ],
    6: [
        (PEAK | {"module": "conv1"}, "the largest single map"),
        (PEAK | {"bytes": 2_985_984}, "its two halves are alive"),
        (PEAK | {"in_one_tensor": 2_985_984}, "still read the squeezed map"),
        (PEAK | {"next": "conv1"}, "maxpool1 with both its maps"),
    ],
    7: [
        ({"width": 1.0}, "are more than 250,000"),
        ({"width": 0.5, "pool_after": (1, 3, 5)}, "pool less, or later"),
        ({"width": 0.3, "pool_after": (1, 9)}, "does not cover the image from a corner"),
        ({"breadth": 0.5}, "does not accept these options"),
    ],
    8: [
        (PAPER | {"kept_parameters": lambda f, s: kept(f, s, biases=False)}, "fire5 has"),
        (PAPER | {"kept_parameters": lambda f, s: kept(f, s, rounding=int)}, "round up"),
        (PAPER | {"wrong_row": "fire7"}, "agrees with the row fire7"),
        (PAPER | {"right_shares": (90, 50, 31)}, "change one"),
        (PAPER | {"bypass_mb": 7.7}, "this is the printed number"),
    ],
}
