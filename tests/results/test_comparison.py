from __future__ import annotations

import dataclasses

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tiny import tiny_spec

from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results import comparison
from squeeze_utils.results.statistics import pooled, welch
from squeeze_utils.results.study_results import Results
from squeeze_utils.results.tables import NO_RECORDS
from squeeze_utils.training.loop import Train

matplotlib.use("Agg")

# Test accuracies by kind and seed: "up" lies above "plain" by more than the seeds do.
ACCURACY = {"plain": (60.0, 60.4, 60.8), "up": (62.0, 62.4, 62.9), "noisy": (58.0, 60.0, 66.0)}


def arms(seeds: int) -> list[Arm]:
    return [
        Arm.of(Experiment(tiny_spec(), DataSpec(), (Train(1, lr=lr),), seed), kind=kind, lr=lr)
        for kind, lr in (("plain", 0.1), ("up", 0.2), ("noisy", 0.3))
        for seed in range(seeds)
    ]


def results_of(seeds: int) -> Results:
    study = Study("kinds", "which kind?", arms(seeds))
    records = {}
    for arm in study.arms:
        labels = dict(arm.labels)
        step = {
            "step": arm.experiment.recipe[0].as_dict(),
            "seconds": 1.0,
            "validation_accuracy": 10 * labels["lr"],
            "parameters": 100,
            "nonzero": 100,
            "test_accuracy": ACCURACY[labels["kind"]][arm.experiment.seed],
        }
        records[arm.experiment.key] = Record.of(
            arm.experiment,
            [step],
            labels=labels,
            device="cpu",
            data_fingerprint="0",
            commit="none",
        )
    return Results(study, records)


def frame_of(**values) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"kind": kind, "seed": seed, "test_accuracy": value}
            for kind, found in values.items()
            for seed, value in enumerate(found)
        ]
    )


def test_the_table_says_accuracy_n_rate_and_costs():
    table = results_of(3).table("kind")
    assert list(table.index) == ["plain", "up", "noisy"]
    assert table.loc["plain", "test accuracy (%)"] == "60.40 ± 0.40"
    assert table.loc["noisy", "learning rate"] == "0.3" and (table["n"] == 3).all()
    assert table.loc["up", "parameters"] == "100"
    assert float(table.loc["up", "multiply-adds (M)"]) > 0
    assert "ms per step" not in table  # digits are not what the kept timings are of


def test_networks_that_share_nothing_are_compared_by_welch():
    gaps = results_of(3).compare("kind", "plain")
    a, b = np.array(ACCURACY["up"]), np.array(ACCURACY["plain"])
    exact = stats.ttest_ind(a, b, equal_var=False).confidence_interval(1 - 0.05 / 2)
    assert gaps.loc["up", "low"] == pytest.approx(exact.low)
    assert gaps.loc["up", "high"] == pytest.approx(exact.high)
    assert gaps["verdict"].to_dict() == {"up": "higher", "noisy": "undecided"}


def test_networks_that_share_a_training_are_compared_seed_by_seed():
    """Deviations of one and two points between seeds, and a difference of 0.5 in each pair."""
    dense = Train(1, lr=0.1)
    recipes = {"dense": (dense, Train(2)), "pruned": (dense, Prune(0.5)), "other": (Train(3),)}
    arms = [
        Arm.of(Experiment(tiny_spec(), DataSpec(), recipe, seed), kind=kind)
        for kind, recipe in recipes.items()
        for seed in range(3)
    ]
    study = Study("kinds", "which kind?", arms)
    assert comparison.arms_that_share(study, "kind", "dense") == {"pruned"}
    frame = frame_of(dense=[50.0, 60.0, 70.0], pruned=[50.5, 60.51, 70.49], other=[1.0, 2.0, 4.0])
    gaps = comparison.differences_table(frame, "kind", "dense", shared={"pruned"})
    assert gaps.loc["pruned", "verdict"] == "higher"
    apart = comparison.differences_table(frame, "kind", "dense")
    assert apart.loc["pruned", "verdict"] == "undecided"


def test_a_study_may_declare_that_its_arms_deviate_alike():
    declared = results_of(3)
    study = dataclasses.replace(declared.study, pools_deviation=True)
    gaps = dataclasses.replace(declared, study=study).compare("kind", "plain")
    groups = {kind: list(values) for kind, values in ACCURACY.items()}
    alone = pooled(groups, "up", "plain", confidence=1 - 0.05 / 2)
    assert gaps.loc["up", ["low", "high"]].tolist() == pytest.approx([alone.low, alone.high])


def test_an_arm_with_a_deviation_of_its_own_does_not_widen_the_others():
    values = {"plain": [60.0, 60.1, 60.2], "like": [60.3, 60.4, 60.5], "wild": [40.0, 55.0, 70.0]}
    frame = frame_of(**values)
    found = comparison.differences(frame, "kind", "plain", pools={"plain", "like"})
    alike = {kind: values[kind] for kind in ("plain", "like")}
    for name, one in (
        ("like", pooled(alike, "like", "plain", confidence=1 - 0.05 / 2)),
        ("wild", welch(values["wild"], values["plain"], confidence=1 - 0.05 / 2)),
    ):
        assert (found[name].low, found[name].high) == pytest.approx((one.low, one.high))
    study = dataclasses.replace(results_of(3).study, pools_deviation=True, own_deviation=["up"])
    assert "up" not in comparison.arms_that_pool(study, "kind")
    assert "plain" in comparison.arms_that_pool(study, "kind")
    with pytest.raises(ValueError, match="pools no deviation that arms could be left out of"):
        dataclasses.replace(study, pools_deviation=False)


def test_a_margin_tells_equal_from_undecided():
    frame = frame_of(plain=[60.0, 60.1, 60.2], same=[60.1, 60.2, 60.1], noisy=[58.0, 60.0, 62.0])
    gaps = comparison.differences_table(frame, "kind", "plain", margin=1)
    assert gaps["verdict"].to_dict() == {"same": "equal within ±1", "noisy": "undecided"}


def test_one_seed_gives_no_interval():
    gaps = comparison.differences_table(frame_of(plain=[50.0, 60.0], other=[52.0]), "kind", "plain")
    assert gaps.loc["other", ["mean", "n", "verdict"]].tolist() == [-3.0, 1, "undecided"]
    assert np.isnan(gaps.loc["other", "low"])


def test_an_unknown_control_is_refused():
    with pytest.raises(ValueError, match="no kind is called 'dense'; there are: plain, other"):
        comparison.differences_table(frame_of(plain=[1.0], other=[2.0]), "kind", "dense")


def test_several_results_of_one_arm_and_seed_are_refused():
    both = pd.concat([frame_of(plain=[1.0, 2.0], other=[2.0, 3.0]).assign(task=t) for t in "ab"])
    with pytest.raises(ValueError, match="several results for one kind and seed: choose rows by"):
        comparison.differences_table(both, "kind", "plain")
    one = both[both["task"] == "a"]
    assert len(comparison.differences_table(one, "kind", "plain")) == 1


def without(results: Results, kind: str, seed: int) -> Results:
    """The results before one of the networks was trained."""
    (lost,) = results.study.where(kind=kind, seed=seed).arms
    found = {key: record for key, record in results.by_key.items() if key != lost.experiment.key}
    return dataclasses.replace(results, by_key=found)


def test_there_is_no_verdict_before_all_networks_of_both_arms_are_trained():
    part = without(results_of(3), "up", 1)
    gaps = part.compare("kind", "plain")
    assert gaps["verdict"].to_dict() == {"up": "not complete yet, 2 of 3", "noisy": "undecided"}
    assert not np.isnan(gaps.loc["up", "low"])  # two seeds have an interval all the same
    assert "not complete yet, 2 of 3: **up** +2.05" in part.verdict("kind", "plain")
    told = part.prediction("kind", "plain", {"up": "higher"})
    assert "found not complete yet, 2 of 3" in told and told.endswith(
        "The prediction is not decided."
    )
    label = part.figure("kind", "plain").axes[1].get_xlabel()
    assert label.endswith("n = 2 or 3; hollow: not complete yet")


def test_without_a_network_of_the_control_no_arm_has_a_verdict():
    gaps = without(results_of(3), "plain", 2).compare("kind", "plain")
    assert set(gaps["verdict"]) == {"not complete yet, 2 of 3"}


def test_intervals_count_the_arms_that_are_not_trained_yet():
    whole = results_of(3)
    part = without(without(without(whole, "noisy", 0), "noisy", 1), "noisy", 2)
    for results in (part, dataclasses.replace(part, study=expecting(whole.study, "noisy"))):
        gaps = results.compare("kind", "plain")
        assert gaps.loc["up", "low"] == whole.compare("kind", "plain").loc["up", "low"]
        assert "for 2 comparisons together" in results.verdict("kind", "plain")
    alone = dataclasses.replace(whole, study=whole.study.where(kind=("plain", "up")))
    assert alone.compare("kind", "plain").loc["up", "low"] > gaps.loc["up", "low"]


def expecting(study: Study, kind: str) -> Study:
    """The study before its pilot has found the rate of arms of this kind."""
    waits = study.where(kind=kind).arms
    kept = [arm for arm in study.arms if arm not in waits]
    return dataclasses.replace(study, arms=kept, expected=waits)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda r: r.compare("nope", "plain"), "unknown label 'nope'; accepted: kind, lr, seed"),
        (lambda r: r.verdict("kind", "nope"), "unknown kind 'nope'; accepted: plain, up, noisy"),
        (lambda r: r.compare("kind", "plain", "nope"), "unknown value 'nope'; accepted: kind"),
        (lambda r: r.table("nope"), "unknown label 'nope'"),
        (lambda r: r.figure("nope", "plain"), "unknown label 'nope'"),
        (lambda r: r.where(kind="nope"), "no arm of kinds has the labels .*plain"),
    ],
)
def test_wrong_names_are_refused_with_a_list_of_the_right_ones(ask, says):
    with pytest.raises(ValueError, match=says):
        ask(results_of(2))


def test_a_control_without_the_value_is_named_as_such():
    frame = pd.DataFrame({"kind": ["dense", "a"], "seed": [0, 0], "bytes": [np.nan, 9.0]})
    with pytest.raises(ValueError, match="'dense' has no bytes, so nothing can be compared"):
        comparison.differences(frame, "kind", "dense", "bytes")
    with pytest.raises(ValueError, match="no kind is called 'none'; there are: a"):
        comparison.differences(frame, "kind", "none", "bytes")


def test_arms_without_an_interval_stay_in_the_sentence():
    rows = [("plain", 0, 90.0), ("plain", 1, 90.2), ("a", 0, 95.0), ("a", 1, 95.2), ("b", 0, 50.0)]
    frame = pd.DataFrame(rows, columns=["kind", "seed", "test_accuracy"])
    planned = {"plain": 2, "a": 2, "b": 3}
    gaps = comparison.differences_table(frame, "kind", "plain", planned=planned)
    said = comparison.comparison_sentence(gaps, "plain")
    assert "for 2 comparisons together" in said
    assert "not complete yet, 1 of 3: **b** -40.10" in said


def test_an_empty_study_gives_empty_tables_and_says_so():
    empty = Results(Study("kinds", "which kind?", [], expected=arms(1)), {})
    assert not empty and empty.table("kind").empty and empty.epochs().empty
    assert empty.compare("kind", "plain").empty
    assert empty.verdict("kind", "plain") == empty.source == NO_RECORDS
    assert NO_RECORDS in empty.prediction("kind", "plain", {"up": "higher"})


def test_an_empty_study_has_no_figure(capsys):
    assert Results(Study("kinds", "which kind?", []), {}).figure("kind", "plain") is None
    assert capsys.readouterr().out == ""  # the package prints nothing; `verdict` says it


def test_the_verdict_is_one_sentence_that_notebooks_show_as_markdown():
    said = results_of(3).verdict("kind", "plain")
    assert said.startswith("Against plain, in points (95 % intervals for 2 comparisons together): ")
    assert "higher: **up** +2.03 (" in said and "undecided: **noisy** +0.93 (" in said
    assert said._repr_markdown_() == str(said)


def test_a_name_with_a_comma_stays_one_name():
    found = results_of(3)
    renamed = [
        dataclasses.replace(arm, labels=(("kind", f"{dict(arm.labels)['kind']}, twice"),))
        for arm in found.study.arms
    ]
    study = dataclasses.replace(found.study, arms=renamed)
    said = dataclasses.replace(found, study=study).verdict("kind", "plain, twice")
    assert "**“up, twice”** +2.03" in said and "undecided: **“noisy, twice”**" in said


def test_one_seed_is_called_luck():
    said = results_of(1).verdict("kind", "plain")
    assert said == "No arm and plain have two seeds each: no difference can be told from luck."
    three = results_of(3)
    lonely = [arm for arm in three.study.arms if arm.slug not in ("plain-0.1-s1", "plain-0.1-s2")]
    said = dataclasses.replace(three, study=dataclasses.replace(three.study, arms=lonely))
    assert "No arm and plain have two seeds each" in said.verdict("kind", "plain")


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_figure_shows_every_seed_and_every_interval(seeds):
    fig = results_of(seeds).figure("kind", "plain", "Three kinds")
    left, right = fig.axes
    shown = [line for line in left.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in shown] == [seeds] * 3
    assert len(right.collections) == (2 if seeds > 1 else 0)  # intervals
    assert ("95 % intervals for 2 comparisons together, n = 3" in right.get_xlabel()) == (seeds > 1)


def test_a_study_that_still_grows_is_shown_as_far_as_it_went():
    whole = results_of(3)
    without = {k: r for k, r in whole.by_key.items() if r.labels["kind"] != "plain"}
    part = dataclasses.replace(whole, by_key=without)
    assert "plain has no run yet" in part.verdict("kind", "plain")
    assert "plain, which has no run yet" not in part.figure("kind", "up").axes[1].get_xlabel()
    assert "plain, which has no run yet" in part.figure("kind", "plain").axes[1].get_xlabel()
    assert part.source.endswith("3 of 9 experiments still to come")
    alone = whole.where(kind="plain")
    assert alone.verdict("kind", "plain") == "Only plain has run so far."
    assert list(alone.table("kind").index) == ["plain"]


def test_a_control_can_come_from_another_study():
    whole = results_of(3)
    again = [
        Arm.of(dataclasses.replace(arm.experiment, seed=seed), network="the same", lr=0.5)
        for seed, arm in enumerate(whole.study.where(kind="plain").arms, 10)
    ]
    other = Results(Study("controls", "again", again), {})
    found = whole.with_control("kind", "up", other)
    assert [dict(arm.labels)["kind"] for arm in found.study.arms[2:7]] == [
        "plain", "up", "up", "up", "noisy",
    ]  # fmt: skip
    assert dict(found.study.arms[3].labels) == {"kind": "up", "lr": 0.5}
    assert len(found) == 6 and "up has no run yet" in found.verdict("kind", "up")
    same = whole.with_control("kind", "up", whole.where(kind="up"))
    assert same.compare("kind", "up").equals(whole.compare("kind", "up"))


def test_an_arm_that_is_the_same_for_every_seed_is_compared_as_a_number():
    frame = pd.DataFrame(
        {
            "way": ["head", "all", "all", "all"],
            "seed": [0, 0, 1, 2],
            "test_accuracy": [80.0, 82.0, 82.2, 82.4],
        }
    )
    gap = comparison.differences(frame, "way", "head", certain=("head",))["all"]
    half = 4.302653 * 0.2 / 3**0.5  # Student's t with two degrees of freedom
    assert (gap.low, gap.high) == pytest.approx((2.2 - half, 2.2 + half))
    assert gap.verdict() == "higher" and gap.n == 3
    other = comparison.differences(frame, "way", "all", certain=("head",))["head"]
    assert other.estimate == pytest.approx(-2.2) and other.verdict() == "lower"
    assert not comparison.differences(frame, "way", "head")


def test_an_arm_whose_rate_is_still_to_be_chosen_has_a_recipe_and_no_state():
    whole = results_of(1)
    study = dataclasses.replace(whole.study, arms=(), expected=whole.study.arms)  # a guess stands
    waiting = Results(study, {})
    assert waiting.experiment(kind="up").recipe == (Train(1, lr=0.2),)
    with pytest.raises(ValueError, match="no arm of kinds has the labels"):
        waiting.state(kind="up")


def test_parts_and_experiments_are_found_by_their_labels():
    whole = results_of(3)
    assert len(whole.where(kind=("plain", "up"))) == 6
    assert whole.experiment(kind="up").recipe == (Train(1, lr=0.2),)
    with pytest.raises(ValueError, match="no arm of kinds has the labels"):
        whole.experiment(kind="never")


@pytest.mark.parametrize(
    "predicted, end",
    [
        ({"up": "higher"}, "holds"),
        ({"up": "higher", "noisy": "undecided"}, "holds"),
        ({"up": "higher", "noisy": "not higher"}, "is not decided"),
        ({"up": "not lower"}, "holds"),
        ({"up": "lower"}, "fails"),
        ({"up": "undecided"}, "fails"),
        ({"up": "not higher"}, "fails"),
        ({"up": "higher", "noisy": "lower"}, "is not decided"),
        ({"up": "lower", "noisy": "lower"}, "fails"),
        ({"up": "higher", "other": "not lower"}, "is not decided"),
    ],
)
def test_a_prediction_holds_fails_or_is_not_decided(predicted, end):
    found, (waiting, *_) = results_of(3), arms(1)
    waiting = dataclasses.replace(waiting, labels=(("kind", "other"),))  # its pilot has not run
    found = dataclasses.replace(found, study=dataclasses.replace(found.study, expected=[waiting]))
    said = found.prediction("kind", "plain", predicted)
    assert said.endswith(f". The prediction {end}.")
    assert said.startswith(f"**up**: predicted {predicted['up']}, found higher")


@pytest.mark.parametrize(
    ("predicted", "words"),
    [
        ({"up": "Higher"}, "unknown predicted verdict 'Higher'; accepted: higher"),
        ({"up": "not better"}, "unknown predicted verdict 'better'"),
        ({"upp": "higher"}, "unknown kind against 'plain' 'upp'; accepted: up, noisy"),
        ({"plain": "higher"}, "unknown kind against 'plain' 'plain'"),
        ({}, "nothing is predicted"),
    ],
)
def test_a_mistyped_prediction_is_refused_not_judged(predicted, words):
    with pytest.raises(ValueError, match=words):
        results_of(3).prediction("kind", "plain", predicted)


def test_a_mistyped_label_is_refused():
    with pytest.raises(ValueError, match="unknown label 'kinds'; accepted: kind, lr"):
        results_of(3).prediction("kinds", "plain", {"up": "higher"})


def test_with_a_margin_equal_can_be_predicted_too():
    said = results_of(3).prediction("kind", "plain", {"up": "equal"}, margin=50)
    assert said == "**up**: predicted equal, found equal within ±50. The prediction holds."
