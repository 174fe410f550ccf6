"""Several parts of a study as one family: corrected together, named by their part."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import tiny_spec

from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results import one_family
from squeeze_utils.results.study_results import Results
from squeeze_utils.training.loop import Train

SPREAD = (0.0, 0.3, -0.3)
MEANS = {"narrow": (80.0, 70.0, 60.0), "pruned": (79.0, 66.0, 60.0), "cut": (70.0, 70.5, 50.0)}


def found(*kinds: str) -> Results:
    """Three seeds of each kind at three sizes; no two networks share a training."""
    arms, records = [], {}
    for place, kind in enumerate(kinds):
        for size, mean in enumerate(MEANS[kind]):
            for seed, off in enumerate(SPREAD):
                step = Train(1, lr=0.1 + place + size / 10)
                arm = Arm.of(
                    Experiment(tiny_spec(), DataSpec(), (step,), seed), kind=kind, size=size
                )
                last = {"step": step.as_dict(), "seconds": 1.0, "history": [{"epoch": 1}]}
                last["test_accuracy"] = mean + off * (1 + place)
                about = {"labels": dict(arm.labels), "device": "cpu", "commit": "none"}
                record = Record.of(arm.experiment, [last], **about, data_fingerprint="0")
                arms, records = [*arms, arm], {**records, arm.experiment.key: record}
    return Results(Study("sizes", "?", arms), records)


def parts(results: Results) -> dict[str, Results]:
    return {f"size {size}": results.where(size=size) for size in range(3)}


def test_every_interval_is_corrected_for_all_parts():
    every = parts(found("narrow", "pruned"))
    gaps = one_family.compare(every, "kind", "narrow")
    assert gaps["mean"].to_dict() == pytest.approx({"size 0": -1.0, "size 1": -4.0, "size 2": 0.0})
    alone = every["size 0"].compare("kind", "narrow").loc["pruned"]
    assert gaps.loc["size 0", "low"] < alone["low"] and alone["high"] < gaps.loc["size 0", "high"]
    assert gaps["verdict"].tolist() == ["undecided", "lower", "undecided"]
    words = one_family.verdict(every, "kind", "narrow")
    assert words.startswith("Against narrow, in points (95 % intervals for 3 comparisons together)")
    assert "lower: **size 1** -4.00" in words


def test_a_part_with_several_arms_names_them():
    gaps = one_family.compare(parts(found("narrow", "pruned", "cut")), "kind", "narrow")
    assert list(gaps.index[:3]) == ["pruned, size 0", "cut, size 0", "pruned, size 1"]
    assert gaps.loc["cut, size 0", "verdict"] == "lower"
    words = one_family.verdict(parts(found("narrow", "pruned", "cut")), "kind", "narrow")
    assert "for 6 comparisons together" in words and "**“cut, size 2”**" in words


def test_a_margin_is_passed_on():
    gaps = one_family.compare(parts(found("narrow", "pruned")), "kind", "narrow", margin=5)
    assert gaps.loc["size 2", "verdict"] == "equal within ±5"


def test_a_part_that_is_not_trained_yet_counts_and_has_no_row():
    every = parts(found("narrow", "pruned"))
    waiting = {**every, "size 2": replace(every["size 2"], by_key={})}
    whole, part = (one_family.compare(p, "kind", "narrow") for p in (every, waiting))
    assert list(part.index) == ["size 0", "size 1"]
    assert part.loc["size 0", "low"] == whole.loc["size 0", "low"]
    told = one_family.prediction(waiting, "kind", "narrow", {"size 1": "lower", "size 2": "lower"})
    assert "**size 2**: predicted lower, found no run yet. The prediction is not decided." in told
    nothing = {name: replace(one, by_key={}) for name, one in every.items()}
    assert one_family.compare(nothing, "kind", "narrow").empty
    assert "no reference records" in one_family.verdict(nothing, "kind", "narrow")
    told = one_family.prediction(nothing, "kind", "narrow", {"size 0": "lower"})
    assert told.startswith("The prediction is still open")


def test_predictions_are_judged_by_the_family():
    every = parts(found("narrow", "pruned"))
    told = one_family.prediction(every, "kind", "narrow", {"size 1": "lower", "size 0": "lower"})
    assert "**size 1**: predicted lower, found lower" in told
    assert told.endswith("The prediction is not decided.")
    held = one_family.prediction(every, "kind", "narrow", {"size 1": "lower"})
    assert held.endswith("The prediction holds.")


def test_wrong_names_and_an_empty_family_are_refused():
    every = parts(found("narrow", "pruned"))
    with pytest.raises(ValueError, match="at least one part"):
        one_family.compare({}, "kind", "narrow")
    with pytest.raises(ValueError, match="no kind is called 'wide'; there are: narrow, pruned"):
        one_family.verdict(every, "kind", "wide")
    with pytest.raises(ValueError, match="unknown row 'size 9'; accepted: size 0, size 1"):
        one_family.prediction(every, "kind", "narrow", {"size 9": "lower"})
