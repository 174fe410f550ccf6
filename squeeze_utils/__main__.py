"""The one command line of the series: `python -m squeeze_utils COMMAND`, each with --help.

Nothing is imported before a command needs it, so help and mistakes are answered at once.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path

from squeeze_utils.base.commandline import exit_code, positive
from squeeze_utils.base.scale import SCALES, Scale

PROGRAM = "python -m squeeze_utils"
NETWORK = "a .sqz, a checkpoint's .safetensors, the released .net, or squeezenet1_1"
IMAGES = "digits, mnist, cifar10, ..., or a folder with a folder for each class"
UNFINISHED = "nothing was written"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0, or 2 for a mistake, 1 for work that failed, 130 after Ctrl-C."""
    asked = _parser().parse_args(arguments)
    return exit_code(lambda: asked.do(asked), asked.kept)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog=PROGRAM, description="Studies, searches and networks of a series.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, about: str, do: Callable[[Namespace], None], example: str, kept: str = UNFINISHED
    ) -> ArgumentParser:
        made = commands.add_parser(
            name,
            help=about,
            description=f"{about[:1].upper()}{about[1:]}.",
            epilog=f"example:\n  {PROGRAM} {name} {example}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        made.set_defaults(do=do, kept=kept)
        return made

    _study_commands(command)
    _replication_command(command)
    _compression_commands(command)
    _network_commands(command)
    return parser


def _study_commands(command: Callable[..., ArgumentParser]) -> None:
    study = command(
        "study",
        "list the studies, plan or run what has no record yet, or export a study's checkpoints",
        _study,
        "run dsd --scale reference --jobs 2",
        "what has a record is kept, start again to go on",
    )
    search = command(
        "search",
        "list the searches, or go on with them",
        _search,
        "run tuning --scale reference --jobs 2",
        "finished trials are kept, start again to go on",
    )
    for parser in (study, search):
        actions = ("list", "run", "plan", "export") if parser is study else ("list", "run")
        parser.add_argument("action", choices=actions)
        parser.add_argument("names", nargs="*", metavar="NAME")
        parser.add_argument("--scale", choices=SCALES, help="default: SQUEEZE_SCALE, else quick")
        parser.add_argument("--jobs", type=positive, default=1, help="parallel processes (1)")
    study.add_argument("--all", action="store_true", help="run every study at reference scale")
    study.add_argument("--only", default="", metavar="TEXT", help="arms with TEXT in their name")


def _replication_command(command: Callable[..., ArgumentParser]) -> None:
    again = command(
        "replicate",
        "draw committed records at random, run them again, and report the deviations",
        _replicate,
        "5 --minutes 10",
        "what was run so far is kept in data/measurements/replications.json",
    )
    again.add_argument("count", nargs="?", type=int, default=5, metavar="N", help="default 5")
    again.add_argument(
        "--minutes", type=float, default=10, help="only records of at most so many minutes (10)"
    )
    again.add_argument("--seed", type=int, default=0, help="seed of the draw (0)")


def _compression_commands(command: Callable[..., ArgumentParser]) -> None:
    released = command(
        "released",
        "make a network for ImageNet smaller and judge it: the released file, or torchvision's",
        _released,
        "compressed_SqueezeNet.net --target-bytes 340000 --calibrate PICTURES -o small.sqz",
    )
    released.add_argument("--calibrate", dest="data", metavar="FOLDER", help="pictures, unlabelled")
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
    )
    own.add_argument("--data", metavar="IMAGES", help=f"{IMAGES}: what it was trained on")
    own.add_argument("--size", type=positive, help="pixels, if not the network's own")
    for parser, count in ((released, 250), (own, 1000)):
        parser.add_argument("file", help=NETWORK)
        parser.add_argument("-o", "--output", type=Path, required=True, help="the .sqz to write")
        parser.add_argument("--lossless", action="store_true", help="keep every weight as it is")
        parser.add_argument(
            "--target-bytes", type=positive, metavar="N", help="bytes that the file may have"
        )
        parser.add_argument(
            "--images",
            type=positive,
            default=count,
            metavar="N",
            help=f"calibrate on at most N (default {count})",
        )
        parser.add_argument("--seed", type=int, default=0)


def _network_commands(command: Callable[..., ArgumentParser]) -> None:
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


def _scale(asked: Namespace) -> Scale:
    return Scale(asked.scale) if asked.scale else Scale.from_environment()


def _study(asked: Namespace) -> None:
    from squeeze_utils.studies import commands, plan
    from squeeze_utils.training.distributed.ranks import joined

    _check_study(asked)
    if asked.action == "list":
        print(commands.list_studies())
        return
    if asked.action == "plan":
        print(plan.show_plan())
        return
    with joined():  # the other processes that torchrun has started, if it has
        _run_studies(asked)


def _check_study(asked: Namespace) -> None:
    """Refuse what the action would leave out of account."""
    if asked.all and (asked.action != "run" or asked.names or asked.only or asked.scale == "quick"):
        raise ValueError("study run --all runs all at reference scale: leave names and --only out")
    if asked.action in ("list", "plan") and asked.names:
        raise ValueError(f"study {asked.action} is about all studies: leave the names out")
    if asked.action != "run" and asked.only:
        raise ValueError(f"--only is for study run, not for study {asked.action}")


def _run_studies(asked: Namespace) -> None:
    from squeeze_utils.studies import commands, plan

    if asked.all:
        done = commands.run_everything(jobs=asked.jobs)
        print(f"{len(done)} studies are complete now" if done else "nothing to do")
        return
    for name in _named(asked, "study"):
        if asked.action == "export":
            files = commands.export_study_named(name)
            lines = [f"{file}: {size:,} bytes" for file, size in files.items()]
            print("\n".join(lines) or f"{name}: no checkpoint is named, or its states are not here")
            continue
        if _scale(asked).name == "reference" and not asked.only:
            print(plan.announce(name))
        commands.run_study_named(name, _scale(asked), jobs=asked.jobs, only=asked.only)


def _search(asked: Namespace) -> None:
    from squeeze_utils.studies import commands

    if asked.action == "list":
        print(commands.list_searches())
        return
    for name in _named(asked, "search"):
        commands.run_searches(name, _scale(asked), jobs=asked.jobs)


def _replicate(asked: Namespace) -> None:
    from squeeze_utils.results.replication import compare_again, draw_records, repeat_records

    drawn = draw_records(asked.count, asked.minutes, asked.seed)
    expected = sum(record.seconds for _, record in drawn) / 60
    print(
        f"{len(drawn)} records, which took {expected:.0f} minutes when they were made", flush=True
    )
    print(compare_again(list(repeat_records(drawn))))


def _named(asked: Namespace, what: str) -> list[str]:
    if not asked.names:
        raise ValueError(f"name a {what}; {PROGRAM} {what} list shows which there are")
    return asked.names


def _compress(asked: Namespace) -> None:
    if asked.lossless == (asked.target_bytes is not None):
        raise ValueError("give either --lossless or --target-bytes")
    if not asked.lossless and asked.data is None:
        raise ValueError("--target-bytes needs images to calibrate on: see --help")
    from squeeze_utils.deploy.network_files import compress_file

    options = {"size": asked.size, "seed": asked.seed, "progress": True}
    size, shown = compress_file(
        asked.file, asked.output, asked.target_bytes, asked.data, asked.images, **options
    )
    how = "every weight as it was" if asked.lossless else f"calibrated on {shown:,} images"
    print(f"{asked.output}: {size:,} bytes, {how}")


def _transfer(asked: Namespace) -> None:
    from squeeze_utils.deploy.own_network import transfer_folder

    found = transfer_folder(asked.data, asked.output, asked.size, asked.epochs, progress=True)
    print(f"{asked.output}: {found.bytes:,} bytes, classes {', '.join(found.classes)}")
    print(f"right on {found.right} of {found.test} pictures that it had not seen")


def _released(asked: Namespace) -> None:
    _compress(asked)
    if asked.judge:
        for file in (asked.file, asked.output):
            _evaluate(Namespace(file=file, data=asked.judge, size=None))


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


if __name__ == "__main__":
    sys.exit(main())
