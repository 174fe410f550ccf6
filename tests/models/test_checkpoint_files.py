"""Checkpoints: small files, half precision, never unpickled, clear errors."""

from __future__ import annotations

import json

import pytest
import torch

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.records import read_records
from squeeze_utils.models import ModelSpec, build
from squeeze_utils.models.checkpoint_files import load_model, save_model
from squeeze_utils.studies.catalogue import find


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("squeezenet_small", num_classes=10, width=0.25, pool_after=(1, 2, 4)).eval()


def test_a_checkpoint_is_the_model_in_half_precision(model, tmp_path):
    size = save_model(model, tmp_path / "m.safetensors", note="x")
    loaded, metadata = load_model("m", tmp_path)
    assert (tmp_path / "m.safetensors").stat().st_size == size
    assert 2 * sum(p.numel() for p in model.parameters()) < size
    assert metadata["note"] == "x"
    assert loaded.spec == model.spec and not loaded.training
    for name, value in loaded.state_dict().items():
        expected = model.state_dict()[name]
        assert torch.equal(value, expected.half().float() if value.is_floating_point() else value)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert (loaded(x) - model(x)).abs().max() < 1e-2


def test_saving_twice_gives_the_same_bytes(model, tmp_path):
    save_model(model, tmp_path / "a.safetensors")
    save_model(model, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_values_beyond_half_precision_are_refused(model, tmp_path):
    with torch.no_grad():
        model.features[0].weight[0] = 1e6
    with pytest.raises(ValueError, match=r"features\.0\.weight has values that float16"):
        save_model(model, tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()


def test_a_missing_checkpoint_lists_those_there_are(model, tmp_path):
    save_model(model, tmp_path / "here.safetensors")
    with pytest.raises(FileNotFoundError, match="no checkpoint 'gone'; there are: here"):
        load_model("gone", tmp_path)


SPECS = {
    "no spec": None,
    "spec a list": "[]",
    "spec of nothing known": '{"name": "resnet", "options": {}}',
    "options a list": '{"name": "lenet_300_100", "options": [1]}',
    "spec beyond all numbers": '{"name": "resnet20", "options": {"width": 1e308}}',
    "spec of another network": '{"name": "lenet_300_100", "options": {"image_size": 8}}',
}


@pytest.mark.parametrize("damage", ["cut", "garbage", *SPECS])
def test_a_damaged_checkpoint_is_named(model, tmp_path, damage):
    path = tmp_path / "m.safetensors"
    save_model(model, path)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "garbage":
        path.write_bytes(b"\x80\x04not a tensor file at all")
    else:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        del header["__metadata__"]["spec"]
        if SPECS[damage]:
            header["__metadata__"]["spec"] = SPECS[damage]
        new = json.dumps(header).encode()
        path.write_bytes(len(new).to_bytes(8, "little") + new + content[8 + length :])
    with pytest.raises(ValueError, match=r"m\.safetensors is not a checkpoint of this series"):
        load_model("m", tmp_path)


def test_a_file_gets_no_memory_but_that_of_its_tensors(model, tmp_path, monkeypatch):
    save_model(model, tmp_path / "m.safetensors")
    devices, build = [], ModelSpec.build

    def watched(spec: ModelSpec) -> torch.nn.Module:
        made = build(spec)
        devices.extend(tensor.device.type for tensor in made.state_dict().values())
        return made

    monkeypatch.setattr(ModelSpec, "build", watched)
    loaded, _ = load_model("m", tmp_path)
    assert set(devices) == {"meta"}
    assert {tensor.device.type for tensor in loaded.state_dict().values()} == {"cpu"}
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_committed_checkpoints_load_and_belong_to_a_committed_record():
    folder = paths.shipped("checkpoints")
    files = sorted(folder.glob("*.safetensors"))
    assert files, "no checkpoint is committed"
    assert sum(file.stat().st_size for file in files) <= 8e6
    for file in files:
        _, metadata = load_model(file.stem)
        records = read_records(paths.shipped("runs") / metadata["study"])
        assert metadata["record"] in records


@pytest.mark.larger_set
def test_the_committed_squeezenet_scores_what_its_record_says():
    from squeeze_utils.data import DataError
    from squeeze_utils.data.sets import load_images
    from squeeze_utils.training.evaluation import evaluate

    try:
        data = load_images("cifar10")
    except DataError as error:
        pytest.skip(str(error))
    model, metadata = load_model("squeezenet-cifar10")
    record = find("baseline", Scale("reference")).records()[metadata["record"]]
    found = evaluate(model, data.test, data).accuracy
    assert found == pytest.approx(record.final["test_accuracy"], abs=0.1)
