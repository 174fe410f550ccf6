"""Training speed: `fit` against the ordinary loop, on the processor, as ratios.

    python benchmarks/train_throughput.py [--images 5000] [--rounds 5] [--json FILE]

The ordinary loop: torchvision's ImageFolder of PNG files, PIL transforms (random crop, flip), a
DataLoader with two workers, float32, NCHW. `fit`: images in memory, tensor augmentation,
channels-last, bfloat16 where the processor has it. Both train squeezenet_small from the same
weights on the same images with the same batch size, optimizer and augmentation. The bare passes
are the network's part of `fit`: forward and backward of one fixed batch, as often as an epoch has
batches, without an optimizer.

They take turns, an epoch each, the order reversed in every round. Each has a process of its own,
because `fit` changes a setting of the memory allocator that would speed the first one up too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader

from squeeze_utils import anatomy
from squeeze_utils.base import machine
from squeeze_utils.base.files import write_atomically
from squeeze_utils.base.timing import matmul_peak
from squeeze_utils.data import Batches, DataError, ImageSet, Split, normalise
from squeeze_utils.data.sets import load_images
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.evaluation import numerics
from squeeze_utils.training.loop import Train, fit

MODEL = ModelSpec.of("squeezenet_small", num_classes=10)
BATCH = 128
SHIFT = 4
LR = 0.05
GOALS = {"ratio": 4.0, "of_bare": 0.95, "input": 3.0, "share": 0.40}


def images_for(count: int) -> ImageSet:
    """CIFAR-10 where it is present, else the embedded digits in colour: `count` to train on.

    Fewer images are repeated, more are cut; validation keeps one batch, which is not timed.
    """
    try:
        data = load_images("cifar10")
    except DataError:
        data = load_images("digits", size=32, channels=3)
    pick = torch.arange(count) % len(data.train)
    train = Split(data.train.images[pick], data.train.labels[pick])
    few = Split(data.validation.images[:BATCH], data.validation.labels[:BATCH])
    return replace(data, train=train, validation=few)


def write_folder(split: Split, folder: Path) -> None:
    """The images as PNG files in `folder`/CLASS/, for ImageFolder."""
    for i, (image, label) in enumerate(zip(split.images, split.labels.tolist(), strict=True)):
        path = folder / f"class{label}" / f"{i:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(path)


def ordinary(data: ImageSet, folder: Path) -> Callable[[], dict[str, float]]:
    """An epoch of the loop that most tutorials show."""
    from torchvision import datasets, transforms

    steps = [
        transforms.RandomCrop(32, padding=SHIFT),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(data.mean, data.std),
    ]
    images = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    # Workers that stay, which spares the ordinary loop their start in every epoch.
    loader = DataLoader(
        images, BATCH, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True
    )
    model = MODEL.build().train()
    sgd = {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    optimizer = torch.optim.SGD(model.parameters(), LR, **sgd)

    def epoch() -> dict[str, float]:
        start = time.perf_counter()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        seconds = time.perf_counter() - start
        return {"images_per_second": len(loader) * BATCH / seconds}

    return epoch


def ours(data: ImageSet, folder: Path) -> Callable[[], dict[str, float]]:
    """An epoch of `fit`, then its batches alone, then the processor's best matrix product."""
    plan = Train(1, lr=LR, schedule="constant", batch_size=BATCH, shift=SHIFT, flip=True)
    model = MODEL.build()
    generator = torch.Generator().manual_seed(0)
    dtype = getattr(torch, machine.precision("auto", "cpu"))

    def epoch() -> dict[str, float]:
        count = len(data.train) // BATCH * BATCH
        seconds = fit(model, data, plan, generator=generator)[0]["seconds"]
        return {
            "images_per_second": count / seconds,
            "input_percent": 100 * _input_seconds(data, plan, generator) / seconds,
            "peak": matmul_peak(dtype),
        }

    return epoch


def _input_seconds(data: ImageSet, plan: Train, generator: torch.Generator) -> float:
    start = time.perf_counter()
    batches = Batches(
        data.train,
        BATCH,
        mean=data.mean,
        std=data.std,
        generator=generator,
        augment=plan.augment,
        drop_last=True,
    )
    for _ in batches:
        pass
    return time.perf_counter() - start


def bare(data: ImageSet, folder: Path) -> Callable[[], dict[str, float]]:
    """As many forward and backward passes as an epoch has batches, all of the first one."""
    machine.keep_freed_memory()
    device = torch.device("cpu")
    model = MODEL.build().train().to(memory_format=torch.channels_last)
    x = normalise(data.train.images[:BATCH], data.mean, data.std)
    y, count = data.train.labels[:BATCH], len(data.train) // BATCH
    precision = machine.precision("auto", device)

    def epoch() -> dict[str, float]:
        start = time.perf_counter()
        for _ in range(count):
            model.zero_grad(set_to_none=True)
            with numerics(precision, device):
                logits = model(x)
            F.cross_entropy(logits.float(), y).backward()
        return {"images_per_second": count * BATCH / (time.perf_counter() - start)}

    return epoch


SIDES = {"ordinary": ordinary, "fit": ours, "bare": bare}


def serve(side: str, count: int, folder: Path, threads: int, connection: Connection) -> None:
    """A process that runs one epoch of `side` whenever it is asked to, until its pipe closes."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    epoch = SIDES[side](images_for(count), folder)
    with contextlib.suppress(EOFError):
        while connection.recv():
            connection.send(epoch())


def take_turns(count: int, rounds: int, threads: int, folder: Path) -> list[dict[str, dict]]:
    """What each side measured in each round, after a round that is not counted."""
    context = multiprocessing.get_context("spawn")
    ends, processes = {}, []
    for side in SIDES:
        ends[side], theirs = context.Pipe()
        process = context.Process(target=serve, args=(side, count, folder, threads, theirs))
        process.start()
        theirs.close()
        processes.append(process)
    results = []
    try:
        for number in range(rounds + 1):
            result = {}
            for side in list(SIDES)[:: 1 if number % 2 else -1]:
                ends[side].send(True)
                result[side] = ends[side].recv()
            results.append(result)
            print(f"round {number} of {rounds}" + " (warm-up)" * (number == 0), file=sys.stderr)
    finally:
        for end in ends.values():
            end.close()
        for process in processes:
            process.join()
    return results[1:]


def summarise(results: list[dict[str, dict]], multiply_adds: int) -> dict[str, float]:
    """Medians over the rounds; ratios are formed within a round first.

    A training step costs three forward passes: one forward, two for the gradients. A
    multiply-add is two operations.
    """
    speed = {
        side: np.array([result[side]["images_per_second"] for result in results]) for side in SIDES
    }
    operations = 3 * 2 * multiply_adds * speed["fit"]
    peaks = np.array([result["fit"]["peak"] for result in results])
    shares = [result["fit"]["input_percent"] for result in results]
    return {
        **{f"{side}_images_per_second": float(np.median(speed[side])) for side in SIDES},
        "ratio": float(np.median(speed["fit"] / speed["ordinary"])),
        "fit_of_bare": float(np.median(speed["fit"] / speed["bare"])),
        "input_percent": float(np.median(shares)),
        "gflops": float(np.median(operations)) / 1e9,
        "peak_gflops": float(np.median(peaks)) / 1e9,
        "share_of_peak": float(np.median(operations / peaks)),
    }


def report(found: dict[str, float], precision: str) -> pd.DataFrame:
    """The result as a table, goals beside it."""
    rows = [
        ("ordinary loop, float32 (images/s)", f"{found['ordinary_images_per_second']:.0f}", ""),
        (f"fit, {precision} (images/s)", f"{found['fit_images_per_second']:.0f}", ""),
        (f"bare passes, {precision} (images/s)", f"{found['bare_images_per_second']:.0f}", ""),
        ("fit / ordinary", f"{found['ratio']:.2f}", f">= {GOALS['ratio']:.1f}"),
        ("fit / bare passes", f"{found['fit_of_bare']:.2f}", f">= {GOALS['of_bare']:.2f}"),
        ("input of fit (% of epoch)", f"{found['input_percent']:.2f}", f"< {GOALS['input']:.0f}"),
        ("arithmetic of fit (GFLOP/s)", f"{found['gflops']:.0f}", ""),
        (f"{precision} matrix-product peak (GFLOP/s)", f"{found['peak_gflops']:.0f}", ""),
        ("share of the peak", f"{found['share_of_peak']:.2f}", f">= {GOALS['share']:.2f}"),
    ]
    return pd.DataFrame(rows, columns=["", "median", "goal"])


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; with --json also keep every round and what it ran on."""
    parser = argparse.ArgumentParser(description="training speed: fit against the ordinary loop")
    parser.add_argument("--images", type=int, default=5000, help="images in an epoch")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each that count")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rounds there")
    chosen = parser.parse_args(arguments)
    if chosen.images < BATCH or chosen.rounds < 1 or chosen.threads < 1:
        parser.error(f"give at least {BATCH} images, 1 round and 1 thread")
    torch.set_num_threads(chosen.threads)
    data = images_for(chosen.images)
    with torch.device("meta"):
        model = MODEL.build()
    multiply_adds = int(anatomy.layer_table(model, model.input_shape)["multiply_adds"].sum())
    with tempfile.TemporaryDirectory() as folder:
        write_folder(data.train, Path(folder))
        results = take_turns(chosen.images, chosen.rounds, chosen.threads, Path(folder))
    found = summarise(results, multiply_adds)
    about = {
        "device": machine.device_name("cpu"),
        "precision": machine.precision("auto", "cpu"),
        "images": f"{chosen.images} of {data.name}",
        "batch_size": BATCH,
        "rounds": chosen.rounds,
        "multiply_adds": multiply_adds,
        "versions": machine.versions(),
        "commit": machine.commit(),
    }
    print(f"{about['device']}; {about['images']}, batch {BATCH}, {chosen.rounds} rounds")
    print(report(found, about["precision"]).to_string(index=False))
    if chosen.json:
        text = json.dumps({**about, "medians": found, "rounds_measured": results}, indent=1)
        write_atomically(chosen.json, (text + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
