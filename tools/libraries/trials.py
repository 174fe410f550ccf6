"""One function for each topic: the rows of its table, one library after the other."""

from __future__ import annotations

import copy
import io
import lzma
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.compress.sqz import container
from squeeze_utils.deploy import committed_files
from squeeze_utils.results.library_tables import NOT_TIMED
from squeeze_utils.training.loop import Train, fit
from tools.libraries.bench import BATCH, Bench, checkpoint, state_bytes, zipped

CALIBRATION = 512  # training images
RETRAIN = Train(2, lr=0.005, optimizer="muon", weight_decay=0.05, shift=3, flip=True)
QUALITIES = (-32, -26, -22, -20, -18)  # of nncodec: its steps double with every 4


def quantization(bench: Bench) -> Iterator[dict[str, Any]]:
    """PyTorch's own way (torchao), and OpenVINO's (NNCF), both after training."""
    model = bench.network()
    yield bench.row("as it is", "torch", model, len(checkpoint(model, bench)))
    found, size, note = _pt2e(bench)
    yield bench.row("torchao, PT2E int8", "torchao", found, size, note, simulated=True)
    compiled = torch.compile(found)
    answers = "fast, but its answers are not those of the line above"
    yield bench.row("the same, compiled", "torchao", compiled, size, answers)
    yield bench.row("NNCF int8", "nncf", *_nncf(bench), simulated=True)


def _pt2e(bench: Bench) -> tuple[nn.Module, int, str]:
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    example = (bench.batch("train", 0, BATCH),)
    # Without strict=True the quantizer finds one convolution of 26 and says nothing.
    captured = torch.export.export(bench.network(), example, strict=True).module()
    quantizer = X86InductorQuantizer()
    quantizer.set_global(get_default_x86_inductor_quantization_config())
    observed = prepare_pt2e(captured, quantizer)
    for start in range(0, CALIBRATION, BATCH):
        observed(bench.batch("train", start, BATCH))
    found = convert_pt2e(observed)
    targets = [str(node.target) for node in found.graph.nodes]
    whole = sum("dequantize_per_channel" in target for target in targets)
    convolutions = sum("aten.conv2d" in target for target in targets)
    note = f"{NOT_TIMED}; {whole} of {convolutions} convolutions in integers once compiled"
    return found, len(state_bytes(found)), note


def _nncf(bench: Bench) -> tuple[nn.Module, int, str]:
    import nncf

    starts = range(0, CALIBRATION, BATCH)
    dataset = nncf.Dataset([bench.batch("train", start, BATCH) for start in starts])
    found = nncf.quantize(bench.network(), dataset)
    return found, len(state_bytes(found)), f"{NOT_TIMED}; int8 kernels come with OpenVINO"


def pruning(bench: Bench) -> Iterator[dict[str, Any]]:
    """Whole channels by a dependency graph, and 2 of 4 weights, both retrained for two epochs."""
    model = bench.network()
    yield bench.row("as it is", "torch", model, len(checkpoint(model, bench)))
    model = _without_channels(bench)
    _retrain(model, bench)
    size, note = len(checkpoint(model, bench)), "smaller layers: any runtime is faster"
    yield bench.row("30 % of channels", "torch-pruning", model, size, note)
    model = bench.network()
    _retrain(model, bench, _two_of_four(model))
    data = checkpoint(model, bench)
    note = f"faster on a GPU's sparse cores only; zipped {len(zipped(data)):,} bytes"
    yield bench.row("torchao, 2:4 masks", "torchao", model, len(data), note)


def _without_channels(bench: Bench) -> nn.Module:
    import torch_pruning

    model, example = bench.network(), bench.batch("train", 0, 2)
    last = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)][-1]
    pruner = torch_pruning.pruner.MetaPruner(
        model,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=1),
        pruning_ratio=0.3,
        ignored_layers=[last],
    )
    pruner.step()
    return model


def _two_of_four(model: nn.Module) -> dict[str, Tensor]:
    """Masks that keep two of every four input channels of a weight, by torchao.

    It masks linear layers only: each convolution is handed over as one, its input channels last.
    """
    from torchao.sparsity import apply_fake_sparsity

    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    layers.pop(next(iter(layers)))  # it has three input channels
    flat = nn.ModuleDict()
    for name, layer in layers.items():
        matrix = layer.weight.detach().permute(0, 2, 3, 1).flatten(1)
        flat[name.replace(".", "/")] = nn.Linear(matrix.shape[1], len(matrix), bias=False)
        flat[name.replace(".", "/")].weight.data = matrix.clone()
    apply_fake_sparsity(flat)
    masks = {}
    for name, layer in layers.items():
        count, inputs, *kernel = layer.weight.shape
        kept = (flat[name.replace(".", "/")].weight != 0).float()
        masks[f"{name}.weight"] = kept.view(count, *kernel, inputs).permute(0, 3, 1, 2)
    return masks


def _retrain(model: nn.Module, bench: Bench, masks: dict[str, Tensor] | None = None) -> None:
    def masked(network: nn.Module, *_: Any) -> None:
        parameters = dict(network.named_parameters())
        for name, mask in (masks or {}).items():
            parameters[name].data *= mask

    fit(model, bench.images, RETRAIN, after_step=[masked], progress=True)
    model.eval()


def coding(bench: Bench) -> Iterator[dict[str, Any]]:
    """One network, one set of weights: what general and special coders make of them."""
    model = bench.network()
    raw = checkpoint(model, bench)
    yield bench.row("as it is", "safetensors", model, len(raw))
    yield bench.row("zip", "safetensors", model, len(zipped(raw)), "lossless")
    yield bench.row("xz", "safetensors", model, len(lzma.compress(raw, preset=9)), "lossless")
    data, _ = container.encode_sqz(model)
    ours = container.decode_sqz(data)
    yield bench.row("ours, lossless", "squeeze_utils", ours, len(data), "lossless")
    data = committed_files.shared_sqz(bench.folder).read_bytes()
    ours, note = container.decode_sqz(data), f"{committed_files.SHARED_BITS}-bit codebooks"
    yield bench.row("ours, shared weights", "squeeze_utils", ours, len(data), note)
    for quality in QUALITIES:
        decoded, size, seconds = through_nncodec(model, quality)
        note = f"there and back in {seconds:.1f} s"
        yield bench.row(f"nncodec, qp {quality}", "nncodec", decoded, size, note)


def through_nncodec(model: nn.Module, quality: int) -> tuple[nn.Module, int, float]:
    """The network that nncodec decodes from its own file, the file's bytes, and seconds."""
    state = model.state_dict()
    counters = {name: value for name, value in state.items() if not value.is_floating_point()}
    floats = {name: value for name, value in state.items() if name not in counters}
    found, size, seconds = nncodec_there_and_back(floats, quality)
    decoded = copy.deepcopy(model)
    decoded.load_state_dict(found | counters)
    return decoded.eval(), size, seconds


def nncodec_there_and_back(
    tensors: Mapping[str, Tensor], quality: int
) -> tuple[dict[str, Tensor], int, float]:
    """What nncodec decodes from its own file of `tensors`, the file's bytes, and seconds."""
    from nncodec.nn import decode, encode

    start = time.perf_counter()
    with redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        how = {"qp": quality, "use_dq": True, "verbose": False, "results": folder}
        data = encode({name: tensor.numpy() for name, tensor in tensors.items()}, args=how)
        found = decode(data)
    seconds = time.perf_counter() - start
    return {name: torch.as_tensor(value) for name, value in found.items()}, len(data), seconds
