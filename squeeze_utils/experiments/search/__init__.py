"""Searches for good settings: a typed space, samplers and pruners, a journal on disk, a budget.

`python -m squeeze_utils search list` names the searches of the series.
"""

from __future__ import annotations

from squeeze_utils.experiments.search.journal import (
    JournalError,
    best,
    cost,
    is_done,
    journal_path,
    open_study,
    read_search,
    source_of_searches,
    spent,
    trials,
)
from squeeze_utils.experiments.search.methods import PRUNERS, SAMPLERS, pruner, sampler
from squeeze_utils.experiments.search.running import Report, Training, run_search
from squeeze_utils.experiments.search.space import Choice, Range, Search, distributions

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
    "journal_path",
    "open_study",
    "pruner",
    "read_search",
    "run_search",
    "sampler",
    "source_of_searches",
    "spent",
    "trials",
]
