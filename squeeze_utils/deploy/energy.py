"""Energy of one prediction, ESTIMATED: counted operations and bytes times published figures.

The figures are for a 45 nm process at 0.9 V (M. Horowitz, "Computing's energy problem (and what
we can do about it)", ISSCC 2014). Nothing here is measured. A processor also spends about 70 pJ
on fetching and steering each instruction, which these figures leave out; so ratios between
networks and number formats mean more than the joules themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from squeeze_utils.base.checks import choose

#: Picojoules of one operation.
OPERATIONS = {
    "float32 multiply": 3.7,
    "float32 add": 0.9,
    "int8 multiply": 0.2,
    "int32 add": 0.1,
}
#: Picojoules of an access to 8 bytes, by what holds them; of DRAM the lower end of 1.3 to 2.6 nJ.
MEMORIES = {"8 kB": 10.0, "32 kB": 20.0, "1 MB": 100.0, "DRAM": 1300.0}
#: Bytes that each memory on the chip holds.
ON_CHIP = {"8 kB": 8 * 2**10, "32 kB": 32 * 2**10, "1 MB": 2**20}
FORMATS = {
    "float32": ("float32 multiply", "float32 add", 4),
    "int8": ("int8 multiply", "int32 add", 1),
}


@dataclass(frozen=True)
class Estimate:
    """Microjoules of one prediction, in three parts."""

    arithmetic: float
    weights: float
    activations: float

    @property
    def total(self) -> float:
        """Their sum, in microjoules."""
        return self.arithmetic + self.weights + self.activations


def smallest_memory(size: int) -> str:
    """The smallest memory of the published figures that holds so many bytes: the cheapest one."""
    return next((name for name, holds in ON_CHIP.items() if size <= holds), "DRAM")


def estimate(
    multiply_adds: int, weights: int, activations: int, form: str, memory: str = "DRAM"
) -> Estimate:
    """Microjoules of one prediction, with arithmetic, weights and activations in one `form`.

    `weights` are numbers read once, from DRAM; `activations` are written once and read once.
    `memory` holds the activations, one of `MEMORIES`. It has to be large enough for their peak:
    see `smallest_memory`.
    """
    choose("form", form, FORMATS)
    choose("memory", memory, MEMORIES)
    if min(multiply_adds, weights, activations) < 0:
        raise ValueError("counts cannot be negative")
    multiply, add, size = FORMATS[form]
    return Estimate(
        arithmetic=1e-6 * multiply_adds * (OPERATIONS[multiply] + OPERATIONS[add]),
        weights=1e-6 * weights * size * MEMORIES["DRAM"] / 8,
        activations=1e-6 * 2 * activations * size * MEMORIES[memory] / 8,
    )
