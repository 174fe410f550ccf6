"""Energy of a prediction or a training, ESTIMATED: counted operations and bytes times figures.

The figures are published ones for a 45 nm process at 0.9 V (M. Horowitz, "Computing's energy
problem (and what we can do about it)", ISSCC 2014). Nothing here is measured. A processor also
spends about 70 pJ on fetching and steering each instruction, which these figures leave out; so
ratios between networks and number formats mean more than the joules themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from squeeze_utils.anatomy.tables import layer_table
from squeeze_utils.base.checks import choose
from squeeze_utils.training.frozen import check_parts, is_in

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


def training_multiply_adds(
    model: nn.Module, input_shape: tuple[int, int, int], trained: Sequence[str] = ()
) -> int:
    """Multiply-adds of one image in one training step of a network, or of its last parts `trained`.

    Every layer computes its output. A trained one computes two gradients of about the same cost:
    one for its weights, one to pass on. Before the first trained layer nothing is passed on.

    >>> import squeeze_utils as sq
    >>> model = sq.build("squeezenet_small", num_classes=10)
    >>> training_multiply_adds(model, model.input_shape) / sq.count(model)["multiply_adds"]
    3.0
    """
    check_parts(model, trained)
    layers = layer_table(model, input_shape)
    forward = int(layers["multiply_adds"].sum())
    inside = layers["layer"].map(lambda name: not trained or is_in(name, trained)).astype(bool)
    behind = inside.cummax() & (layers["multiply_adds"] > 0)
    if not inside[behind].all():
        raise ValueError(f"trained must be the last layers, got {', '.join(trained)}")
    return forward + 2 * int(layers.loc[inside, "multiply_adds"].sum())
