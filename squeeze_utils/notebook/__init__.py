"""What every notebook begins with: `start()` prepares it, `say()` prints a sentence."""

from __future__ import annotations

import os
import platform
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from squeeze_utils import __version__
from squeeze_utils.base.checks import whole_number
from squeeze_utils.results import figures

if TYPE_CHECKING:
    from IPython.core.formatters import DisplayFormatter

    from squeeze_utils.base.scale import Scale

NO_ROWS = "No rows yet."


def start(seed: int = 0, jobs: int = 1) -> Scale:
    """Prepare a notebook: seeds, threads, figure style; print what it runs on; return the scale.

    Args:
        seed: seeds Python's, NumPy's and torch's global generators (0 to 2**32 - 1).
        jobs: with 2, a second process for the live trainings loads its libraries while you read.

    Returns:
        The scale of live experiments that ``SQUEEZE_SCALE`` names ("quick" when it is not set).

    >>> import squeeze_utils as sq
    >>> scale = sq.start()  # doctest: +ELLIPSIS
    versions  Python ...
    >>> scale.name
    'quick'
    """
    from squeeze_utils.base.parallel import start_helpers
    from squeeze_utils.base.scale import Scale

    scale = Scale.from_environment()
    whole_number("jobs", jobs, 1)
    _seed(seed)
    _threads()
    figures.use_house_style()
    if shell := _shell():
        show_empty_tables_in_words(shell.display_formatter)
    pd.options.display.max_colwidth = None  # notes in tables are read to their end
    print(describe(scale.name, seed))
    if jobs > 1:
        start_helpers(jobs)
    return scale


def say(*texts: str) -> None:
    """Show sentences as Markdown below a cell, a paragraph each.

    >>> import squeeze_utils as sq
    >>> sq.say("A network of **730,570** parameters.")  # doctest: +ELLIPSIS
    <IPython.core.display.Markdown object>
    """
    from IPython.display import Markdown, display

    for text in texts:
        display(Markdown(text))


def _shell() -> Any:
    """The running IPython, or None outside of one."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def show_empty_tables_in_words(display: DisplayFormatter) -> None:
    """Show a table without rows as a sentence: some studies have no records yet."""

    def plain(table: pd.DataFrame, printer: Any, _: bool) -> None:
        printer.text(repr(table) if len(table) else NO_ROWS)

    def html(table: pd.DataFrame) -> str | None:
        return table._repr_html_() if len(table) else None

    display.formatters["text/plain"].for_type(pd.DataFrame, plain)
    display.formatters["text/html"].for_type(pd.DataFrame, html)


def _seed(seed: int) -> None:
    whole_number("seed", seed, 0, 2**32 - 1)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _threads() -> None:
    """Let torch use ``$SQUEEZE_THREADS`` threads; torch's own choice stands when it is not set."""
    wanted = os.environ.get("SQUEEZE_THREADS", "").strip()
    if not wanted:
        return
    if not wanted.isdigit() or int(wanted) < 1:
        raise ValueError(f"SQUEEZE_THREADS is {wanted!r}: give a number of threads, 1 or more")
    torch.set_num_threads(int(wanted))


def describe(scale: str, seed: int) -> str:
    """The block that a set-up cell prints: versions, device, scale, seed, and where data is."""
    from squeeze_utils.base.machine import versions

    lines = {
        "versions": f"Python {platform.python_version()} · torch {torch.__version__} · "
        f"torchvision {versions()['torchvision']} · squeeze_utils {__version__}",
        "device": _device(scale),
        "scale": scale,
        "seed": str(seed),
        "data": _data_hint(),
    }
    width = max(len(name) for name in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def _device(scale: str) -> str:
    """For example ``cpu · 2 threads · trains in bfloat16``; a graphics card is named as well."""
    from squeeze_utils.base.machine import precision

    threads = torch.get_num_threads()
    here = f"cpu · {threads} thread{'' if threads == 1 else 's'}"
    small = f"{here} · trains in {precision('auto', 'cpu')}"
    if not torch.cuda.is_available():
        return small
    card = f"cuda ({torch.cuda.get_device_name()})"
    if scale == "quick":  # a step on digits is too short for it
        return f"{small} · {card} trains at reference scale"
    return f"{card} · {here} · trains in {precision('auto', 'cuda')}"


def _data_hint() -> str:
    """Where image sets are looked for, never as an absolute path: a notebook is published."""
    place = "the folder that SQUEEZE_DATA names" if os.environ.get("SQUEEZE_DATA") else "data/"
    return f"digits, built in; larger image sets from {place}"
