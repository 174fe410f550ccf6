"""Transfer: frozen parts stay as they are, heads are fitted, kept features are never stale."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from tiny import tiny_set

from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.models import ModelSpec, build, pretrained
from squeeze_utils.training import features, transfer
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State
from squeeze_utils.training.transfer import (
    FitHead,
    LoadImageNet,
    NewHead,
    TrainElsewhere,
    fire_parts,
    fit_linear,
)

QUICK = {"batch_size": 16, "lr": 0.01, "precision": "float32"}
SMALL = {"num_classes": 3, "in_channels": 1, "width": 0.125}


def small(**options) -> torch.nn.Module:
    torch.manual_seed(0)
    return build("squeezenet_small", **{**SMALL, **options})


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_only_the_named_parts_are_trained_statistics_included(ema):
    model, data = small(), tiny_set(size=16)
    before = copy.deepcopy(model.state_dict())
    Train(1, ema=ema, only=fire_parts(model, 9), **QUICK).apply(State(model, data))
    changed = {n.rsplit(".", 1)[0] for n, t in model.state_dict().items() if (t != before[n]).any()}
    assert changed and all(n.startswith(("features.13", "classifier")) for n in changed)
    assert "features.13.squeeze_norm" in changed
    assert all(p.requires_grad for p in model.parameters())


def test_an_unknown_part_is_refused_with_a_list():
    with pytest.raises(ValueError, match=r"no part 'features\.99'; it has features\.0"):
        Train(1, only=("features.99",), **QUICK).apply(State(small(), tiny_set(size=16)))


def test_the_head_fitted_on_kept_features_is_the_networks_head():
    data, model = tiny_set(size=16, counts=(90, 30, 30)), small()
    measured = FitHead().apply(State(model, data))
    assert measured["head_images"] == 90 and evaluate(model, data.test, data).accuracy > 60
    x = features.averaged_features(model, data.test, data)
    head = model.classifier[1]
    scores = x @ head.weight.detach().flatten(1).T + head.bias.detach()
    own = evaluate(model, data.test, data)
    assert own.accuracy == pytest.approx(
        100 * float((scores.argmax(1) == data.test.labels).float().mean())
    )


def test_few_images_are_drawn_by_the_seed_and_no_more_than_there_are():
    data = tiny_set(size=16, counts=(30, 9, 9))
    drawn = []
    for seed in (0, 0, 1):
        model = small()
        state = State(model, data, generator=torch.Generator().manual_seed(seed))
        assert FitHead(per_class=4).apply(state)["head_images"] == 12
        drawn.append(model.classifier[1].weight.detach().clone())
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert FitHead(per_class=50).apply(State(small(), data))["head_images"] == 30


def test_a_head_with_another_number_of_outputs_is_refused_before_features_are_made(monkeypatch):
    monkeypatch.setattr(features, "averaged_features", lambda *a: pytest.fail("computed"))
    with pytest.raises(ValueError, match="the head has 5 outputs, tiny has 3 classes"):
        FitHead().apply(State(small(num_classes=5), tiny_set(size=16)))


def test_a_head_behind_an_activation_is_refused():
    with pytest.raises(ValueError, match="final_relu=False"):
        FitHead().apply(State(small(final_relu=True), tiny_set(size=16)))


def test_a_head_on_padded_maps_is_refused():
    with pytest.raises(ValueError, match="build the network with last_padding=0"):
        FitHead().apply(State(small(last_padding=1), tiny_set(size=16)))


def test_kept_features_are_made_once_and_damaged_files_anew(tmp_path, monkeypatch):
    data, model, calls = tiny_set(size=16), small(), []
    real = features.averaged_features
    monkeypatch.setattr(features, "averaged_features", lambda *a: calls.append(1) or real(*a))
    first = features.kept_features(model, data.train, data, tmp_path)
    again = features.kept_features(model, data.train, data, tmp_path)
    assert len(calls) == 1 and torch.equal(first, again)
    (path,) = tmp_path.glob("*.features")
    path.write_bytes(path.read_bytes()[:-9])
    assert torch.equal(features.kept_features(model, data.train, data, tmp_path), first)
    assert len(calls) == 2


def test_other_code_and_other_libraries_make_features_anew(tmp_path, monkeypatch):
    model, data, calls = small(), tiny_set(size=16), []
    real = features.averaged_features
    monkeypatch.setattr(features, "averaged_features", lambda *a: calls.append(1) or real(*a))
    folder, changed = tmp_path / "features", tmp_path / "features.py"
    changed.write_text("BATCH = 50\n")
    for name, value in (("CODE", (changed,)), ("machine.versions", lambda: {"torch": "9"})):
        features.kept_features(model, data.train, data, folder)
        monkeypatch.setattr(f"squeeze_utils.training.features.{name}", value)
    features.kept_features(model, data.train, data, folder)
    assert len(calls) == 3 and len(list(folder.iterdir())) == 1


def test_other_weights_and_other_images_have_features_of_their_own(tmp_path):
    data, model = tiny_set(size=16), small()
    first = features.kept_features(model, data.train, data, tmp_path)
    (path,) = tmp_path.glob("*.features")
    with torch.no_grad():
        model.features[0].weight[0, 0, 0, 0] += 1e-3
    negatives = replace(data.train, images=255 - data.train.images)
    for split in (data.train, negatives):
        found = features.kept_features(model, split, data, tmp_path)
        assert torch.equal(found, features.averaged_features(model, split, data))
    other, *_ = set(tmp_path.glob("*.features")) - {path}
    other.rename(path)  # its name says another thing than its content
    assert torch.equal(features.kept_features(small(), data.train, data, tmp_path), first)


def test_another_network_with_the_same_weights_has_features_of_its_own(tmp_path):
    data, networks = tiny_set(size=16), [small(), small(activation="elu"), small(pooling="average")]
    for model in networks:
        model.load_state_dict(networks[0].state_dict())
        found = features.kept_features(model, data.train, data, tmp_path)
        assert torch.equal(found, features.averaged_features(model, data.train, data))


def noisy_classes(per_class: tuple[int, ...], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features that tell two classes apart in the first of 60 numbers, and that badly."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(len(per_class)).repeat_interleave(torch.tensor(per_class))
    x = torch.randn(len(y), 60, generator=generator)
    x[:, 0] += 1.5 * y
    return x, y


def test_of_many_useless_features_a_strong_penalty_is_chosen_and_of_few_a_weak_one():
    some, others = noisy_classes((40, 40), 0), noisy_classes((200, 200), 1)
    assert fit_linear(*some, *others, 2).decay >= 0.1
    parts = [(x[:, :1], y) for x, y in (noisy_classes((2000, 2000), 2), others)]
    assert fit_linear(*parts[0], *parts[1], 2).decay <= 0.01


def test_balanced_classes_weigh_alike_however_rare():
    some, others = noisy_classes((270, 30), 0), noisy_classes((270, 30), 1)
    x, y = noisy_classes((500, 500), 2)
    recall = []
    for balanced in (False, True):
        fitted = fit_linear(*some, *others, 2, balanced)
        answers = (x @ fitted.weight.T + fitted.bias).argmax(1)
        recall.append(float((answers[y == 1] == 1).float().mean()))
    assert recall[1] > recall[0] + 0.2


@pytest.mark.parametrize(
    ("x", "x_val", "words"),
    [
        (torch.zeros(1, 3), torch.zeros(4, 3), "needs two pictures .* got 1 and 4"),
        (torch.zeros(4, 3), torch.zeros(0, 3), "one for validation, got 4 and 0"),
        (torch.full((4, 3), float("nan")), torch.zeros(4, 3), "are not finite"),
        (torch.zeros(4, 3), torch.full((4, 3), float("inf")), "are not finite"),
    ],
)
def test_a_head_needs_finite_features_of_some_pictures(x, x_val, words):
    y, y_val = (torch.zeros(len(part), dtype=torch.long) for part in (x, x_val))
    with pytest.raises(ValueError, match=words):
        fit_linear(x, y, x_val, y_val, 2)


def test_a_head_whose_search_always_ends_in_no_number_is_refused(monkeypatch):
    monkeypatch.setattr(transfer, "_minimise", lambda w, *_: w.data.fill_(float("nan")))
    y = torch.tensor([0, 1, 0, 1])
    with pytest.raises(ValueError, match="no penalty leads to a finite loss on validation"):
        fit_linear(torch.rand(4, 3), y, torch.rand(4, 3), y, 2)


@pytest.mark.parametrize("step", [NewHead(), FitHead(), LoadImageNet()])
def test_what_writes_weights_comes_before_pruning(step):
    state = State(small(), tiny_set(size=16))
    state.masks["classifier.1.weight"] = torch.zeros(3, 64, 1, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match=f"{type(step).__name__} comes before Prune"):
        step.apply(state)


def test_a_new_head_is_fine_where_others_are_pruned():
    state = State(small(), tiny_set(size=16))
    state.masks["features.0.weight"] = state.model.features[0].weight.detach() != 0
    NewHead().apply(state)
    assert FitHead().apply(state)["head_images"]


def test_training_elsewhere_leaves_the_images_at_hand():
    model = ModelSpec.of("squeezenet_small", num_classes=10, in_channels=1, width=0.125)
    step = TrainElsewhere("digits_noisy", Train(1, **QUICK))
    experiment = Experiment(model, DataSpec("digits", 16, 100), (step, NewHead()))
    assert Experiment.from_dict(experiment.as_dict()) == experiment
    state, steps = run_experiment(experiment)
    assert state.data.name == "digits" and len(steps[0]["history"]) == 1
    assert float(state.model.classifier[1].weight.detach().std()) == pytest.approx(0.01, rel=0.2)


def test_weights_from_imagenet_answer_as_before_on_pictures_scaled_otherwise(monkeypatch):
    torch.manual_seed(1)
    published = build("squeezenet1_1")
    monkeypatch.setattr(pretrained, "imagenet_weights", published.state_dict)
    data = replace(tiny_set(channels=3, size=48), mean=(0.2, 0.5, 0.6), std=(0.3, 0.2, 0.25))
    model = build("squeezenet1_1", num_classes=3, final_relu=False)
    LoadImageNet().apply(State(model, data))
    ours = features.averaged_features(model, data.test, data)
    theirs = replace(data, mean=pretrained.MEAN, std=pretrained.STD)
    wanted = features.averaged_features(published, data.test, theirs)
    assert torch.allclose(ours, wanted, rtol=1e-3, atol=1e-4)


def test_another_network_is_not_filled_from_imagenet(monkeypatch):
    monkeypatch.setattr(pretrained, "imagenet_weights", build("squeezenet1_1").state_dict)
    with pytest.raises(ValueError, match="other layers than squeezenet1_1"):
        LoadImageNet().apply(State(small(), tiny_set(size=16)))
