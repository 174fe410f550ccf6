"""A factorial's cells, effects, shares and best recipes, with and without records."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_experiment

from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.run_study import run_study
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results import pareto
from squeeze_utils.results.factorial import (
    attribution,
    best,
    cells,
    effects,
    figures,
    tables,
    verdicts,
)
from squeeze_utils.results.study_results import Results
from squeeze_utils.results.tables import NOT_TRAINED
from squeeze_utils.training.loop import Train

BASE = {"network": "A", "pruning": 0.0, "representation": "float32", "coder": "raw"}
END = {"network": "B", "pruning": 0.9, "representation": "4 bits", "coder": "best"}
LEVELS = {
    "network": ("A", "B"),
    "pruning": (0.0, 0.9),
    "representation": ("float32", "4 bits"),
    "coder": ("raw", "best"),
}
GAINS = {"network": 1.0, "pruning": 2.0, "representation": 3.0, "coder": 0.25}


def table(seeds: int = 3, joint: float = -1.5) -> pd.DataFrame:
    """Gains that add up, but pruning and rounding together give `joint` more, plus the seed."""
    rows = []
    for seed, levels in itertools.product(range(seeds), itertools.product(*LEVELS.values())):
        cell = dict(zip(LEVELS, levels, strict=True))
        applied = {name for name in BASE if cell[name] != BASE[name]}
        gain = sum(GAINS[name] for name in applied) + 0.01 * seed * len(applied)
        gain += joint if {"pruning", "representation"} <= applied else 0
        accuracy = 90 - len(applied - {"coder"}) - 0.1 * seed
        rows.append(
            {
                **cell,
                "seed": seed,
                "bytes": round(1_000_000 * 2**-gain),
                "halvings": gain,
                "test_accuracy": accuracy,
                "validation_accuracy": accuracy + 0.5,
                "multiply_adds": 1,
                "seconds": 1.0,
            }
        )
    return pd.DataFrame(rows)


def test_effects_and_interactions_are_those_of_a_table_made_by_hand():
    frame = table(seeds=1)
    main = effects.main_effects(frame, BASE)["estimate"]
    assert main["network", "B"] == pytest.approx(1)
    assert main["pruning", 0.9] == pytest.approx(2 - 1.5 / 2)  # half of the settings are rounded
    both = effects.interactions(frame, BASE)["estimate"]
    assert both["pruning", 0.9, "representation", "4 bits"] == pytest.approx(-1.5)
    others = both.drop(index=("pruning", 0.9, "representation", "4 bits"))
    assert others.abs().max() < 1e-9 and len(both) == 6


def test_intervals_are_over_seeds_and_hold_together():
    one, three = (effects.main_effects(table(n), BASE) for n in (1, 3))
    assert one[["low", "high"]].isna().all(axis=None) and (one["n"] == 1).all()
    assert (three["low"] < three["estimate"]).all() and (three["n"] == 3).all()
    mean, sd = 1.01, 0.01  # 1, 1.01, 1.02; four effects together, t at 1 - 0.05 / 8 with df 2
    half = 8.860 * sd / math.sqrt(3)
    assert three.loc[("network", "B"), "estimate"] == pytest.approx(mean)
    assert three.loc[("network", "B"), "high"] == pytest.approx(mean + half, abs=2e-4)


def test_shapley_values_of_a_table_worked_by_hand():
    v = {"": 0, "a": 6, "b": 0, "c": 3, "ab": 12, "ac": 9, "bc": 3, "abc": 18}
    found = attribution.shapley("abc", lambda s: v["".join(sorted(s))])
    # Beside nothing, one, the other, both, which count for 2, 1, 1 and 2 of six orders, a gains
    # 6, 12, 6, 15, b gains 0, 6, 0, 9, and c gains 3, 3, 3, 6.
    assert found == pytest.approx({"a": 60 / 6, "b": 24 / 6, "c": 24 / 6})
    assert math.fsum(found.values()) == v["abc"]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_shapley_values_add_up_and_are_the_means_over_all_orders(n):
    rng, names = np.random.default_rng(n), list(range(n))
    worth = {
        frozenset(s): rng.normal() for k in range(n + 1) for s in itertools.combinations(names, k)
    }
    found = attribution.shapley(names, worth.__getitem__)
    orders = list(itertools.permutations(names))
    for name in names:
        gains = [
            worth[frozenset(o[: o.index(name) + 1])] - worth[frozenset(o[: o.index(name)])]
            for o in orders
        ]
        assert found[name] == pytest.approx(np.mean(gains))
    assert math.fsum(found.values()) == pytest.approx(worth[frozenset(names)] - worth[frozenset()])


def test_wrong_techniques_and_cells_are_refused():
    for names in ([], ["a", "a"], list(range(11))):
        with pytest.raises(ValueError, match="different techniques are needed"):
            attribution.shapley(names, lambda s: 0.0)
    with pytest.raises(ValueError, match="both cells are the same"):
        attribution.attribution(table(), BASE, BASE)
    with pytest.raises(ValueError, match="need the same factors"):
        attribution.attribution(table(), BASE, {"network": "B"})
    with pytest.raises(ValueError, match="no factor colour"):
        effects.main_effects(table(), {"colour": 1})
    with pytest.raises(ValueError, match="no factor colour"):
        effects.interactions(table(), {"colour": 1})
    with pytest.raises(ValueError, match="is a factor left out"):
        effects.main_effects(table(), {"network": "A"})
    with pytest.raises(ValueError, match="is a factor left out"):
        attribution.attribution(table(), {"network": "A"}, {"network": "B"})


def test_shares_add_up_to_the_whole_gain_in_every_table():
    found = attribution.attribution(table(), BASE, END)
    shares = found["share"].drop(attribution.TOTAL)
    assert shares.sum() == pytest.approx(found.loc[attribution.TOTAL, "share"], abs=1e-12)
    assert found.loc["pruning", "share"] == pytest.approx(2 - 1.5 / 2 + 0.01)
    assert (found.loc["pruning", "alone"], found.loc["pruning", "last"]) == pytest.approx(
        (2.01, 0.51)
    )
    assert (found["low"] < found["share"]).all() and (found["n"] == 3).all()


def test_a_missing_cell_costs_its_settings_and_not_its_seed():
    frame = table()
    gone = (frame[list(BASE)] == pd.Series(END)).all(axis=1) & (frame["seed"] == 2)
    part = frame[~gone]
    main = effects.main_effects(part, BASE)
    assert (main["n"] == 3).all() and (main["settings"] == 8).all()
    found = attribution.attribution(part, BASE, END)
    assert (found["n"] == 2).all()
    shares = found["share"].drop(attribution.TOTAL)
    assert shares.sum() == pytest.approx(found.loc[attribution.TOTAL, "share"], abs=1e-12)
    assert (found["low"] < found["share"]).all() and (found["share"] < found["high"]).all()


@pytest.mark.parametrize("keep", [0, 1, 2, 5, 9, 15])
def test_every_table_and_figure_takes_any_part_of_the_records(keep):
    frame = table(1).sample(frac=1, random_state=keep).head(keep)
    for found in (effects.main_effects(frame, BASE), effects.interactions(frame, BASE)):
        assert found["estimate"].notna().all() and list(found) == effects.COLUMNS
    shares = attribution.attribution(frame, BASE, END)
    assert shares.empty and list(shares) == attribution.COLUMNS  # a cell has no record
    rows = best.best_for(frame)
    assert len(rows) == 4 and rows[best.RECIPE].ne("").all()
    assert set(best.smallest_within(frame, BASE).index) == {"absolute", "relative"}
    assert (figures.pareto_figure(frame, baseline=BASE) is None) == (keep == 0)
    pairs = effects.interactions(frame, BASE)
    assert (figures.interactions_figure({"halvings": pairs}) is None) == pairs.empty
    assert figures.attribution_figure({"halvings": shares}, "halvings") is None


def test_figures_of_a_whole_factorial():
    frame = table()
    assert len(figures.pareto_figure(frame).texts) == 1
    rings = {
        line.get_label(): line for line in figures.pareto_figure(frame, "", BASE).axes[0].lines
    }
    near = best.within(frame, BASE)
    for words, reading in (("below the baseline", "absolute"), ("90 % of it", "relative")):
        drawn = next(line for label, line in rings.items() if label.endswith(words))
        assert len(drawn.get_xdata()) == near[reading].sum() > 0
    both = {"halvings": effects.interactions(frame, BASE)}
    assert figures.interactions_figure(both).axes
    shares = {"B": attribution.attribution(frame, BASE, END)}
    assert "+4.79" in figures.attribution_figure(shares, "halvings").axes[0].get_title()


def test_numbers_whose_interval_contains_zero_are_in_brackets():
    drawn = figures.interactions_figure({"halvings": effects.interactions(table(), BASE)})
    numbers = [text.get_text() for text in drawn.axes[0].texts]
    assert "-1.50" in numbers and "(+0.00)" in numbers and len(numbers) == 6
    assert drawn.texts[0].get_text().startswith("in brackets: the 95 % interval contains zero")
    alone = figures.interactions_figure({"halvings": effects.interactions(table(1), BASE)})
    assert alone.texts[0].get_text() == "one seed: no intervals"
    assert not any("(" in text.get_text() for text in alone.axes[0].texts)


def test_the_whole_front_is_drawn_and_what_has_no_name_is_counted(monkeypatch):
    frame = table()
    whole = pareto.front(best.recipes(frame), "validation_accuracy")
    assert len(whole) == 4
    for most, words in ((2, "and 2 smaller files on the line, without a name"), (4, "4: ")):
        monkeypatch.setattr(figures, "MOST_NAMED", most)
        drawn = figures.pareto_figure(frame)
        line = next(line for line in drawn.axes[0].lines if line.get_linestyle() == "-")
        assert line.get_xdata().tolist() == whole["bytes"].tolist()
        lines = drawn.texts[0].get_text().splitlines()
        assert lines[-1].startswith(words) and len(lines) == (3 if most == 2 else 4)


def test_the_best_recipe_is_chosen_on_validation_images_and_fits_in_all_its_files():
    frame = table()
    chosen = best.best_for(frame, (150_000, 1_000_000, 10))
    assert chosen.loc["1,000,000 bytes", best.RECIPE] == "A, not pruned, float32, best coder"
    assert chosen.loc["150,000 bytes", best.RECIPE] == "A, not pruned, 4 bits, best coder"
    assert chosen.loc["10 bytes", best.RECIPE] == "none fits"
    assert chosen["training (s)"].tolist()[2] == "–" and chosen["training (s)"].iloc[0] != "–"
    own = (
        frame[list(BASE)] == pd.Series({**BASE, "representation": "4 bits", "coder": "best"})
    ).all(axis=1)
    frame.loc[own & (frame["seed"] == 1), "bytes"] = 150_001
    assert best.best_for(frame, (150_000,))[best.RECIPE].item() == "A, not pruned, 4 bits, raw"
    front = pareto.front(best.recipes(frame), "validation_accuracy")
    assert front["bytes"].is_monotonic_increasing
    assert front["validation_accuracy"].is_monotonic_increasing


def test_both_readings_of_within_ten_percent():
    frame = table(1)
    frame["test_accuracy"] = np.where(frame["network"] == "B", 1.5, 50.0)  # has no part in it
    frame["validation_accuracy"] = np.where(frame["network"] == "B", 45.5, 50.0)
    near = best.within(frame, BASE)
    assert near["absolute"].all() and near["relative"].all()
    found = best.smallest_within(frame, BASE).loc["absolute"]
    assert found["smallest"].startswith("B, ") and found["test accuracy (%)"] == "1.50"
    frame["validation_accuracy"] = np.where(frame["network"] == "B", 41.0, 50.0)
    near = best.within(frame, BASE)
    assert near["absolute"].all() and near["relative"].sum() == 8
    assert best.smallest_within(frame, BASE).loc["relative", "recipes"] == "8 of 16"


def factorial(lrs=(0.05,)) -> Study:
    """Two sparsities' names and three coders, of a network that is never pruned."""
    arms = [
        Arm.of(
            tiny_experiment(Train(1, batch_size=16, lr=lr, precision="float32"), step),
            network="A",
            pruning=p,
            representation="float32",
        )
        for lr in lrs
        for p, step in ((0.0, Encode(coders=("raw", "best"))), (0.9, Encode()))
    ]
    return Study("factorial", "?", arms)


def test_cells_are_a_row_for_each_coder_and_keep_their_columns_without_records():
    made = factorial()
    found = Results(made, run_study(made, progress=False))
    frame = cells.cells(found)
    assert frame["coder"].tolist() == ["raw", "best", "best"]
    assert frame.loc[0, "bytes"] > frame.loc[1, "bytes"] == frame.loc[2, "bytes"]
    assert frame["halvings"].tolist() == pytest.approx((-np.log2(frame["bytes"])).tolist())
    assert frame["test_accuracy"].nunique() == 1
    empty = cells.cells(replace(found, by_key={}))
    assert list(empty) == list(frame) and empty.empty


def test_predictions_are_judged_by_the_numbers_and_open_without_them():
    whole = Results(made := factorial(), dict.fromkeys(arm.experiment.key for arm in made.arms))
    said = verdicts.predictions(whole, table(), BASE)
    assert len(said) == 4
    assert said[0].startswith("Prediction (1) largest effects on bytes: fails, by the estimates")
    assert "(2) interactions of pruning: is not decided; of 2 interactions 1 have" in said[1]
    assert "(3) accuracy: fails" in said[2] and "(4)" in said[3]
    for keep in (0, 1, 3, 9):
        some = table(1).head(keep)
        said = " ".join(verdicts.predictions(whole, some, BASE))
        assert "(1)" in said and "(4)" in said
    part = replace(whole, by_key=dict(list(whole.by_key.items())[:1]))
    waiting = replace(whole, study=replace(made, expected=made.arms[:1]))
    for unfinished in (part, waiting):
        (only,) = verdicts.predictions(unfinished, table(), BASE)
        assert only == "All four predictions are still open: cells are missing."
    large = verdicts.predictions(whole, table().assign(bytes=200_000), BASE)
    assert large[3].endswith("fails, nothing fits.")
    shares = attribution.attribution(table(), BASE, END)
    assert "**representation** has the largest share: 2.26 of 4.79" in verdicts.largest_share(
        shares
    )
    assert "still open" in verdicts.largest_share(shares.iloc[:0])


def test_a_regression_with_interactions_finds_the_same():
    smf = pytest.importorskip("statsmodels.formula.api")
    frame = effects.example()
    found = smf.ols("y ~ prune * round", frame).fit().params
    assert found["prune:round"] == pytest.approx(-1.0)
    joint = effects.interactions(frame, {"prune": 0, "round": 0}, "y")["estimate"]
    assert joint.item() == pytest.approx(found["prune:round"])


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_tables_have_a_row_for_all_that_will_be_measured(keep):
    made = factorial()
    found = Results(made, dict(list(run_study(made, progress=False).items())[:keep]))
    base = {**BASE, "coder": "raw"}
    shown = tables.effects_table(found, base, {"halvings": "halvings"})
    assert shown.index.tolist() == [("pruning", "90 % pruned"), ("coder", "best coder")]
    known = shown["halvings"] != NOT_TRAINED
    assert known.tolist() == [keep > 1, keep > 0]
    arms = tables.arms_table(found, "pruning")
    assert arms["n"].tolist() == [int(keep > 0), int(keep > 1)]
    assert (arms["test accuracy (%)"] == NOT_TRAINED).tolist() == [keep < 1, keep < 2]
