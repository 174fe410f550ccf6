"""What an ONNX file need not carry: the exporter's notes, and every second byte of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from squeeze_utils.base.files import write_atomically
from squeeze_utils.deploy.optional_parts import need

SMALL = 256  # numbers: shorter tensors (biases) keep their 32 bits


def strip(model: Any) -> Any:
    """Remove what no runtime reads, in place: the exporter notes the source lines of every node.

    These notes hold the folders of the machine that made the file, and 100 kB.
    """
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.value_info[:]
    return model


def halve_onnx(float_path: Path | str, path: Path | str) -> int:
    """Write a float ONNX file with its weights kept in 16 bits; return the new file's bytes.

    The network still computes in 32 bits: each weight goes through a Cast, which ONNX Runtime
    does once, when it opens the file.
    """
    onnx = need("onnx")
    from squeeze_utils.deploy.runners import onnx_session

    onnx_session(Path(float_path), threads=1)  # says what is wrong with a file that is no model
    model = onnx.load(str(float_path))
    casts = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        with np.errstate(over="ignore"):
            short = values.astype(np.float16)
        if not np.isfinite(short).all():
            raise ValueError(f"{tensor.name} has values that float16 cannot hold")
        wide = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(short, f"{wide}_half"))
        casts.append(
            onnx.helper.make_node("Cast", [tensor.name], [wide], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    content = strip(model).SerializeToString()
    write_atomically(Path(path), content)
    return len(content)
