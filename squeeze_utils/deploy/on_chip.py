"""Which files fit into the memory inside a chip: microcontrollers and FPGAs, by their data sheets.

A microcontroller keeps weights in flash and activations in RAM. An FPGA has one kind of memory for
both, its block RAM. Memory outside the chip, the program and its stack are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

KIB = 1024
BLOCK = 36 * KIB // 8  # bytes of a block RAM of AMD's (Xilinx's) 7 series, parity bits included


@dataclass(frozen=True)
class Chip:
    """A chip with its bytes of RAM, and of flash; without flash, the RAM holds everything.

    Of a microcontroller's RAM only the largest block of connected addresses counts: the other
    blocks are left to the program, and an activation map cannot be cut in two.
    """

    name: str
    ram: int
    flash: int | None = None


#: STMicroelectronics' data sheets of the parts with most flash; AMD's DS180 and DS190.
CHIPS = (
    Chip("STM32F407", 128 * KIB, 1024 * KIB),
    Chip("STM32F746", 320 * KIB, 1024 * KIB),
    Chip("STM32H743", 512 * KIB, 2048 * KIB),
    Chip("Artix-7 35T", 50 * BLOCK),
    Chip("Zynq-7020", 140 * BLOCK),
    Chip("Zynq-7045", 545 * BLOCK),
    Chip("Virtex-7 1140T", 1880 * BLOCK),
)


@dataclass(frozen=True)
class Need:
    """What a network needs: bytes of its file, and working bytes at the same time.

    The working bytes are the peak of the activations; for a coded file also those of the largest
    layer, which is decoded just before it is used.
    """

    weights: int
    working: int


def verdict(need: Need, chip: Chip) -> str:
    """`fits`, or what is too large for the chip: `weights`, `activations`, `both` or `sum`."""
    if min(need.weights, need.working) < 0:
        raise ValueError("bytes cannot be negative")
    if chip.flash is None:
        return "fits" if need.weights + need.working <= chip.ram else "sum"
    heavy, wide = need.weights > chip.flash, need.working > chip.ram
    if heavy and wide:
        return "both"
    return "weights" if heavy else "activations" if wide else "fits"


def chips_table(needs: dict[str, Need], chips: Sequence[Chip] = CHIPS) -> pd.DataFrame:
    """A row for each file: its needs in kB (1,000 bytes), and the verdict for each chip."""
    rows = {
        name: {
            "file (kB)": f"{need.weights / 1000:,.0f}",
            "working (kB)": f"{need.working / 1000:,.0f}",
            **{chip.name: verdict(need, chip) for chip in chips},
        }
        for name, need in needs.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")
