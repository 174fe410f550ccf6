from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_experiment

from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results import tables
from squeeze_utils.results.study_results import Results
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

ACCURACIES = {"wide": (90.0, 92.0, 94.0), "narrow": (50.0,)}


@pytest.fixture(scope="module")
def study() -> Study:
    arms = [
        Arm.of(tiny_experiment(_step(name), seed=seed), model=name)
        for name, accuracies in ACCURACIES.items()
        for seed in range(len(accuracies))
    ]
    return Study("tiny", "which is better?", arms)


def _step(name: str) -> Step:
    return Train(2, lr=0.1 if name == "wide" else 0.2)


def _record(arm: Arm, **changed) -> Record:
    name, seed = dict(arm.labels)["model"], arm.experiment.seed
    accuracy = ACCURACIES[name][seed]
    final = {
        "history": [{"epoch": e, "train_loss": 1 / e} for e in (1, 2)],
        "test_accuracy": accuracy,
        "parameters": 1234567,
        "confusion": [[3, 1], [0, seed]],
    }
    values = {
        "experiment": arm.experiment.as_dict(),
        "labels": dict(arm.labels),
        "steps": [final],
        "seed": seed,
        "device": "a processor, 2 threads",
        "versions": {"python": "3.11", "torch": "2.15", "torchvision": "0.29"},
        "data": {"name": "cifar10", "size": None, "train_limit": 20000},
        "commit": "0123",
        "date": f"2026-11-2{seed}",
        "seconds": 1.0,
    }
    return Record(**{**values, **changed})


def _record_of(arm: Arm, final: dict) -> Record:
    """A record of one step that ended with these numbers."""
    about = {"labels": dict(arm.labels), "device": "cpu", "data_fingerprint": "0", "commit": "0"}
    steps = [{"step": step.as_dict(), "seconds": 1.0, **final} for step in arm.experiment.recipe]
    return Record.of(arm.experiment, steps, **about)


@pytest.fixture(scope="module")
def records(study) -> dict[str, Record]:
    return {arm.experiment.key: _record(arm) for arm in study.arms}


def test_epochs_as_rows(study, records):
    found = Results(study, records).epochs()
    assert len(found) == 8
    assert found[found["model"] == "narrow"]["train_loss"].tolist() == [1.0, 0.5]
    assert set(found.columns) == {"model", "seed", "epoch", "train_loss"}
    assert Results(study, {}).epochs().empty


def test_a_label_stands_before_what_an_epoch_noted(records, study):
    named = Study("tiny", "", [Arm.of(arm.experiment, train_loss=7) for arm in study.arms])
    assert set(Results(named, records).epochs()["train_loss"]) == {7}


def test_steps_as_rows(study):
    arm = study.arms[0]
    both = [
        {"step": {"step": name}, "validation_accuracy": accuracy}
        for name, accuracy in (("Train", 90.0), ("Prune", 10.0))
    ]
    record = replace(_record(arm), steps=both)
    frame = Results(study, {arm.experiment.key: record}).steps()
    assert frame["place"].tolist() == [0, 1]
    assert frame["step"].tolist() == ["Train", "Prune"]
    assert frame["validation_accuracy"].tolist() == [90.0, 10.0]
    assert set(frame["model"]) == {"wide"}
    assert Results(study, {}).steps().empty


def test_signals_as_rows(study):
    arm = study.arms[0]
    noted = [{"layer": "conv1", "mean": 0.5}, {"layer": "fire2.squeeze", "mean": 0.25}]
    record = replace(_record(arm), steps=[{"step": {"step": "ObserveSignals"}, "signals": noted}])
    frame = Results(study, {arm.experiment.key: record}).signals()
    assert frame["layer"].tolist() == ["conv1", "fire2.squeeze"]
    assert frame["mean"].tolist() == [0.5, 0.25] and set(frame["model"]) == {"wide"}
    assert Results(study, {}).signals().empty


def test_confusion_adds_up_the_seeds(study, records):
    assert Results(study, records).confusion(model="wide").tolist() == [[9, 3], [0, 3]]
    assert Results(study, records).confusion(model="narrow").dtype == np.int64
    assert Results(study, {}).confusion(model="wide") is None
    with pytest.raises(ValueError, match=r"no arm of .* has the labels"):
        Results(study, records).confusion(model="deep")


def test_provenance_says_all_of_it(study, records):
    assert tables.source_line(records, study) == (
        "CIFAR-10 (20,000 training images) · 1 to 3 seeds · 2 epochs · a processor, 2 threads · "
        "Python 3.11, torch 2.15, torchvision 0.29 · 2026-11-20 to 2026-11-22"
    )


def test_provenance_counts_a_seed_for_each_arm_that_shares_its_record(study, records):
    again = [Arm.of(arm.experiment, model="again") for arm in study.arms[:3]]
    both = replace(study, arms=(*study.arms[:3], *again), may_share=True)
    wide = {arm.experiment.key: records[arm.experiment.key] for arm in again}
    first = next(iter(wide))
    wide[first] = replace(wide[first], labels={"model": "again"})
    assert "· 3 seeds ·" in tables.source_line(wide, both)


def test_provenance_says_which_part_of_the_images_was_used(study, records):
    key, record = next(iter(records.items()))
    for data, words in (
        ({"name": "intel", "size": 128, "per_class": 5}, "(5 training images of a class)"),
        ({"name": "caltech101", "copies": False}, "Caltech-101 (without copies)"),
        ({"name": "mnist", "train_on_validation": True}, "MNIST (validation images trained on)"),
    ):
        assert words in tables.source_line({key: replace(record, data=data)}, study)


def test_provenance_counts_experiments_not_the_arms_that_share_them(study, records):
    again = [Arm.of(arm.experiment, model="again") for arm in study.arms]
    both = replace(study, arms=(*study.arms, *again), may_share=True)
    some = dict(list(records.items())[:1])
    assert tables.source_line(some, both).endswith("3 of 4 experiments still to come")


def test_the_table_of_arms_has_rates_sizes_and_what_is_not_zero():
    arms = [
        Arm.of(tiny_experiment(Train(2, lr=lr), seed=seed), kind="small", lr=lr)
        for lr, seed in ((0.1, 0), (0.3, 1))
    ]
    sizes = {"file_bytes": 100, "dense_bytes": 400, "nonzero": 500_000, "test_accuracy": 90.0}
    found = {}
    for arm in arms:
        step = {**sizes, "parameters": 1_000_000, "file_bytes": 100 + arm.experiment.seed}
        found[arm.experiment.key] = _record_of(arm, step)
    row = tables.summary_table(Study("s", "?", arms), found).loc["small"]
    assert row["learning rate"] == "0.1 to 0.3" and row["n"] == 2
    assert row["not zero"] == "500,000" and row["file (bytes)"].startswith("100")
    assert row["times smaller"] == "4.0"  # 400 / 100.5, as the columns beside it say
    few = pd.DataFrame({"first_dense_bytes": [400, 400], "file_bytes": [100, 300]})
    assert tables.times_smaller(few) == 2.0


def test_provenance_says_what_is_missing(study, records):
    some = dict(list(records.items())[:1])
    assert tables.source_line(some, study).endswith("3 of 4 experiments still to come")
    waiting = replace(study, arms=study.arms[:2], expected=study.arms[2:])
    assert tables.source_line(some, waiting).endswith("3 of 4 experiments still to come")
    assert tables.source_line({}, study) == tables.NO_RECORDS == "no reference records yet"


def test_provenance_names_every_device(study):
    mixed = {
        arm.experiment.key: _record(arm, device=f"machine {arm.experiment.seed}")
        for arm in study.arms[:2]
    }
    assert "machine 0 or machine 1" in tables.source_line(mixed, study)


def test_provenance_names_every_device_that_ran_a_step(study):
    first = {"device": "machine 1", "precision": "bfloat16"}
    steps = [first, {"device": "machine 2", "test_accuracy": 90}]
    record = _record(study.arms[0], device="machine 2", steps=steps)
    line = tables.source_line({study.arms[0].experiment.key: record}, study)
    assert " · machine 1, bfloat16 or machine 2 · " in line


def test_provenance_names_every_device_of_a_training_that_went_on_on_another(study):
    steps = [{"device": "b", "devices": ["a", "b"], "precision": "bfloat16", "test_accuracy": 90}]
    record = _record(study.arms[0], device="b", steps=steps)
    line = tables.source_line({study.arms[0].experiment.key: record}, study)
    assert " · a, bfloat16 or b, bfloat16 · " in line


def test_provenance_names_the_precision_of_training(study):
    steps = [{"precision": "float32", "test_accuracy": 90}]
    mixed = {
        study.arms[0].experiment.key: _record(study.arms[0]),
        study.arms[1].experiment.key: _record(study.arms[1], steps=steps),
    }
    assert " · a processor, 2 threads, float32 · " in tables.source_line(mixed, study)
    assert " · a processor, 2 threads · " in tables.source_line(
        dict(list(mixed.items())[:1]), study
    )
