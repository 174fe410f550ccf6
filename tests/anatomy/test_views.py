"""Test-time augmentation as a step."""

from __future__ import annotations

import torch
from tiny import tiny_set, tiny_spec

from squeeze_utils.anatomy.views import ObserveViews
from squeeze_utils.training.evaluation import evaluate, evaluate_views
from squeeze_utils.training.step import State


def test_the_step_reports_the_test_split_under_both_kinds_of_views():
    torch.manual_seed(0)
    data = tiny_set()
    model = tiny_spec(num_classes=3).build()
    state = State(model, data, torch.Generator(), torch.device("cpu"))
    before = evaluate(model, data.test, data).accuracy
    found = ObserveViews().apply(state)
    shifted = evaluate_views(model, data.test, data, shift=1).accuracy
    assert found["mirrored_shifted"] == {"test_accuracy": shifted, "views": 18}
    mirrored = evaluate_views(model, data.test, data, shift=0).accuracy
    assert found["mirrored"] == {"test_accuracy": mirrored, "views": 2}
    assert evaluate(model, data.test, data).accuracy == before
