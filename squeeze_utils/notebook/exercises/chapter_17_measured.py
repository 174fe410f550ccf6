"""The exercises of notebook 17 whose answers were measured by the reader."""

from __future__ import annotations

from typing import Any

import torch

from squeeze_utils.notebook.exercises.answers import as_number, ask, close, named, one_of
from squeeze_utils.notebook.exercises.exercise import Claims

#: Times of an image, and the batch that is within 10 % of the best, in throughput.
CURVES = (
    ({1: 2.0, 2: 1.5, 4: 1.08, 8: 1.0, 16: 1.02}, 4),
    ({1: 1.0, 2: 1.3, 4: 1.4}, 1),
    ({2: 4.0, 4: 3.0, 8: 2.0, 16: 1.0}, 16),
    ({16: 3.0, 8: 3.1, 4: 3.2, 1: 9.0}, 4),
)


def batch_or_latency(answer: Any) -> Claims:
    given = named(answer, "milliseconds", "function")
    measured = named(given["milliseconds"], 1, 2, 4, 8, 16, what="milliseconds")
    times = {n: as_number(ms, f"milliseconds[{n}]") for n, ms in measured.items()}
    yield "measured", min(times.values()) > 0, "a time is positive."
    whole = "these seem to be the times of whole batches. Divide each by its number of images."
    yield "measured", times[16] < 4 * times[1], whole
    short = "these seem to be seconds. Give milliseconds."
    yield "measured", max(times.values()) > 0.01, short
    for curve, right in CURVES:
        found = as_number(ask(given["function"], curve), "the batch")
        best = min(curve, key=lambda n: curve[n])
        sooner = f"{best} is the best one. A smaller batch may be within 10 % of it."
        yield "batch", right == best or found != best, sooner
        worst = max(curve, key=lambda n: curve[n])
        slow = f"{worst} has the longest time of an image, so its throughput is the lowest."
        yield "batch", right == worst or found != worst, slow
        yield "batch", found == right, f"for {curve} it gives {found:g}."


def calibrate(answer: Any) -> Claims:
    given = named(answer, "error", "measured", "one_image")
    for _ in range(3):
        expected, found = torch.randn(7, 4), torch.randn(7, 4)
        off = (expected - found).abs()
        value = as_number(ask(given["error"], expected.numpy(), found.numpy()), "the error")
        right = 100 * off.max() / expected.abs().max()
        yield "error", not close(value, right / 100), "give per cent."
        absolute = "divide by the largest logit of the float network."
        yield "error", not close(value, off.max()), absolute
        other = "divide by the largest logit of the float network, not of the quantized one."
        yield "error", not close(value, 100 * off.max() / found.abs().max()), other
        mean = "this is the mean error. Which one is the largest?"
        yield "error", not close(value, 100 * off.mean() / expected.abs().max()), mean
        signed = "an error may be negative: take the absolute value first."
        yield "error", not close(value, 100 * (expected - found).max() / expected.max()), signed
        yield "error", close(value, right), "it differs from a direct count on random logits."
    names = ("training images", "one image", "noise")
    measured = named(given["measured"], *names, what="measured")
    errors = {name: as_number(error, name) for name, error in measured.items()}
    yield "measured", min(errors.values()) > 0, "int8 always makes some error."
    small = "these are below one per cent. Give per cent."
    yield "measured", max(errors.values()) > 1, small
    worse = "one image gives a smaller error than 256 of them. Are the two exchanged?"
    yield "measured", errors["one image"] > errors["training images"], worse
    side = one_of(given["one_image"], "one_image", "narrow", "wide")
    inside = "the range of one image lies within that of all images, so larger values are clipped."
    yield "one image", side == "narrow", inside
