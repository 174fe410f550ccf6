"""Seconds to encode and decode SqueezeNet 1.0, pruned and shared, on one core."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from squeeze_utils.base.commandline import positive
from squeeze_utils.base.machine import device_name
from squeeze_utils.compress.pruning import masks
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import hold
from squeeze_utils.compress.sharing.steps import Share
from squeeze_utils.compress.sqz import container
from squeeze_utils.data.sets import load_images
from squeeze_utils.models import build
from squeeze_utils.training.step import State


def squeezed(sparsity: float, bits: int) -> torch.nn.Module:
    """SqueezeNet 1.0 with random weights, pruned and shared: speed does not ask for accuracy."""
    torch.manual_seed(0)
    state = State(build("squeezenet1_0").eval(), load_images("digits", 8))
    scores = {name: weight.detach().abs() for name, weight in prunable(state.model).items()}
    hold(state, masks.build(scores, sparsity))
    Share(bits).apply(state)
    return state.model


def seconds(call: Callable[[], object], repetitions: int) -> float:
    """Median processor time of `call`, after one call that is not counted."""
    times = []
    for _ in range(repetitions + 1):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print one line for each number of bits and each coder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=positive, default=30)
    count = parser.parse_args().repetitions
    torch.set_num_threads(1)
    print(f"{device_name('cpu')}, median of {count}")
    for bits in (4, 6, 8):
        model = squeezed(0.67, bits)
        for coder in ("best", "contexts", "gaps"):
            data, _ = container.encode_sqz(model, coder)
            encode = seconds(lambda m=model, c=coder: container.encode_sqz(m, c), count)
            decode = seconds(lambda d=data: container.decode_sqz(d), count)
            print(
                f"{bits} bits, {coder:8} {len(data):8,} bytes  "
                f"encode {encode:.2f} s  decode {decode:.2f} s"
            )


if __name__ == "__main__":
    main()
