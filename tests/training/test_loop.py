from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
import torch
from tiny import QUICK, tiny_set, tiny_spec
from torch import nn

from squeeze_utils.data import Augment, DataError, Split
from squeeze_utils.models import build
from squeeze_utils.training import epochs, evaluation, loop, optimizers
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.loop import DivergedError, Train, TrainingInterrupted, fit
from squeeze_utils.training.step import State, reapply_masks

PLAN = Train(2, **QUICK)
STEPS = 3  # optimizer steps in an epoch: 48 images in batches of 16


@pytest.fixture(scope="module")
def data():
    return tiny_set()


def dense(seed: int = 0, **options) -> nn.Module:
    torch.manual_seed(seed)
    return tiny_spec(**options).build()


def thin(seed: int = 0, **options) -> nn.Module:
    """A SqueezeNet with batch normalisation, dropout and a fiftieth of the weights."""
    torch.manual_seed(seed)
    return build("squeezenet_small", 3, width=0.125, in_channels=1, dropout=0.5, **options)


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def trained(seed: int, data, build=thin, plan: Train = PLAN) -> tuple[dict, list[dict]]:
    model = build()
    history = fit(model, data, plan, generator=torch.Generator().manual_seed(seed))
    return snapshot(model), [{**epoch, "seconds": 0} for epoch in history]


def test_it_learns_and_says_what_happened(data):
    model = dense()
    history = fit(model, data, Train(4, **QUICK))
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3, 4]
    assert set(history[0]) == {
        "epoch",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "lr",
        "lr_trace",
        "seconds",
    }
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    found = evaluate(model, data.validation, data)
    assert found.accuracy == history[-1]["validation_accuracy"] > 90
    assert found.loss == pytest.approx(history[-1]["validation_loss"])


def test_the_learning_rate_follows_the_schedule(data):
    history = fit(dense(), data, dataclasses.replace(PLAN, schedule="cosine"))
    last_steps = [(STEPS * epoch - 0.5) / (2 * STEPS) for epoch in (1, 2)]
    expected = [PLAN.lr * optimizers.make_schedule("cosine")(t) for t in last_steps]
    assert [epoch["lr"] for epoch in history] == pytest.approx(expected)


def test_the_same_seed_gives_the_same_result_and_another_seed_another(data):
    plan = dataclasses.replace(PLAN, shift=1, flip=True, cutout=2)
    torch.manual_seed(1)
    first, first_history = trained(5, data, plan=plan)
    torch.manual_seed(2)  # what the caller did with the global generator does not matter
    second, second_history = trained(5, data, plan=plan)
    other, _ = trained(6, data, plan=plan)
    assert same(first, second)
    assert first_history == second_history
    assert not same(first, other)


def test_the_callers_random_states_are_left_alone(data):
    model = thin()
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    fit(model, data, dataclasses.replace(PLAN, epochs=1, shift=1, flip=True))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


def test_bfloat16_and_float32_both_train_float32_weights(data):
    ends = {}
    for precision in ("bfloat16", "float32"):
        plan = dataclasses.replace(PLAN, precision=precision)
        ends[precision], history = trained(0, data, plan=plan)
        assert np.isfinite(history[-1]["train_loss"])
        floats = [value for value in ends[precision].values() if value.is_floating_point()]
        assert {value.dtype for value in floats} == {torch.float32}
    assert not same(ends["bfloat16"], ends["float32"])


def test_only_training_images_are_augmented_and_the_test_split_is_never_read(data, monkeypatch):
    poisoned = Split(data.test.images, torch.full_like(data.test.labels, 10**6))
    data = dataclasses.replace(data, test=poisoned)
    seen = []

    class Spy(epochs.Batches):
        def __init__(self, split, *arguments, **options):
            super().__init__(split, *arguments, **options)
            seen.append((split.labels.data_ptr(), self.augment, self.generator is not None))

    monkeypatch.setattr(epochs, "Batches", Spy)
    monkeypatch.setattr(evaluation, "Batches", Spy)
    fit(dense(), data, dataclasses.replace(PLAN, shift=1))
    validated = (data.validation.labels.data_ptr(), Augment(), False)
    assert seen == [(data.train.labels.data_ptr(), Augment(shift=1), True), validated, validated]


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_restores_the_mode_and_counts_every_image(training, data):
    model = thin().train(training)
    before = snapshot(model)
    found = evaluate(model, data.test, data)
    assert model.training is training and model.classifier.training is training
    assert same(before, snapshot(model))
    assert found.confusion.shape == (3, 3)
    assert found.confusion.sum(1).tolist() == torch.bincount(data.test.labels).tolist()
    hits = found.confusion.diagonal().sum().item()
    assert found.accuracy == pytest.approx(100 * hits / len(data.test))
    again = evaluate(model, data.test, data)
    assert (again.loss, again.accuracy) == (found.loss, found.accuracy)


def test_evaluate_restores_the_mode_after_a_failure_too(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(5, 3)).train()
    with pytest.raises(RuntimeError):
        evaluate(model, data.test, data)
    assert model.training


def test_confusion_rows_are_true_classes(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    nn.init.zeros_(model[1].weight)
    model[1].bias.data = torch.tensor([0.0, 0.0, 1.0])  # always says class 2
    found = evaluate(model, data.test, data)
    assert found.confusion[:, 2].tolist() == [8, 8, 8]
    assert found.confusion[:, :2].sum() == 0
    assert found.accuracy == pytest.approx(100 / 3)


@pytest.mark.parametrize("plan", [PLAN, dataclasses.replace(PLAN, optimizer="sgd")])
def test_ctrl_c_leaves_the_last_finished_epoch(plan, data):
    model, kept = thin(), {}

    def interrupt(model: nn.Module, step: int, steps: int) -> None:
        assert steps == STEPS * 2
        if step == STEPS:
            kept.update(snapshot(model))
        if step == STEPS + 2:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted, match="as after epoch 1") as caught:
        fit(model, data, plan, after_step=[interrupt])
    assert same(snapshot(model), kept)
    assert [epoch["epoch"] for epoch in caught.value.history] == [1]
    assert isinstance(caught.value, KeyboardInterrupt)
    found = evaluate(model, data.validation, data)
    assert found.accuracy == caught.value.history[0]["validation_accuracy"]


def test_ctrl_c_while_an_epoch_is_noted_leaves_the_epoch_before(data, monkeypatch):
    model, copies, real = thin(), [], loop._copy

    def copied(model: nn.Module) -> dict:
        copies.append(real(model))
        if len(copies) == 3:  # before the first epoch, behind it, behind the second
            raise KeyboardInterrupt
        return copies[-1]

    monkeypatch.setattr(loop, "_copy", copied)
    with pytest.raises(TrainingInterrupted, match="as after epoch 1") as caught:
        fit(model, data, PLAN)
    assert [epoch["epoch"] for epoch in caught.value.history] == [1]
    assert same(model.state_dict(), copies[1])


def test_a_loss_that_is_not_finite_says_where_and_what_to_try(data):
    model = dense()
    before = snapshot(model)
    plan = Train(3, lr=1e30, optimizer="sgd", schedule="constant", precision="float32")
    with pytest.raises(DivergedError) as caught:
        fit(model, data, dataclasses.replace(plan, batch_size=8))
    text = str(caught.value)
    assert "epoch 1 " in text and "learning rate 1e+30" in text
    assert "try a learning rate of 1e+29" in text and "batch normalisation" in text
    assert caught.value.history == []
    assert same(snapshot(model), before)


def test_weights_that_the_last_step_made_infinite_are_no_finished_epoch(data):
    plan = Train(1, lr=1e30, optimizer="sgd", batch_size=1000, precision="float32")
    model = dense()
    before = snapshot(model)
    with pytest.raises(DivergedError, match="in epoch 1"):
        fit(model, data, plan)
    assert same(snapshot(model), before)


@pytest.mark.parametrize("cut", [KeyboardInterrupt, DivergedError("not finite")])
def test_masks_that_grow_are_those_of_the_last_finished_epoch_too(cut, data):
    state = State(dense(), data)
    name = "classifier.0.weight"
    state.masks[name] = torch.ones_like(state.model.classifier[0].weight, dtype=torch.bool)

    def grow(model: nn.Module, step: int, steps: int) -> None:
        state.masks[name] = state.masks[name].clone()
        state.masks[name][step] = False
        reapply_masks(state)(model, step, steps)
        if step == STEPS + 2:
            raise cut

    with pytest.raises((KeyboardInterrupt, DivergedError)):
        fit(state.model, data, PLAN, after_step=[grow], masks=state.masks)
    assert torch.equal(state.masks[name], state.model.classifier[0].weight != 0)
    assert int((~state.masks[name].any(1)).sum()) == STEPS


def test_divergence_can_be_a_result(data):
    plan = Train(2, lr=1e30, optimizer="sgd", batch_size=8, precision="float32", may_diverge=True)
    measured = plan.apply(State(dense(), data))
    assert measured["history"] == []
    assert "not finite in epoch 1" in measured["diverged"]


@pytest.mark.parametrize("optimizer", ["momentum", "nesterov", "adam", "adamw"])
def test_masks_survive_momentum_and_decay(optimizer, data):
    plan = dataclasses.replace(PLAN, optimizer=optimizer, weight_decay=0.1)
    name = "classifier.0.weight"

    def weight_after(masked: bool) -> torch.Tensor:
        model = dense()
        fit(model, data, dataclasses.replace(plan, epochs=1))
        weight = model.get_parameter(name)
        mask = torch.arange(weight.numel()).view_as(weight).remainder(2).float()
        weight.data.mul_(mask)
        state = State(model, data, masks={name: mask} if masked else {})
        plan.apply(state)
        return weight.detach()[mask == 0]

    assert torch.count_nonzero(weight_after(masked=True)) == 0
    assert torch.count_nonzero(weight_after(masked=False)) > 0


def test_after_step_is_called_after_every_optimizer_step(data):
    calls = []
    fit(dense(), data, PLAN, after_step=[lambda model, *where: calls.append(where)])
    assert calls == [(step, 2 * STEPS) for step in range(1, 2 * STEPS + 1)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 1, got 1.5"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"lr": 0.0}, "learning rate must be positive, got 0.0"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0, got -0.1"),
        ({"label_smoothing": 1.0}, "label_smoothing must lie in"),
        ({"optimizer": "adma"}, "unknown optimizer 'adma'; accepted: sgd"),
        ({"schedule": "step"}, "unknown schedule 'step'; accepted: constant"),
        ({"precision": "float16"}, "unknown precision 'float16'; accepted: auto"),
        ({"shift": -1}, "shift must be a whole number"),
        ({"cutout": 0.5}, "cutout must be a whole number"),
        ({"ema": 1}, r"ema must lie in \[0, 1\), got 1"),
        ({"ema": float("nan")}, r"ema must lie in \[0, 1\), got nan"),
        ({"mixup": -0.2}, r"mixup must lie in \[0, 100\], got -0.2"),
        ({"mixup": 1, "mixup_growth": 2}, r"mixup_growth must lie in \[0, 1\], got 2"),
        ({"mixup_growth": 0.5}, "mixup_growth needs mixup"),
        ({"rotation": -1}, r"rotation must lie in \[0, 180\], got -1"),
        ({"colour": 1.5}, r"colour must lie in \[0, 1\], got 1.5"),
        ({"sharpness": "a"}, r"sharpness must lie in \[0, 10\], got 'a'"),
    ],
)
def test_a_bad_plan_is_refused_when_it_is_made(options, words):
    with pytest.raises(ValueError, match=words):
        Train(**{"epochs": 1, **options})


def test_a_model_for_other_images_is_refused(data):
    with pytest.raises(ValueError, match=r"takes 3-channel images, tiny has 1: .*in_channels=1"):
        fit(build("squeezenet_small", width=0.125), data, PLAN)
    with pytest.raises(ValueError, match=r"has 2 classes, tiny has 3: .*num_classes=3"):
        fit(dense(num_classes=2), data, PLAN)
    many = tiny_set(classes=4)
    with pytest.raises(ValueError, match="has 3 classes, tiny has 4"):
        fit(thin(), many, PLAN)
    with pytest.raises(ValueError, match=r"takes 28-pixel images, tiny has 8: .*image_size=8"):
        fit(build("lenet_300_100"), data, PLAN)
    with pytest.raises(DataError, match="shift must be a whole number from 0 to 7"):
        fit(dense(), data, dataclasses.replace(PLAN, shift=8))


def test_a_batch_larger_than_the_set_and_plain_modules_are_fine(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    before = model[1].weight.detach().clone()
    history = fit(model, data, Train(1, batch_size=1000, precision="float32"))
    assert math.isfinite(history[0]["train_loss"]) and not torch.equal(model[1].weight, before)
