"""Class maps add up to the scores; answers are noted for each picture."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_set

from squeeze_utils.anatomy.answers import ObserveAnswers
from squeeze_utils.anatomy.class_maps import class_maps, over_picture
from squeeze_utils.models import build
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.step import State


@pytest.mark.parametrize("final_relu", [False, True])
def test_the_mean_of_a_map_is_its_score(final_relu):
    torch.manual_seed(0)
    options = {"num_classes": 5, "final_relu": final_relu}
    model = build("squeezenet1_1", **options).eval()
    torch.nn.init.normal_(model.classifier[1].weight)
    x = torch.randn(2, 3, 64, 64)
    maps = class_maps(model, x)
    with torch.no_grad():
        assert torch.allclose(maps.mean((2, 3)), model(x), rtol=1e-3, atol=1e-4)
    assert maps.mean((2, 3)).std() > 0 and over_picture(maps[:, 0], 64).shape == (2, 64, 64)


def test_networks_without_a_mean_over_positions_have_no_class_maps():
    with pytest.raises(ValueError, match="a mean over positions"):
        class_maps(build("lenet5"), torch.zeros(1, 1, 28, 28))
    with pytest.raises(ValueError, match="a mean over positions"):
        class_maps(build("squeezenet_small", head="dense"), torch.zeros(1, 3, 32, 32))


def test_answers_are_those_that_the_evaluation_counts():
    data = tiny_set(size=16)
    model = build("squeezenet_small", num_classes=3, in_channels=1, width=0.125)
    found = ObserveAnswers(pictures=True).apply(State(model, data))
    said, facts = found["answers"], found["pictures"]
    right = sum(a == c for a, c in zip(said["class"], facts["class"], strict=True))
    accuracy = 100 * right / len(data.test)
    assert accuracy == pytest.approx(evaluate(model, data.test, data).accuracy)
    assert {len(values) for values in (*said.values(), *facts.values())} == {len(data.test)}
    assert all(0.333 <= share <= 1 for share in said["share"])
    image = data.test.images[0].float()
    assert facts["brightness"][0] == round(float(image.mean()))
    assert "pictures" not in ObserveAnswers().apply(State(model, data))
