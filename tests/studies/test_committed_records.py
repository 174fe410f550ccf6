"""What a citable record has to be, whatever its numbers say: read from the committed ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.rates import best_rate, edge
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study
from squeeze_utils.studies import activations, catalogue, kernels, optimizers, pooling
from squeeze_utils.studies.plan import ORDER

REFERENCE = Scale("reference")

ABOVE_CHANCE = 1.3  # times the share that guessing gets right, or more
# Not a grid of rates: the network whose weights the scan counts; its rate is the dense network's.
NO_GRIDS = {("pruning_lr_long", "pruned by scan")}
TOO_FEW_BITS = [{"method": "after training", "weights": 2}]  # what training with rounding mends
OTHER_SCORES = {"detection", "detection_short", "segmentation", "dense_compressed"}
# Trained on two kinds of processor, before a run warned of that: two short pilots.
MIXED = {"linear_squeeze_lr", "residual_lr"}


@pytest.fixture(scope="module")
def studies() -> dict[str, Study]:
    """Every study at reference scale by name."""
    return {name: make(REFERENCE) for name, make in catalogue.catalogue().items()}


@pytest.fixture(scope="module")
def recorded(studies) -> dict[str, dict[str, Record]]:
    """The committed records by study and key, where there are any."""
    found = {name: study.records() for name, study in studies.items()}
    return {name: records for name, records in found.items() if records}


def grids(study: Study) -> dict[tuple, dict[float, list[Experiment]]]:
    """The runs of a pilot at each rate, by the other labels."""
    found: dict[tuple, dict[float, list[Experiment]]] = {}
    for arm in study.arms:
        *labels, (last, lr) = arm.labels
        assert last == "lr", study.name
        found.setdefault(tuple(labels), {}).setdefault(lr, []).append(arm.experiment)
    return found


def guesses(records: Iterable[Record]) -> list[str]:
    """The keys of networks that do hardly better than chance in the end.

    Left out: what diverged and says so, weights of too few bits, and one image of each class.
    """
    bad = []
    for record in records:
        experiment = Experiment.from_dict(record.experiment)
        chance = 100 / dict(experiment.model.options).get("num_classes", 10)
        expected = dict(record.labels) in TOO_FEW_BITS or record.labels.get("per_class") == 1
        if expected or "diverged" in record.final:
            continue
        if record.final["test_accuracy"] < ABOVE_CHANCE * chance:
            bad.append(record.key)
    return bad


def processors(records: Iterable[Record]) -> set[str]:
    """The kinds of processor that the records name, without their numbers of threads."""
    return {device.partition(",")[0] for record in records for device in record.devices}


def long_pilots(studies) -> list[Study]:
    pilots = {pilot for name in ORDER for pilot in studies[name].pilots}
    return [study for name, study in studies.items() if study.finds_rates and name in pilots]


def test_the_best_rate_of_a_long_pilot_lies_inside_its_grid(studies, recorded):
    known = 0
    for study in long_pilots(studies):
        records = recorded.get(study.name, {})
        for labels, runs in grids(study).items():
            if (study.name, *(value for _, value in labels)) not in NO_GRIDS:
                assert len(runs) >= 3, (study.name, labels)
                assert edge(records, runs) is None, (study.name, labels)
                known += best_rate(records, runs) is not None
    assert known >= 4


def test_networks_of_the_plan_do_better_than_chance(studies, recorded):
    planned = {name: recorded.get(name, {}) for name in ORDER if name not in OTHER_SCORES}
    for name, records in planned.items():
        assert guesses(records.values()) == [], name
    for study in long_pilots(studies):  # where a rate may be too high for any learning
        records = recorded.get(study.name, {})
        for labels, runs in grids(study).items():
            best = best_rate(records, runs)
            if best is not None and (study.name, *(v for _, v in labels)) not in NO_GRIDS:
                assert guesses(records[run.key] for run in runs[best]) == [], (study.name, labels)
    assert sum(map(len, planned.values())) >= 300


def test_all_networks_of_a_study_were_trained_on_one_kind_of_processor(recorded):
    kinds = {name: processors(records.values()) for name, records in recorded.items()}
    assert {name for name, found in kinds.items() if len(found) > 1} == MIXED
    assert not any(name.endswith("_long") for name in MIXED)


def test_the_plain_network_is_that_of_residual_long_and_trained_once(studies, recorded):
    """So say the committed records of its pilot, which those of four other studies begin with."""
    records, (plain, *_) = recorded["residual_lr_long"], grids(studies["residual_lr_long"]).values()
    trained = {arm.experiment for arm in studies["residual_long"].where(network="plain").arms}
    assert len(trained) == 5 and best_rate(records, plain) is not None
    for chapter, value in (
        (kernels.LONG_RATIO_CHAPTER, 0.125),
        (pooling.LONG_PLACE_CHAPTER, "as in 1.1"),
        (pooling.LONG_KIND_CHAPTER, "max"),
        (optimizers.LONG_CHAPTER, "muon"),
        (activations.LONG_LINEAR, "ReLU"),
    ):
        (variant,) = (v for v in chapter.variants if value in dict(v.labels).values())
        assert chapter.grid(variant, REFERENCE, records) == plain, chapter.name
        lr = chapter.rate(variant, REFERENCE, records)
        same = {chapter.experiment(REFERENCE, variant, lr, seed) for seed in chapter.seeds}
        assert same <= trained, chapter.name


def test_what_these_tests_look_for_is_found(studies, recorded):
    name = "residual_lr_long"
    records, (plain, *_) = recorded[name], grids(studies[name]).values()
    best = best_rate(records, plain)
    assert edge(records, {lr: runs for lr, runs in plain.items() if lr >= best}) == best
    record = records[plain[best][0].key]
    assert guesses([record]) == []
    by_chance = {**record.final, "test_accuracy": 12.9}
    assert guesses([replace(record, steps=[by_chance])]) == [record.key]
    elsewhere = replace(record, steps=[{**record.final, "device": "another, 2 threads"}])
    assert len(processors([record, elsewhere])) == 2


def test_records_are_called_what_their_arms_are_called(studies, recorded):
    """Where an experiment is the arm of several labels, its record has those of one of them."""
    for name, study in studies.items():
        known: dict[str, list] = {}
        for arm in study.arms:
            known.setdefault(arm.experiment.key, []).append(dict(arm.labels))
        for key, record in recorded.get(name, {}).items():
            assert dict(record.labels) in known.get(key, [dict(record.labels)]), (name, key)
