"""What the recorded searches of chapter 08 found: winners, what mattered, and how luck helped."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.search import Search, distributions, read_search, trials
from squeeze_utils.results.comparison import comparison_sentence, differences_table
from squeeze_utils.results.study_results import Sentence
from squeeze_utils.results.tables import NO_RECORDS, SET_NAMES
from squeeze_utils.studies import hyperparameters

VALIDATION, TEST = "validation_accuracy", "test_accuracy"
CONTROL = "random"
BEST_SHARE = 0.25  # of the trials: what the importance of a setting is about
SHUFFLES = 40


@dataclass(frozen=True)
class RealSearches:
    """The trials of some searches, a row each, with their method and repetition."""

    frame: pd.DataFrame
    source: Sentence

    @classmethod
    def recorded(cls) -> RealSearches:
        """Every method of chapter 08 in every repetition, as far as its journal goes.

        >>> found = RealSearches.recorded()
        >>> len(found.winners()), found.standing_out()[:2]
        (9, ['lr', 'optimizer'])
        """
        frames, runs, plan = [], [], None
        for method in hyperparameters.METHODS:
            for repetition in range(hyperparameters.REPETITIONS):
                plan = hyperparameters.search(Scale("reference"), method, repetition)
                study = read_search(plan)
                runs += study.user_attrs.get("runs", []) if study else []
                rows = trials(plan, study)
                frames.append(rows.assign(method=method, repetition=repetition))
        kept = [rows for rows in frames if len(rows)]
        return cls(pd.concat(kept or frames, ignore_index=True), _source(plan, runs))

    def winners(self) -> pd.DataFrame:
        """A row for each search: accuracies (%) of its best trial, optimizer, points, pruned."""
        if self.frame.empty:
            return pd.DataFrame()
        searches = self.frame.groupby(["method", "repetition"], sort=False)
        best = self.frame.loc[searches[VALIDATION].idxmax()].set_index(["method", "repetition"])
        states = searches["state"]
        return best[[VALIDATION, TEST, "optimizer"]].assign(
            points=states.agg(lambda part: (part != "failed").sum()),
            pruned=states.agg(lambda part: (part == "pruned").sum()),
        )

    def winners_compared(self) -> Sentence:
        """Test accuracies of the winners: TPE's against random search's, and the scatter of all."""
        if self.frame.empty:
            return Sentence(f"{NO_RECORDS}.")
        winners = self.winners()
        rows = winners.drop("random + pruning").rename_axis(["method", "seed"]).reset_index()
        gaps = differences_table(rows, "method", CONTROL, TEST, shared=["TPE + pruning"])
        same = winners.loc["random + pruning", VALIDATION] == winners.loc[CONTROL, VALIDATION]
        spread = winners.groupby("method", sort=False)[TEST].agg(np.ptp)
        scatter = ", ".join(f"{name} {points:.2f}" for name, points in spread.items())
        return Sentence(
            f"{comparison_sentence(gaps, CONTROL)} Random search has the same winner with and "
            f"without pruning in {same.sum()} of {len(same)} repetitions. Points between the best "
            f"and the worst repetition: {scatter}."
        )

    def after_the_start(self, startup: int = 8) -> pd.DataFrame:
        """What each repetition knew after its random start, and how often it then chose Muon."""
        if self.frame.empty:
            return pd.DataFrame()
        begun = self.frame["number"] < startup
        start = self.frame[begun & (self.frame["method"] == CONTROL)]
        table = start.pivot_table(VALIDATION, "repetition", "optimizer", "max")
        table = table.rename(columns=lambda name: f"best of the start, {name} (%)")
        later = self.frame[~begun].assign(muon=lambda rows: rows["optimizer"] == "muon")
        share = 100 * later.groupby(["repetition", "method"])["muon"].mean().unstack()
        for method in (CONTROL, "TPE + pruning"):
            table[f"Muon later, {method} (%)"] = share[method].round(0)
        return table.round(1)

    def standing_out(self) -> list[str]:
        """Settings that matter more among random search's trials than chance does, most first.

        The importance is that of PED-ANOVA: how differently a setting is spread among the best
        quarter of the trials and among all. Chance is the 95 % quantile over shuffled accuracies.
        """
        done = self.frame[self.frame["method"] == CONTROL].dropna(subset=[VALIDATION])
        if done.empty:
            return []
        values = done[VALIDATION].to_numpy()
        shuffled = [np.random.default_rng(seed).permutation(values) for seed in range(SHUFFLES)]
        chance = pd.concat([_importance(done, one) for one in shuffled], axis=1)
        found = _importance(done, values)
        clear = found[found > chance.quantile(0.95, axis=1)]
        return clear.sort_values(ascending=False).index.tolist()

    def added_by_selection(self) -> float:
        """Points that choosing the best trial adds to validation minus test accuracy.

        The gap of the best of all trials, less the mean gap of a single one. NaN without trials.
        """
        done = self.frame.dropna(subset=[VALIDATION, TEST])
        done = done.drop_duplicates([VALIDATION, TEST, "lr"])
        if done.empty:
            return math.nan
        gap = done[VALIDATION] - done[TEST]
        return float(gap[done[VALIDATION].idxmax()] - gap.mean())


def _source(search: Search, runs: list[dict]) -> Sentence:
    """Images, epochs, devices, versions and dates, from what the journals noted of each run."""
    if not runs:
        return Sentence(f"{NO_RECORDS}.")
    images, dates = search.data, {run["date"] for run in runs}
    versions = [f"torch {v['torch']}, optuna {v['optuna']}" for v in (r["versions"] for r in runs)]
    return Sentence(
        f"{SET_NAMES[images.name]} ({images.train_limit:,} training images) · "
        f"{hyperparameters.REPETITIONS} repetitions · {search.epochs} epochs a trial · "
        f"{' or '.join(sorted({run['device'] for run in runs}))} · "
        f"{' or '.join(sorted(set(versions)))} · {' to '.join(sorted({min(dates), max(dates)}))}"
    )


def _importance(done: pd.DataFrame, accuracy: np.ndarray) -> pd.Series:
    """PED-ANOVA's divergence for each setting, as if the trials had these accuracies."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    level, axes = optuna.logging.get_verbosity(), distributions(hyperparameters.SPACE)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    optuna.logging.set_verbosity(level)
    for point, value in zip(done[list(axes)].to_dict("records"), accuracy, strict=True):
        how = {"params": point, "distributions": axes, "value": float(value)}
        study.add_trial(optuna.trial.create_trial(**how))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = get_param_importances(study, evaluator=evaluator, normalize=False)
    return pd.Series(found)[list(axes)]
