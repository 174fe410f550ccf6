from __future__ import annotations

import pandas as pd
import torch

from squeeze_utils.base import measurements, paths
from squeeze_utils.compress.sqz.container import encode_sqz
from squeeze_utils.models import build
from squeeze_utils.results.size_gains import gain_sentence, of_the_released, size_bytes
from tools import size_contexts


def rounded():
    """A network of whole numbers, but for its last layer."""
    torch.manual_seed(0)
    model = build("lenet_300_100", 3, image_size=8)
    with torch.no_grad():
        for layer in (model.classifier[0], model.classifier[2]):
            layer.weight.copy_(torch.round(2 * torch.randn(layer.weight.shape)) * 0.125)
    return model


def test_each_layer_of_whole_numbers_has_a_row():
    model = rounded()
    rows = size_bytes(model).set_index("layer")
    assert list(rows.index) == ["classifier.0.weight", "classifier.2.weight"]
    assert rows["nonzero"].tolist() == [
        int(model.classifier[i].weight.count_nonzero()) for i in (0, 2)
    ]
    assert (rows["without"] < rows["nonzero"] / 2).all() and (rows["with"] > 0).all()


def test_the_gain_is_a_share_of_the_whole_file():
    found = pd.DataFrame({"without": [600, 400], "with": [550, 430]})
    told = gain_sentence(found, 4_000, "A network")
    assert "980 bytes instead of 1,000" in told and told.endswith("0.5 % of the file.")
    assert size_bytes(build("lenet_300_100", 3, image_size=8)).empty


def test_the_command_keeps_what_it_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "shipped", lambda folder: tmp_path / folder)
    assert "Nobody has measured" in of_the_released()
    data, _ = encode_sqz(rounded())
    (tmp_path / "small.sqz").write_bytes(data)
    assert size_contexts.main([str(tmp_path / "small.sqz")]) == 0
    assert f"into {len(data):,} bytes" in capsys.readouterr().out
    assert measurements.read_measurement("released/size_contexts").about["bytes"] == len(data)
    (tmp_path / "small.sqz").write_bytes(data[:20])
    assert size_contexts.main([str(tmp_path / "small.sqz")]) == 2
    assert size_contexts.main([str(tmp_path / "none.sqz")]) == 2


def test_the_committed_measurement_is_of_the_released_network():
    assert "0.3 % of the file" in of_the_released()
