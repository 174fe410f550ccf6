"""The long regime: equal training, shared experiments, arms that wait for their pilots."""

from __future__ import annotations

import shutil
import time

import pytest
import torch
from finished import finish

from squeeze_utils.anatomy.costs import count
from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.results.headlines import COMPARISONS
from squeeze_utils.studies import catalogue, dense_sparse_dense, pruning_long
from squeeze_utils.studies.catalogue import find
from squeeze_utils.studies.plan import ORDER, show_plan
from squeeze_utils.training.loop import Train

# In these finished studies some grids end where they may not be extended any further.
pytestmark = pytest.mark.filterwarnings("ignore:the best learning rate lies at the edge")
QUICK, REFERENCE = Scale("quick"), Scale("reference")
LONG = [name for name in ORDER if name.endswith("_long")]
SHORTER = {"dsd_long", "dsd_overfit_long"}  # their first phase alone


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every study of the plan and the folder of its records, finished, all best at 0.04."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "shipped", lambda name: folder / name)
        for name in ORDER:
            finish(name, folder / "runs")
        return folder, {name: find(name, REFERENCE) for name in ORDER}


@pytest.fixture
def shipped(runs, monkeypatch):
    """Every study of the plan, finished."""
    folder, studies = runs
    monkeypatch.setattr(paths, "shipped", lambda name: folder / name)
    return studies


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """A folder without any record."""
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    return tmp_path / "runs"


def keys(study: Study, **labels: object) -> set[str]:
    return {arm.experiment.key for arm in study.where(**labels).arms}


def dense(study: Study) -> set[str]:
    """What the experiments of a study begin with."""
    return {arm.experiment.prefix(1).key for arm in study.arms}


def test_every_training_names_its_precision_and_has_all_images(shipped):
    for name in LONG:
        for study in (shipped[name], find(shipped[name].pilot, REFERENCE)):
            assert study.arms
            for arm in study.arms:
                steps = [step for step in arm.experiment.recipe if isinstance(step, Train)]
                assert {step.precision for step in steps} == {"bfloat16"}, study.name
                few = 5_000 if name == "dsd_overfit_long" else None
                assert arm.experiment.data.train_limit == few


def test_all_arms_of_a_study_have_the_same_epochs_and_seeds(shipped):
    for name in LONG:
        study, epochs = shipped[name], {}
        for arm in study.arms:
            steps = [step for step in arm.experiment.recipe if isinstance(step, Train)]
            labels = tuple(pair for pair in arm.labels if pair[0] in ("network", "method"))
            epochs.setdefault(labels, set()).add(sum(step.epochs for step in steps))
        assert len(set.union(*epochs.values())) == 1, name
        assert min(set.union(*epochs.values())) >= 24


@pytest.mark.parametrize(
    ("name", "arms", "seeds"),
    [
        ("residual_long", 20, 5),
        ("linear_squeeze_long", 15, 5),
        ("dsd_long", 15, 5),
        ("dsd_overfit_long", 15, 5),
        ("pruning_long", 25, 5),
        ("quantization_training_long", 34, 5),
        ("quantization_mixed_long", 20, 5),
        ("optimizers_long", 20, 5),
        ("squeeze_ratio_long", 12, 3),
        ("downsampling_long", 15, 5),
        ("pooling_long", 12, 3),
        ("baseline_long", 19, 3),
        ("float32_controls", 6, 3),
        ("residual_72_long", 4, 2),
        ("linear_squeeze_72_long", 4, 2),
    ],
)
def test_five_seeds_for_claims_three_for_sweeps(name, arms, seeds, shipped):
    study = shipped[name]
    assert len(study.arms) == arms and not study.expected and not study.missing()
    assert {arm.experiment.seed for arm in study.arms} == set(range(seeds))
    assert not find(name, QUICK).expected and 0 < len(find(name, QUICK).arms) <= 8


def test_what_the_readme_compares_has_five_seeds_an_arm(shipped):
    for one in COMPARISONS:
        study = shipped[one.study]
        for name in (one.arm, one.control):
            arms = study.where(**{**one.labels, one.by: name}).arms
            assert {arm.experiment.seed for arm in arms} == set(range(5)), (one.study, name)
    quantized = shipped["quantization_training_long"]
    assert len(quantized.where(seed=4).arms) == 2  # the others have three


def test_some_studies_declare_one_deviation_for_all_their_arms(shipped):
    pooled = {name for name in LONG if shipped[name].pools_deviation}
    assert pooled == {"squeeze_ratio_long", "pooling_long", "exchanges_long"}
    assert find("exchanges_vgg", REFERENCE).pools_deviation
    assert shipped["exchanges_long"].own_deviation == ("largest, forgetful",)


def test_equal_experiments_are_the_same(shipped):
    plain = keys(shipped["residual_long"], network="plain")
    assert len(plain) == 5
    assert keys(shipped["linear_squeeze_long"], squeeze="ReLU") == plain
    assert keys(shipped["optimizers_long"], optimizer="muon") == plain
    assert keys(shipped["downsampling_long"], downsampling="as in 1.1") == plain
    three = keys(shipped["squeeze_ratio_long"], squeeze_ratio=0.125)
    assert three < plain and len(three) == 3
    assert keys(shipped["pooling_long"], pooling="max") == three
    assert dense(shipped["quantization_mixed_long"]) == plain
    assert dense(shipped["quantization_training_long"]) == plain
    assert dense(shipped["pruning_long"].where(network=("never pruned", "movement"))) == plain
    pilots = [find(f"{n}_lr_long", REFERENCE) for n in ("residual", "linear_squeeze")]
    assert len(keys(pilots[0], network="plain") & keys(pilots[1], squeeze="ReLU")) == 6
    for name in ("squeeze_ratio", "downsampling", "pooling", "optimizers"):
        shared = keys(pilots[0], network="plain") & keys(find(f"{name}_lr_long", REFERENCE))
        assert len(shared) == 6, name


def test_what_a_pilot_has_to_choose_is_expected_and_joins_when_it_has(nothing):
    for name in LONG:
        study = find(name, REFERENCE)
        assert study.expected and not study.arms, name
    finish("residual_lr_long", nothing, best=0.02)
    assert {step.lr for step in _first(find("dsd_long", REFERENCE))} == {0.02}
    pilot = find("pruning_lr_long", REFERENCE)
    assert [dict(arm.labels)["network"] for arm in pilot.arms] == [pruning_long.SCANNED]
    assert len(pilot.expected) == 6
    pruned = find("pruning_long", REFERENCE)
    assert len(pruned.arms) == 20 and len(pruned.expected) == 5
    finish("pruning_lr_long", nothing)
    assert not find("pruning_long", REFERENCE).expected
    assert find("residual_72_long", REFERENCE).expected


def _first(study: Study) -> list[Train]:
    return [arm.experiment.recipe[0] for arm in study.arms]


def test_late_and_early_downsampling_cost_the_same_multiply_adds(shipped):
    specs = {arm.experiment.model for arm in shipped["downsampling_long"].arms}
    costs = [count(_meta(spec))["multiply_adds"] for spec in specs]
    assert len(specs) == 3 and max(costs) < 1.02 * min(costs)
    places = {_meta(spec).config.pool_after for spec in specs}
    assert places == {(1, 2, 3), (1, 3, 5), (1, 4, 8)}


def _meta(spec: ModelSpec) -> torch.nn.Module:
    with torch.device("meta"):
        return spec.build()


def test_dsd_and_its_controls_share_the_first_phase_and_all_lengths():
    first = Train(16, lr=0.04)
    recipes = dense_sparse_dense.long_recipes(first)
    dsd, control, low = (recipes[n] for n in ("DSD 50%", "dense control", "low rate (LLR)"))
    assert tuple(step for step in dsd if isinstance(step, Train)) == control
    assert [step.lr for step in control] == [0.04, 0.02, 0.02]
    assert [step.lr for step in low] == pytest.approx([0.04, 0.004, 0.004])
    assert {step.epochs for recipe in recipes.values() for step in recipe if step in control} == {
        16
    }


def test_the_network_that_overfits_sees_few_images_as_they_are(shipped):
    for arm in shipped["dsd_overfit_long"].arms:
        for step in arm.experiment.recipe:
            assert not isinstance(step, Train) or (step.shift, step.flip) == (0, False)


def test_the_dense_control_has_the_weights_that_the_scan_left_in_each_module():
    whole = pruning_long.network(REFERENCE).build()
    names = [name for name, p in whole.named_parameters() if p.ndim > 1]
    uneven = {name: 30.0 if ".3." in name or ".4." in name else 8.0 for name in names}
    for density in ({}, uneven):
        fires = pruning_long.scan_widths(REFERENCE, density)
        small = pruning_long.network(REFERENCE, fires=fires).build()
        for number, fire in small.fires().items():
            wanted = sum(
                p.numel() * density.get(f"{name}.weight", 10) / 100
                for name, p in _weights(whole, number).items()
            )
            found = sum(p.numel() for p in fire.parameters() if p.ndim > 1)
            assert abs(found / wanted - 1) < 0.1


def _weights(model: torch.nn.Module, number: int) -> dict[str, torch.Tensor]:
    fire = model.fires()[number]
    (path,) = (name for name, module in model.named_modules() if module is fire)
    return {
        f"{path}.{n}".removesuffix(".weight"): p for n, p in fire.named_parameters() if p.ndim > 1
    }


def test_the_leading_networks_are_trained_three_times_as_long(shipped):
    study, short = shipped["residual_72_long"], shipped["residual_long"]
    lead = {dict(arm.labels)["network"] for arm in study.arms}
    assert len(lead) == 2 and lead < {dict(arm.labels)["network"] for arm in short.arms}
    assert {arm.experiment.recipe[0].epochs for arm in study.arms} == {72}
    squeeze = shipped["linear_squeeze_72_long"]
    assert {arm.experiment.recipe[0].lr for arm in squeeze.arms} == {0.04}


def test_baselines_have_full_width_and_vgg_a_single_seed(shipped):
    study = shipped["baseline_long"]
    found = {(dict(a.labels)["model"], dict(a.labels)["optimizer"]) for a in study.arms}
    assert len(found) == 7 and ("AlexNet", "muon") in found
    assert [arm.experiment.seed for arm in study.where(model="VGG-11").arms] == [0]
    assert all("width" not in dict(arm.experiment.model.options) for arm in study.arms)


def test_controls_are_those_of_the_short_studies_but_for_their_precision():
    controls = find("float32_controls", REFERENCE)
    for name, of, labels in (
        ("plain", "expand", {"expand": "plain"}),
        ("plain", "first_layer", {"first_layer": "3x3"}),
        ("plain", "tuned", {"settings": "default"}),
        ("half of the filters 3x3", "pct3x3", {"percent_3x3": 50}),
    ):
        ours = [arm.experiment for arm in controls.where(network=name).arms]
        theirs = [arm.experiment for arm in find(of, REFERENCE).where(**labels).arms]
        for one, other in zip(ours, theirs, strict=True):
            assert one.key != other.key and one.seed == other.seed and one.data == other.data
            assert one.model == other.model
            (mine,), (given,) = one.recipe, other.recipe
            assert mine.as_dict() == {**given.as_dict(), "precision": "float32"}


# Pilots of studies of other images than CIFAR-10's, which have regimes of their own.
OTHER_PILOTS = {"federated_lr", "transfer_lr", "detection_lr", "segmentation_lr"}


def test_a_complete_plan_has_nothing_to_do_and_says_so_soon(shipped, runs):
    folder, _ = runs
    for name in catalogue.catalogue():  # the short studies are complete in the repository
        if not (folder / "runs" / name).exists():
            shutil.copytree(paths.repository() / "data" / "runs" / name, folder / "runs" / name)
    start = time.process_time()
    assert show_plan().startswith("nothing to do") and time.process_time() - start < 20


def test_names_say_which_regime(shipped):
    long = {name for name in catalogue.catalogue() if name.endswith("_long")}
    pilots = {study.pilot for study in shipped.values() if study.pilot}
    headline = {"ladder", "ladder_lr"}  # it is longer than long
    assert pilots - headline - OTHER_PILOTS <= long
    assert set(LONG) <= long
