"""The one command line of the series: `python -m squeeze_utils COMMAND`, each with --help.

Nothing is imported before a command needs it, so help and mistakes are answered at once.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence

from squeeze_utils.base.commandline import exit_code, positive
from squeeze_utils.base.scale import SCALES, Scale
from squeeze_utils.deploy import network_commands

PROGRAM = "python -m squeeze_utils"
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
    network_commands.add_to(command)
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
        parser.add_argument("--jobs", type=positive, help="parallel processes (1)")
    study.add_argument("--all", action="store_true", help="run every study at reference scale")
    study.add_argument("--only", default="", metavar="TEXT", help="arms with TEXT in their name")
    study.add_argument(
        "--backend",
        metavar="NAME",
        help="one of joblib's, such as dask, whose workers run the experiments (--jobs: all)",
    )


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
        "--minutes",
        type=float,
        default=10,
        help="only records that are likely to take at most so many minutes on this machine (10)",
    )
    again.add_argument("--seed", type=int, default=0, help="seed of the draw (0)")
    again.add_argument(
        "--download",
        action="store_true",
        help="fetch CIFAR-10 or MNIST if it is not here and one of its records is drawn",
    )


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
    """Refuse what the action would leave out of account, before any work."""
    from squeeze_utils.studies import catalogue

    if asked.all and (asked.action != "run" or asked.names or asked.only or asked.scale == "quick"):
        raise ValueError("study run --all runs all at reference scale: leave names and --only out")
    if asked.action in ("list", "plan") and asked.names:
        raise ValueError(f"study {asked.action} is about all studies: leave the names out")
    options = ("only", "backend", "jobs", "scale")
    for option, given in ((f"--{name}", getattr(asked, name)) for name in options):
        if asked.action != "run" and given:
            raise ValueError(f"{option} is for study run, not for study {asked.action}")
    for name in asked.names:
        catalogue.maker(name)  # refuses an unknown one
    if asked.all and asked.backend:
        raise ValueError(
            "study run --all is for this machine: name studies, or leave --backend out"
        )


def _run_studies(asked: Namespace) -> None:
    from squeeze_utils.studies import commands, plan
    from squeeze_utils.training.distributed.ranks import here

    if asked.all:
        lines = plan.make_plan()
        if here().first:
            print(plan.announce_all(lines), flush=True)
        done = commands.run_everything(lines, jobs=asked.jobs or 1)
        print(f"{len(done)} studies are complete now" if done else "nothing to do")
        return
    for name in _named(asked, "study"):
        if asked.action == "export":
            files = commands.export_study_named(name)
            lines = [f"{file}: {size:,} bytes" for file, size in files.items()]
            print("\n".join(lines) or f"{name}: no checkpoint is named, or its states are not here")
            continue
        if _scale(asked).name == "reference" and here().first:
            print(plan.announce(name, asked.only), flush=True)
        jobs = asked.jobs or (-1 if asked.backend else 1)
        how = {"jobs": jobs, "only": asked.only, "backend": asked.backend}
        commands.run_study_named(name, _scale(asked), **how)


def _search(asked: Namespace) -> None:
    from squeeze_utils.studies import commands

    if asked.action == "list":
        if asked.names or asked.jobs or asked.scale:
            raise ValueError("search list is about all searches: leave names and options out")
        print(commands.list_searches())
        return
    for name in asked.names:
        commands.searches_named(name, _scale(asked))  # refuses an unknown one before any work
    for name in _named(asked, "search"):
        commands.run_searches(name, _scale(asked), jobs=asked.jobs or 1)


def _replicate(asked: Namespace) -> None:
    from squeeze_utils.studies import record_draw, replication

    how = {"download": asked.download}
    draw = record_draw.draw_records(asked.count, asked.minutes, asked.seed, **how)
    print(*draw.lines, replication.deviation_line(), sep="\n", flush=True)
    rows = []
    try:
        for row in replication.repeat_records(draw.drawn):
            rows.append(row)
            print(replication.deviation_line(row), flush=True)
    finally:  # also after Ctrl-C, or where a record cannot be run
        if rows:
            print(replication.deviations_sum(rows))


def _named(asked: Namespace, what: str) -> list[str]:
    if not asked.names:
        raise ValueError(f"name a {what}; {PROGRAM} {what} list shows which there are")
    return asked.names


if __name__ == "__main__":
    sys.exit(main())
