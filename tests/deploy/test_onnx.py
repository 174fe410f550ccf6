from __future__ import annotations

import numpy as np
import pytest
import torch

from squeeze_utils.deploy import optional_parts
from squeeze_utils.deploy.for_inference import for_inference
from squeeze_utils.deploy.onnx_files import export_onnx, quantize_onnx
from squeeze_utils.deploy.onnx_size import halve_onnx
from squeeze_utils.deploy.runners import ModelFileError, open_runner
from squeeze_utils.models import build

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

NETWORKS = {
    "32 pixels": ("squeezenet_small", (3, 32, 32), {"width": 0.25, "bypass": "none"}),
    "simple bypass": ("squeezenet_small", (3, 32, 32), {"width": 0.25, "bypass": "simple"}),
    "complex bypass": ("squeezenet_small", (3, 30, 30), {"width": 0.25, "bypass": "complex"}),
    "lenet": ("lenet5", (1, 28, 28), {}),
    "vgg of fires": ("vgg11", (3, 32, 32), {"image_size": 32, "fire": True}),
}


def network(name: str) -> tuple[torch.nn.Module, tuple[int, int, int]]:
    """A network whose normalisation has seen something, in evaluation."""
    kind, shape, options = NETWORKS[name]
    torch.manual_seed(0)
    model = build(kind, **options)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return model.eval(), shape


def compared(model, path, shape, n: int) -> float:
    """The largest difference of logits on n random images, in units of the largest logit."""
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(n))
    with torch.no_grad():
        expected = model(x).numpy()
    assert np.ptp(expected) > 0  # equality of constants would prove nothing
    return float(np.abs(open_runner(path)(x.numpy()) - expected).max() / np.abs(expected).max())


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Small networks, exported once: `exported(name)` gives model, path, shape."""
    folder, made = tmp_path_factory.mktemp("onnx"), {}

    def get(name: str):
        if name not in made:
            model, shape = network(name)
            path = folder / f"{name}.onnx"
            assert export_onnx(model, path, shape) == path.stat().st_size
            made[name] = (model, path, shape)
        return made[name]

    return get


@pytest.mark.parametrize("name", NETWORKS)
def test_an_exported_network_computes_the_same_for_any_batch(exported, name):
    model, path, shape = exported(name)
    for n in (1, 3, 16):
        assert compared(model, path, shape, n) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1", "squeezenet_small"])
def test_the_networks_of_the_series_at_full_size_compute_the_same(tmp_path, name):
    torch.manual_seed(0)
    model = build(name, num_classes=10).eval()
    export_onnx(model, tmp_path / "full.onnx", model.input_shape)
    for n in (1, 3):
        assert compared(model, tmp_path / "full.onnx", model.input_shape, n) < 1e-5


def test_what_is_done_for_an_export_leaves_the_network_as_it_was():
    model, _ = network("32 pixels")
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for_inference(model)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_file_names_no_folder_and_is_the_same_every_time(exported, tmp_path):
    model, path, shape = exported("32 pixels")
    content = path.read_bytes()
    assert b"squeezenet.py" not in content and b"site-packages" not in content
    export_onnx(model, tmp_path / "again.onnx", shape)
    assert (tmp_path / "again.onnx").read_bytes() == content


@pytest.mark.parametrize("name", ["simple bypass", "vgg of fires"])
def test_the_rewritten_network_has_no_normalisation_and_relus_beside_convolutions(name):
    model, shape = network(name)
    rewritten = for_inference(model)
    kinds = [type(module).__name__ for module in rewritten.modules()]
    assert "BatchNorm2d" not in kinds and "BatchNorm2d" in map(
        lambda module: type(module).__name__, model.modules()
    )
    x = torch.randn(2, *shape)
    with torch.no_grad():
        torch.testing.assert_close(rewritten(x), model(x), rtol=1e-5, atol=1e-5)


def test_weights_of_16_bits_halve_the_file_and_hardly_change_the_logits(exported, tmp_path):
    model, path, shape = exported("32 pixels")
    short = tmp_path / "short.onnx"
    size = halve_onnx(path, short)
    assert size == short.stat().st_size < 0.65 * path.stat().st_size
    assert 0 < compared(model, short, shape, 3) < 5e-3


def test_weights_that_16_bits_cannot_hold_are_refused(tmp_path):
    model, shape = network("lenet")
    with torch.no_grad():
        next(p for p in model.parameters() if p.numel() > 1000).view(-1)[0] = 1e6
    export_onnx(model, tmp_path / "a.onnx", shape)
    with pytest.raises(ValueError, match="values that float16 cannot hold"):
        halve_onnx(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert not (tmp_path / "b.onnx").exists()


def test_int8_is_a_quarter_of_the_weights_and_close(exported, tmp_path):
    model, path, shape = exported("lenet")
    batch = torch.randn(64, *shape)
    small = tmp_path / "int8.onnx"
    size = quantize_onnx(path, small, batch)
    assert size == small.stat().st_size < 0.3 * path.stat().st_size
    assert 0 < compared(model, small, shape, 16) < 0.1


def test_seven_bits_are_weights_of_at_most_64(exported, tmp_path):
    import onnx

    _, path, shape = exported("32 pixels")
    batch, largest = torch.randn(8, *shape), {}
    for bits in (7, 8):
        quantize_onnx(path, tmp_path / "q.onnx", batch, weight_bits=bits)
        graph = onnx.load(str(tmp_path / "q.onnx")).graph
        codes = [
            onnx.numpy_helper.to_array(t).astype(int)
            for t in graph.initializer
            if t.name.endswith("weight_quantized")
        ]
        assert codes
        largest[bits] = max(int(np.abs(code).max()) for code in codes)
    assert largest[7] <= 64 < largest[8] <= 128


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (torch.zeros(4, 1, 28, 28, dtype=torch.uint8), "must be a float tensor, not torch.uint8"),
        (np.zeros((4, 1, 28, 28), np.float32), "must be a float tensor, not ndarray"),
        (torch.zeros(4, 1, 32, 32), r"shape \(4, 1, 32, 32\); the file takes \(n, 1, 28, 28\)"),
        (torch.zeros(0, 1, 28, 28), "calibration_batch has the shape"),
        (torch.full((2, 1, 28, 28), float("nan")), "not finite"),
    ],
)
def test_a_wrong_calibration_batch_is_refused(exported, tmp_path, batch, words):
    _, path, _ = exported("lenet")
    with pytest.raises(ValueError, match=words):
        quantize_onnx(path, tmp_path / "int8.onnx", batch)
    assert not (tmp_path / "int8.onnx").exists()


def test_other_bits_are_refused(exported, tmp_path):
    _, path, shape = exported("lenet")
    with pytest.raises(ValueError, match="weight_bits is 7 or 8, got 4"):
        quantize_onnx(path, tmp_path / "int8.onnx", torch.randn(2, *shape), weight_bits=4)


@pytest.mark.parametrize("work", [quantize_onnx, lambda a, b, _: halve_onnx(a, b)])
def test_what_is_no_onnx_file_is_not_worked_on(tmp_path, work):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelFileError, match=r"bad\.onnx is not an ONNX model"):
        work(tmp_path / "bad.onnx", tmp_path / "out.onnx", torch.zeros(1, 1, 28, 28))


@pytest.mark.parametrize("shape", [(3, 32), (3, 32, 0), (3, 32.0, 32), "abc"])
def test_a_wrong_input_shape_is_refused(tmp_path, shape):
    with pytest.raises(ValueError, match="input_shape must be"):
        export_onnx(build("lenet5"), tmp_path / "a.onnx", shape)


def test_a_shape_of_other_channels_is_refused(tmp_path):
    with pytest.raises(ValueError, match="takes 1 channels; input_shape says 3"):
        export_onnx(build("lenet5"), tmp_path / "a.onnx", (3, 28, 28))


def test_what_is_no_network_is_refused(tmp_path):
    with pytest.raises(TypeError, match="must be a torch module, not dict"):
        export_onnx({}, tmp_path / "a.onnx", (3, 32, 32))


@pytest.mark.parametrize("name", ["onnx", "onnxscript"])
def test_a_missing_exporter_is_named_with_the_way_to_get_it(tmp_path, monkeypatch, name):
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(
        optional_parts.PartMissing, match=f"{name} is not installed: python -m pip install"
    ):
        export_onnx(build("lenet5"), tmp_path / "a.onnx", (1, 28, 28))
