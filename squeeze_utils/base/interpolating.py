"""Between measured settings of another tool: what it would need at an error of ours."""

from __future__ import annotations

import numpy as np
import pandas as pd


def bytes_at_our_divergences(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.Series:
    """Bytes that their settings need at each divergence of ours that lies between theirs.

    Each frame has a row for each setting, with its "divergence"; theirs also has "bytes". Between
    two of their settings, bytes are taken from a straight line over the logarithm of divergence:
    each bit less multiplies the divergence of fine rounding by the same factor. The result has the
    index of those rows of ours that are reached.

    >>> theirs = pd.DataFrame({"divergence": [1.0, 100.0], "bytes": [400, 200]})
    >>> bytes_at_our_divergences(pd.DataFrame({"divergence": [10.0, 1000.0]}), theirs).tolist()
    [300.0]
    """
    if not all((frame["divergence"] > 0).all() for frame in (ours, theirs)):
        raise ValueError("every divergence must be positive: its logarithm is taken")
    if theirs.empty:
        raise ValueError("there is no setting of theirs to compare with")
    theirs = theirs.sort_values("divergence")
    known = theirs["divergence"]
    reached = ours["divergence"][ours["divergence"].between(known.min(), known.max())]
    found = np.interp(np.log(reached), np.log(known), theirs["bytes"])
    return pd.Series(found, index=reached.index, dtype=float)
