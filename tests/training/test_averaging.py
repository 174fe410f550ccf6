"""The moving average of weights: its definition, its statistics, and what binds the weights."""

from __future__ import annotations

import pytest
import torch
from tiny import QUICK, tiny_set, tiny_spec
from torch import nn
from torch.nn import functional as F

from squeeze_utils.compress.pruning.during_training import Gradual
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.data import normalise
from squeeze_utils.models import build
from squeeze_utils.training import averaging
from squeeze_utils.training.averaging import MovingAverage, decay_at, measure_statistics
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.loop import Train, TrainingInterrupted, fit
from squeeze_utils.training.step import State

STEPS = 3  # optimizer steps in an epoch: 48 images in batches of 16


@pytest.fixture(scope="module")
def data():
    return tiny_set()


def thin(dropout: float = 0.5) -> nn.Module:
    torch.manual_seed(0)
    return build("squeezenet_small", 3, width=0.125, in_channels=1, dropout=dropout)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def trained(data, plan: Train) -> tuple[dict, dict, list[dict]]:
    """Averages as computed by hand from every step's weights, what `fit` left, and its epochs."""
    model = thin()
    by_hand = weights(model)

    def follow(model: nn.Module, step: int, steps: int) -> None:
        d = min(plan.ema, (1 + step) / (10 + step))
        for name, weight in model.named_parameters():
            by_hand[name] = d * by_hand[name] + (1 - d) * weight.detach()

    history = fit(model, data, plan, after_step=[follow])
    return by_hand, weights(model), history


def test_the_decay_warms_up():
    assert [decay_at(step, 0.999) for step in (1, 2, 8)] == [2 / 11, 3 / 12, 0.5]
    assert decay_at(10**6, 0.999) == 0.999 and decay_at(8, 0.3) == 0.3


def test_on_one_number_the_average_is_its_definition():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(22.0)
    average = MovingAverage(model, 0.2)
    for step, (value, expected) in enumerate([(0.0, 4.0), (10.0, 8.8), (-10.0, -6.24)], start=1):
        model.weight.data.fill_(value)  # decays 2/11, then 3/12 and 4/13 cut to 0.2
        average.update(model, step, {})
        assert average.network.weight.item() == pytest.approx(expected)
    assert model.weight.item() == -10


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_training_leaves_the_average_of_all_its_steps(decay, data):
    by_hand, found, _ = trained(data, Train(3, ema=decay, **QUICK))
    for name, weight in found.items():
        torch.testing.assert_close(weight, by_hand[name], rtol=1e-5, atol=1e-6)


def test_the_average_watches_and_changes_nothing(data):
    """The weights in training are those without it, and so are the losses."""
    seen: dict[float, list] = {0.0: [], 0.9: []}
    for ema, steps in seen.items():
        history = fit(
            thin(),
            data,
            Train(2, ema=ema, **QUICK),
            after_step=[lambda model, *_, steps=steps: steps.append(weights(model))],
        )
        steps.append({"losses": torch.tensor([epoch["train_loss"] for epoch in history])})
    for plain, watched in zip(*seen.values(), strict=True):
        assert all(torch.equal(plain[name], watched[name]) for name in plain)


def test_what_is_validated_is_what_is_left(data):
    model = thin()
    history = fit(model, data, Train(2, ema=0.9, **QUICK))
    found = evaluate(model, data.validation, data)
    assert found.accuracy == history[-1]["validation_accuracy"]
    assert found.loss == history[-1]["validation_loss"]


def statistics_by_hand(model: nn.Module, data) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Mean and variance of what enters every normalisation, with all before it normalised."""
    found = []

    def measured(norm, inputs, output):
        x = inputs[0].transpose(0, 1).flatten(1)
        found.append((x.mean(1), x.var(1)))
        return F.batch_norm(
            inputs[0], x.mean(1), x.var(1, correction=0), norm.weight, norm.bias, eps=norm.eps
        )

    hooks = [
        m.register_forward_hook(measured) for m in model.modules() if isinstance(m, nn.BatchNorm2d)
    ]
    with torch.no_grad():
        model.eval()(normalise(data.train.images, data.mean, data.std))
    for hook in hooks:
        hook.remove()
    return found


def test_statistics_belong_to_the_averaged_weights(data):
    model = thin()
    last = {}

    def keep(model: nn.Module, step: int, steps: int) -> None:
        last.update({n: b.clone() for n, b in model.named_buffers()})

    fit(model, data, Train(3, ema=0.9, **QUICK), after_step=[keep])
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    expected = statistics_by_hand(model, data)
    for (name, norm), (mean, variance) in zip(norms.items(), expected, strict=True):
        torch.testing.assert_close(norm.running_mean, mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(norm.running_var, variance, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(norm.running_mean, last[f"{name}.running_mean"], rtol=1e-2)
        assert norm.momentum == 0.1 and norm.num_batches_tracked == 1


def test_measuring_changes_the_statistics_and_nothing_else(data):
    model = thin().train()
    before, drawn = weights(model), torch.get_rng_state()
    measure_statistics(model, data)
    assert model.training and all(module.training for module in model.modules())
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    measure_statistics(tiny_spec().build(), data)  # has no normalisation, is left alone


def test_many_training_images_are_thinned_evenly(data, monkeypatch):
    monkeypatch.setattr(averaging, "IMAGES", 13)
    some = averaging._spread(data.train, 4)
    at = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]
    assert torch.equal(some.images, data.train.images[at])
    assert torch.equal(some.labels, data.train.labels[at])


def test_ctrl_c_leaves_the_average_of_the_last_finished_epoch(data):
    model = thin()

    def interrupt(model: nn.Module, step: int, steps: int) -> None:
        if step == STEPS + 2:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted, match="as after epoch 1") as caught:
        fit(model, data, Train(3, ema=0.9, **QUICK), after_step=[interrupt])
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    found = evaluate(model, data.validation, data)
    assert found.loss == caught.value.history[0]["validation_loss"]

    whole, seen = thin(), []

    def look(epoch: dict) -> None:
        seen.append(epoch)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(whole, data, Train(3, ema=0.9, **QUICK), after_epoch=look)
    assert {**seen[0], "seconds": 0} == {**caught.value.history[0], "seconds": 0}
    assert any(not torch.equal(kept[n], v) for n, v in whole.state_dict().items())


@pytest.mark.parametrize(
    "recipe",
    [
        (Prune(0.8), Train(2, ema=0.9, **QUICK)),
        (Train(2, ema=0.9, during=(Gradual(0.8, every=1),), **QUICK),),
    ],
    ids=["pruned", "gradual"],
)
def test_pruned_weights_are_zero_in_the_average(recipe, data):
    state = State(thin(), data)
    for step in recipe:
        step.apply(state)
    assert state.masks
    for name, mask in state.masks.items():
        weight = state.model.get_parameter(name)
        assert torch.count_nonzero(weight[~mask.bool()]) == 0
        assert torch.count_nonzero(weight) == int(mask.sum())


def test_shared_weights_stay_shared_in_the_average(data):
    state = State(thin(), data)
    for step in (Prune(0.5), Share(3), TuneCentroids(2, ema=0.9, batch_size=16)):
        step.apply(state)
    assert state.codebooks
    for name in state.codebooks:
        weight, mask = state.model.get_parameter(name), state.masks.get(name)
        assert len(weight.unique()) <= 8
        assert mask is None or torch.count_nonzero(weight[~mask.bool()]) == 0


def test_rounded_weights_are_rounded_in_the_average(data):
    state = State(thin(), data)
    QuantizedTrain(2, bits=3, steps="learned", ema=0.9, **{**QUICK, "lr": 0.01}).apply(state)
    for name, grid in state.saved["grids"].items():
        codes = state.model.get_parameter(name) / grid
        torch.testing.assert_close(codes, codes.round())
        assert codes.abs().max() <= 3.001
