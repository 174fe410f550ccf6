"""The Pareto front: what no other row of a table beats."""

from __future__ import annotations

import pandas as pd


def front(table: pd.DataFrame, accuracy: str) -> pd.DataFrame:
    """The rows of which none other has both fewer bytes and a higher `accuracy`, by bytes."""
    ordered = table.sort_values(["bytes", accuracy], ascending=[True, False])
    best, kept = float("-inf"), []
    for value in ordered[accuracy]:
        kept.append(value > best)
        best = value if value > best else best
    return ordered[kept]
