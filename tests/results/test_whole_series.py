"""Every network of the series in one table: front, choice for a budget, figure."""

from __future__ import annotations

import pandas as pd
import pytest

pytest.importorskip("matplotlib")

import matplotlib.pyplot as plt
from finished import finish, full_width, pretend

from squeeze_utils.anatomy.views import ObserveViews
from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.steps import Densify, Prune
from squeeze_utils.experiments.every_step import OBSERVING, STEPS
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.models import ModelSpec
from squeeze_utils.results import whole_series
from squeeze_utils.studies.catalogue import find
from squeeze_utils.training.loop import Train

ROWS = [
    ("10", "pruning", "a", 3, 50_000.0, 70.0, 69.0, 8),
    ("12", "quantization", "b", 3, 100_000.0, 80.0, 82.0, 8),
    ("12", "quantization", "c", 3, 120_000.0, 81.0, 80.0, 8),  # beaten by b on test images
    ("09", "residual", "d", 3, 700_000.0, 90.0, 89.0, 24),
]


@pytest.fixture
def frame() -> pd.DataFrame:
    rows = [(*row, row[3], 0) for row in ROWS]  # as many networks as seeds, no checkpoint
    return pd.DataFrame(rows, columns=whole_series.COLUMNS)


def test_nothing_on_the_front_is_beaten_in_both(frame):
    assert whole_series.front(frame)["network"].tolist() == ["a", "b", "d"]
    assert whole_series.front(frame.iloc[::-1])["network"].tolist() == ["a", "b", "d"]


def test_the_choice_looks_at_validation_images_alone(frame):
    chosen = whole_series.choose(frame, [10_000, 60_000, 120_000, 10**7])
    assert chosen["network"].to_dict() == {60_000: "a", 120_000: "c", 10**7: "d"}
    with pytest.raises(ValueError, match="budget is 0"):
        whole_series.choose(frame, [0])


def test_the_committed_records_are_all_there():
    found = whole_series.every_network()
    assert len(found) > 100 and not found.isna().any().any()
    assert found["chapter"].nunique() >= 8 and found["test"].between(20, 100).all()
    dense = found[(found["study"] == "residual_best") & (found["network"] == "SqueezeNet, plain")]
    assert dense["bytes"].tolist() == [4 * 730_570]
    shared = found[
        (found["study"] == "deep_compression") & (found["network"] == "SqueezeNet, ours")
    ]
    assert shared["bytes"].round().tolist() == [139_826] and shared["n"].tolist() == [3]
    assert not set(whole_series.every_network("mnist")["network"]) & set(shared["network"])
    assert whole_series.every_network("no_such_images").empty


def test_a_pruned_or_rounded_network_without_a_file_has_no_size():
    found = whole_series.every_network()
    names = found.groupby("study")["network"].agg(set)
    assert not {"pruning", "quantization_ways", "lottery"} & set(names.index)
    assert names["quantization"] == {"32, 32"}  # neither weights nor activations are rounded
    assert names["pruning_long"] == {"never pruned", "dense, the scan's widths"}
    assert {"DSD 50%", "dense control"} <= names["dsd_long"] & names["dsd_overfit_long"]
    assert "pruned, 0.5" in names["pruning_filters"]  # whole filters went: it is small, and dense
    assert found.attrs[whole_series.WITHOUT_FILE] >= 70
    assert whole_series.every_network("no_such_images").attrs == {whole_series.WITHOUT_FILE: 0}


def test_zeros_say_whether_a_network_is_dense_unless_it_was_made_dense_again():
    def known(nonzero, *steps):
        experiment = Experiment(ModelSpec.of("lenet5"), DataSpec(), (Train(1), *steps))
        last = {"seconds": 0, "nonzero": nonzero, "parameters": 1000}
        own = {"labels": {}, "device": "cpu", "data_fingerprint": "", "commit": ""}
        return whole_series._is_dense(Record.of(experiment, [last], **own))

    assert known(996) and not known(994)
    assert not known(900, Prune(0.5)) and known(900, Prune(0.5), Densify())


def test_ladder_and_headline_have_names_that_tell_and_stand_for_chapter_21(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    runs = tmp_path / "runs"
    finish("ladder", runs)
    for name in ("ladder", "headline"):
        for arm in find(name, Scale("reference")).arms:
            pretend(arm, runs / name, **full_width(94.0))
    found = whole_series.every_network(runs=runs)
    assert set(found["chapter"]) == {"21"}
    parts = dict(list(found.groupby("study")["network"]))
    rungs = ["base", "+ moving average", "+ label smoothing", "+ mixup", "+ rotation and colour"]
    assert parts["ladder"].tolist() == [f"SqueezeNet, {rung}" for rung in rungs]
    assert parts["headline"].tolist() == ["SqueezeNet, best training", "SqueezeNet, late pooling"]
    assert whole_series.repeated(found)["network"].tolist() == ["SqueezeNet, best training"]


def test_a_network_that_learned_the_validation_images_is_not_to_choose_from():
    images = DataSpec("cifar10")
    everything = DataSpec("cifar10", train_on_validation=True)
    assert whole_series._fits(images, "cifar10") and not whole_series._fits(images, "mnist")
    assert not whole_series._fits(everything, "cifar10")


def test_each_network_counts_once_and_none_that_only_finds_a_rate(monkeypatch):
    counted, means = [], whole_series._means
    monkeypatch.setattr(whole_series, "_means", lambda found: counted.extend(found) or means(found))
    studies = set(whole_series.every_network()["study"])
    assert {"activations", "residual", "pooling", "baseline"} <= studies  # pilots of others too
    assert not {"activation_signals", "pooling_shifts", "residual_views"} & studies
    assert not [name for name in studies if "_lr" in name]
    networks = [whole_series._network(Experiment.from_dict(r.experiment)) for r in counted]
    assert len(set(networks)) == len(networks) > 400


def test_what_only_observes_leaves_the_network_what_it_is():
    trained = Experiment(ModelSpec.of("lenet5"), DataSpec(), (Train(1),))
    assert whole_series._network(trained.followed_by(ObserveViews())) == trained.key
    assert whole_series._network(trained.followed_by(Prune(0.5))) != trained.key
    in_anatomy = {kind for kind in STEPS if kind.__module__.startswith("squeeze_utils.anatomy")}
    assert in_anatomy == set(OBSERVING)


def test_the_figure_has_a_look_for_each_chapter_and_the_published_points(frame):
    papers = [("a paper", 66_000.0, 91.5), ("another", 1e5, 90.0), ("a paper", 2e5, 92.0)]
    fig = whole_series.whole_series_figure(frame, papers)
    labels = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert labels == ["front", "chapter 09", "chapter 10", "chapter 12", "a paper", "another"]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in fig.axes[0].lines}
    assert drawn["a paper"] == [[66_000, 91.5], [200_000, 92]] and drawn["another"] == [[1e5, 90]]
    plt.close(fig)
    assert whole_series.whole_series_figure(frame.iloc[:0]) is None


def test_each_chapter_has_a_colour_of_its_own_and_published_marks_are_grey(frame):
    looks = [whole_series._look(place) for place in range(19)]  # of 03 to 21
    assert len({look["color"] for look in looks}) == 19
    assert len({(look["color"], look["marker"]) for look in looks}) == 19
    both = pd.concat([frame, frame.assign(chapter="03")])
    fig = whole_series.whole_series_figure(both, [("a paper", 66_000.0, 91.5)])
    lines = {line.get_label(): line.get_color() for line in fig.axes[0].lines}
    ours = [colour for label, colour in lines.items() if label.startswith("chapter")]
    assert len(set(ours)) == len(ours) == 4
    assert lines["a paper"] == whole_series.PUBLISHED_GREY not in ours
    plt.close(fig)


def test_training_is_short_below_24_epochs_those_of_a_checkpoint_included(frame):
    assert whole_series.short_training(frame).tolist() == [True, True, True, False]
    assert whole_series.short_training(frame.assign(**{"epochs before": 15})).sum() == 3
    assert not whole_series.short_training(frame.assign(**{"epochs before": 16})).any()


def test_seeds_that_begin_with_one_checkpoint_are_roundings_of_one_network():
    found = whole_series.every_network().set_index("study")
    begun = found.loc["few_bytes"]
    small = begun[begun["n"] > 1].iloc[0]
    assert set(begun["networks"]) == {1} and set(begun["epochs before"]) == {150}
    assert whole_series.repetitions(small) == "3 roundings of 1 network"
    assert whole_series.epochs_in_all({"epochs": 3, "epochs before": 150}) == "150 + 3"
    assert whole_series.epochs_in_all({"epochs": 0, "epochs before": 150}) == "150"
    best = found.loc["residual_best"].iloc[0]
    assert whole_series.repetitions(best) == "3 seeds" and best["epochs before"] == 0
    assert whole_series.epochs_in_all(best) == "150"
    assert whole_series.repetitions({"n": 1, "networks": 1}) == "1 seed"
