from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch

matplotlib.use("agg")

from squeeze_utils.base.measurements import Measurement
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.data import ImageSet, load_images, normalise
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.models import ModelSpec, build
from squeeze_utils.results.answers import changed_figure
from tools.changed_pictures import before_rounding, rows

FACTS = {"device": "cpu", "versions": {}, "commit": "c", "date": "2026-11-30"}
SPEC = ModelSpec.of("squeezenet_small", num_classes=10, in_channels=1, width=0.25)


def networks() -> list[torch.nn.Module]:
    torch.manual_seed(0)
    return [build("squeezenet_small", num_classes=10, in_channels=1, width=0.25) for _ in "ab"]


def answers_of(data: ImageSet, pictures: list[int]) -> pd.DataFrame:
    """What the two networks say of some pictures, as a record would have it."""
    x = normalise(data.test.images[pictures], data.mean, data.std)
    before, after = (model.eval()(x).argmax(1).tolist() for model in networks())
    return pd.DataFrame({"picture": pictures, "class": [1, 2], "before": before, "after": after})


@pytest.fixture(scope="module")
def found() -> list[dict]:
    data = load_images("digits", 16)
    return rows(answers_of(data, [3, 7]), data, *networks())


def test_a_row_has_the_picture_its_answers_and_the_maps_of_its_class_in_both_networks(found):
    assert [row["picture"] for row in found] == [3, 7]
    assert [row["class"] for row in found] == [1, 2]
    for row in found:
        before, after = map(np.array, row["maps"])
        assert before.shape == after.shape == (2, 2) and not np.array_equal(before, after)


def test_the_figure_has_a_column_for_each_picture_and_is_left_out_without_any(found):
    about = {**FACTS, "classes": [f"class {n}" for n in range(10)]}
    fig = changed_figure(Measurement(found, about))
    assert len(fig.axes) == 6 and all(ax.images for ax in fig.axes)
    last = found[-1]
    said = f"class 2:\nclass {last['before']}\n→ class {last['after']}"
    assert fig.axes[1].get_title() == said
    assert changed_figure(None) is None and changed_figure(Measurement([], about)) is None


def test_networks_that_answer_otherwise_than_the_record_are_refused():
    data = load_images("digits", 16)
    moved = answers_of(data, [3, 7])
    moved["after"] = (moved["after"] + 1) % 10
    with pytest.raises(ValueError, match="picture 3: after is not what the record says"):
        rows(moved, data, *networks())


def test_the_dense_network_is_what_comes_before_rounding():
    steps = (Prune(0.5), Squeeze(20_000), Encode())
    whole = Experiment(SPEC, DataSpec(size=16), steps)
    assert [type(step) for step in before_rounding(whole).recipe] == [Prune]
    with pytest.raises(ValueError, match="no Squeeze"):
        before_rounding(Experiment(SPEC, DataSpec(size=16), (Prune(0.5), Encode())))
