"""`python -m tools.deploy_tables WHAT`: what the deployment files cost, measured for notebook 17.

Tables below data/measurements/deploy/: accuracy (needs CIFAR-10), latency and starts. The times
want a machine that does nothing else. `eighth-bit` is a part of accuracy, and `vnni-latency` is
latency, for a second processor, one with VNNI: `make deploy-measure` leaves them out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from squeeze_utils.base import measurements
from squeeze_utils.base.commandline import exit_code, positive
from squeeze_utils.data import ImageSet
from squeeze_utils.data.sets import load_images
from squeeze_utils.deploy import committed_files, scoring
from squeeze_utils.deploy.interleaved import Way, starts, times
from squeeze_utils.deploy.litert import convert
from squeeze_utils.deploy.onnx_files import export_onnx, quantize_onnx
from squeeze_utils.deploy.optional_parts import converter_python, has
from squeeze_utils.deploy.processor import instructions, runtimes
from squeeze_utils.deploy.runners import open_runner, torch_runner
from squeeze_utils.deploy.write_files import CALIBRATION
from squeeze_utils.models import build
from squeeze_utils.models.checkpoint_files import load_model, save_model

SMALL, LARGE = "SqueezeNet, 32 px", "SqueezeNet 1.1, 224 px"
BATCHES = (1, 32)
THREADS = (1, 2)


def large_ways(folder: Path) -> dict[str, Way]:
    """SqueezeNet 1.1 with random weights, made in `folder`: a time does not depend on them."""
    torch.manual_seed(0)
    model = build("squeezenet1_1").eval()
    batch = torch.randn(8, *model.input_shape)
    weights, floats, short = (folder / f"large.{end}" for end in ("safetensors", "onnx", "8.onnx"))
    save_model(model, weights)
    export_onnx(model, floats, model.input_shape)
    quantize_onnx(floats, short, batch)
    found = {
        "torch": Way(weights),
        "torch, channels-last": Way(weights, channels_last=True),
        "ONNX Runtime, float": Way(floats),
        "ONNX Runtime, int8": Way(short),
    }
    if has("ai_edge_litert") and converter_python() is not None:
        paths = {form: folder / f"large.{form}.tflite" for form in ("float32", "int8")}
        convert(model, paths, model.input_shape, batch)
        found["LiteRT, float"], found["LiteRT, int8"] = map(Way, paths.values())
    return found


NETWORKS: dict[str, tuple[int, Callable[[Path], dict[str, Way]]]] = {
    SMALL: (32, lambda folder: committed_files.ways()),
    LARGE: (224, large_ways),
}


def keep_latency(repetitions: int = 30, table: str = "latency") -> Path:
    """Time both networks at every batch and number of threads; write the table."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for network, (side, ways_in) in NETWORKS.items():
            ways = ways_in(Path(temporary))
            for batch in BATCHES:
                for threads in THREADS:
                    found = times(ways, (batch, 3, side, side), threads, repetitions)
                    about = {"network": network, "batch": batch, "threads": threads}
                    rows += _rows(found, about)
    return _keep(table, rows, repetitions=repetitions)


def keep_starts(repetitions: int = 5) -> Path:
    """Start every way in fresh processes; write seconds, memory and the bytes of the files."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for network, (side, ways_in) in NETWORKS.items():
            ways = ways_in(Path(temporary))
            if network == SMALL:
                packed = committed_files.shared_sqz(Path(temporary))
                ways[".sqz, torch"] = Way(packed)
                ways[".sqz, ONNX Runtime"] = Way(packed, through_onnx=True)
            found = starts(ways, (1, 3, side, side), 1, repetitions)
            found["file_bytes"] = [way.path.stat().st_size for way in ways.values()]
            rows += _rows(found, {"network": network})
    return _keep("starts", rows, repetitions=repetitions, threads=1)


def keep_accuracy(table: str = "accuracy", only: tuple[str, str] | None = None) -> Path:
    """Every form of the committed networks, or `only` some, on the whole test split of CIFAR-10."""
    rows: list[dict[str, Any]] = []
    images = load_images("cifar10", 32)
    for name in committed_files.NAMES:
        with tempfile.TemporaryDirectory() as temporary:
            rows += _accuracies(name, images, Path(temporary), only)
    return _keep(table, rows, images=len(images.test), fingerprint=images.fingerprint)


def _keep(name: str, rows: list[dict[str, Any]], **about: Any) -> Path:
    about |= {"instructions": instructions(), "runtimes": runtimes()}
    return measurements.keep_measurement(f"deploy/{name}", rows, **about)


def _rows(frame: pd.DataFrame, about: dict[str, Any]) -> list[dict[str, Any]]:
    return [about | row for row in frame.round(3).reset_index().to_dict("records")]


def _accuracies(
    name: str, images: ImageSet, folder: Path, only: tuple[str, str] | None = None
) -> list[dict[str, Any]]:
    """A row for each form, against torch; `only` is a runtime and how its form begins."""
    model, _ = load_model(name)
    path = committed_files.folder().parent / f"{name}.safetensors"
    first = scoring.logits_of(torch_runner(model, "torch"), images.test, images)
    rows = []
    for runtime, form, file in [("torch", "float32", path), *_forms(name, images, folder)]:
        if only and file != path and not (runtime == only[0] and form.startswith(only[1])):
            continue
        found = first
        if file != path:
            found = scoring.logits_of(open_runner(file), images.test, images)
        compared = scoring.agreement(first, found)
        rows.append(
            {
                "network": name,
                "runtime": runtime,
                "form": form,
                "bytes": file.stat().st_size,
                "accuracy": round(scoring.top1(found, images.test), 2),
                "same_answer": round(compared["same_answer"], 2),
                "relative": float(f"{compared['relative']:.3g}"),
            }
        )
    return rows


def _forms(name: str, images: ImageSet, folder: Path) -> list[tuple[str, str, Path]]:
    """Runtime, form and file of everything that is scored beside the checkpoint."""
    model, _ = load_model(name)
    batch = torch.from_numpy(scoring.inputs(images.train, images, CALIBRATION))
    floats, eight = folder / "floats.onnx", folder / "eight.onnx"
    export_onnx(model, floats, model.input_shape)
    quantize_onnx(floats, eight, batch, weight_bits=8)
    kept = committed_files.deployment_file
    found = [
        ("ONNX Runtime", "float32", floats),
        ("ONNX Runtime", "float16 weights", kept(name, "float16.onnx")),
        ("ONNX Runtime", "int8", kept(name, "int8.onnx")),
        ("ONNX Runtime", "int8, weights of 8 bits", eight),
    ]
    if has("ai_edge_litert"):
        found.append(("LiteRT", "float16 weights", kept(name, "float16.tflite")))
        found.append(("LiteRT", "int8", kept(name, "int8.tflite")))
    if name == committed_files.NAMES[0]:
        shared = f".sqz, {committed_files.SHARED_BITS} bits"
        found.append(("torch", shared, committed_files.shared_sqz(folder)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: `accuracy`, `latency`, `starts`, or a table of a processor with VNNI."""
    tables = {
        "accuracy": keep_accuracy,
        "eighth-bit": partial(keep_accuracy, "eighth_bit", ("ONNX Runtime", "int8")),
        "latency": keep_latency,
        "vnni-latency": partial(keep_latency, table="latency_vnni"),
        "starts": keep_starts,
    }
    parser = argparse.ArgumentParser(prog="python -m tools.deploy_tables", description=__doc__)
    parser.add_argument("what", choices=tables)
    parser.add_argument("--repetitions", type=positive, metavar="N", help="of a timing")
    asked = parser.parse_args(arguments)
    if asked.repetitions and asked.what in ("accuracy", "eighth-bit"):
        parser.error("accuracy is counted once: --repetitions goes with a timing")
    options = {"repetitions": asked.repetitions} if asked.repetitions else {}
    return exit_code(lambda: print(tables[asked.what](**options).name), "the old table is kept")


if __name__ == "__main__":
    sys.exit(main())
