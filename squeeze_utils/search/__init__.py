"""Searches for good settings: a typed space, samplers and pruners, a journal on disk, a budget.

`python -m squeeze_utils.search list` names the searches of the series; `... run NAME --scale
reference [--jobs N]` goes on with what has budget left.
"""

from __future__ import annotations

from .journal import (
    JournalError,
    best,
    cost,
    is_done,
    open_study,
    path_of,
    provenance,
    read,
    spent,
    trials,
)
from .methods import PRUNERS, SAMPLERS, pruner, sampler
from .running import Report, Training, run
from .space import Choice, Range, Search, distributions

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "Choice",
    "JournalError",
    "Range",
    "Report",
    "Search",
    "Training",
    "best",
    "cost",
    "distributions",
    "is_done",
    "open_study",
    "path_of",
    "provenance",
    "pruner",
    "read",
    "run",
    "sampler",
    "spent",
    "trials",
]
