"""A factorial's cells, effects, shares and best recipes, with and without records."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from diverging import Poison
from scipy import stats
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
    # Four effects together: t at 1 - 0.05 / 8. Each technique has one level, with a deviation of
    # 0.01 over three seeds: df 2.
    half = stats.t.isf(0.05 / 8, 2) * 0.01 / math.sqrt(3)
    assert three.loc[("pruning", 0.9), "estimate"] == pytest.approx(1.26)
    for key in (("pruning", 0.9), ("representation", "4 bits"), ("coder", "best")):
        assert three.loc[key, "high"] - three.loc[key, "estimate"] == pytest.approx(half)
    # A technique gives 0.01 more with each seed; A has 1.5 of them on average, B 2.5. Df 4.
    sd = math.sqrt((0.015**2 + 0.025**2) / 2)
    half = stats.t.isf(0.05 / 8, 4) * sd * math.sqrt(2 / 3)
    assert three.loc[("network", "B"), "estimate"] == pytest.approx(1.01)
    assert three.loc[("network", "B"), "high"] == pytest.approx(1.01 + half)


def test_levels_of_a_factor_share_one_deviation():
    y = {0.0: [0.0, 1.0, 2.0], 0.7: [1.0, 2.2, 3.4], 0.9: [2.0, 3.1, 4.2], 0.5: [3.0, 4.0, 5.0]}
    rows = [
        {"pruning": level, "seed": seed, "y": value}
        for level, values in y.items()
        for seed, value in enumerate(values)
    ]
    found = effects.main_effects(pd.DataFrame(rows), {"pruning": 0.0}, "y")
    assert found["estimate"].tolist() == pytest.approx([1.2, 2.1, 3.0])
    # 1, 1.2, 1.4 and 2, 2.1, 2.2: variances of 0.04 and 0.01. The third never changes. Df 4.
    half = stats.t.isf(0.05 / 6, 4) * math.sqrt(0.025 / 3)
    assert (found["high"] - found["estimate"]).tolist() == pytest.approx([half, half, 0])


def test_the_interactions_of_a_pair_of_factors_are_judged_together():
    frame = table()
    frame.loc[frame["seed"] == 1, "halvings"] += 0.3 * (frame["pruning"] == 0.9)
    frame.loc[frame["seed"] == 2, "halvings"] += 0.2 * (
        (frame["pruning"] == 0.9) & (frame["coder"] == "best")
    )
    found = effects.interactions(frame, BASE)
    row = found.loc["pruning", 0.9, "coder", "best"]  # 0, 0, 0.2: alone of its kind, so df 2
    assert row["estimate"] == pytest.approx(0.2 / 3)
    half = stats.t.isf(0.025, 2) * np.std([0, 0, 0.2], ddof=1) / math.sqrt(3)
    assert row["high"] - row["estimate"] == pytest.approx(half)
    joint = found.loc["pruning", 0.9, "representation", "4 bits"]
    assert joint["low"] == pytest.approx(-1.5) and joint["high"] == pytest.approx(-1.5)


def random_cells(rng: np.random.Generator) -> pd.DataFrame:
    """Three networks with three seeds in which no technique has any effect, but luck has."""
    rows = []
    for network, seed in itertools.product("ABC", range(3)):
        dense = rng.normal(0, 3)  # shared by all cells of the network and seed
        for pruning in (0.0, 0.7, 0.9):
            pruned = dense + rng.normal()  # shared by all representations
            for name in ("float32", "8 bits", "4 bits"):
                cell = {"network": network, "pruning": pruning, "representation": name}
                rows.append({**cell, "seed": seed, "y": pruned + rng.normal()})
    return pd.DataFrame(rows)


def test_intervals_that_hold_together_do_so_in_most_simulated_studies():
    rng, base = np.random.default_rng(0), {k: BASE[k] for k in list(BASE)[:3]}
    tries, right = 120, 0
    for _ in range(tries):
        found = effects.main_effects(random_cells(rng), base, "y")
        right += bool(((found["low"] <= 0) & (found["high"] >= 0)).all())
    assert right / tries > 0.9  # nominally 95 %; 120 studies deviate from that by 2 %


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


def test_what_a_share_gets_from_two_networks_is_not_paired():
    start, end = ({k: cell[k] for k in ("network", "pruning")} for cell in (BASE, END))
    y = {
        ("A", 0.0): [10.0, 10.3, 10.0],
        ("A", 0.9): [12.0, 12.0, 12.6],
        ("B", 0.0): [11.0, 11.0, 11.9],
        ("B", 0.9): [15.0, 15.6, 15.9],
    }
    rows = [
        {"network": network, "pruning": pruning, "seed": seed, "y": value}
        for (network, pruning), values in y.items()
        for seed, value in enumerate(values)
    ]
    found = attribution.attribution(pd.DataFrame(rows), start, end, "y")
    v = {cell: np.array(values) for cell, values in y.items()}
    parts = {  # what A and B give to each share
        "network": (-(v["A", 0.0] + v["A", 0.9]) / 2, (v["B", 0.0] + v["B", 0.9]) / 2),
        "pruning": ((v["A", 0.9] - v["A", 0.0]) / 2, (v["B", 0.9] - v["B", 0.0]) / 2),
        attribution.TOTAL: (-v["A", 0.0], v["B", 0.9]),
    }
    for name, (a, b) in parts.items():
        errors = np.array([a.var(ddof=1), b.var(ddof=1)]) / 3
        df = errors.sum() ** 2 / (errors**2 / 2).sum()  # Satterthwaite
        half = stats.t.isf(0.05 / 6, df) * math.sqrt(errors.sum())
        assert found.loc[name, "share"] == pytest.approx(a.mean() + b.mean())
        assert found.loc[name, "high"] - found.loc[name, "share"] == pytest.approx(half)
    assert found["share"].idxmax() == attribution.TOTAL
    gap = found.loc["pruning", "share"] - found.loc["network", "share"]
    assert found.loc["network", "lead"] < gap and found["lead"].notna().sum() == 1


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
    assert said[0].startswith("Prediction (1) largest effects on bytes: fails; largest effects in")
    assert said[0].endswith(
        "halvings: representation 2.26, pruning 1.26, network 1.01, coder 0.26."
    )
    assert "(2) interactions of pruning: is not decided; of 2 interactions 1 have" in said[1]
    assert "(3) accuracy: fails; 90 % pruning -1.00 points, 4 bits -1.00" not in said[2]
    assert "(3) accuracy: fails in the means, not decided; 90 % pruning -1.00" in said[2]
    assert "(4)" in said[3]
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


def noisy(rng: np.random.Generator, noise: float, **gains: float) -> pd.DataFrame:
    """Gains of techniques that add up, in halvings and in points, with noise in every cell."""
    frame = table(joint=0.0)
    applied = {name: (frame[name] != BASE[name]).astype(float) for name in BASE}
    for column, whole in (("halvings", 0.0), ("test_accuracy", 80.0)):
        frame[column] = whole + sum(gains.get(n, 0.0) * there for n, there in applied.items())
        frame[column] += rng.normal(0, noise, len(frame))
    return frame


def test_which_is_larger_is_decided_by_the_interval_of_the_difference():
    whole = Results(made := factorial(), dict.fromkeys(arm.experiment.key for arm in made.arms))
    rng, gains = np.random.default_rng(3), {"network": 3, "representation": 2, "pruning": -1}
    right = verdicts.predictions(whole, noisy(rng, 0.01, **gains), BASE)
    assert "(1) largest effects on bytes: holds; largest" in right[0]
    assert "(3) accuracy: holds; 90 % pruning -1.0" in right[2]
    swapped = {"network": 2, "representation": 3, "pruning": 4}
    wrong = verdicts.predictions(whole, noisy(rng, 0.01, **swapped), BASE)
    assert "(1) largest effects on bytes: fails; largest" in wrong[0]
    assert "(3) accuracy: fails; 90 % pruning +4.0" in wrong[2]
    unclear = verdicts.predictions(whole, noisy(rng, 2.0, **gains), BASE)
    assert "in the means, not decided; largest" in unclear[0]
    assert "in the means, not decided; 90 %" in unclear[2]
    one_seed = verdicts.predictions(whole, table(1), BASE)
    assert "fewer than two seeds are complete" in one_seed[0] and "fewer than two" in one_seed[2]


def test_the_largest_share_is_decided_by_its_lead():
    shares = attribution.attribution(table(), BASE, END)
    said = verdicts.largest_share(shares)
    assert said.endswith("**representation** has the largest share: 2.26 of 4.79 halvings.")
    frame = noisy(np.random.default_rng(0), 1.0, representation=2.0, network=1.5)
    unclear = verdicts.largest_share(attribution.attribution(frame, BASE, END))
    assert unclear.endswith("halvings, in the means; the intervals do not decide it.")
    one_seed = verdicts.largest_share(attribution.attribution(table(1), BASE, END))
    assert "the intervals do not decide it" in one_seed
    assert "still open" in verdicts.largest_share(shares.iloc[:0])


def test_what_diverged_has_no_cells_and_is_named():
    recipe = (Train(1, batch_size=16, lr=0.05, precision="float32"), Poison(), Encode())
    arms = [
        Arm.of(tiny_experiment(*steps), network="A", pruning=p, representation="float32")
        for p, steps in ((0.0, recipe[::2]), (0.9, recipe))
    ]
    study = Study("factorial", "?", arms)
    found = Results(study, run_study(study, progress=False))
    assert len(found) == 2
    frame = cells.cells(found)
    assert frame["pruning"].tolist() == [0.0]
    told = "Without the cells of 1 of 2 experiments, whose training diverged: "
    assert cells.left_out(found) == f"{told}A, 90 % pruned, float32 (seed 0)."
    base = {"network": "A", "pruning": 0.0, "representation": "float32", "coder": "best"}
    assert verdicts.predictions(found, frame, base)[4:] == [cells.left_out(found)]
    assert effects.main_effects(frame, base).empty
    arms = tables.arms_table(found, "pruning")
    assert arms["file (bytes)"].tolist()[1] == "–" and arms["n"].tolist() == [1, 1]
    fine = found.where(pruning=0.0)
    assert cells.left_out(fine) == "" and len(verdicts.predictions(fine, frame, base)) == 4


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
