"""Searches for good settings: a typed space, samplers and pruners, a journal on disk, a budget.

`python -m squeeze_utils search list` names the searches of the series.
"""

from __future__ import annotations

from squeeze_utils.experiments.search.journal import (
    JournalError,
    best,
    is_done,
    journal_path,
    read_search,
    trials,
)
from squeeze_utils.experiments.search.running import run_search
from squeeze_utils.experiments.search.space import Choice, Range, Search, distributions

__all__ = [
    "Choice",
    "JournalError",
    "Range",
    "Search",
    "best",
    "distributions",
    "is_done",
    "journal_path",
    "read_search",
    "run_search",
    "trials",
]
