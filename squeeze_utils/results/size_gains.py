"""What the sizes of neighbours tell about a size: bytes of sizes with and without such contexts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import nn

from squeeze_utils.base.measurements import read_measurement
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.sqz import forms, size_contexts
from squeeze_utils.results.study_results import Sentence

KEPT = "released/size_contexts"
WORD = 4  # bytes


def size_bytes(model: nn.Module) -> pd.DataFrame:
    """A row for each weight of whole numbers times a step, with the bytes of all its sizes.

    Every message is read again. Signs and places are no part of it.
    """
    rows = []
    for name, weight in prunable(model).items():
        form = forms.smallest(weight, "contexts").form
        if form.kind != "grid" or form.zero is None:
            continue
        sizes = np.abs(form.symbols.reshape(forms.layout(weight.shape)) - form.zero)
        row = {"layer": name, "nonzero": int(np.count_nonzero(sizes))}
        for column, by_contexts in (("without", False), ("with", True)):
            words = size_contexts.encode(sizes, by_contexts)
            read = size_contexts.decode(words, sizes != 0, int(sizes.max()), by_contexts)
            if not np.array_equal(read, sizes):
                raise RuntimeError(f"the sizes of {name} came back with other values")
            row[column] = WORD * len(words)
        rows.append(row)
    return pd.DataFrame(rows, columns=["layer", "nonzero", "without", "with"])


def gain_sentence(found: pd.DataFrame, file_bytes: int, name: str) -> Sentence:
    """What the contexts save of the sizes, and how much of the whole file that is."""
    without, with_contexts = found["without"].sum(), found["with"].sum()
    saved = 100 * (without - with_contexts) / file_bytes
    return Sentence(
        f"{name}: with the sizes of their neighbours as contexts the sizes take "
        f"{with_contexts:,} bytes instead of {without:,}; that is {saved:.1f} % of the file."
    )


def of_the_released() -> Sentence:
    """The same for the released SqueezeNet, rounded after training."""
    kept = read_measurement(KEPT)
    if kept is None:
        return Sentence("Nobody has measured contexts of sizes in the released network yet.")
    size = kept.about["bytes"]
    name = f"The released SqueezeNet, rounded into {size:,} bytes"
    return gain_sentence(kept.frame, size, name)
