"""`python -m tools.imagenet_tables FOLDER`: the tables of notebook 14, from ImageNet pictures.

The released file is taken apart, and networks are squeezed into fewer and fewer bytes.

Every file is judged on pictures that its making never saw: the pictures are split in two halves
of every second class, one calibrates, the other judges, and then the other way round.
"""

from __future__ import annotations

import argparse
import lzma
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from squeeze_utils.base import measurements
from squeeze_utils.base.commandline import exit_code
from squeeze_utils.compress.pricing import Squeezed, frontier
from squeeze_utils.compress.sqz import container
from squeeze_utils.imagenet import judging, networks, pictures, released_file, wordnet

TARGETS = {
    "squeezenet1_0": (340_000, 240_000, 300_000, 400_000, 470_000),
    "squeezenet1_1": (500_000, 340_000, 240_000, 700_000, 1_000_000),
}
BINS = np.linspace(-0.6, 0.6, 49)  # of the histograms of weights
EXAMPLES = 9  # pictures whose predictions are kept
PLACE = ("seed", "half", "target")


def record(
    folder: Path, only: Sequence[str] | None = None, seeds: Sequence[int] = (0,)
) -> Iterator[Path]:
    """Make the tables from the pictures in `folder`; the path of each, whenever it is written.

    `only` may name networks of TARGETS, or `file` for the anatomy of the released file. Rows of
    other seeds than `seeds` stay as they are.
    """
    accepted = ("file", *TARGETS)
    chosen = accepted if only is None else tuple(only)
    if not set(chosen) <= set(accepted):
        raise ValueError(f"unknown network in {', '.join(chosen)}; accepted: {', '.join(accepted)}")
    paths = pictures.find_pictures(folder)
    labels = pictures.labels(paths)
    if "file" in chosen:
        yield _record_file()
    for name in TARGETS:
        if name in chosen:
            yield from _record_network(name, paths, labels, seeds)


def original(name: str) -> nn.Module:
    """A network of TARGETS as it was published."""
    return networks.trained(networks.fetch() if name == "squeezenet1_0" else name)


def _record_file() -> Path:
    data = networks.fetch().read_bytes()
    layers = released_file.read_released(data)
    model = released_file.to_model(layers)
    lossless, parts = container.encode_sqz(model, "contexts")
    state, again = model.state_dict(), container.decode_sqz(lossless).state_dict()
    return measurements.keep_measurement(
        "released/file",
        [_layer_row(layer, parts) for layer in layers],
        bytes=len(data),
        general=_general(data),
        parts=released_file.sizes(layers),
        written_again_is_equal=released_file.write_released(layers) == data,
        lossless_bytes=len(lossless),
        lossless_is_equal=all(torch.equal(state[key], again[key]) for key in state),
        lossless_parts=grouped(parts),
        without_contexts_bytes=len(container.encode_sqz(model)[0]),
        bins=BINS.tolist(),
    )


def _general(data: bytes) -> dict[str, int]:
    """Bytes that general compressors make of the file; brotli's only where it is installed."""
    found = {"zlib -9": len(zlib.compress(data, 9))}
    found["xz -9e"] = len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    if find_spec("brotli"):
        found["brotli -11"] = len(import_module("brotli").compress(data, quality=11))
    return found


def _layer_row(layer: released_file.Layer, parts: dict[str, int]) -> dict[str, Any]:
    weight = layer.weight()
    values = weight[weight != 0]
    return {
        "layer": layer.name,
        "weights": weight.size,
        "entries": len(layer.codes),
        "fillers": int((layer.codes == 0).sum()),
        "density": layer.density,
        "different": len(np.unique(values)),
        "bytes": sum(layer.sizes.values()),
        "lossless_bytes": sum(n for part, n in parts.items() if part.startswith(f"{layer.name}.w")),
        "histogram": np.histogram(values, BINS)[0].tolist(),
    }


def grouped(parts: dict[str, int]) -> dict[str, int]:
    """Bytes of a `.sqz` by what they hold, from those of its parts."""
    found = {"weights": 0, "heads and code tables": 0, "biases, codebooks, steps": 0, "rest": 0}
    for part, size in parts.items():
        tensor, _, kind = part.rpartition("/")
        if tensor == "floats" or kind == "floats" or tensor.endswith("bias"):
            found["biases, codebooks, steps"] += size
        elif kind in ("header", "tables"):
            found["heads and code tables"] += size
        elif kind in ("codes", "gaps"):
            found["weights"] += size
        else:
            found["rest"] += size
    return found


def _record_network(
    name: str, paths: Sequence[Path], labels: Tensor, seeds: Sequence[int]
) -> Iterator[Path]:
    model = original(name)
    scores = judging.outputs(model, paths, progress=True)
    _drop_old_targets(name, seeds)
    whole = all(torch.equal(p, p.half().float()) for p in model.parameters())
    about = {
        "original": asdict(judging.judge(scores, scores, labels)),
        "values": "float16" if whole else "float32",
        "halves": "every second class calibrates, the others judge; then the reverse",
    }
    for seed, half in product(seeds, (0, 1)):
        calibrating, judged = paths[half::2], slice(1 - half, None, 2)
        images = pictures.calibration(calibrating, model)
        start = time.perf_counter()
        makes = frontier(model, images, TARGETS[name], seed, progress=True, coder="contexts")
        for target, found in zip(TARGETS[name], makes, strict=True):
            seconds = time.perf_counter() - start
            after = judging.outputs(found.model, paths[judged])
            verdict = judging.judge(after, scores[judged], labels[judged])
            row = {"seed": seed, "half": half, "target": target}
            facts = {"bytes": len(found.data), "calibrated": len(calibrating), "seconds": seconds}
            row |= {**facts, **asdict(verdict)}
            if (seed, half, target) == (0, 0, TARGETS[name][0]):
                yield _record_inside(name, found)
                yield _record_examples(name, paths[judged], labels[judged], scores[judged], after)
            yield measurements.keep_row(f"released/{name}", row, PLACE, **about)
            start = time.perf_counter()


def _drop_old_targets(name: str, seeds: Sequence[int]) -> None:
    """Drop rows of these seeds whose target is no longer asked for."""
    known = measurements.read_measurement(f"released/{name}")
    rows = known.rows if known else []
    wanted = [r for r in rows if r["seed"] not in seeds or r["target"] in TARGETS[name]]
    if known and len(wanted) < len(rows):
        measurements.keep_measurement(f"released/{name}", wanted, **known.about)


def _record_inside(name: str, found: Squeezed) -> Path:
    parts = grouped(found.parts)
    return measurements.keep_measurement(
        f"released/{name}_inside", found.layers, bytes=len(found.data), parts=parts
    )


def _record_examples(
    name: str, paths: Sequence[Path], labels: Tensor, before: Tensor, after: Tensor
) -> Path:
    names = wordnet.classes()
    rows = []
    for i in range(len(paths) // (2 * EXAMPLES), len(paths), len(paths) // EXAMPLES):
        row: dict[str, Any] = {"picture": paths[i].name, "class": names[labels[i]]}
        for kind, scores in (("original", before[i]), ("small", after[i])):
            share, index = scores.softmax(0).max(0)
            row |= {kind: names[index], f"{kind}_share": float(share)}
        rows.append(row)
    return measurements.keep_measurement(f"released/{name}_examples", rows[:EXAMPLES])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: a folder of pictures, and optionally which networks and seeds."""
    parser = argparse.ArgumentParser(prog="python -m tools.imagenet_tables", description=__doc__)
    parser.add_argument("folder", help="folders of ImageNet pictures, named by their class")
    parser.add_argument("--network", nargs="*", help="only of these networks, or only the file's")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="rows of others stay")
    asked = parser.parse_args(arguments)

    def work() -> None:
        for path in record(Path(asked.folder), asked.network, asked.seeds):
            print(path)

    return exit_code(work, "the tables named so far are kept")


if __name__ == "__main__":
    sys.exit(main())
