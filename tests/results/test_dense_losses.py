"""What fails first: with all records, with some, with none."""

from __future__ import annotations

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from finished import pretend  # noqa: E402

from squeeze_utils.base import paths  # noqa: E402
from squeeze_utils.base.scale import Scale  # noqa: E402
from squeeze_utils.experiments.records import read_records  # noqa: E402
from squeeze_utils.experiments.study import Study  # noqa: E402
from squeeze_utils.results import dense_losses  # noqa: E402
from squeeze_utils.results.dense_losses import (  # noqa: E402
    by_class,
    by_size,
    first_to_fail,
    loss_figure,
)
from squeeze_utils.results.study_results import Results  # noqa: E402
from squeeze_utils.studies import dense_answers  # noqa: E402

COUNTS = {"detection": [[700, 105], [71, 0], [60, 9]], "segmentation": [[9, 1]] + 10 * [[9, 2]]}


def study_with(task: str, tmp_path, count: int, monkeypatch, counted: bool = False) -> Results:
    """The study's arms, with so many pretended records; with objects or pixels `counted`."""
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    scale, name = Scale("reference"), "SqueezeNet"
    arms = [
        arm
        for seed in (0, 1, 2)
        for arm in dense_answers._with_fewer_bits(scale, task, name, 0.01, seed)
    ]
    study = Study("made_up", "?", arms)
    classes = {"detection": 3, "segmentation": 11}[task]
    for number, arm in enumerate(arms[:count]):
        bits = dict(arm.labels)["bits"]
        bits = 64 if bits == dense_losses.DENSE else bits
        pretend(arm, tmp_path / "runs" / "made_up")
        (path,) = (tmp_path / "runs" / "made_up").glob(f"*{arm.experiment.key}.json")
        record = next(iter(read_records_of(path).values()))
        record.steps[-1] |= {
            "measure": "mAP50",
            "test_accuracy": 50.0 + number,
            **{"parameters": 100, "nonzero": 100, "dense_bytes": 400, "file_bytes": 50},
            "test_per_class": [90.0 - (8 - min(bits, 8)) * place for place in range(classes)],
        }
        if counted:
            record.steps[-1]["confusion"] = COUNTS[task]
            record.steps[-1]["measure"] = {"detection": "mAP50", "segmentation": "mIoU"}[task]
        if task == "detection":
            record.steps[-1]["test_found_by_size"] = {"small": 10.0 * bits, "large": 90.0}
        path.write_text(record.text())
    return Results(study, study.records())


def read_records_of(path) -> dict:
    return {k: r for k, r in read_records(path.parent).items() if k in path.name}


@pytest.mark.parametrize("task", ["detection", "segmentation"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 18])
def test_tables_sentences_and_figures_with_any_number_of_records(
    task: str, count: int, tmp_path, monkeypatch
):
    found = study_with(task, tmp_path, count, monkeypatch)
    assert len(found) == count
    assert len(by_class(found)) == min(count, 6) and len(by_size(found)) == min(count, 6)
    words, figure = first_to_fail(found), loss_figure(found)
    assert (figure is None) == (count == 0)
    assert ("not known yet" in words) == (count < 3)  # dense, float, and fewer bits
    assert found.table("bits") is not None and found.source
    said = found.verdict("bits", dense_losses.DENSE)
    waits = "95 % intervals" if count > 6 else "Only dense" if count == 1 else "dense"
    assert (waits if count else "no reference records yet") in said
    assert (found.figure("bits", 32, "t") is None) == (count == 0)
    if figure is not None:
        ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
        assert ticks == ["dense", "float", "6", "4", "3", "2"][:count]
        assert figure.axes[0].get_title() == ("n = 3" if count == 18 else "n = 1")
    matplotlib.pyplot.close("all")


def test_aims_are_judged_seed_by_seed_and_open_without_records(tmp_path, monkeypatch):
    found = study_with("detection", tmp_path, 18, monkeypatch)  # each arm one point better
    words = dense_losses.aim(found, "cells", 57)
    said = "57 %: missed in the mean, not decided (56.00 % in the mean of 3 seeds: 50.00, 56.00, 62"
    assert said in words and "95 % interval 41.10 to 70.90" in words
    assert "reached (2 bits: 50 bytes at most, -5.00 points lost in the mean" in words
    assert "the file scores 61.00 %" in words
    assert "2 points lost: missed." in dense_losses.aim(found, "cells", 57, 49)
    assert "at least 40 %: reached (" in dense_losses.aim(found, "cells", 40)
    assert "2 bits: 50 bytes at most" in dense_losses.file_prediction(found, "cells", bits=2)
    files = {4: dense_losses._Files(50, [1.1, 2.3, 3.0], [60.0] * 3)}
    with monkeypatch.context() as patch:
        patch.setattr(dense_losses, "_files", lambda found: files)
        assert "lost: missed in the mean, not decided." in dense_losses.aim(found, "cells", 57)
        files[4] = dense_losses._Files(50, [2.9, 3.0, 3.1], [60.0] * 3)
        assert "points lost: missed." in dense_losses.aim(found, "cells", 57)
    none = Results(found.study, {})
    assert dense_losses.aim(none, "cells", 57) == "**Aims for cells**: open, not trained yet."


def test_a_spread_names_the_mean_the_seeds_and_the_interval():
    said = dense_losses._spread([3.83, 0.55, 1.22], "points")
    assert said.startswith("1.87 points in the mean of 3 seeds: 3.83, 0.55, 1.22; 95 % interval -2")


def test_bits_that_leave_nothing_are_told_and_the_next_ones_compared(tmp_path, monkeypatch):
    found = study_with("detection", tmp_path, 18, monkeypatch)
    classes = by_class(found)
    nothing = classes.copy()
    nothing.loc[2] = 0.0
    monkeypatch.setattr(dense_losses, "by_class", lambda found: nothing)
    words = first_to_fail(found)
    start = "At 2 bits nothing is found. At 3 bits the class that loses most in the mean is"
    assert words.startswith(start)
    nothing.loc[[3, 4, 6]] = 0.0
    assert first_to_fail(found).endswith("At 6 bits nothing is found.")


def test_the_prediction_of_a_small_file_is_judged_on_means(tmp_path, monkeypatch):
    found = study_with("detection", tmp_path, 18, monkeypatch)
    lower = dense_losses.file_prediction(found, "cells")  # each arm has one point more
    sizes = "Part (1) for cells, 4 bits: 50 bytes at most, "
    assert lower.startswith(f"{sizes}-3.00 points lost in the mean of 3 seeds: ")
    assert lower.endswith(": it holds.")
    assert dense_losses.file_prediction(found, "cells", points=-4.0).endswith("it fails.")
    assert dense_losses.file_prediction(found, "cells", most_bytes=49).endswith("it fails.")
    none = study_with("detection", tmp_path / "none", 1, monkeypatch)
    assert "not trained yet" in dense_losses.file_prediction(none, "cells")


def test_nothing_is_judged_before_all_seeds_are_there(tmp_path, monkeypatch):
    found = study_with("detection", tmp_path, 12, monkeypatch)  # two of three seeds
    assert dense_losses.aim(found, "cells", 57).endswith("open, not trained yet.")
    assert "open, not trained yet" in dense_losses.file_prediction(found, "cells")
    assert "open, not trained yet" in dense_losses.failing_prediction(found, "cells", ["platelet"])
    nearly = study_with("detection", tmp_path / "nearly", 17, monkeypatch)  # one file is missing
    assert "2 points lost: open, not" in dense_losses.aim(nearly, "cells", 57, most_bytes=49)
    assert "reached (" in dense_losses.aim(nearly, "cells", 40)


def test_the_class_and_the_size_that_lose_most_are_named(tmp_path, monkeypatch):
    words = first_to_fail(study_with("detection", tmp_path, 18, monkeypatch))
    assert "At 2 bits the class that loses most in the mean is *platelet* (12.0 points" in words
    assert "small 300.0, large 0.0" in words
    masks = study_with("segmentation", tmp_path / "masks", 18, monkeypatch)
    assert "by size" not in first_to_fail(masks)


def test_how_rare_the_class_is_that_loses_most(tmp_path, monkeypatch):
    cells = study_with("detection", tmp_path, 18, monkeypatch, counted=True)
    rare = "It has 7.3 % of the test objects: the rarest of 3 classes."
    assert rare in first_to_fail(cells)
    classes = by_class(cells)
    classes.loc[2] = [90.0, 10.0, 90.0]
    monkeypatch.setattr(dense_losses, "by_class", lambda found: classes)
    second = "*white cell* (80.0 points", "objects: number 2 from the rarest of 3 cla"
    assert all(words in first_to_fail(cells) for words in second)
    monkeypatch.undo()
    streets = study_with("segmentation", tmp_path / "masks", 18, monkeypatch, counted=True)
    assert "It has 9.2 % of the test pixels: number 2 from the rarest" in first_to_fail(streets)
    uncounted = study_with("detection", tmp_path / "no counts", 18, monkeypatch)
    assert "of the test" not in first_to_fail(uncounted)


def test_whether_the_class_that_was_expected_to_loses_most(tmp_path, monkeypatch):
    cells = study_with("detection", tmp_path, 18, monkeypatch)

    def judged(*expected: str, found: Results = cells) -> str:
        return dense_losses.failing_prediction(found, "BCCD", expected)

    held = "Part (2) for BCCD, 2 bits: in the mean *platelet* loses most. The prediction holds."
    assert judged("red cell", "platelet") == held
    assert judged("red cell").endswith("*platelet* loses most. The prediction fails.")
    none = Results(cells.study, {})
    assert judged("platelet", found=none) == "Part (2) for BCCD, 2 bits: open, not trained yet."
    nothing = by_class(cells)
    nothing.loc[2] = 0.0
    monkeypatch.setattr(dense_losses, "by_class", lambda found: nothing)
    assert "2 bits: nothing is found, so it cannot be tested" in judged("platelet")
