"""Chapter 18's tables and sentences with no record, with a part of them, and with all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from squeeze_utils.base.measurements import Measurement
from squeeze_utils.base.scale import Scale
from squeeze_utils.data.cards import CARDS, card
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study
from squeeze_utils.results import answers, transfer_results
from squeeze_utils.results import transfer_files_results as file_results
from squeeze_utils.results.calibration import calibration_error, reliability, reliability_figure
from squeeze_utils.results.comparison import prediction_sentence
from squeeze_utils.results.study_results import Results
from squeeze_utils.studies import transfer, transfer_files, transfer_images

REFERENCE = Scale("reference")
PICTURES = 60


def planned(make) -> Study:
    """All arms of a study, also those that wait for the pilot."""
    study = make(REFERENCE)
    return replace(study, arms=(*study.arms, *study.expected), expected=())


def record(arm) -> Record:
    """Invented measurements of the right form: after compression class 2 is always wrong."""
    experiment, rng = arm.experiment, np.random.default_rng(arm.experiment.seed)
    true = np.arange(PICTURES) % 6
    steps, written = [], False
    for step in experiment.recipe:
        kind = type(step).__name__
        found = {"step": step.as_dict(), "seconds": 1.0, "validation_accuracy": 90.0}
        found |= {"parameters": 1000, "nonzero": 900, "dense_bytes": 4000}
        if kind == "Encode":
            written, found["file_bytes"] = True, 100
        if kind == "ObserveAnswers":
            said = np.where((true == 2) & written, 1, true)
            shares = rng.uniform(0.5, 1, PICTURES).round(4)
            found["answers"] = {"class": said.tolist(), "share": shares.tolist()}
            grey = rng.integers(0, 255, PICTURES).tolist()
            if step.pictures:
                facts = {"class": true.tolist(), "brightness": grey, "contrast": grey}
                found["pictures"] = facts
        steps.append(found)
    accuracy = 91 + 0.1 * experiment.seed - (0.3 if written else 0)
    confusion = [[0] * 6] * 6
    steps[-1] |= {"test_accuracy": accuracy, "test_loss": 0.3, "confusion": confusion}
    data = {**experiment.data.as_dict(), "fingerprint": "f" * 16}
    versions = {"python": "3", "torch": "2", "torchvision": "0"}
    parts = (experiment.as_dict(), dict(arm.labels), steps, experiment.seed)
    return Record(*parts, "cpu", versions, data, "commit", "2026-11-29", 5.0)


def results(make, part: str) -> Results:
    """No records, those of one arm, of one seed, or all."""
    study = planned(make)
    kept = {
        "none": [],
        "one arm": study.arms[-1:],
        "one seed": [arm for arm in study.arms if arm.experiment.seed == 0],
        "all": study.arms,
    }[part]
    return Results(study, {arm.experiment.key: record(arm) for arm in kept})


def test_the_arithmetic_of_a_way_counts_what_it_trains():
    study = transfer.transfer(Scale("reference"))
    way = {
        dict(arm.labels)["way"]: transfer_results.joules(arm.experiment)
        for arm in (*study.arms, *study.expected)
        if dict(arm.labels)["images"] == "intel"
    }
    assert way["head only"] < way["last modules"] < way["all"] < way["AlexNet, from scratch"]
    once = way["head only"]  # one forward pass of each image
    assert way["all"] == pytest.approx(once + 18 * once)  # and six epochs, three passes each
    assert way["from scratch"] == pytest.approx(18 * once)


PARTS = ("none", "one arm", "one seed", "all")


@pytest.mark.parametrize("part", PARTS)
def test_every_table_and_sentence_bears_missing_records(part):
    ways, curve, memory, files = (
        results(make, part)
        for make in (
            transfer.transfer,
            transfer_images.head_curve,
            transfer_images.copies,
            transfer_files.files,
        )
    )
    for found in (ways, curve, memory, files):
        growing = 0 < len(found) < len(found.study.arms)
        assert ("still to come" in found.source) == growing
    assert len(transfer_results.ways_table(ways)) == {"none": 0, "one arm": 1}.get(part, 10)
    assert (transfer_results.ways_figure(ways) is None) == (part == "none")
    assert (transfer_results.curve_figure(curve) is None) == (part == "none")
    assert transfer_results.curve_prediction(curve).endswith(".")
    gaps = transfer_results.copies_table(memory)
    assert len(gaps) == {"one seed": 2, "all": 2}.get(part, 0)
    assert "prediction" in prediction_sentence(gaps, {"intel": "undecided"})
    table = file_results.files_table(files)
    assert len(table) == {"none": 0, "one arm": 1}.get(part, 14)
    goal = file_results.goal(files, "intel", "120 kB", 0.5, dense=90)
    assert ("open" in goal) == (part != "all")
    for images in ("intel", "caltech101"):
        scenes = ways.where(images=images)
        assert scenes.verdict("way", "last modules")
        assert scenes.prediction("way", "last modules", {"all": "higher"})
    assert len(results(transfer_images.few_images, part).table()) or part == "none"


@pytest.mark.parametrize("part", PARTS)
def test_who_pays_is_told_with_intervals_or_left_open(part):
    files = results(transfer_files.files, part)
    frame = answers.answers(files.where(images="intel", file="120 kB"))
    gaps = {by: answers.lost_by(frame, by) for by in ("class", "brightness", "contrast")}
    told = answers.worst(gaps["class"])
    if part in ("none", "one arm"):
        assert frame.empty and "open" in told and answers.lost_figure(gaps) is None
        assert answers.lost_table(gaps["class"], "class").empty
        return
    assert len(frame) == PICTURES * {"one seed": 1, "all": 3}[part]
    assert "**2**" in told and gaps["class"]["2"].verdict() == "lower"
    assert gaps["class"]["1"].estimate == 0 and len(gaps["brightness"]) == 4
    assert answers.lost_figure(gaps) is not None
    moved = answers.changed(frame, 5)
    assert (moved["class"] == 2).all() and moved["share_before"].is_monotonic_decreasing


def test_a_goal_is_missed_in_words_that_come_from_numbers():
    files = results(transfer_files.files, "all")
    assert "**reached**" in file_results.goal(files, "intel", "120 kB", 0.5, dense=90)
    assert "**missed**" in file_results.goal(files, "intel", "120 kB", 0.2, dense=90)
    assert "**reached**" in file_results.goal(files, "intel", "120 kB", 0.5, most_bytes=100)
    large = file_results.goal(files, "intel", "120 kB", 0.5, most_bytes=99)
    assert "in 99 bytes is **missed**" in large
    longer = file_results.goal(files, "intel", "120 kB", 0.1, against="dense, trained on")
    assert "*dense, trained on* 91.10 %, 0.30 points lost" in longer and "**missed**" in longer
    assert "**missed**" in file_results.goal(files, "intel", "120 kB", 0.5, dense=95)


def test_what_was_predicted_of_two_files_fails_where_both_lose_as_much():
    files = results(transfer_files.files, "all")  # every file loses 0.3 points
    said = file_results.files_prediction(files)
    assert "0.30 points in 120 kB, 0.30 in 70 kB" in said and "fails" in said
    assert "open" in file_results.files_prediction(results(transfer_files.files, "one arm"))


def test_with_few_images_seeds_see_other_images_and_ways_take_as_many_steps():
    study = planned(transfer_images.few_images)
    draws = {(arm.experiment.seed, arm.experiment.data.draw) for arm in study.arms}
    assert draws == {(0, 0), (1, 1), (2, 2)} and len(study.arms) == 36
    for arm in study.arms:
        step = arm.experiment.recipe[-1]
        if dict(arm.labels)["way"] != transfer.HEAD:
            images = 6 * arm.experiment.data.per_class
            assert 400 <= step.epochs * (images // step.batch_size) < 440


def test_a_goal_stays_open_until_all_seeds_are_there():
    files = results(transfer_files.files, "one seed")
    for points in (0.5, 0.2):
        said = file_results.goal(files, "intel", "120 kB", points, dense=90)
        assert "1 of 3 seeds" in said and said.endswith("stays open until all seeds are there.")


def test_calibration_error_by_hand_and_bad_input():
    assert calibration_error([0.75] * 4, [True, True, True, False]) == 0
    assert calibration_error([0.75] * 4, [True] * 4) == 25
    assert calibration_error([1.0, 0.55], [True, False]) == pytest.approx(27.5)
    assert reliability([1.0], [True])["bin"].tolist() == [9]
    answers = [0.95] * 20 + [0.45] * 19  # the second bin has too few to be drawn
    _, line = reliability_figure({"one": (answers, [True] * 39)}).axes[0].lines
    assert line.get_xdata().tolist() == pytest.approx([95.0])
    for share, right in (([0.5], [True, False]), ([], []), ([1.5], [True])):
        with pytest.raises(ValueError):
            calibration_error(share, right)


def test_cards_say_what_is_counted_and_what_is_not(monkeypatch):
    for name in CARDS:
        rows = card(name).rows()
        assert "pairs of a test image" in rows["copies"] and rows["terms"]
        assert transfer_results.copies_figure(card(name).measured) is not None
    with pytest.raises(ValueError, match="unknown card 'zoo'; accepted: intel, caltech101"):
        card("zoo")
    both = transfer_results.copies_figure(
        *(card(name).measured for name in ("intel", "caltech101"))
    )
    assert len(both.axes) % 4 == 0 and sum(bool(ax.images) for ax in both.axes) > 8
    assert transfer_results.copies_figure(None) is None
    assert transfer_results.copies_figure(Measurement([], {"classes": []})) is None
    monkeypatch.setattr("squeeze_utils.data.cards.read_measurement", lambda name: None)
    assert card("intel").rows()["images"] == "not measured yet"
