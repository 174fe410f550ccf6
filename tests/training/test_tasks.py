"""Detection and segmentation through the one loop: trained, judged, recorded, resumed."""

from __future__ import annotations

import pytest
import torch
from tiny import same_states, timeless

from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.data import load_images
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.run_experiment import finish, run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.models import ModelSpec, build
from squeeze_utils.training.evaluation import evaluate, evaluate_views
from squeeze_utils.training.loop import Train, fit
from squeeze_utils.training.tasks import task_of

SMALL = {"in_channels": 1, "image_size": 32, "width": 0.125}
PLAN = {"lr": 1e-3, "optimizer": "adamw", "batch_size": 8, "precision": "float32", "shift": 1}
MEASURE = {"detector": "mAP50", "segmenter": "mIoU"}


def experiment(name: str, *steps, **plan) -> Experiment:
    data = DataSpec({"detector": "digit_scenes", "segmenter": "digit_masks"}[name], 32, 16)
    classes = {"detector": 10, "segmenter": 11}[name]
    model = ModelSpec.of(name, num_classes=classes, **SMALL)
    return Experiment(model, data, steps or (Train(2, **{**PLAN, **plan}),))


def test_tasks_follow_from_labels():
    found = [task_of(load_images(n)).measure for n in ("digits", "digit_scenes", "digit_masks")]
    assert found == ["accuracy", "mAP50", "mIoU"]


@pytest.mark.parametrize("name", MEASURE)
def test_a_recipe_ends_in_a_record_with_the_tasks_score(name: str):
    train = Train(1, **PLAN)
    recipe = (train, Prune(0.5), Train(1, **PLAN, ema=0.9), Encode())
    state, steps = run_experiment(experiment(name, *recipe))
    last = finish(state, steps)[-1]
    assert last["measure"] == MEASURE[name] and 0 <= last["test_accuracy"] <= 100
    assert last["file_bytes"] > 1000 and len(last["test_per_class"]) == state.data.num_classes
    found = evaluate(state.model, state.data.test, state.data)
    assert found.accuracy == last["test_accuracy"] and found.measure == MEASURE[name]
    assert {"train_loss", "train_accuracy", "validation_accuracy"} <= steps[0]["history"][0].keys()


def test_records_of_classification_have_no_new_entry():
    model = ModelSpec.of("lenet_300_100", image_size=8)
    state, steps = run_experiment(Experiment(model, DataSpec("digits", 8, 64), (Train(1),)))
    last = finish(state, steps)[-1]
    assert not [key for key in last if key == "measure" or "per_class" in key]
    assert last["test_accuracy"] == evaluate(state.model, state.data.test, state.data).accuracy


@pytest.mark.usefixtures("keep_every_epoch")
@pytest.mark.parametrize("name", MEASURE)
def test_a_training_that_was_cut_off_goes_on_to_the_same_result(name: str, tmp_path):
    whole, steps = run_experiment(experiment(name))
    cache, plan = PrefixCache(tmp_path), experiment(name)

    class Cut(Exception):
        pass

    def stop(epoch: dict) -> None:
        raise Cut

    with pytest.raises(Cut):
        run_experiment(plan, cache=cache, after_epoch=stop)
    assert list(tmp_path.glob("*.halfway"))
    resumed, again = run_experiment(plan, cache=cache)
    assert same_states(whole, resumed)
    assert timeless(steps)[0]["history"] == timeless(again)[0]["history"]


@pytest.mark.parametrize("name", MEASURE)
def test_a_state_is_kept_and_found_again(name: str, tmp_path):
    plan = experiment(name)
    first, _ = run_experiment(plan, cache=PrefixCache(tmp_path))
    second, steps = run_experiment(plan, cache=PrefixCache(tmp_path))
    assert same_states(first, second) and len(steps) == 1


def test_a_few_steps_lower_the_loss():
    for name in MEASURE:
        data = experiment(name).data.load()
        torch.manual_seed(0)
        model = experiment(name).model.build()
        plan = Train(6, **PLAN | {"optimizer": "muon", "lr": 0.02, "shift": 0})
        history = fit(model, data, plan)
        assert history[-1]["train_loss"] < 0.95 * history[0]["train_loss"]


def test_what_does_not_fit_is_refused():
    scenes, masks, digits = (load_images(n, 32) for n in ("digit_scenes", "digit_masks", "digits"))
    detector = build("detector", num_classes=10, **SMALL)
    for data in (masks, digits):
        with pytest.raises(ValueError, match="made for detection"):
            fit(detector, data, Train(1))
    with pytest.raises(ValueError, match="made for classification"):
        fit(build("squeezenet_small", in_channels=1), scenes, Train(1))
    with pytest.raises(ValueError, match="build it with num_classes=10"):
        fit(build("detector", num_classes=2, **SMALL), scenes, Train(1))
    with pytest.raises(ValueError, match="mixup mixes classes"):
        fit(detector, scenes, Train(1, mixup=0.2))
    with pytest.raises(ValueError, match="not for detection"):
        evaluate_views(detector, scenes.validation, scenes)
    small = build("squeezenet_small", in_channels=1, num_classes=5)
    for judge in (evaluate, evaluate_views):
        with pytest.raises(ValueError, match="build it with num_classes=10"):
            judge(small, digits.validation, digits)


@pytest.mark.parametrize("name", ["detector", "segmenter", "classifier"])
def test_a_split_without_images_is_not_judged(name: str):
    if name == "classifier":
        data = load_images("digits", 8, train_limit=50)
        model = build("lenet_300_100", image_size=8)
    else:
        data, model = experiment(name).data.load(), experiment(name).model.build()
    with pytest.raises(ValueError, match="nothing to judge: the split has no images"):
        evaluate(model, data.test.first(0), data)


@torch.no_grad()
def test_a_trivial_answer_scores_below_a_tenth():
    for name in MEASURE:
        data = experiment(name).data.load()
        model = experiment(name).model.build()
        model.predict.weight.zero_()
        model.predict.bias.zero_()
        model.predict.bias[0] = 5.0  # an object everywhere; background everywhere
        assert evaluate(model, data.test, data).accuracy < 10
