"""The Pareto front: the rows of a table that no smaller file matches."""

from __future__ import annotations

import pandas as pd


def front(table: pd.DataFrame, accuracy: str) -> pd.DataFrame:
    """The rows with a higher `accuracy` than every smaller file, the smallest first.

    Of files of one size the most accurate is kept.
    """
    ordered = table.sort_values(["bytes", accuracy], ascending=[True, False])
    best, kept = float("-inf"), []
    for value in ordered[accuracy]:
        kept.append(value > best)
        best = value if value > best else best
    return ordered[kept]
