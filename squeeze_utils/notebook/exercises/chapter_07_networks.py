"""The last four exercises of notebook 07: order, equal work, image sizes, learned pooling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from squeeze_utils.anatomy.costs import count
from squeeze_utils.anatomy.shifts import pooling_error
from squeeze_utils.data.photographs import photographs
from squeeze_utils.models import build
from squeeze_utils.models.fire import Fire
from squeeze_utils.models.layers import pooling
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
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong

LATE = (2, 5, 8)


def order_matters(answer: Any) -> Claims:
    names = ("max", "blur, then max", "max, then blur")
    given = named(answer, "pool", *names)
    x = torch.rand(2, 3, 20, 24)
    found = array(ask(given["pool"], x), (2, 3, 10, 12), "the map").float()
    taps = torch.tensor([1.0, 2.0, 1.0]) / 4
    filters = (taps[:, None] * taps)[None, None].repeat(3, 1, 1, 1)
    blurred = F.conv2d(x, filters, padding=1, groups=3)
    right, swapped = F.max_pool2d(blurred, 3, 2, ceil_mode=True), pooling("blur of 3x3", 3)(x)
    padded = F.max_pool2d(blurred, 3, 2, padding=1)  # windows around every second pixel

    def inside(maps: torch.Tensor) -> torch.Tensor:
        return maps[..., 2:-2, 2:-2]

    late = "this blurs after the maximum. Blur first."
    yield "blur first", not close(inside(found), inside(swapped), 1e-3), late
    plain = pooling("max", 3)(x)
    yield "blur first", not close(inside(found), inside(plain), 1e-3), "nothing is blurred."
    differs = "inside the map it differs from the binomial filter, then 3 × 3 windows of stride 2."
    accepted = (inside(right), inside(padded))
    yield "blur first", any(close(inside(found), one, 1e-3) for one in accepted), differs
    layer = nn.Module()
    layer.forward = given["pool"]  # type: ignore[method-assign]
    layers = (pooling("max", 3), layer, pooling("blur of 3x3", 3))
    errors = [pooling_error(one, photographs(), 1) for one in layers]
    known = {error: "this is the error of another one of the three." for error in errors}
    known |= {error / 100: "give the errors in per cent." for error in errors}
    for name, error in zip(names, errors, strict=True):
        others = {wrong: said for wrong, said in known.items() if wrong != error}
        yield from number(name, given[name], error, others, relative=0.03)


def equal_work(answer: Any) -> Claims:
    given = named(answer, "width", "parameters", "peak_activation_bytes")

    def costs(width: float, places: tuple[int, ...]) -> dict[str, int]:
        try:
            with torch.device("meta"):
                net = build("squeezenet_small", num_classes=10, width=width, pool_after=places)
        except ValueError as error:
            raise Wrong(f"sq.build does not take this width: {error}") from None
        return count(net, (3, 32, 32))

    width = as_number(given["width"], "width")
    goal, found = costs(0.5, (1, 3, 5)), costs(width, LATE)
    times = found["multiply_adds"] / goal["multiply_adds"]
    wider = "late pools make the maps larger, so the network has to be narrower, not wider."
    yield "equal work", width < 0.5, wider
    linear = "the work grows with the square of the width, not with the width itself."
    yield "equal work", times > 0.5, f"this network has {times:.2f} of the work: {linear}"
    close_by = f"with this width it has {times:.3f} times the work. Search in steps of 0.005."
    yield "equal work", abs(times - 1) < 0.02, close_by
    other = {goal["parameters"]: "this is the network as in 1.1."}
    yield from number("parameters", given["parameters"], found["parameters"], other)
    peak = found["activation_bytes"]
    other = {
        goal["activation_bytes"]: "this is the network as in 1.1.",
        peak / 4: "these are numbers. Each has four bytes.",
        peak / 1e3: "give bytes.",
        peak / 1e6: "give bytes.",
    }
    yield from number("peak", given["peak_activation_bytes"], peak, other)


def other_sizes(answer: Any) -> Claims:
    given = named(answer, "sides", "runs", "windows")
    sizes = (24, 32, 64)
    with torch.device("meta"):
        net = build("squeezenet_small", num_classes=10, width=0.25)
        sides = [net.features(torch.empty(1, 3, n, n)).shape[-1] for n in sizes]
    found = [as_number(side, "a side") for side in items(given["sides"], 3, "sides")]
    yield "sides", found == sides, f"the maps before the head do not have the sides {found}."
    runs = {str(one) for one in items(given["runs"], what="runs")}
    works = {"average", "dense"}
    odd = "name the heads that run at all three sizes: 'average', 'dense'."
    yield "heads", runs <= works, odd
    grid = "give both a try: the dense head does not see the map itself, but a grid of means."
    yield "heads", runs == works, grid
    for n in (8, 3, 4, 5, 6):
        listed = items(ask(given["windows"], n), 4, f"windows({n})")
        pairs = [tuple(int(as_number(v, "an end")) for v in items(w, 2)) for w in listed]
        right = []
        for cell in range(4):
            row = torch.zeros(1, 1, n, requires_grad=True)
            F.adaptive_avg_pool1d(row, 4)[0, 0, cell].backward()
            seen = row.grad[0, 0].nonzero().flatten().tolist()
            right.append((seen[0], seen[-1] + 1))
        last = "give the pixel after the last one, as a slice does."
        yield "windows", pairs != [(a, b - 1) for a, b in right] or n == 4, last
        apart = [(cell * n // 4, (cell + 1) * n // 4) for cell in range(4)]
        overlap = f"of {n} pixels these windows have no overlap. The end is rounded up."
        yield "windows", n % 4 == 0 or pairs != apart, overlap
        yield "windows", pairs == right, f"of {n} pixels the cells do not see {pairs}."


def _side_and_sign(model: nn.Module) -> tuple[int, bool]:
    """The side of the last map of a 32-pixel image, and whether a Fire module's input is signed."""
    lowest: list[float] = []
    handles = [
        fire.register_forward_pre_hook(lambda _, x: lowest.append(float(x[0].min())))
        for fire in model.modules()
        if isinstance(fire, Fire)
    ]
    image = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        side = model.eval().features(image).shape[-1]
    for handle in handles:
        handle.remove()
    return side, min(lowest) < 0


def all_convolutional(answer: Any) -> Claims:
    given = named(answer, "function", "added")
    pools = (nn.MaxPool2d, nn.AvgPool2d)
    for width in (0.25, 0.5):
        plain = build("squeezenet_small", num_classes=10, in_channels=1, width=width)
        held = numbers_in(plain)
        widths = _pooled_channels(plain)
        model = ask(given["function"], plain)
        if not isinstance(model, nn.Module):
            raise Wrong("the function returns no module: return the model.")
        left = [m for m in model.features.children() if isinstance(m, pools)]
        yield "no pooling", not left, f"{len(left)} pooling layers are left."
        convs = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
        many = f"{len(convs)} convolutions have stride 2; three replace the pools."
        yield "three convolutions", len(convs) == 3, many
        thin = "a convolution has groups: it should see all channels."
        yield "C to C", all(conv.groups == 1 for conv in convs), thin
        shapes = [(conv.in_channels, conv.out_channels, conv.kernel_size[0]) for conv in convs]
        wrong = f"they are {shapes} (in, out, kernel); keep the channels of the map."
        yield "C to C", shapes == [(C, C, 3) for C in widths], wrong
        side, signed = _side_and_sign(model)
        padding = f"a 32-pixel image ends as a map of {side}, not 4: pad by one pixel."
        yield "sides", side == 4, padding
        yield "ReLU", not signed, "a Fire module gets negative numbers: a ReLU ends each block."
        added = numbers_in(model) - held
        bare, biased = sum(9 * C * C for C in widths), sum(widths)
        norms = "batch normalisation is missing behind the convolutions."
        yield "normalised", added not in (bare, bare + biased), norms
        bias = "batch normalisation has a shift, so the convolutions need no bias."
        yield "normalised", added != bare + 3 * biased, bias
        yield "added", added == bare + 2 * biased, f"at width {width} it adds {added:,} numbers."
        if width == 0.25:
            known = {
                bare: "batch normalisation adds two numbers for each channel.",
                held: "this is the network before.",
            }
            yield from number("added", given["added"], added, known)


def _pooled_channels(model: nn.Module) -> list[int]:
    """The channels of the maps that the pooling layers get."""
    found: list[int] = []
    hooks = [
        layer.register_forward_pre_hook(lambda layer, given: found.append(given[0].shape[1]))
        for layer in model.features.children()
        if isinstance(layer, nn.MaxPool2d)
    ]
    with torch.no_grad():
        model.eval().features(torch.zeros(1, 1, 32, 32))
    for hook in hooks:
        hook.remove()
    return found
