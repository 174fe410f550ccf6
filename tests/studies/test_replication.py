"""One more seed of an arm, and committed records drawn and run again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import squeeze_utils as sq
from squeeze_utils.base import measurements, paths
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.run_study import run_study
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.results.one_more_seed import OneMoreSeed
from squeeze_utils.studies import replication
from squeeze_utils.studies.record_draw import draw_records
from squeeze_utils.training.distributed import TrainTogether
from squeeze_utils.training.loop import Train

SMALL = Experiment(
    ModelSpec.of("lenet_300_100", image_size=8), DataSpec(size=8), (Train(1, lr=0.1),), 0
)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Records of a small study, really run."""
    study = Study("small", "?", [Arm.of(SMALL, network="LeNet")])
    run_study(study, folder=tmp_path / "runs", progress=False)
    return tmp_path / "runs"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table of what was run again, in a folder of the test's own."""
    path = tmp_path / "replications.json"
    monkeypatch.setattr(measurements, "measurement_path", lambda name: path)
    return path


def test_the_interval_is_that_of_one_further_observation() -> None:
    known = np.random.default_rng(0).normal(90, 0.3, 5)
    low, high = OneMoreSeed(9, 90.0, tuple(known)).interval
    reach = stats.t.ppf(0.975, 4) * known.std(ddof=1) * np.sqrt(1 + 1 / 5)
    assert (low, high) == pytest.approx((known.mean() - reach, known.mean() + reach))


def test_one_further_seed_in_twenty_falls_outside() -> None:
    draws = np.random.default_rng(1).normal(90, 0.3, (2_000, 6))
    outside = [not OneMoreSeed(9, row[0], tuple(row[1:])).inside for row in draws]
    assert 0.04 < np.mean(outside) < 0.06


def test_the_sentence_says_where_a_seed_falls() -> None:
    inside = OneMoreSeed(9, 90.1, (90.0, 90.2, 90.3))
    assert "Seed 9 reaches **90.10 %**" in inside._repr_markdown_()
    assert "3 recorded seeds reach 90.00 to 90.30 %" in inside._repr_markdown_()
    assert inside._repr_markdown_().endswith("It lies inside.")
    assert "outside" in OneMoreSeed(9, 80.0, (90.0, 90.2, 90.3))._repr_markdown_()
    assert "too few to compare" in OneMoreSeed(9, 80.0, (90.0,))._repr_markdown_()


def test_the_sentence_names_the_score_where_it_is_no_accuracy() -> None:
    boxes = OneMoreSeed(9, 40.1, (40.0, 40.2, 40.3), "mAP50")._repr_markdown_()
    assert boxes.startswith("Seed 9 reaches **40.10 %** mAP50 on the test pictures.")
    assert "accuracy" not in boxes and "mAP" not in OneMoreSeed(9, 90.1, (90.0,))._repr_markdown_()


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path)


@pytest.mark.usefixtures("cached")
def test_an_arm_is_trained_with_another_seed() -> None:
    nine, ten = (replace(SMALL, seed=seed) for seed in (9, 10))
    first, again, (other, _) = (replication.train_arm(one) for one in (nine, nine, ten))
    assert first == again and first[1] == "accuracy"
    assert 20 < first[0] < 100 and other != first[0]


@pytest.mark.usefixtures("cached")
def test_boxes_are_judged_by_their_own_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    last = {"test_accuracy": 40.1, "measure": "mAP50"}
    monkeypatch.setattr(replication, "run_experiment", lambda *given, **how: (None, [last]))
    monkeypatch.setattr(replication, "finish", lambda state, steps: steps)
    assert replication.train_arm(SMALL) == (40.1, "mAP50")


@pytest.mark.usefixtures("cached")
def test_how_long_an_arm_takes_is_said_before_it_is_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []

    def judged(*given: object) -> tuple[float, str]:
        said.append(capsys.readouterr().err)
        return 80.0, "accuracy"

    monkeypatch.setattr(replication, "_judged", judged)
    monkeypatch.setattr(replication.durations, "likely_seconds", lambda experiment: 600)
    replication.train_arm(SMALL)
    assert said[0].startswith("about 10 minutes on ") and said[0].endswith("(an estimate)\n")


@pytest.mark.slow
@pytest.mark.usefixtures("cached")
def test_what_several_processes_train_is_trained_by_as_many(tmp_path: Path) -> None:
    both = replace(SMALL, recipe=(TrainTogether(1, lr=0.1, workers=2, precision="float32"),))
    accuracy, _ = replication.train_arm(both)
    assert 20 < accuracy < 100
    assert list(tmp_path.glob("states/*.state"))  # goes on from there


def test_a_study_hands_over_the_seeds_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(replication, "train_arm", lambda one: asked.append(one) or (80.0, "mIoU"))
    found = sq.study("dsd").replicate("DSD 50%", seed=9)
    (experiment,) = asked
    assert experiment.seed == found.seed == 9 and len(found.known) == 5 and min(found.known) > 75
    assert (found.accuracy, found.measure) == (80.0, "mIoU")
    assert experiment.recipe == sq.study("dsd").recipe(recipe="DSD 50%")


@pytest.mark.parametrize(
    ("arm", "seed", "message"),
    [
        ("DSD 51%", 9, "dsd has no arm 'DSD 51%'; accepted: "),
        ("DSD 50%", 0, "seed 0 of 'DSD 50%' is one of the study's own"),
    ],
)
def test_an_unknown_arm_and_a_known_seed_are_refused(arm: str, seed: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sq.study("dsd").replicate(arm, seed)


def test_an_arm_has_to_be_told_from_others_of_the_same_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        ValueError, match="transfer has several arms 'last modules': give images too"
    ):
        sq.study("transfer").replicate("last modules", 9)
    asked = []
    monkeypatch.setattr(replication, "train_arm", lambda one: asked.append(one) or (90.0, ""))
    found = sq.study("transfer").replicate("last modules", 9, images="intel")
    assert asked[0].data.name == "intel" and len(found.known) == 3


def test_where_each_seed_has_images_or_settings_of_its_own_none_can_be_added() -> None:
    with pytest.raises(ValueError, match="each of its seeds has settings or images of its own"):
        sq.study("tuned").replicate("random", 9)
    with pytest.raises(ValueError, match=r"no arm of dsd has the labels .*nope"):
        sq.study("dsd").replicate("DSD 50%", 9, recipe="nope")


def test_labels_of_no_arm_are_refused_before_anything_is_trained() -> None:
    with pytest.raises(ValueError, match=r"no arm of baseline has the labels .*LeNet5"):
        sq.study("baseline").run(model="LeNet5")


def test_a_record_run_again_on_this_machine_is_equal(runs: Path, kept: Path) -> None:
    drawn = draw_records(1, minutes=10, seed=0, runs=runs).drawn
    (row,) = replication.repeat_records(drawn)
    assert row["again"] == row["recorded"] and row["study"] == "small"
    assert "1 record, 1 equal to the last digit" in replication.deviations_sum([row])
    list(replication.repeat_records(drawn))  # the newest of a record on a device stays
    found = measurements.read_measurement(replication.KEPT)
    assert found is not None and len(found.rows) == 1 and kept.is_file()


@pytest.mark.parametrize(
    "error", [OSError(30, "Read-only file system"), ValueError("damaged table replications.json")]
)
def test_a_row_that_cannot_be_kept_is_shown(
    error: Exception,
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*given: object, **about: object) -> None:
        raise error

    monkeypatch.setattr(measurements, "keep_measurement", refuse)
    monkeypatch.setattr(replication, "_judged", lambda *given: (81.234, "accuracy"))
    rows = list(replication.repeat_records(draw_records(1, 10, 0, runs).drawn))
    assert [row["again"] for row in rows] == [81.23]
    assert f"shown but not kept: {error}" in capsys.readouterr().err


def test_deviations_are_told_one_by_one_and_summed_up() -> None:
    rows = [
        {"study": "dsd", "record": "a-s0-1234", "recorded": 80.0, "again": again}
        for again in (80.0, 80.3, 79.6)
    ]
    assert replication.deviation_line().split() == ["record", "recorded", "again", "points"]
    assert replication.deviation_line(rows[1]).split() == ["dsd/a-s0", "80.00", "80.30", "+0.30"]
    said = replication.deviations_sum(rows)
    assert said == "3 records, 1 equal to the last digit; root mean square 0.29"
