"""Two budgets in words: verdicts and orders that stay, change, or are still open."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import tiny_spec

from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results.budgets import Contrast, conclusion, order
from squeeze_utils.results.study_results import Results
from squeeze_utils.training.loop import Train

SPREAD = (0.0, 0.1, -0.1, 0.2, -0.2)


def trained(
    epochs: int, means: dict[str, float | None], seeds: int = 3, images: int = 500, lr: float = 0.1
) -> Results:
    """Networks by name with test accuracies around a mean; without a mean they have no record."""
    arms, records = [], {}
    for place, (name, mean) in enumerate(means.items()):
        for seed in range(seeds):
            step = Train(epochs, lr=lr + place)
            data = DataSpec(train_limit=images)
            arm = Arm.of(Experiment(tiny_spec(), data, (step,), seed), network=name, lr=lr + place)
            arms.append(arm)
            if mean is not None:
                last = {"step": step.as_dict(), "seconds": 1.0, "history": [{"epoch": 1}]}
                last["test_accuracy"] = mean + SPREAD[seed]
                about = {"labels": dict(arm.labels), "device": "cpu", "commit": "none"}
                about["data_fingerprint"] = "0"
                records[arm.experiment.key] = Record.of(arm.experiment, [last], **about)
    return Results(Study(f"after_{epochs}", "?", arms), records)


def contrast(found: Results, **more: float) -> Contrast:
    return Contrast(found, "network", "bypass", "plain", **more)


SHORT = trained(8, {"plain": 70.0, "bypass": 73.0})
LONG = {"seeds": 5, "images": 900}


def test_a_conclusion_that_stays_names_both_budgets():
    words = conclusion(contrast(SHORT), contrast(trained(24, {"plain": 86, "bypass": 87}, **LONG)))
    assert words == conclusion(contrast(SHORT), trained(24, {"plain": 86, "bypass": 87}, **LONG))
    assert words == (
        "**bypass** against plain: *higher* (+3.00 points, n = 3) after 8 epochs of 500 images, "
        "*higher* (+1.00 points, n = 5) after 24 epochs of 900 images. The verdict stays."
    )


def test_a_conclusion_that_changes_names_what_else_did():
    long = trained(24, {"plain": 87, "bypass": 86}, **LONG, lr=0.2)
    words = conclusion(contrast(SHORT), contrast(long))
    assert "*lower* (-1.00 points, n = 5)" in words
    assert words.endswith("changes too, and may be the reason: the budget, n, learning rate.")
    long = trained(24, {"plain": 87, "bypass": 87}, **LONG)
    words = conclusion(contrast(SHORT), contrast(long, margin=1))
    assert "*equal within ±1*" in words and words.endswith("the reason: the budget, n.")


def test_an_undecided_verdict_contradicts_nothing():
    long = trained(24, {"plain": 87.0, "bypass": 87.0}, **LONG)
    words = conclusion(contrast(SHORT), contrast(long))
    assert words.endswith("One of the two is undecided: they do not contradict each other.")


def test_a_conclusion_is_open_until_both_arms_have_an_interval():
    untrained = trained(24, {"plain": None, "bypass": None}, **LONG)
    words = conclusion(contrast(SHORT), contrast(untrained))
    assert words.endswith("no verdict yet: whether this one lasts is open.")
    half = trained(24, {"plain": 86, "bypass": None}, **LONG)
    assert "open" in conclusion(contrast(SHORT), contrast(half))
    assert "open" in conclusion(
        contrast(SHORT), contrast(trained(24, {"plain": 1, "bypass": 2}, 1))
    )
    none = trained(8, {"plain": None, "bypass": None})
    assert conclusion(contrast(none), contrast(half)).endswith("images: no reference records yet.")


def test_a_conclusion_about_an_unknown_arm_or_label_is_refused():
    with pytest.raises(ValueError, match="no arm of after_8 has the labels"):
        conclusion(replace(contrast(SHORT), arm="wide"), contrast(SHORT))
    with pytest.raises(ValueError, match="have no label width"):
        conclusion(contrast(SHORT), replace(contrast(SHORT), by="width"))


def test_a_recipe_without_training_has_none_to_compare():
    arms = [
        Arm.of(Experiment(tiny_spec(), DataSpec(), (Prune(share),)), network=name)
        for name, share in (("plain", 0.1), ("bypass", 0.2))
    ]
    assert contrast(Results(Study("pruned", "?", arms), {})).trainings == [None, None]


FIRST = trained(24, {"plain": 86.0, "bypass": 87.0, "wide": 80.0}, seeds=5)


@pytest.mark.parametrize(
    ("mean", "word"), [(88.4, "stays"), (87.6, "changes"), (88.0, "ends in a tie")]
)
def test_an_order_of_means_stays_or_changes(mean, word):
    longer = trained(72, {"bypass": mean, "plain": 88.0}, seeds=2)
    words = order(FIRST, longer, "network")
    assert words.startswith(
        "**bypass** against plain: +1.00 points after 24 epochs (higher, n = 5), "
        f"{mean - 88:+.2f} points after 72 epochs ("
    )
    assert words.endswith(f"n = 2). The order of means {word}.")


def test_an_order_is_open_while_networks_are_untrained_or_not_chosen():
    longer = trained(72, {"bypass": 88.0, "plain": None}, seeds=2)
    words = order(FIRST, longer, "network")
    assert words.endswith("lasts for 72 epochs is open: 2 of their networks have no record yet.")
    waiting = Results(longer.study.once(False), {})
    assert "which two networks lead after the shorter training" in order(FIRST, waiting, "network")


def test_an_order_is_one_of_two_networks_that_both_studies_have():
    with pytest.raises(ValueError, match="after_24 has 3 networks: the order is one of two"):
        order(SHORT, FIRST, "network")
    with pytest.raises(ValueError, match="after_24 has no arms called other"):
        order(FIRST, trained(72, {"bypass": 88.0, "other": 88.0}, seeds=2), "network")
    with pytest.raises(KeyError, match="width"):
        order(FIRST, SHORT, "width")
