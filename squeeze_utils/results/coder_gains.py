"""What coders and coded biases save: the bytes of one network's files, and their seconds."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy
from functools import partial

import pandas as pd
import torch

from squeeze_utils.base.timing import median_time
from squeeze_utils.compress.sqz.container import COMPACT, decode_sqz, encode_sqz
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.training.step import State

FLOAT_BIASES = "compact, biases without a step"
CODERS = (*COMPACT, "contexts")  # the last one learns how often each size occurs


def file_sizes(state: State) -> dict[str, int]:
    """Bytes of a rounded network with each coder, and with its biases without a step.

    Every file is read again and compared bit for bit. In the last file the biases are rounded to
    float16 and stored in the smallest form that needs no step, such as a list of their values. So
    it holds the same weights, but not quite the same biases. A network without whole numbers for
    its biases has no such file.
    """
    return {
        name: Encode(coder).apply(copy(one))["file_bytes"]
        for name, (coder, one) in _files(state).items()
    }


def coder_gains(state: State, repetitions: int = 30) -> pd.DataFrame:
    """`file_sizes` as a table, with the milliseconds of encoding and of decoding each file.

    Times are medians, taken in turn.
    """
    steps = {}
    for name, (coder, one) in _files(state).items():
        encode = partial(encode_sqz, one.model, coder, one.saved["grids"])
        steps[name, "encoding (ms)"] = encode
        steps[name, "decoding (ms)"] = partial(decode_sqz, encode()[0])
    times = median_time(steps, repetitions, warmup=1)["median_ms"]
    table = pd.DataFrame({"file (bytes)": file_sizes(state)})
    for (name, column), milliseconds in times.items():
        table.loc[name, column] = milliseconds
    return table


def _files(state: State) -> Mapping[str, tuple[str, State]]:
    """Coder and network of each file by its name."""
    grids = state.saved.get("grids", {})
    if not grids:
        raise ValueError("the network has no grids: it was never rounded to whole numbers")
    found = {coder: (coder, state) for coder in CODERS}
    weights = {n: grid for n, grid in grids.items() if not n.endswith(".bias")}
    if len(weights) < len(grids):
        found[FLOAT_BIASES] = ("compact", _with_float_biases(state, weights))
    return found


@torch.no_grad()
def _with_float_biases(state: State, weights: Mapping[str, torch.Tensor]) -> State:
    other = copy(state)
    other.model, other.saved = deepcopy(state.model), {**state.saved, "grids": dict(weights)}
    for name in state.saved["grids"].keys() - weights.keys():
        bias = other.model.get_parameter(name)
        bias.copy_(bias.half().float())
    return other
