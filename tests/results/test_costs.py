from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.results import costs
from squeeze_utils.training.loop import Train
from tools import step_times

STEP = Train(1, batch_size=4, precision="float32")


def arm(seed: int = 0, **options) -> Arm:
    spec = ModelSpec.of("squeezenet_small", in_channels=1, width=0.125, **options)
    experiment = Experiment(spec, DataSpec(size=16), (STEP,), seed)
    return Arm.of(experiment, bypass=options.get("bypass", "none"), lr=STEP.lr)


STUDY = Study("bypasses", "does it cost?", [arm(), arm(1), arm(bypass="complex")])


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr("squeeze_utils.base.paths.shipped", lambda name: tmp_path / name)
    return tmp_path


def test_counts_are_those_of_each_variant_at_the_images_size():
    found = costs.count_variants(STUDY, "bypass")
    assert list(found.index) == ["none", "complex"]
    model = STUDY.arms[0].experiment.model.build()
    assert found.loc["none", "parameters"] == sum(p.numel() for p in model.parameters())
    assert (found.loc["complex"] >= found.loc["none"]).all()
    assert found.loc["complex", "multiply_adds"] > found.loc["none", "multiply_adds"]
    larger = replace(STUDY, arms=[replace_size(a, 32) for a in STUDY.arms])
    quadruple = costs.count_variants(larger, "bypass")["multiply_adds"] / found["multiply_adds"]
    assert quadruple.between(3.5, 4.5).all()


def replace_size(arm: Arm, size: int) -> Arm:
    return replace(arm, experiment=replace(arm.experiment, data=DataSpec(size=size)))


def test_a_timing_is_kept_with_where_it_comes_from_and_read_back(shipped):
    assert costs.kept_timings("bypasses", "bypass").empty
    assert costs.source_of_timings("bypasses") == "not timed yet"
    path = step_times.keep_timings(STUDY, "bypass", rounds=3)
    kept = costs.kept_timings("bypasses", "bypass")
    assert list(kept.index) == ["none", "complex"] and (kept["milliseconds"] > 0).all()
    assert (kept["p95"] >= kept["milliseconds"]).all()
    assert "median of 3 interleaved steps of 4 images" in costs.source_of_timings("bypasses")
    assert path == shipped / "measurements" / "costs" / "bypasses.json"


def test_a_training_step_changes_the_network_that_it_trains():
    step = step_times.training_step(STUDY.arms[0].experiment)
    model = next(c.cell_contents for c in step.__closure__ if hasattr(c.cell_contents, "fires"))
    before = model.features[0].weight.detach().clone()
    step()
    assert not before.equal(model.features[0].weight)


def test_the_training_of_a_recipe_need_not_come_first(shipped):
    later = [
        replace(a, experiment=replace(a.experiment, recipe=(Prune(0.5), *a.experiment.recipe)))
        for a in STUDY.arms
    ]
    path = step_times.keep_timings(replace(STUDY, name="later", arms=later), "bypass", rounds=2)
    assert path.is_file()
    never = [replace(a, experiment=replace(a.experiment, recipe=(Prune(0.5),))) for a in STUDY.arms]
    with pytest.raises(ValueError, match="has no Train: there is no step to time"):
        step_times.keep_timings(replace(STUDY, arms=never, may_share=True), "bypass")


def test_an_unknown_label_or_study_is_refused(capsys):
    with pytest.raises(ValueError, match="bypasses has no label 'pooling'; it has bypass, lr"):
        costs.variants(STUDY, "pooling")
    assert step_times.main(["no_such_study", "kind"]) == 2
    assert "unknown study 'no_such_study'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        step_times.main([])


def test_a_missing_timing_has_the_columns_of_a_kept_one(shipped):
    assert list(costs.kept_timings("never", "kind").columns) == list(costs.COLUMNS)
    assert isinstance(costs.kept_timings("never", "kind"), pd.DataFrame)
