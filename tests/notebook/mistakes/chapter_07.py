"""Typical mistakes for the exercises of notebook 07, and what the check has to say."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from squeeze_utils.anatomy.shifts import apply_periodically, mirrored, pooling_error

SIDES = {"1.0": [109, 54, 27, 13], "1.1": [111, 55, 27, 13], "ceil_matters": ["1.0 pool 2"]}
STRIPE = {"average": 0, "binomial": 0.25, "turned_from": 1 / 3}


def without(layer, maps, one_mean=False, upside=False):
    with torch.no_grad():
        y = apply_periodically(layer, mirrored(maps))
    mean = y.mean() if one_mean else y.mean((2, 3), keepdim=True)
    scale = float(y.norm() / (y - mean).norm())
    return pooling_error(layer, maps, 1) * (1 / scale if upside else scale)


def long_pool(x, row=(1.0, 4.0, 6.0, 4.0, 1.0), total=16.0):
    taps = torch.tensor(row) / total
    filters = torch.outer(taps, taps).expand(x.shape[1], 1, len(row), len(row))
    edge = [len(row) // 2] * 4
    dense = F.pad(F.max_pool2d(x, 3, stride=1, padding=1), edge, mode="replicate")
    return F.conv2d(dense, filters, stride=2, groups=x.shape[1])


def short_pool(x):
    return long_pool(x, (1.0, 2.0, 1.0), 4.0)


LONG = {"gain": lambda f: math.cos(math.pi * f) ** 4, "pool": long_pool, "error": 0.9}


def blur(x):
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, 1)


def blur_first(x):
    return F.max_pool2d(blur(x), 3, 2, ceil_mode=True)


ORDER = {"pool": blur_first, "max": 10.4, "blur, then max": 4.5, "max, then blur": 2.4}
WORK = {"width": 0.293, "parameters": 65_614, "peak_activation_bytes": 311_296}


def windows(n, up=True, last=False):
    ends = [-(-(cell + 1) * n // 4) if up else (cell + 1) * n // 4 for cell in range(4)]
    return [(cell * n // 4, end - last) for cell, end in enumerate(ends)]


GRID = {"sides": [3, 4, 8], "runs": ["average", "dense"], "windows": windows}


def learned(model, groups=1, normalised=True, bias=False, count=3, relu=True):
    channels, done = 0, 0
    for name, layer in list(model.features.named_children()):
        channels = getattr(layer, "out_channels", channels)
        if isinstance(layer, nn.MaxPool2d) and done < count:
            divided = channels if groups == 0 else groups
            conv = nn.Conv2d(channels, channels, 3, 2, 1, groups=divided, bias=bias)
            parts = [nn.BatchNorm2d(channels)] if normalised else []
            parts += [nn.ReLU()] if relu else []
            setattr(model.features, name, nn.Sequential(conv, *parts))
            done += 1
    return model


def form(added=48_608, **how):
    return {"function": lambda model: learned(model, **how), "added": added}


MISTAKES = {
    1: [
        (SIDES | {"1.0": [109, 54, 26, 12]}, "this rounds down"),
        (SIDES | {"1.1": [112, 56, 28, 14]}, "It has no padding"),
        (SIDES | {"ceil_matters": ["1.1 pool 1", "1.0 pool 2"]}, "floor and ceil agree"),
        (SIDES | {"ceil_matters": ["pool 2"]}, "write places like"),
    ],
    2: [
        (STRIPE | {"average": 1 / 3}, "cos 120°"),
        (STRIPE | {"binomial": 0.5}, "the weights are 1/4, 1/2, 1/4"),
        (STRIPE | {"turned_from": 3}, "this is a period"),
        (STRIPE | {"turned_from": 0.25}, "should change its sign"),
    ],
    3: [
        ({"error": lambda la, m: pooling_error(la, m, 1), "same_order": True}, "itself"),
        ({"error": lambda la, m: without(la, m, True), "same_order": True}, "Each map has its own"),
        (
            {"error": lambda la, m: without(la, m, upside=True), "same_order": True},
            "divide by the smaller",
        ),
        ({"error": without, "same_order": False}, "sort the five layers"),
    ],
    4: [
        (LONG | {"gain": lambda f: math.cos(math.pi * f) ** 2}, "that filter twice"),
        (LONG | {"pool": short_pool}, "three weights"),
        (LONG | {"pool": lambda x: long_pool(x, total=4.0)}, "the weights add up to"),
        (LONG | {"error": 2.4}, "three weights"),
    ],
    5: [
        (ORDER | {"pool": short_pool}, "Blur first"),
        (ORDER | {"pool": lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)}, "nothing is blurred"),
        (ORDER | {"max": 0.104}, "in per cent"),
        (ORDER | {"blur, then max": 2.4}, "another one of the three"),
    ],
    6: [
        (WORK | {"width": 0.84}, "narrower, not wider"),
        (WORK | {"width": 0.178}, "the square of the width"),
        (WORK | {"width": 0.35}, "Search in steps"),
        (WORK | {"parameters": 185_834}, "as in 1.1"),
        (WORK | {"peak_activation_bytes": 77_824}, "four bytes"),
    ],
    7: [
        (GRID | {"sides": [24, 32, 64]}, "do not have the sides"),
        (GRID | {"runs": ["average"]}, "a grid of means"),
        (GRID | {"windows": lambda n: windows(n, up=False)}, "The end is rounded up"),
        (GRID | {"windows": lambda n: windows(n, last=True)}, "the pixel after the last one"),
    ],
    8: [
        (form(groups=0), "see all channels"),
        (form(count=2), "1 pooling layers are left"),
        (form(normalised=False), "is missing behind"),
        (form(bias=True), "need no bias"),
        (form(relu=False), "a ReLU ends each block"),
        (form(added=48_384), "two numbers for each channel"),
    ],
}

RIGHT_TOO = {5: [ORDER | {"pool": lambda x: F.max_pool2d(F.pad(blur(x), 4 * [1]), 3, 2)}]}
