"""Receptive fields: which input pixels an output pixel can see, carried from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["PIXEL", "Reach", "Span", "reach_of"]


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


PIXEL = Span(0, 0, 1)
Reach = tuple[Span, Span]  # along the height, along the width
Source = tuple[Sequence[int], "Reach | None"]  # shape of an input and its reach

_WINDOWS = {
    # name: places of kernel, stride, padding and dilation among the arguments
    "max_pool2d_with_indices": (1, 2, 3, 4),
    "avg_pool2d": (1, 2, 3, None),
}
_PADS = {"constant_pad_nd", "replication_pad2d", "reflection_pad2d"}
_ADAPTIVE = {"_adaptive_avg_pool2d", "adaptive_max_pool2d"}
_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "native_layer_norm", "native_group_norm"}


def reach_of(
    name: str, args: Sequence[Any], sources: Sequence[Source], output: Sequence[int]
) -> Reach | None:
    """The reach of an operation's output; None where it cannot be told.

    Args:
        name: the aten operation, for example "convolution".
        args: its arguments, as torch passes them.
        sources: shape and reach of every input that depends on the image.
        output: shape of its output.
    """
    if not sources or any(reach is None for _, reach in sources):
        return None
    if name == "convolution":
        return None if args[6] else _windowed(sources[0], args[1].shape[2:], *args[3:6])
    if name in _WINDOWS:
        kernel, *rest = (_argument(args, place) for place in _WINDOWS[name])
        stride, padding, dilation = rest
        return _windowed(sources[0], kernel, stride or kernel, padding or 0, dilation or 1)
    if name in _PADS:
        return _padded(sources[0][1], args[1])
    if name in _ADAPTIVE:
        return _both(
            span.adaptive(length, outputs)
            for span, length, outputs in zip(
                sources[0][1], sources[0][0][-2:], output[-2:], strict=True
            )
        )
    if name in _PRODUCTS:
        return _joined([_whole(source) for source in sources])
    return _same_place(sources, output)


def _argument(args: Sequence[Any], place: int | None) -> Any:
    return args[place] if place is not None and place < len(args) else None


def _pair(value: Any) -> tuple[int, int]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * 2 if len(values) == 1 else values  # type: ignore[return-value]


def _windowed(source: Source, kernel: Any, *options: Any) -> Reach | None:
    if len(source[0]) not in (3, 4):
        return None
    settings = zip(_pair(kernel), *map(_pair, options), strict=True)
    return _both(span.window(*chosen) for span, chosen in zip(source[1], settings, strict=True))


def _padded(reach: Reach, pads: Sequence[int]) -> Reach:
    left = pads[0]
    top = pads[2] if len(pads) > 2 else 0
    height, width = reach
    return height.window(1, padding=top), width.window(1, padding=left)


def _whole(source: Source) -> Reach:
    shape, reach = source
    lengths = shape[-2:] if len(shape) == 4 else (1, 1)
    height, width = (span.whole(n) for span, n in zip(reach, lengths, strict=True))
    return height, width


def _both(spans: Any) -> Reach | None:
    height, width = spans
    return None if height is None or width is None else (height, width)


def _join(one: Span, other: Span) -> Span | None:
    """What two branches see together."""
    first, last = min(one.first, other.first), max(one.last, other.last)
    if one.step == other.step:
        return Span(first, last, one.step)
    return Span(first, last, 0) if 0 in (one.step, other.step) else None


def _joined(reaches: Sequence[Reach]) -> Reach | None:
    height, width = reaches[0]
    for other in reaches[1:]:
        height, width = (_join(a, b) for a, b in zip((height, width), other, strict=True))
        if height is None or width is None:
            return None
    return height, width


def _same_place(sources: Sequence[Source], output: Sequence[int]) -> Reach | None:
    """Element-wise operations and concatenation keep places; flattening and means lose them."""
    sides = tuple(output[-2:])
    reaches = []
    for shape, reach in sources:
        if len(output) == len(shape) == 4 and sides == tuple(shape[-2:]):
            reaches.append(reach)
        elif len(shape) == 4 and (len(output) < 3 or sides == (1, 1)):
            reaches.append(_whole((shape, reach)))
        elif len(shape) == 4 and tuple(shape[-2:]) == (1, 1):
            reaches.append(_whole((shape, reach)))  # broadcast over the map
        elif all(span.step == 0 for span in reach):
            reaches.append(reach)
        else:
            return None
    return _joined(reaches)
