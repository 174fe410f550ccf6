"""What a model is: shapes, parameters, multiply-adds, activation bytes and receptive field.

Counted on one forward pass over shapes alone, so a model built on torch's meta device
(`with torch.device("meta"): ...`) is counted as well, without memory for its parameters.
"""

from __future__ import annotations

import re
from dataclasses import fields

import pandas as pd
from torch import nn

from squeeze_utils.anatomy.memory import alive_bytes
from squeeze_utils.anatomy.tracing import FLOAT32, Recorder, Row, has_children, trace

_FIRE_PARTS = ("squeeze", "expand1x1", "expand3x3")
_PLAIN = re.compile(r"((features|avgpool|classifier|\d+)(\.|$))*")  # a path in a chain of layers


def layer_table(model: nn.Module, input_shape: tuple[int, int, int]) -> pd.DataFrame:
    """One row per layer, in the order the layers run on one image.

    Layers are the modules without children (convolutions, dense layers, norms, activations,
    pooling; dropout and identity do nothing in evaluation and are left out) and the operations
    between modules, such as concatenation and a bypass's addition. Columns:

    - `name`: a readable name, as in the papers (conv1, fire2/squeeze, maxpool4, fc6) where the
      model is a plain chain of layers and Fire modules, else the path of the module;
    - `layer`: the path of the module inside the model; `kind`: its class (Conv2d for variants of
      it too), or the operation;
    - `output`: shape without the batch, (channels, height, width) or (features,);
    - `parameters`, and how many of these are `biases`; a parameter that several layers share
      is counted in the first; the column adds up to the model's own number;
    - `multiply_adds`: products added to a sum, for one image; convolutions and matrix products
      are counted, biases, norms, activations and pooling are not;
    - `activation_bytes`: of the output, as float32, for one image; `in_place` marks layers whose
      output takes no memory of its own (an in-place ReLU, a flattening);
    - `receptive_field`: input pixels along a side (the longer one) that an output pixel can
      see, padding included; `jump`: input pixels between neighbouring outputs (0 when there is
      one output for the whole map); `start`: the first input row that the first output sees
      (negative: padding). Missing where they cannot be told.

    `input_shape` is (channels, height, width). The model is left as it was. What cannot be counted
    raises an AnatomyError that names it.
    """
    return _frame(model, trace(model, input_shape))


def memory_profile(
    model: nn.Module, input_shape: tuple[int, int, int], join_in_place: bool = False
) -> pd.DataFrame:
    """Bytes of activations alive while each layer runs on one image, as float32.

    The layers are those of `layer_table`, in the same order. Columns: `name`; `module`, the Fire
    module, convolution, dense layer or pooling that it belongs to (an activation belongs to what
    is before it); and `alive_bytes`, counted as by `peak_activation_bytes`. Their highest is the
    peak.
    """
    record = trace(model, input_shape)
    frame = _frame(model, record)
    is_own = frame["kind"].str.contains("Conv|Linear|Pool") | frame["name"].str.contains("/")
    module = frame["name"].str.split("/").str[0].where(is_own).ffill()
    alive = pd.Series(alive_bytes(record, join_in_place)).groupby(record.places).max()
    return pd.DataFrame({"name": frame["name"], "module": module, "alive_bytes": alive})


def _frame(model: nn.Module, record: Recorder) -> pd.DataFrame:
    columns = [field.name for field in fields(Row)]
    frame = pd.DataFrame([vars(row) for row in record.rows], columns=columns)
    frame.insert(0, "name", _names(model, record.rows))
    return frame.astype(dict.fromkeys(("receptive_field", "jump", "start"), "Int64"))


def by_module(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with one row per module: the layers of a Fire module added up.

    Layers belong together when their names agree up to the first "/". Concatenations, and
    activations and norms without parameters, keep no row of their own outside a Fire module.
    Columns: kind, output, parameters, biases, multiply_adds, activation_bytes (of the module's
    output), receptive_field.
    """
    group = frame["name"].str.split("/").str[0]
    inside = frame["name"].str.contains("/", regex=False)
    groups = frame.assign(kind=frame["kind"].where(~inside, "Fire")).groupby(group, sort=False)
    last = ["kind", "output", "activation_bytes", "receptive_field"]
    added = ["parameters", "biases", "multiply_adds"]
    merged = groups.agg({**dict.fromkeys(last, "last"), **dict.fromkeys(added, "sum")})
    own = merged["kind"].str.contains("Conv|Linear|Fire|Pool") | (merged["parameters"] > 0)
    order = ["kind", "output", *added, "activation_bytes", "receptive_field"]
    return merged.loc[own, order].rename_axis("module")


def summary(model: nn.Module, input_shape: tuple[int, int, int]) -> pd.Series:
    """A model in six numbers, for one image and float32.

    `layers` (convolutions and dense layers), `parameters`, `bytes` (of the parameters),
    `multiply_adds`, `activation_bytes` (all outputs kept, in-place ones once) and
    `peak_activation_bytes`.
    """
    record = trace(model, input_shape)
    frame = _frame(model, record)
    parameters = int(frame["parameters"].sum())
    return pd.Series(
        {
            "layers": int((frame["multiply_adds"] > 0).sum()),
            "parameters": parameters,
            "bytes": FLOAT32 * parameters,
            "multiply_adds": int(frame["multiply_adds"].sum()),
            "activation_bytes": int(frame.loc[~frame["in_place"], "activation_bytes"].sum()),
            "peak_activation_bytes": max(alive_bytes(record)),
        }
    )


def _names(model: nn.Module, rows: list[Row]) -> list[str]:
    """Readable names: layers with weights are numbered as they run, a Fire module is one.

    Fire modules begin at 2, as in the paper: a second layer before them is conv1b.
    """
    modules = dict(model.named_modules())
    paths = [
        f"{row.layer}.{row.kind}".lstrip(".") if has_children(modules[row.layer]) else row.layer
        for row in rows
    ]
    fires = [_fire_of(modules, row.layer) for row in rows]
    if not all(fire or _PLAIN.fullmatch(row.layer) for row, fire in zip(rows, fires, strict=True)):
        return paths
    names: list[str] = []
    number, again, previous, ahead = 0, "", None, any(fires)
    for row, path, fire in zip(rows, paths, fires, strict=True):
        word = _word(modules[row.layer], row.kind)
        ahead = ahead and fire is None
        if ahead and number and word == "conv":
            again = chr(ord(again or "a") + 1)
        else:
            number += word in ("conv", "fc") if fire is None else fire != previous
            again = again if ahead and "pool" not in word else ""
        previous = fire
        part = path.rpartition(".")[2]
        names.append(f"{word}{number}{again}" if fire is None else f"fire{number}/{part}")
    return names


def _fire_of(modules: dict[str, nn.Module], layer: str) -> str | None:
    """The path of the Fire module (this package's or torchvision's) that `layer` belongs to."""
    for path in (layer, layer.rpartition(".")[0]):
        if path in modules and all(hasattr(modules[path], part) for part in _FIRE_PARTS):
            return path
    return None


def _word(module: nn.Module, kind: str) -> str:
    """conv, fc, norm, maxpool, avgpool, pool, or the class or operation in lower case."""
    if kind == "Conv2d":
        depthwise = 1 < module.groups == module.in_channels and module.stride != (1, 1)
        return "pool" if depthwise else "conv"
    words = {"Linear": "fc", "MaxPool": "maxpool", "AvgPool": "avgpool", "BatchNorm": "norm"}
    return next((word for part, word in words.items() if part in kind), kind.lower())
