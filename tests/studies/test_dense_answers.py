"""The studies of chapter 19: what they train, and that part of their records is enough."""

from __future__ import annotations

from dataclasses import replace

import pytest
from finished import finish, pretend

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.run_study import run_study
from squeeze_utils.results.named_study import study
from squeeze_utils.studies import catalogue, dense_answers
from squeeze_utils.training.loop import Train
from squeeze_utils.training.start_from_imagenet import ImageNetBackbone

QUICK, REFERENCE = Scale("quick"), Scale("reference")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    return tmp_path / "runs"


@pytest.mark.parametrize("task", dense_answers.TASKS)
def test_three_backbones_of_one_size_and_three_seeds(runs, task: str):
    found = catalogue.find(task, REFERENCE)
    assert not found.arms and len(found.expected) == 9  # until the pilot has chosen rates
    finish(f"{task}_lr", runs, best=0.01)
    found = catalogue.find(task, REFERENCE)
    assert len(found.arms) == 9 and not found.expected
    starts = {dict(arm.labels)["backbone"]: arm.experiment.recipe[0] for arm in found.arms}
    assert isinstance(starts.pop("SqueezeNet, ImageNet"), ImageNetBackbone)
    assert all(isinstance(step, Train) for step in starts.values()) and len(starts) == 2
    rates = {arm.experiment.recipe[-1].lr for arm in found.arms}
    assert rates == {0.01}


def test_a_best_rate_at_the_edge_extends_the_grid(runs):
    finish("detection_lr", runs, best=0.04)
    pilot = catalogue.find("detection_lr", REFERENCE)
    assert {dict(arm.labels)["lr"] for arm in pilot.arms} >= {0.005, 0.04, 0.08}


@pytest.mark.parametrize("task", dense_answers.TASKS)
def test_every_rate_of_a_pilot_is_tried_with_two_seeds(runs, task: str):
    seeds: dict = {}
    for arm in catalogue.find(f"{task}_lr", REFERENCE).arms:
        labels = dict(arm.labels)
        seeds.setdefault((labels["backbone"], labels["lr"]), set()).add(arm.experiment.seed)
    assert len(seeds) == 9 and all(found == {0, 1} for found in seeds.values())


def test_the_short_training_is_as_long_as_the_pilots_and_shares_its_runs(runs):
    finish("detection_lr", runs, best=0.01)
    pilot = {arm.experiment.key for arm in catalogue.find("detection_lr", REFERENCE).arms}
    long, short = (catalogue.find(n, REFERENCE).arms for n in ("detection", "detection_short"))
    for one, other in zip(long, short, strict=True):
        assert one.labels == other.labels and one.experiment.recipe[-1].epochs == 60
        assert other.experiment.recipe[-1] == replace(one.experiment.recipe[-1], epochs=20)
        assert (other.experiment.key in pilot) == (other.experiment.seed in (0, 1))


def test_all_fewer_bits_go_on_from_the_same_training(runs):
    finish("dense_compressed", runs, best=0.01)  # the pilots of both tasks come with it
    found = catalogue.find("dense_compressed", REFERENCE)
    assert not found.expected
    assert len(found.arms) == 3 * 3 * 6
    for arm in found.arms:
        labels, recipe = dict(arm.labels), arm.experiment.recipe
        same = {"task": labels["task"], "seed": arm.experiment.seed}
        whole = found.where(**same, bits=dense_answers.DENSE).arms[0]
        assert whole.experiment == arm.experiment.prefix(2)
        trained = catalogue.find(labels["task"].replace(", ", "_"), REFERENCE)
        assert whole.experiment in [other.experiment for other in trained.arms]
        if labels["bits"] != dense_answers.DENSE:
            control = found.where(**same, bits=dense_answers.FLOAT).arms[0].experiment
            assert recipe[:4] == control.recipe[:4] and isinstance(recipe[-1], Encode)
            assert [type(step) for step in control.recipe[2:]] == [Prune, Train, Encode]


def whole(path) -> None:
    """Give a pretended record the numbers that tables show."""
    record = Record.parse(path.read_text())
    record.steps[-1] |= {
        **{"parameters": 100, "nonzero": 100, "dense_bytes": 400},
        **{"measure": "mIoU", "test_accuracy": 50.0 + record.seed, "test_loss": 1.0},
    }
    path.write_text(record.text())


@pytest.mark.parametrize("by_seed", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 4, 9])
def test_tables_and_verdicts_with_part_of_the_records(runs, count: int, by_seed: bool):
    finish("segmentation_lr", runs, best=0.01)
    arms = list(catalogue.find("segmentation", REFERENCE).arms)
    if not by_seed:
        arms.sort(key=lambda arm: arm.slug)
    for arm in arms[:count]:
        pretend(arm, runs / "segmentation", best=0.01)
    for path in (runs / "segmentation").glob("*.json"):
        whole(path)
    found = study("segmentation").records()
    assert len(found) == count and bool(found) == bool(count)
    table = found.table("backbone")
    assert len(table) == len({dict(arm.labels)["backbone"] for arm in arms[:count]})
    assert not count or "test mIoU (%)" in table
    expected = {dense_answers.FROM_IMAGENET: "higher"}
    said = found.prediction("backbone", dense_answers.FROM_SCRATCH, expected)
    if count == 9:
        assert "found undecided" in said
    elif count:
        assert any(word in said for word in ("not complete yet", "no run yet", "is still open"))
    if 0 < count < 9:
        assert f"{9 - count} of 9 experiments still to come" in found.source


def test_without_any_pilot_tables_are_empty(runs):
    for name in ("detection", "segmentation", "dense_compressed"):
        found = study(name).records()
        label, value = found.study.expected[0].labels[0]
        assert len(found) == 0 and found.table().empty
        assert found.source == found.verdict(label, value)


def test_the_whole_recipe_runs_on_tiny_settings():
    arms = []
    for arm in catalogue.find("dense_compressed", QUICK).where(bits=3).arms:
        steps = [
            replace(step, epochs=1, batch_size=8) if isinstance(step, Train) else step
            for step in arm.experiment.recipe
        ]
        data = DataSpec(arm.experiment.data.name, 32, 16)
        model = replace(
            arm.experiment.model,
            options=tuple({**dict(arm.experiment.model.options), "width": 0.125}.items()),
        )
        small = replace(arm.experiment, recipe=tuple(steps), data=data, model=model)
        arms.append(replace(arm, experiment=small))
    made = replace(catalogue.find("dense_compressed", QUICK), arms=arms)
    records = run_study(made, progress=False)
    assert {r.final["measure"] for r in records.values()} == {"mAP50", "mIoU"}
    assert all(r.final["file_bytes"] > 1000 for r in records.values())
