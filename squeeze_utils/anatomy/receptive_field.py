"""Receptive fields: which input pixels an output pixel can see, carried from layer to layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_WINDOWED = {"convolution", "max_pool2d_with_indices", "avg_pool2d"}
_PADDED = {"constant_pad_nd", "replication_pad2d", "reflection_pad2d"}
_ADAPTIVE = {"_adaptive_avg_pool2d", "adaptive_max_pool2d"}
_WHOLE = {"mm", "addmm", "bmm", "baddbmm", "native_layer_norm", "native_group_norm"}


@dataclass(frozen=True)
class Span:
    """Along one axis, output i sees the input pixels first + step * i to last + step * i.

    Pixels beyond the image's edge count: they are the padding. A step of 0 means that there is
    one output only, which sees everything that came before (after flattening, or pooling
    the whole map).
    """

    first: int
    last: int
    step: int

    @property
    def size(self) -> int:
        """Input pixels from the first to the last one seen."""
        return self.last - self.first + 1

    def window(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Span:
        """After a window of `kernel` taps: it widens by dilation * (kernel - 1) steps."""
        first = self.first - padding * self.step
        last = self.last + (dilation * (kernel - 1) - padding) * self.step
        return Span(first, last, self.step * stride)

    def whole(self, length: int) -> Span:
        """After all `length` places of the axis were looked at together."""
        return Span(self.first, self.last + (length - 1) * self.step, 0)

    def adaptive(self, length: int, outputs: int) -> Span | None:
        """After adaptive pooling of `length` places to `outputs`; None if windows differ."""
        if outputs == 1:
            return self.whole(length)
        if length % outputs:
            return None
        return self.window(length // outputs, stride=length // outputs)


Reach = tuple[Span, Span]  # along the height, along the width
PIXEL: Reach = (Span(0, 0, 1), Span(0, 0, 1))  # of a pixel of the image itself


def reach_of(
    operation: str,
    settings: Mapping[str, Any],
    sources: Sequence[tuple[Sequence[int], Reach | None]],
    output: Sequence[int],
) -> Reach | None:
    """The reach of an operation's output; None where it cannot be told.

    `operation` and the names of its `settings` are those of torch's aten library. `sources` are
    shape and reach of every input that depends on the image, `output` is the output's shape.
    """
    if not sources or any(reach is None for _, reach in sources):
        return None
    spans = []
    for axis in (0, 1):
        along = [(shape, reach[axis]) for shape, reach in sources]
        spans.append(_span_of(operation, settings, along, output, axis))
    return None if None in spans else tuple(spans)


def _span_of(
    operation: str,
    settings: Mapping[str, Any],
    sources: Sequence[tuple[Sequence[int], Span]],
    output: Sequence[int],
    axis: int,
) -> Span | None:
    """One axis of `reach_of`: 0 is the height, 1 the width."""
    shape, span = sources[0]
    if operation in _WINDOWED:
        return _windowed(span, settings, axis)
    if operation in _PADDED:
        left_right_top_bottom = (*(settings.get("pad") or settings["padding"]), 0, 0)
        return span.window(1, padding=left_right_top_bottom[2 - 2 * axis])
    if operation in _ADAPTIVE:
        return span.adaptive(shape[axis - 2], output[axis - 2])
    if operation in _WHOLE:
        return _joined([_whole(*source, axis) for source in sources])
    return _joined([_same_place(*source, output, axis) for source in sources])


def _windowed(span: Span, settings: Mapping[str, Any], axis: int) -> Span | None:
    if settings.get("transposed"):
        return None
    kernel = settings["weight"].shape[2:] if "weight" in settings else settings["kernel_size"]
    window = {"kernel": kernel, "stride": settings.get("stride") or kernel}
    window |= {name: settings[name] for name in ("padding", "dilation") if name in settings}
    return span.window(**{name: sides[axis % len(sides)] for name, sides in window.items()})


def _whole(shape: Sequence[int], span: Span, axis: int) -> Span:
    return span.whole(shape[axis - 2] if len(shape) == 4 else 1)


def _same_place(shape: Sequence[int], span: Span, output: Sequence[int], axis: int) -> Span | None:
    """Element-wise operations and concatenation keep places; flattening and means lose them."""
    before, after = tuple(shape[-2:]), tuple(output[-2:])
    is_map = len(shape) == 4
    if is_map and len(output) == 4 and before == after:
        return span
    if is_map and (len(output) < 3 or (1, 1) in (before, after)):  # (1, 1): broadcast, or a mean
        return _whole(shape, span, axis)
    return span if span.step == 0 else None


def _joined(spans: Sequence[Span | None]) -> Span | None:
    """What several branches see together; None if they move on by different steps."""
    if None in spans:
        return None
    steps = {span.step for span in spans}
    if len(steps - {0}) > 1:
        return None
    first, last = min(span.first for span in spans), max(span.last for span in spans)
    return Span(first, last, 0 if 0 in steps else steps.pop())
