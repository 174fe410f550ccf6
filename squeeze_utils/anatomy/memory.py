"""How many bytes of activations are alive at the same time, counted on one traced pass."""

from __future__ import annotations

from torch import nn

from squeeze_utils.anatomy.tracing import Recorder, trace


def peak_activation_bytes(
    model: nn.Module, input_shape: tuple[int, int, int], join_in_place: bool = False
) -> int:
    """The most bytes of activations alive at once on one image, as float32.

    The image and every output live from the operation that makes them to the last one that
    reads them; views and in-place results share memory. Parameters and the workspace inside an
    operation (such as unfolded patches) are not counted: it is what a careful program needs.

    With `join_in_place`, what is concatenated is written into its part of the result at once, so a
    concatenation copies nothing. Without it, the parts and the result are alive together.
    """
    return max(alive_bytes(trace(model, input_shape), join_in_place))


def written_bytes(model: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Bytes of all outputs for one image, as float32: what a careful program writes to memory.

    In-place results are counted once, and so is what is concatenated: it is written into its part
    of the result at once. The image is not counted.
    """
    record = trace(model, input_shape)
    image = next(iter(record.bytes))  # noted before all others
    return sum(
        size
        for activation, size in record.bytes.items()
        if activation != image and activation not in record.joined
    )


def alive_bytes(record: Recorder, join_in_place: bool = False) -> list[int]:
    """Bytes of activations alive during each operation of a traced pass, in its order."""
    joined = record.joined if join_in_place else {}

    def home(activation: int) -> int:
        while activation in joined:
            activation = joined[activation]
        return activation

    touched = [{home(activation) for activation in used} for used in record.touched]
    last_use = {activation: time for time, used in enumerate(touched) for activation in used}
    alive: set[int] = set()
    found = []
    for time, used in enumerate(touched):
        alive |= used
        found.append(sum(record.bytes[activation] for activation in alive))
        alive = {activation for activation in alive if last_use[activation] > time}
    return found
