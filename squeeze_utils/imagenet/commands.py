"""The command line: `python -m squeeze_utils.compress released FILE -o OUT.sqz`, and more.

released   make a network smaller: without loss, or into a given number of bytes
evaluate   count how often a compressed network is right on a folder of pictures
classify   say what is on one picture
records    make the tables anew that notebook 14 shows
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from squeeze_utils.compress.pricing import squeeze
from squeeze_utils.compress.sqz import container
from squeeze_utils.imagenet import judging, networks, pictures, wordnet


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0, or 1 with one line on what was wrong."""
    chosen = _parser().parse_args(arguments)
    try:
        chosen.run(chosen)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m squeeze_utils.compress",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("released", help="make a network smaller")
    make.add_argument("file", help=f"{networks.NAME}, a .sqz, or {networks.TORCHVISION}")
    make.add_argument("-o", "--output", type=Path, required=True, help="the .sqz file to write")
    make.add_argument("--lossless", action="store_true", help="keep every weight bit for bit")
    make.add_argument("--target-bytes", type=int, help="the most bytes that the file may have")
    make.add_argument("--calibrate", type=Path, metavar="DIR", help="pictures, no labels needed")
    make.add_argument("--images", type=int, default=250, help="at most so many (default 250)")
    make.add_argument("--seed", type=int, default=0)
    make.set_defaults(run=_make)
    judge = commands.add_parser("evaluate", help="bytes, top-1 and top-5 of a network")
    judge.add_argument("file")
    judge.add_argument("folder", help="folders named by WordNet id or class name")
    judge.set_defaults(run=_evaluate)
    say = commands.add_parser("classify", help="what is on a picture")
    say.add_argument("file")
    say.add_argument("picture")
    say.set_defaults(run=_classify)
    again = commands.add_parser("records", help="make the tables of notebook 14 anew")
    again.add_argument("folder", help="ImageNet pictures in folders, as for evaluate")
    again.add_argument("--network", nargs="*", help="only of these networks, or only the file's")
    again.add_argument("--seeds", nargs="+", type=int, default=[0], help="rows of others stay")
    again.set_defaults(run=_records)
    return parser


def _make(chosen: argparse.Namespace) -> None:
    if chosen.lossless == (chosen.target_bytes is not None):
        raise ValueError("give either --lossless or --target-bytes")
    if not chosen.lossless and chosen.calibrate is None:
        raise ValueError("--target-bytes needs --calibrate DIR, a folder of pictures")
    model = networks.trained(chosen.file)
    if chosen.lossless:
        size = sum(container.save_sqz(model, chosen.output).values())
        print(f"{chosen.output}: {size:,} bytes, every weight as it was")
        return
    paths = pictures.draw(pictures.find_pictures(chosen.calibrate), chosen.images, chosen.seed)
    images = pictures.calibration(paths, model)
    found = squeeze(model, images, chosen.target_bytes, chosen.seed, progress=True)
    container.save_sqz(found.model, chosen.output)
    print(f"{chosen.output}: {len(found.data):,} bytes, calibrated on {len(paths)} pictures")


def _evaluate(chosen: argparse.Namespace) -> None:
    model = networks.trained(chosen.file)
    paths = pictures.find_pictures(chosen.folder)
    labels = pictures.labels(paths)
    scores = judging.outputs(model, paths, progress=True)
    verdict = judging.judge(scores, scores, labels)
    size = Path(chosen.file).stat().st_size if Path(chosen.file).is_file() else None
    print(f"bytes  {size:,}" if size else "bytes  (no file)")
    print(f"top-1  {verdict.top1:.1f} %")
    print(f"top-5  {verdict.top5:.1f} %")
    print(f"n      {verdict.n}")


@torch.no_grad()
def _classify(chosen: argparse.Namespace) -> None:
    model = networks.trained(chosen.file)
    shares = model(pictures.load_picture(chosen.picture, model)[None]).softmax(1)[0]
    names = wordnet.classes()
    for share, index in zip(*shares.topk(5), strict=True):
        print(f"{100 * share:5.1f} %  {names[index]}")


def _records(chosen: argparse.Namespace) -> None:
    from tools import imagenet_tables

    for path in imagenet_tables.record(Path(chosen.folder), chosen.network, chosen.seeds):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
