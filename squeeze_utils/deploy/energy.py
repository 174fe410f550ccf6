"""Energy of one prediction, ESTIMATED: counted operations and bytes times published figures.

The figures are for a 45 nm process at 0.9 V (M. Horowitz, "Computing's energy problem (and what
we can do about it)", ISSCC 2014). Nothing here is measured. A processor also spends about 70 pJ
on fetching and steering each instruction, which these figures leave out; so ratios between
networks and number formats mean more than the joules themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

PICOJOULES = {
    "float32 multiply": 3.7,
    "float32 add": 0.9,
    "int8 multiply": 0.2,
    "int32 add": 0.1,
    "cache, 8 bytes": 20.0,  # 32 kB of SRAM
    "memory, 8 bytes": 1300.0,  # DRAM, the lower end of 1.3 to 2.6 nJ
}
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


def estimate(
    multiply_adds: int, weights: int, activations: int, form: str, in_cache: bool = False
) -> Estimate:
    """Microjoules of one prediction.

    Args:
        multiply_adds: of one image.
        weights: numbers read once, from memory.
        activations: numbers written once and read once.
        form: "float32" or "int8": arithmetic, weights and activations alike.
        in_cache: activations stay in the cache; otherwise they go to memory and back. The truth
            lies between the two.
    """
    if form not in FORMATS:
        raise ValueError(f"form is one of {', '.join(FORMATS)}, got {form!r}")
    if min(multiply_adds, weights, activations) < 0:
        raise ValueError("counts cannot be negative")
    multiply, add, size = FORMATS[form]
    far = PICOJOULES["memory, 8 bytes"] / 8
    near = PICOJOULES["cache, 8 bytes"] / 8 if in_cache else far
    return Estimate(
        arithmetic=1e-6 * multiply_adds * (PICOJOULES[multiply] + PICOJOULES[add]),
        weights=1e-6 * weights * size * far,
        activations=1e-6 * 2 * activations * size * near,
    )
