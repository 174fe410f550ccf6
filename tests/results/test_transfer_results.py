"""Chapter 18's tables and sentences with no record, with a part of them, and with all."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from squeeze_utils.base.measurements import Measurement
from squeeze_utils.base.scale import Scale
from squeeze_utils.data.cards import CARDS, card
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study
from squeeze_utils.results import answers, copies_results, transfer_results
from squeeze_utils.results import transfer_files_results as file_results
from squeeze_utils.results.calibration import calibration_error, reliability, reliability_figure
from squeeze_utils.results.study_results import Results
from squeeze_utils.studies import transfer, transfer_files, transfer_images

REFERENCE = Scale("reference")
PICTURES = 60


def planned(make) -> Study:
    """All arms of a study, also those that wait for the pilot."""
    study = make(REFERENCE)
    return replace(study, arms=study.planned, expected=())


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
        for arm in study.planned
        if dict(arm.labels)["images"] == "intel"
    }
    assert way["head only"] < way["last modules"] < way["all"] < way["AlexNet, from scratch"]
    once = way["head only"]  # one forward pass of each image
    whole = 18 * (7_867 - 7_867 % 64) / 7_867  # six epochs of whole batches, three passes each
    assert way["all"] == pytest.approx(once + whole * once)
    assert way["from scratch"] == pytest.approx(whole * once)


def test_a_way_says_which_images_its_weights_come_from():
    quick, large = (transfer.transfer(Scale(name)) for name in ("quick", "reference"))
    found = {
        (study is large, dict(arm.labels)["way"]): transfer_results.starts_from(arm.experiment)
        for study in (quick, large)
        for arm in study.planned
    }
    assert found[True, "last modules"] == "ImageNet" and found[False, "all"] == "digits"
    assert {found[False, "from scratch"], found[True, "AlexNet, from scratch"]} == {"nothing"}


@pytest.fixture
def ten_copies(monkeypatch):
    """A card whose test images of class 2 have a copy; one of them has two."""
    rows = [{"test": place} for place in (*range(2, PICTURES, 6), 8)]
    kept = Measurement(rows, {"fingerprint": "f" * 16})
    fake = SimpleNamespace(measured=kept)
    monkeypatch.setattr(copies_results, "card", lambda name: fake)
    return kept


def test_copies_are_judged_on_the_test_images_that_they_concern(ten_copies):
    memory = results(transfer_images.copies, "all")
    for named, one in memory.recorded():
        if named["training"] == "without copies" and named["images"] == "intel":
            said = one.steps[-1]["answers"]["class"]
            said[2::6] = [0] * 10  # true is class 2
    table = copies_results.copies_table(memory)
    assert table.loc["intel", "pictures"].tolist() == [60, 10, 50]
    assert table.loc["intel", "without (%)"].tolist() == ["83.33", "0.00", "100.00"]
    change = table["change (points)"].str.split(" ").str[0]
    assert change["intel"].tolist() == ["-16.67", "-100.00", "+0.00"]
    assert change["caltech101"].tolist() == ["+0.00"] * 3
    said = copies_results.worth(memory, "intel")
    assert "-100.00 (" in said and "on 10 test images (with a copy in another split): lower" in said
    assert "on 60 test images (all): lower" in said and "others" not in said


def test_accuracy_without_the_copied_test_images(ten_copies):
    files = results(transfer_files.files, "all").where(file="120 kB")  # wrong on class 2
    said = copies_results.on_other_images(files, "intel")
    assert "83.33 ± 0.00 % on all" in said and "100.00 ± 0.00 % on those without" in said
    assert "(n = 3)" in said
    none = results(transfer_files.files, "none")
    assert copies_results.on_other_images(none, "intel") == "**intel**: not trained yet."


def test_copies_of_other_images_are_refused(ten_copies):
    memory = results(transfer_images.copies, "all")
    ten_copies.about["fingerprint"] = "other"
    with pytest.raises(ValueError, match="not measured on the images of this record"):
        copies_results.copies_table(memory)


PARTS = ("none", "one arm", "one seed", "all")


@pytest.mark.parametrize("part", PARTS)
def test_every_table_and_sentence_bears_missing_records(part, ten_copies):
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
    gaps = copies_results.copies_table(memory)
    assert len(gaps) == {"one seed": 6, "all": 6}.get(part, 0)
    said = copies_results.prediction(memory, {"intel": "undecided"})
    found = "no run yet" if gaps.empty else "undecided"
    assert said.startswith(f"**intel**: predicted undecided, found {found}. The prediction")
    assert ("not trained yet" in copies_results.worth(memory, "intel")) == gaps.empty
    table = file_results.files_table(files)
    assert len(table) == {"none": 0, "one arm": 1}.get(part, 14)
    goal = file_results.goal(files, "intel", "120 kB", 0.5, dense=90)
    assert ("open" in goal) == (part != "all")
    for images in ("intel", "caltech101"):
        scenes = ways.where(images=images)
        assert ("95 % intervals" in scenes.verdict("way", "last modules")) == (part == "all")
        said = scenes.prediction("way", "last modules", {"all": "higher"})
        found = {"one seed": "not complete yet, 1 of 3", "all": "found"}.get(part)
        assert found in said if found else "open" in said or "no run yet" in said
    few = transfer_results.ways_table(results(transfer_images.few_images, part), "per_class")
    assert len(few) == {"none": 0, "one arm": 1}.get(part, 12)
    decided = part == "all"
    assert ("open" in file_results.added_prediction(files)) != decided
    assert ("still open" in file_results.files_prediction(files)) == (part in ("none", "one arm"))


@pytest.mark.parametrize("part", PARTS)
def test_who_pays_is_told_with_intervals_or_left_open(part):
    files = results(transfer_files.files, part)
    frame = answers.answers(files.where(images="intel", file="120 kB"))
    gaps = {by: answers.lost_by(frame, by) for by in ("class", "brightness", "contrast")}
    told = answers.worst(frame)
    if part in ("none", "one arm"):
        assert frame.empty and "open" in told and answers.lost_figure(gaps) is None
        assert answers.lost_table(gaps["class"], "class").empty
        assert "open" in answers.prediction(gaps["class"])
        assert "open" in answers.on_worst_class(frame, frame)
        return
    assert len(frame) == PICTURES * {"one seed": 1, "all": 3}[part]
    assert "**2**" in told and gaps["class"]["2"].verdict() == "lower"
    assert ("worst in 3 of 3 seeds" in told) == (part == "all")
    said = answers.prediction(gaps["class"])
    assert "of the prediction holds: the interval excludes zero for 2 (lower)." in said
    without = {name: gap for name, gap in gaps["class"].items() if name != "2"}
    assert "prediction fails: no interval excludes zero." in answers.prediction(without)
    assert gaps["class"]["1"].estimate == 0 and len(gaps["brightness"]) == 4
    assert answers.lost_figure(gaps) is not None
    moved = answers.changed(frame, 5)
    assert (moved["class"] == 2).all() and moved["share_before"].is_monotonic_decreasing


def told_of(seeds: list[list[int]]) -> pd.DataFrame:
    """Answers of each seed after compression, to six pictures of classes 0, 0, 0, 1, 1, 1."""
    frame = pd.DataFrame({"picture": range(6), "class": [0, 0, 0, 1, 1, 1]})
    frame = frame.assign(before=frame["class"], brightness=range(6))
    return pd.concat([frame.assign(seed=i, after=after) for i, after in enumerate(seeds)])


def test_a_picture_counts_with_its_mean_over_the_seeds():
    frame = told_of([[0, 0, 1, 1, 1, 1], [0, 0, 1, 0, 1, 1], [0, 0, 0, 0, 0, 1]])
    gaps = answers.lost_by(frame, "class")
    assert gaps["0"].estimate == pytest.approx(-100 * 2 / 9)  # one of three, in two of three seeds
    assert gaps["1"].estimate == pytest.approx(-100 * 3 / 9) and gaps["1"].n == 3
    assert "worst class is **1**" in answers.worst(frame)
    assert "worst in 1 of 3 seeds" in answers.worst(frame)
    first = answers.lost_by(frame[frame["seed"] == 0], "class")["0"]
    assert first.method == "McNemar" and first.estimate == pytest.approx(-100 / 3)


def test_answers_that_cannot_be_paired_are_refused():
    frame = told_of([[0] * 6, [1] * 6])
    with pytest.raises(ValueError, match="choose one file and set first"):
        answers.lost_by(pd.concat([frame, frame]), "class")
    with pytest.raises(ValueError, match="answers for the same pictures"):
        answers.lost_by(frame.iloc[:-1], "class")


def test_another_file_is_judged_on_the_class_that_the_first_one_hurts():
    plain = told_of([[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1]])
    other = told_of([[0, 0, 1, 1, 1, 1], [0, 0, 1, 0, 1, 1]])
    said = answers.on_worst_class(plain, other, ["sea", "hill"])
    assert "On **hill**, the class that loses most, the accuracy changes by +50.00 points" in said
    assert "mean of 2 seeds, all classes at once): undecided." in said
    assert said.endswith(
        "The class was chosen by these same answers, which favours the other file."
    )


def test_a_goal_is_missed_in_words_that_come_from_numbers():
    files = results(transfer_files.files, "all")
    assert "**reached**" in file_results.goal(files, "intel", "120 kB", 0.5, dense=90)
    assert "**missed**" in file_results.goal(files, "intel", "120 kB", 0.2, dense=90)
    assert "**reached**" in file_results.goal(files, "intel", "120 kB", 0.5, most_bytes=100)
    large = file_results.goal(files, "intel", "120 kB", 0.5, most_bytes=99)
    assert large.endswith("in 99 bytes is **missed** in the mean.")
    longer = file_results.goal(files, "intel", "120 kB", 0.1, against="dense, trained on")
    assert "*dense, trained on* 91.10 %, 0.30 points lost" in longer and "**missed**" in longer
    assert "**missed**" in file_results.goal(files, "intel", "120 kB", 0.5, dense=95)
    assert "holds in the means." in file_results.added_prediction(files)


def test_a_goal_is_not_decided_where_the_interval_holds_it():
    files = results(transfer_files.files, "all")
    for named, one in files.recorded():
        if (named["file"], named["seed"]) == ("120 kB, trained on", 2):
            one.steps[-1]["test_accuracy"] += 0.3  # 0.3, 0.3 and 0 points are lost
    file = "120 kB, trained on"
    said = file_results.goal(files, "intel", file, 0.5, dense=90)
    assert "0.20 points lost in the mean of 3 of 3 seeds (0.30, 0.30, 0.00; 95 % interval" in said
    half = 4.3027 * 0.3 / 3**0.5 / 3**0.5  # t for 2 degrees; the deviation is 0.3 / sqrt(3)
    assert f"{0.2 - half:.2f} to {0.2 + half:.2f})" in said
    assert said.endswith("is **reached** in the mean, not decided.")
    far = file_results.goal(files, "intel", file, 2.0, dense=90)
    assert far.endswith("is **reached** in the mean.")
    dense = file_results.goal(files, "intel", file, 0.5, dense=95)
    assert dense.endswith("is **missed** in the mean.")  # whatever the interval
    added = file_results.added_prediction(files)
    assert added.endswith("holds in the means; the intervals do not decide it.")


def test_what_was_predicted_of_two_files_fails_where_both_lose_as_much():
    files = results(transfer_files.files, "all")  # every file loses 0.3 points
    said = file_results.files_prediction(files)
    assert said.count("0.30 points lost in the mean of 3 of 3 seeds") == 2
    assert said.endswith("fails in the means.")
    assert "open" in file_results.files_prediction(results(transfer_files.files, "one arm"))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([(True, True), (True, True)], "holds in the means"),
        ([(True, True), (True, False)], "holds in the means; the intervals do not decide it"),
        ([(False, True), (True, False)], "fails in the means"),
        ([(False, False), (True, True)], "fails in the means; the intervals do not decide it"),
    ],
)
def test_one_part_that_surely_fails_decides_a_prediction(parts, words):
    assert file_results._of_all(parts) == words


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
    measured = ("intel", "caltech101")
    for name in measured:
        rows = card(name).rows()
        assert "pairs of a test image" in rows["copies"] and rows["terms"]
        assert copies_results.copies_figure(card(name).measured) is not None
    assert set(CARDS) == {*measured, "caltech256"}
    assert card("caltech256").rows()["copies"] == "not measured"
    with pytest.raises(ValueError, match="unknown card 'zoo'; accepted: intel, caltech101"):
        card("zoo")
    both = copies_results.copies_figure(*(card(name).measured for name in CARDS))
    assert len(both.axes) % 4 == 0 and sum(bool(ax.images) for ax in both.axes) > 8
    assert copies_results.copies_figure(None) is None
    assert copies_results.copies_figure(Measurement([], {"classes": []})) is None
    row = {"mirrored": False, "labels": [0, 0], "test": 3}
    close = [row | {"bits": bits, "correlation": r} for bits, r in ((0, 1.0), (0, 0.99), (1, 1.0))]
    about = {"counts": [8, 1, 5], "per_class": [1, 9]}
    kept = Measurement(close, about)
    monkeypatch.setattr("squeeze_utils.data.cards.read_measurement", lambda name: kept)
    said = card("intel").rows()["copies"]
    assert "test images affected: 1;" in said and "correlate by 1.0000: 1 (" in said
    monkeypatch.setattr("squeeze_utils.data.cards.read_measurement", lambda name: None)
    assert card("intel").rows()["images"] == "not measured"
