"""`python -m tools.trellis_table FOLDER NETWORK`: what dependent rounding saves.

Each layer of a network of notebook 14 is rounded on one grid, at the price at which it needs some
number of bits a weight, and on two grids in turn. Both are written by the same adaptive range
coder and read again. FOLDER has ImageNet pictures; it takes about 15 minutes on one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from tqdm.auto import tqdm

from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.measurements import keep_measurement
from squeeze_utils.compress.pricing import trellis
from squeeze_utils.compress.pricing.layers_and_inputs import Learned, learn
from squeeze_utils.compress.pricing.priced_rounding import Rounded, round_layer
from squeeze_utils.compress.sqz.bits import Reader
from squeeze_utils.compress.sqz.coders import CODERS
from squeeze_utils.imagenet import pictures
from squeeze_utils.results.dependent_rounding import PREFIX
from tools.imagenet_tables import TARGETS, original

# Bits a weight on one grid, and how much finer two grids are then: the best shares for a
# made-up source (`results/dependent_rounding`), fixed before this was measured.
FINER = {0.5: 0.75, 1.0: 0.7, 1.5: 0.65, 2.0: 0.65, 3.0: 0.55}
PICTURES = 50
LEAST_WEIGHTS = 4096  # of a layer: in smaller ones the coder hardly learns its frequencies
TRIES = 12  # of a price
NEAR = 0.002  # of the wanted bits
AROUND = (0.7, 1.0, 1.4)  # times the price of one grid: of two, to interpolate between


def compared(layer: Learned, bits: float) -> dict[str, Any] | None:
    """Bytes on one grid and on two at the same error; None where no price leads to such `bits`.

    `two_bytes` is interpolated between the codes of the prices AROUND, and so no file's size. The
    seconds are those of one run, without a warm-up.
    """
    price = _price_for(layer, bits)
    if price is None:
        return None
    start = time.perf_counter()
    one = round_layer(layer.weight, layer.columns, price)
    one_seconds = time.perf_counter() - start
    finer = FINER[bits]
    start = time.perf_counter()
    two = [
        round_layer(layer.weight, layer.columns, price * factor, grid=trellis.Dependent(finer))
        for factor in AROUND
    ]
    two_seconds = (time.perf_counter() - start) / len(AROUND)
    errors, sizes = np.log([[r.error, _on_two_grids(r)] for r in two]).T
    return {
        "bits": bits,
        "weights": layer.weight.numel(),
        "one_bytes": _on_one_grid(one),
        "two_bytes": float(np.exp(np.interp(np.log(one.error), errors, sizes))),
        "inside": bool(errors[0] <= np.log(one.error) <= errors[-1]),
        "one_seconds": one_seconds,
        "two_seconds": two_seconds,
    }


def _price_for(layer: Learned, bits: float) -> float | None:
    """The price at which one grid takes about so many `bits` a weight."""
    power = ((layer.weight @ layer.columns.covariance) * layer.weight).sum()
    low, high = (float(power) / layer.weight.numel() * share for share in (1e-6, 1e1))
    for _ in range(TRIES):
        price = (low * high) ** 0.5
        found = round_layer(layer.weight, layer.columns, price).bits / layer.weight.numel()
        if abs(found / bits - 1) < NEAR:
            return price
        low, high = (price, high) if found > bits else (low, price)
    return price if abs(found / bits - 1) < 10 * NEAR else None


def _on_one_grid(rounded: Rounded) -> int:
    numbers = rounded.numbers.numpy().reshape(-1)
    most = int(np.abs(numbers).max())
    data = b"".join(CODERS["range"].encode(numbers + most, 2 * most + 1, most).values())
    back = CODERS["range"].decode(Reader(data), len(numbers), 2 * most + 1, most)
    _check(np.array_equal(back - most, numbers), "one grid")
    return len(data)


def _on_two_grids(rounded: Rounded) -> int:
    numbers = rounded.numbers.numpy().T
    data = trellis.encode(numbers)
    _check(np.array_equal(trellis.decode(data, numbers.shape), numbers), "two grids")
    return len(data)


def _check(is_equal: bool, grids: str) -> None:
    if not is_equal:
        raise RuntimeError(f"what was written of {grids} is not what is read")


def rows(model: nn.Module, images: Tensor) -> Iterator[dict[str, Any]]:
    """A row for each large layer of the network and each of FINER."""
    learned = learn(model, images, seed=0)
    large = {n: layer for n, layer in learned.items() if layer.weight.numel() >= LEAST_WEIGHTS}
    for name, layer in tqdm(large.items(), desc="layers"):
        for bits in FINER:
            found = compared(layer, bits)
            if found:
                yield {"layer": name, **found}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: a folder of pictures."""
    parser = argparse.ArgumentParser(prog="python -m tools.trellis_table", description=__doc__)
    parser.add_argument("folder", help="folders of ImageNet pictures, named by their class")
    parser.add_argument("network", choices=TARGETS, help="whose layers")
    asked = parser.parse_args(arguments)

    def work() -> None:
        model = original(asked.network).eval().requires_grad_(False)
        paths = pictures.find_pictures(Path(asked.folder))
        images = pictures.calibration(paths[:: max(1, len(paths) // PICTURES)], model)
        found = list(rows(model, images))
        about = {"calibrated": len(images)}
        print(keep_measurement(f"{PREFIX}{asked.network}", found, **about).name)

    return exit_code(work, "the old table is kept")


if __name__ == "__main__":
    sys.exit(main())
