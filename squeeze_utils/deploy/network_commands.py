"""The commands that work on networks in files: make them smaller, convert, judge and ask them.

Like `python -m squeeze_utils`, which they belong to, nothing is imported before it is needed.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from squeeze_utils.base.commandline import positive

NETWORK = "a .sqz, a checkpoint's .safetensors, the released .net, or squeezenet1_1"
IMAGES = "digits, mnist, cifar10, ..., or a folder with a folder for each class"


def add_to(command: Callable[..., ArgumentParser]) -> None:
    """Add the commands to a parser; `command` makes one: name, help, what it does, an example."""
    _compression_commands(command)
    _judging_commands(command)


def _compression_commands(command: Callable[..., ArgumentParser]) -> None:
    released = command(
        "released",
        "make a network for ImageNet smaller and judge it: the released file, or torchvision's",
        _released,
        "compressed_SqueezeNet.net --target-bytes 340000 --calibrate PICTURES -o small.sqz",
    )
    released.add_argument("--calibrate", dest="data", metavar="FOLDER", help="pictures, unlabelled")
    help_ = "any other pictures, unlabelled: also tune steps and biases on both kinds"
    released.add_argument("--photographs", metavar="FOLDER", help=help_)
    released.add_argument("--judge", metavar="FOLDER", help="pictures in folders named by class")
    released.set_defaults(size=None)
    transferred = command(
        "transfer",
        "fit torchvision's SqueezeNet to your own folder of pictures",
        _transfer,
        "PICTURES -o mine.safetensors",
    )
    transferred.add_argument("data", metavar="PICTURES", help="a folder with a folder a class")
    transferred.add_argument("-o", "--output", type=Path, required=True, help="the .safetensors")
    transferred.add_argument("--size", type=positive, help="pixels (default 224)")
    transferred.add_argument(
        "--epochs", type=int, default=0, metavar="N", help="also train the last modules (default 0)"
    )
    own = command(
        "compress",
        "round a network of the series into a number of bytes, without training",
        _compress,
        "net.safetensors --target-bytes 100000 --data cifar10 -o net.sqz",
        "a file that was named is whole",
    )
    own.add_argument("--data", metavar="IMAGES", help=f"{IMAGES}: what it was trained on")
    own.add_argument("--size", type=positive, help="pixels, if not the network's own")
    for parser, count in ((released, 250), (own, 1000)):
        parser.add_argument("file", help=NETWORK)
        parser.add_argument("-o", "--output", type=Path, required=True, help="the .sqz to write")
        _add_rounding(parser, count)


def _add_rounding(parser: ArgumentParser, count: int) -> None:
    parser.add_argument("--lossless", action="store_true", help="keep every weight as it is")
    parser.add_argument(
        "--target-bytes", type=positive, metavar="N", help="bytes that the file may have"
    )
    help_ = f"calibrate on at most N (default {count})"
    parser.add_argument("--images", type=positive, default=count, metavar="N", help=help_)
    parser.add_argument("--seed", type=int, default=0)


def _judging_commands(command: Callable[..., ArgumentParser]) -> None:
    evaluate = command(
        "evaluate", "count how often a network is right", _evaluate, "net.int8.onnx cifar10"
    )
    classify = command(
        "classify", "say what pictures show", _classify, "net.sqz photo.jpg --data cifar10"
    )
    deploy = command(
        "deploy",
        "write a network as ONNX files, and as LiteRT files if the converter is there",
        _deploy,
        "net.sqz --data cifar10 -o FOLDER",
        "files that were named are whole",
    )
    for parser in (evaluate, classify, deploy):
        kinds = NETWORK if parser is deploy else f"{NETWORK}; or an .onnx or .tflite"
        parser.add_argument("file", help=kinds)
        parser.add_argument("--size", type=positive, help="pixels, if not the network's own")
    evaluate.add_argument("data", metavar="IMAGES", help=f"{IMAGES}: its test split counts")
    classify.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    classify.add_argument("--data", metavar="IMAGES", help="what the network was trained on")
    deploy.add_argument("-o", "--output", type=Path, required=True, help="the folder to write to")
    deploy.add_argument("--data", metavar="IMAGES", help="sets the ranges of int8 files")


def _compress(asked: Namespace) -> None:
    _write(asked)
    if asked.lossless:
        return
    from squeeze_utils.deploy.before_and_after import change

    options = {"size": asked.size, "seed": asked.seed}
    found = change(asked.file, asked.output, asked.data, asked.images, **options)
    if found is not None:
        print(found)


def _write(asked: Namespace) -> None:
    _check_rounding(asked)
    from squeeze_utils.deploy.network_files import compress_file

    options = {"size": asked.size, "seed": asked.seed, "progress": True}
    size, shown = compress_file(
        asked.file, asked.output, asked.target_bytes, asked.data, asked.images, **options
    )
    how = "every weight as it was" if asked.lossless else f"calibrated on {shown:,} images"
    print(f"{asked.output}: {size:,} bytes, {how}")


def _check_rounding(asked: Namespace) -> None:
    if asked.lossless == (asked.target_bytes is not None):
        raise ValueError("give either --lossless or --target-bytes")
    if not asked.lossless and asked.data is None:
        raise ValueError("--target-bytes needs images to calibrate on: see --help")


def _transfer(asked: Namespace) -> None:
    from squeeze_utils.deploy.own_network import transfer_folder

    found = transfer_folder(asked.data, asked.output, asked.size, asked.epochs, progress=True)
    print(f"{asked.output}: {found.bytes:,} bytes, classes {', '.join(found.classes)}")
    print(f"right on {found.right} of {found.test} pictures that it had not seen")


def _released(asked: Namespace) -> None:
    make = _write if asked.photographs is None else _tune
    make(asked)
    if asked.judge:
        for file in (asked.file, asked.output):
            _evaluate(Namespace(file=file, data=asked.judge, size=None))


def _tune(asked: Namespace) -> None:
    if asked.lossless:
        raise ValueError("--photographs tune a rounded network: give --target-bytes")
    _check_rounding(asked)
    from squeeze_utils.deploy.tuned_file import tune_file

    options = {"seed": asked.seed, "progress": True}
    folders = asked.data, asked.photographs
    found = tune_file(
        asked.file, asked.output, asked.target_bytes, *folders, asked.images, **options
    )
    print(f"{asked.output}: {found.bytes:,} bytes, calibrated on {found.calibrated:,} pictures")
    tuned = found.tuned
    print(
        f"divergence on {found.held} of them that tuning did not see: {tuned.before:.4f} nats "
        f"rounded, {tuned.after:.4f} after {tuned.step} steps of tuning"
    )


def _evaluate(asked: Namespace) -> None:
    from squeeze_utils.deploy.network_files import judge_file

    verdict = judge_file(asked.file, asked.data, asked.size)
    file = Path(asked.file)
    print(f"bytes  {file.stat().st_size:,}" if file.is_file() else "bytes  (no file)")
    print(f"top-1  {verdict.top1:.2f} %\ntop-5  {verdict.top5:.2f} %\nn      {verdict.n:,}")


def _classify(asked: Namespace) -> None:
    from squeeze_utils.deploy.network_files import classify_files

    found = classify_files(asked.file, asked.pictures, asked.data, asked.size)
    for picture, shares in zip(asked.pictures, found, strict=True):
        if len(asked.pictures) > 1:
            print(picture)
        for name, share in shares:
            print(f"{100 * share:5.1f} %  {name}")


def _deploy(asked: Namespace) -> None:
    from squeeze_utils.deploy.network_files import deploy_file
    from squeeze_utils.deploy.optional_parts import missing

    for part, how in missing().items():
        print(f"{part} is not there: {how}", file=sys.stderr)
    sizes = deploy_file(asked.file, asked.output, asked.data, asked.size)
    for name, size in sizes.items():
        print(f"{asked.output / name}: {size:,} bytes")
