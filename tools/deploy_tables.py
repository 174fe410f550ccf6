"""What the deployment files cost and are worth, measured by a command and kept for the notebook.

Three tables below data/measurements/deploy/: accuracy (needs CIFAR-10), latency and starts. The
times want a machine that does nothing else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from squeeze_utils.base import measurements
from squeeze_utils.compress.sharing.steps import Share
from squeeze_utils.compress.sqz.container import save_sqz
from squeeze_utils.data import ImageSet
from squeeze_utils.data.sets import load_images
from squeeze_utils.deploy import scoring
from squeeze_utils.deploy.for_inference import without_norm
from squeeze_utils.deploy.interleaved import Way, starts, times
from squeeze_utils.deploy.litert import convert
from squeeze_utils.deploy.onnx_files import export_onnx, quantize_onnx
from squeeze_utils.deploy.optional_parts import converter_python, has
from squeeze_utils.deploy.runners import open_runner, torch_runner
from squeeze_utils.experiments import checkpoints
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.step import State
from tools import deploy_files

SMALL, LARGE = "SqueezeNet, 32 px", "SqueezeNet 1.1, 224 px"
CHECKPOINT = deploy_files.NAMES[0]
SHARED_BITS = 6
BATCHES = (1, 32)
THREADS = (1, 2)


def small_ways(_folder: Path) -> dict[str, Way]:
    """The committed network of 32 pixels, every way it can be run."""
    onnx = {
        form: Way(deploy_files.deployment_file(CHECKPOINT, f"{form}.onnx"))
        for form in ("float16", "int8")
    }
    found = {
        **_torch_ways(deploy_files.folder().parent / f"{CHECKPOINT}.safetensors"),
        "ONNX Runtime, float": onnx["float16"],
        "ONNX Runtime, int8": onnx["int8"],
    }
    if has("ai_edge_litert"):
        found["LiteRT, float"] = Way(deploy_files.deployment_file(CHECKPOINT, "float16.tflite"))
        found["LiteRT, int8"] = Way(deploy_files.deployment_file(CHECKPOINT, "int8.tflite"))
    return found


def large_ways(folder: Path) -> dict[str, Way]:
    """SqueezeNet 1.1 with random weights, made in `folder`: a time does not depend on them."""
    torch.manual_seed(0)
    model = ModelSpec.of("squeezenet1_1").build().eval()
    batch = torch.randn(8, *model.input_shape)
    checkpoints.save_model(model, folder / "large.safetensors")
    floats, short = folder / "large.onnx", folder / "large.int8.onnx"
    export_onnx(model, floats, model.input_shape)
    quantize_onnx(floats, short, batch)
    found = {
        **_torch_ways(folder / "large.safetensors"),
        "ONNX Runtime, float": Way(floats),
        "ONNX Runtime, int8": Way(short),
    }
    if has("ai_edge_litert") and converter_python() is not None:
        paths = {form: folder / f"large.{form}.tflite" for form in ("float32", "int8")}
        convert(model, paths, model.input_shape, batch)
        found["LiteRT, float"] = Way(paths["float32"])
        found["LiteRT, int8"] = Way(paths["int8"])
    return found


def _torch_ways(path: Path) -> dict[str, Way]:
    return {"torch": Way(path), "torch, channels-last": Way(path, channels_last=True)}


NETWORKS: dict[str, tuple[int, Callable[[Path], dict[str, Way]]]] = {
    SMALL: (32, small_ways),
    LARGE: (224, large_ways),
}


def sqz_file(folder: Path) -> Path:
    """The committed network as `.sqz`: normalisation folded, weights of each layer shared."""
    model, _ = checkpoints.load_model(CHECKPOINT)
    state = State(without_norm(model), None)
    Share(SHARED_BITS).apply(state)
    save_sqz(state.model, folder / f"{CHECKPOINT}.sqz")
    return folder / f"{CHECKPOINT}.sqz"


def keep_latency(repetitions: int = 30) -> Path:
    """Time both networks at every batch and number of threads; write the table."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for network, (side, ways_in) in NETWORKS.items():
            ways = ways_in(Path(temporary))
            for batch in BATCHES:
                for threads in THREADS:
                    found = times(ways, (batch, 3, side, side), threads, repetitions)
                    about = {"network": network, "batch": batch, "threads": threads}
                    rows += [about | row for row in _records(found, 3)]
    return measurements.keep_measurement(
        "deploy/latency", rows, repetitions=repetitions, **machine()
    )


def keep_starts(repetitions: int = 5) -> Path:
    """Start every way in fresh processes; write seconds, memory and the bytes of the files."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for network, (side, ways_in) in NETWORKS.items():
            ways = ways_in(Path(temporary))
            if network == SMALL:
                packed = sqz_file(Path(temporary))
                ways[".sqz, torch"] = Way(packed)
                ways[".sqz, ONNX Runtime"] = Way(packed, through_onnx=True)
            found = starts(ways, (1, 3, side, side), 1, repetitions)
            found["file_bytes"] = [way.path.stat().st_size for way in ways.values()]
            rows += [{"network": network} | row for row in _records(found, 3)]
    return measurements.keep_measurement(
        "deploy/starts", rows, repetitions=repetitions, threads=1, **machine()
    )


def keep_accuracy() -> Path:
    """Every form of the committed networks on the whole test split of CIFAR-10."""
    rows: list[dict[str, Any]] = []
    images = load_images("cifar10", 32)
    for name in deploy_files.NAMES:
        with tempfile.TemporaryDirectory() as temporary:
            rows += _accuracies(name, images, Path(temporary))
    about = {"images": len(images.test), "fingerprint": images.fingerprint}
    return measurements.keep_measurement("deploy/accuracy", rows, **about, **machine())


def _accuracies(name: str, images: ImageSet, folder: Path) -> list[dict[str, Any]]:
    model, _ = checkpoints.load_model(name)
    path = deploy_files.folder().parent / f"{name}.safetensors"
    first = scoring.logits_of(torch_runner(model, "torch"), images.test, images)
    rows = [_row(name, "torch", "float32", path, first, first, images)]
    for runtime, form, file in _forms(name, images, folder):
        found = scoring.logits_of(open_runner(file), images.test, images)
        rows.append(_row(name, runtime, form, file, first, found, images))
    return rows


def _forms(name: str, images: ImageSet, folder: Path) -> list[tuple[str, str, Path]]:
    """Runtime, form and file of everything that is scored."""
    model, _ = checkpoints.load_model(name)
    batch = torch.from_numpy(scoring.inputs(images.train, images, deploy_files.CALIBRATION))
    floats, eight = folder / "floats.onnx", folder / "eight.onnx"
    export_onnx(model, floats, model.input_shape)
    quantize_onnx(floats, eight, batch, weight_bits=8)
    found = [
        ("ONNX Runtime", "float32", floats),
        ("ONNX Runtime", "float16 weights", deploy_files.deployment_file(name, "float16.onnx")),
        ("ONNX Runtime", "int8", deploy_files.deployment_file(name, "int8.onnx")),
        ("ONNX Runtime", "int8, weights of 8 bits", eight),
    ]
    if has("ai_edge_litert"):
        found.append(
            ("LiteRT", "float16 weights", deploy_files.deployment_file(name, "float16.tflite"))
        )
        found.append(("LiteRT", "int8", deploy_files.deployment_file(name, "int8.tflite")))
    if name == CHECKPOINT:
        found.append(("torch", f".sqz, {SHARED_BITS} bits", sqz_file(folder)))
    return found


def _row(
    name: str, runtime: str, form: str, path: Path, first: Any, found: Any, images: ImageSet
) -> dict[str, Any]:
    compared = scoring.agreement(first, found)
    return {
        "network": name,
        "runtime": runtime,
        "form": form,
        "bytes": path.stat().st_size,
        "accuracy": round(scoring.top1(found, images.test), 2),
        "same_answer": round(compared["same_answer"], 2),
        "relative": float(f"{compared['relative']:.3g}"),
    }


def _records(frame: pd.DataFrame, digits: int) -> list[dict[str, Any]]:
    return frame.round(digits).reset_index().to_dict("records")


def machine() -> dict[str, Any]:
    """What the speed of int8 hangs on: the processor's instructions, and the runtimes."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("onnxruntime", "ai-edge-litert"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {"instructions": instructions(), "runtimes": found}


def instructions(info: str | None = None) -> str:
    """Which vector instructions the processor has, as far as the system tells (Linux)."""
    path = Path("/proc/cpuinfo")
    if info is None:
        info = path.read_text() if path.is_file() else ""
    line = next((one for one in info.splitlines() if one.startswith(("flags", "Features"))), "")
    flags = set(line.partition(":")[2].split())
    if not flags:
        return "unknown"
    known = {"avx2": "AVX2", "avx512f": "AVX-512", "asimddp": "dot product (ARM)"}
    there = [title for flag, title in known.items() if flag in flags]
    vnni = flags & {"avx512_vnni", "avx_vnni"}
    if "asimddp" not in flags:
        there.append("VNNI" if vnni else "no VNNI")
    return ", ".join(there)
