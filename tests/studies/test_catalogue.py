"""All studies and searches of the series: they can be made, and their records belong to them."""

from __future__ import annotations

import importlib
import json
import pkgutil
from statistics import fmean

import pytest
import torch

from squeeze_utils.base import paths
from squeeze_utils.base.scale import SCALES, Scale
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.search import Choice
from squeeze_utils.experiments.study import Study
from squeeze_utils.studies import catalogue, hyperparameters
from squeeze_utils.studies.catalogue import find, find_searches
from squeeze_utils.training.loop import Train

QUICK, REFERENCE = Scale("quick"), Scale("reference")
CHANNELS = {"digits": 1, "mnist": 1, "cifar10": 3, "intel": 3, "caltech101": 3}
CHANNELS |= {"digit_scenes": 1, "digit_masks": 1, "bccd": 3, "camvid": 3}
CLASSES = {"intel": 6, "caltech101": 102, "digit_masks": 11, "bccd": 3, "camvid": 11}


@pytest.fixture(scope="module")
def studies() -> dict[tuple[str, str], Study]:
    """Every study by name and scale."""
    makers = catalogue.catalogue()
    return {(name, s): make(Scale(s)) for name, make in makers.items() for s in SCALES}


def test_every_chapter_that_defines_studies_is_in_the_catalogue():
    package = importlib.import_module("squeeze_utils.studies")
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"squeeze_utils.studies.{info.name}")
        assert hasattr(module, "STUDIES") == (module in catalogue.CHAPTERS), info.name


def test_every_study_has_its_name_a_question_and_arms_at_both_scales(studies):
    for (name, _), study in studies.items():
        assert study.name == name and study.title.strip() == study.title != ""
        assert study.arms or study.pilot
        assert len({arm.slug for arm in study.arms}) == len(study.arms), name
        assert len({tuple(dict(arm.labels)) for arm in study.arms}) <= 1, name
        if study.pilot:
            assert (study.pilot, "reference") in studies


def test_a_study_that_finds_rates_is_known_by_its_name(studies):
    for study in studies.values():
        says = study.title.startswith(("the learning rate", "which optimizer and peak"))
        assert study.finds_rates == says, study.name


def test_quick_studies_need_no_download_and_reference_studies_are_not_about_digits(studies):
    for (name, scale), study in studies.items():
        images = {arm.experiment.data.name for arm in study.arms}
        if scale == "quick":
            assert all(image.startswith("digit") for image in images), name
        else:
            known = {"cifar10", "mnist", "intel", "caltech101", "bccd", "camvid"}
            assert images <= known, name


def test_every_network_can_be_built_for_its_images(studies):
    networks = {
        (arm.experiment.model, arm.experiment.data.name)
        for study in studies.values()
        for arm in study.arms
    }
    assert len(networks) > 50
    for spec, images in networks:
        with torch.device("meta"):
            model = spec.build()
        plain = "digits" if images.startswith("digits") else images  # in whatever style
        assert model.input_shape[0] == CHANNELS[plain], spec
        assert model.num_classes == CLASSES.get(images, 10), spec


def test_every_experiment_comes_back_from_json(studies):
    for study in studies.values():
        for arm in study.arms:
            text = json.dumps(arm.experiment.as_dict())
            again = Experiment.from_dict(json.loads(text))
            assert again == arm.experiment and again.key == arm.experiment.key


def test_every_committed_record_is_of_an_arm_and_every_old_study_is_complete(studies):
    """The keys of the records are those in their names, and the same as those of the arms."""
    complete = 0
    for (name, scale), study in studies.items():
        if scale == "reference":
            files = (paths.shipped("runs") / name).glob("*.json")
            named = {path.stem.rpartition("-")[2] for path in files}
            wanted = {arm.experiment.key for arm in study.arms}
            assert named <= wanted, name
            assert named == set(study.records()), name
            complete += named == wanted
    assert complete >= 47


def test_arms_that_are_compared_in_pairs_hold_the_same_trained_network(studies):
    """The first training that arms of a study share has the same numbers in all their records."""
    pairs = 0
    for (name, scale), study in studies.items():
        records = study.records() if scale == "reference" else {}
        curves: dict[str, list] = {}
        for arm in (arm for arm in study.arms if arm.experiment.key in records):
            steps = records[arm.experiment.key].steps
            for place, step in enumerate(arm.experiment.recipe):
                if isinstance(step, Train):
                    losses = [epoch["train_loss"] for epoch in steps[place].get("history", ())]
                    if losses:
                        curves.setdefault(arm.experiment.prefix(place + 1).key, []).append(losses)
                    break
        for shared in curves.values():
            assert all(losses == shared[0] for losses in shared), name
            pairs += len(shared) - 1
    assert pairs > 200


def _scores_by_training(study: Study) -> dict[str, list[float]]:
    """The validation scores at the end, of runs that differ in seeds and numbers of epochs only."""
    scores: dict[str, list[float]] = {}
    for record in study.records().values():
        recipe = [{**step, "epochs": 0} for step in record.experiment["recipe"]]
        training = json.dumps({**record.experiment, "recipe": recipe, "seed": 0}, sort_keys=True)
        scores.setdefault(training, []).append(record.final["validation_accuracy"])
    return scores


def test_a_longer_training_ends_no_worse_than_that_of_the_pilot(studies):
    """A point is left for chance; below that the study overfits, and its chapter must say so."""
    worse, compared = set(), 0
    for (name, scale), study in studies.items():
        for pilot in study.pilots if scale == "reference" else ():
            long = _scores_by_training(study)
            short = _scores_by_training(studies[pilot, "reference"])
            for training in long.keys() & short.keys():
                compared += 1
                if fmean(long[training]) < fmean(short[training]) - 1:
                    worse.add(name)
    assert compared > 50
    assert worse == {"detection", "dense_compressed"}  # see chapter 19


def test_unknown_studies_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown study 'nothing'; accepted: .*baseline"):
        find("nothing", QUICK)


def test_the_closer_looks_are_at_networks_of_their_chapter():
    for name, of, kept in (
        ("pooling_shifts", "pooling", ["pooling", "lr"]),
        ("residual_views", "residual", ["bypass", "lr"]),
    ):
        trained = {arm.experiment for arm in find(of, REFERENCE).arms}
        study = find(name, REFERENCE)
        assert study.pilot == find(of, REFERENCE).pilot
        for arm in study.arms:
            assert arm.experiment.prefix(1) in trained and len(arm.experiment.recipe) > 1
            assert list(dict(arm.labels)) == kept
    signals = find("activation_signals", REFERENCE)
    trained = {arm.experiment for arm in find("activations", REFERENCE).arms}
    for before, after in zip(signals.arms[::2], signals.arms[1::2], strict=True):
        assert dict(before.labels)["when"] == "before" and len(before.experiment.recipe) == 1
        assert dict(after.labels)["when"] == "after" and after.experiment.prefix(1) in trained
        assert before.experiment.recipe == after.experiment.recipe[1:]
    assert {arm.experiment.seed for arm in signals.arms} == {0}


def test_the_searches_of_the_series_differ_in_method_and_repetition_only():
    found = catalogue.searches(REFERENCE)
    assert len(found) == len(hyperparameters.METHODS) * hyperparameters.REPETITIONS
    plain = [one.as_dict() for one in found.values()]
    for one in plain:
        for key in ("sampler", "pruner", "repetition"):
            one.pop(key)
    assert all(one == plain[0] for one in plain)
    assert {one.budget for one in found.values()} == {64}
    for one in found.values():  # every corner of the space is a valid experiment
        for end in (0, -1):
            point = {
                axis.name: axis.values[end]
                if isinstance(axis, Choice)
                else (axis.low, axis.high)[end]
                for axis in one.space
            }
            assert isinstance(one.experiment(point, 0).recipe[0], Train)


def test_searches_are_found_by_name_and_by_group():
    everything = list(catalogue.searches(REFERENCE).values())
    assert find_searches("tuning", REFERENCE) == everything
    assert find_searches("tpe-median-1", REFERENCE) == [
        one for one in everything if one.name == "tpe-median-1"
    ]
    with pytest.raises(ValueError, match="unknown search 'nothing'; accepted: tuning, random-none"):
        find_searches("nothing", QUICK)
