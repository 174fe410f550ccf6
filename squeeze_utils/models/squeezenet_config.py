"""Every variation of SqueezeNet (arXiv 1602.07360) as one frozen config."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from squeeze_utils.base.checks import choose, real_number, true_or_false, whole_number
from squeeze_utils.models.fake_quant import check_bits
from squeeze_utils.models.fire import BYPASSES, EXPANDS
from squeeze_utils.models.layers import ACTIVATIONS, LONG_STUDY_POOLINGS, NORMS, POOLINGS

HEADS: tuple[str, ...] = ("average", "dense")
INITS: tuple[str, ...] = ("kaiming", "matched")
GRID = 4  # a dense head sees the last map at GRID x GRID positions
FIRES = range(2, 10)  # the numbers of the Fire modules in the paper
MOST_REPEATS = 8  # a .sqz file from anywhere names these: no more layers than can be built

_CHOICES = {
    "activation": ACTIVATIONS,
    "pooling": (*POOLINGS, *LONG_STUDY_POOLINGS),
    "bypass": BYPASSES,
    "expand": EXPANDS,
    "head": HEADS,
    "init": INITS,
}
_LEAST = {
    **dict.fromkeys(("num_classes", "in_channels", "first_channels"), 1),
    **dict.fromkeys(("first_kernel", "first_stride"), 1),
    **dict.fromkeys(("first_padding", "step_expand", "last_padding"), 0),
    "base_expand": 2,
}


def _are_triples(fires: object) -> bool:
    """Whether `fires` has three numbers for each Fire module, or nothing at all."""
    if not isinstance(fires, list | tuple) or len(fires) not in (0, len(FIRES)):
        return False
    return all(isinstance(numbers, list | tuple) and len(numbers) == 3 for numbers in fires)


@dataclass(frozen=True)
class SqueezeNetConfig:
    """All that distinguishes one SqueezeNet from another.

    The names follow section 5.1 of the paper: Fire module i = 2..9 has
    e_i = `base_expand` + `step_expand` * floor((i - 2) / 2) expand filters, a share `pct3x3` of
    them 3x3, and s_i = `squeeze_ratio` * e_i squeeze filters; `width` multiplies every layer.
    `pool_after` lists the layers that a pooling layer follows: 1 is the first convolution,
    2..9 the Fire modules. `first_repeat` stacks that many first convolutions, 1 to MOST_REPEATS
    (the others with stride 1). `head` is the paper's conv10 and global average, or a dense layer on
    the last map. `linear_squeeze` leaves the activation behind the squeeze layers out.
    `init` is Kaiming's for ReLU, or the same with the gain of the activation at hand.
    `fires` gives (s, e1, e3) of all eight Fire modules outright, as filter pruning leaves them.
    `last_padding` is 1 in the networks that the authors released, 0 in torchvision's.
    `activation_bits` puts a FakeQuant behind the input and every activation (0: none).
    """

    num_classes: int = 1000
    in_channels: int = 3
    first_channels: int = 96
    first_kernel: int = 7
    first_stride: int = 2
    first_padding: int = 0
    first_repeat: int = 1
    base_expand: int = 128
    step_expand: int = 128
    squeeze_ratio: float = 0.125
    pct3x3: float = 0.5
    width: float = 1.0
    activation: str = "relu"
    linear_squeeze: bool = False
    pooling: str = "max"
    pool_after: tuple[int, ...] = (1, 4, 8)
    norm: str = "none"
    bypass: str = "none"
    expand: str = "plain"
    head: str = "average"
    init: str = "kaiming"
    fires: tuple[tuple[int, int, int], ...] = ()
    activation_bits: int = 0
    last_padding: int = 0
    dropout: float = 0.5
    final_relu: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.pool_after, Iterable) or isinstance(self.pool_after, str):
            raise ValueError(f"pool_after takes a tuple of layers, got {self.pool_after!r}")
        object.__setattr__(self, "pool_after", tuple(self.pool_after))
        if not _are_triples(self.fires):
            raise ValueError(f"fires takes {len(FIRES)} triples (s, e1, e3), got {self.fires!r}")
        object.__setattr__(self, "fires", tuple(map(tuple, self.fires)))
        choose("normalisation", self.norm, NORMS)
        for name, accepted in _CHOICES.items():
            choose(name, getattr(self, name), accepted)
        for name, least in _LEAST.items():
            whole_number(name, getattr(self, name), least)
        whole_number("first_repeat", self.first_repeat, 1, MOST_REPEATS)
        for name in ("linear_squeeze", "final_relu"):
            true_or_false(name, getattr(self, name))
        real_number("squeeze_ratio", self.squeeze_ratio, above=0)
        real_number("width", self.width, above=0)
        real_number("pct3x3", self.pct3x3, above=0, below=1)
        real_number("dropout", self.dropout, least=0, below=1)
        if self.activation_bits:
            check_bits("activation_bits", self.activation_bits, 2)
        for number in itertools.chain(*self.fires):
            whole_number("a number of filters", number, 1)
        if any(layer not in (1, *FIRES) for layer in self.pool_after):
            raise ValueError(f"pool_after accepts layers 1 to 9, got {self.pool_after}")
        if self.scaled(self.base_expand) < 2:
            raise ValueError(f"width {self.width} leaves a Fire module fewer than 2 expand filters")

    def scaled(self, channels: float) -> int:
        """`channels` times the width factor, at least 1."""
        return max(1, round(channels * self.width))

    def fire(self, index: int) -> tuple[int, int, int]:
        """Squeeze, expand 1x1 and expand 3x3 filters (s, e1, e3) of Fire module `index` (2..9)."""
        if self.fires:
            return self.fires[index - FIRES.start]
        expand = self.base_expand + self.step_expand * ((index - 2) // 2)
        total = self.scaled(expand)
        e3 = min(total - 1, max(1, round(total * self.pct3x3)))
        return self.scaled(expand * self.squeeze_ratio), total - e3, e3


V1_0 = SqueezeNetConfig()
V1_1 = SqueezeNetConfig(first_channels=64, first_kernel=3, pool_after=(1, 3, 5))
SMALL = SqueezeNetConfig(
    num_classes=10,
    first_channels=64,
    first_kernel=3,
    first_stride=1,
    first_padding=1,
    pool_after=(1, 3, 5),
    norm="batch",
    dropout=0.0,
    final_relu=False,
)
