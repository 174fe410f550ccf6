"""The factorial's cells share what they begin with, and train equally long."""

from __future__ import annotations

import pytest
from finished import finish

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.quantizing.alternating import Alternate
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.studies import combining, durations, plan
from squeeze_utils.studies.catalogue import find
from squeeze_utils.training.loop import Train

# Where the pilots end is of no interest here.
pytestmark = pytest.mark.filterwarnings("ignore:the best learning rate lies at the edge")
QUICK, REFERENCE = Scale("quick"), Scale("reference")


def prefixes(study, depth=1, **labels) -> set[str]:
    return {arm.experiment.prefix(depth).key for arm in study.where(**labels).arms}


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The studies once all pilots have run."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "shipped", lambda name: folder / name)
        finish("combining_lr_long", folder / "runs")
        names = ("combining_long", "combining_order_long", "residual_long", "pruning_long")
        yield {name: find(name, REFERENCE) for name in names}


def test_there_are_108_experiments_of_36_recipes_and_three_coders(known):
    study = known["combining_long"]
    assert len(study.arms) == 108 and not study.expected
    assert len({arm.labels for arm in study.arms}) == 36
    assert {arm.experiment.recipe[-1].coders for arm in study.arms} == {("raw", "huffman", "best")}
    assert [arm.experiment.seed for arm in study.arms] == sorted([0, 1, 2] * 36)
    assert study.pilot == "combining_lr_long"


@pytest.mark.parametrize("scale", [QUICK, REFERENCE], ids=lambda scale: scale.name)
def test_cells_of_a_network_share_their_dense_training_and_all_train_equally_long(scale):
    study = combining.factorial(scale)
    arms = [*study.arms, *study.expected]
    for one in combining.networks(scale):
        own = [arm for arm in arms if dict(arm.labels)["network"] == one.name]
        seeds = {arm.experiment.seed for arm in own}
        assert len({arm.experiment.prefix(1).key for arm in own}) == len(seeds)
        epochs = {
            sum(s.epochs for s in arm.experiment.recipe if isinstance(s, Train)) for arm in own
        }
        assert len(epochs) == 1
        shared = {arm.experiment.prefix(3 if dict(arm.labels)["pruning"] else 2).key for arm in own}
        sparsities = {dict(arm.labels)["pruning"] for arm in own}
        assert len(shared) == len(seeds) * len(sparsities)  # all representations go on from there


def test_dense_trainings_and_retrainings_are_those_of_other_chapters(known):
    study, dense = known["combining_long"], known["residual_long"]
    for name, other in (("SqueezeNet", "plain"), ("simple bypass", "simple bypass")):
        own = prefixes(study, network=name)
        assert len(own) == 3 and own < prefixes(dense, network=other)
    pruning = known["pruning_long"]
    parts = dict(network="SqueezeNet", representation=combining.FLOAT)
    never = prefixes(study, 3, pruning=0.0, **parts)
    assert never < {arm.experiment.key for arm in pruning.where(network="never pruned").arms}
    pruned = prefixes(study, 4, pruning=0.9, **parts)
    assert pruned < {arm.experiment.key for arm in pruning.where(network="magnitude").arms}
    order = known["combining_order_long"]
    assert prefixes(order) == prefixes(dense, network="plain")


def test_alexnet_is_trained_as_long_as_the_others_and_tuned_on_its_own(known):
    study = known["combining_long"]
    first = {
        name: study.where(network=name).arms[0].experiment.recipe[0]
        for name in ("SqueezeNet", combining.ALEXNET)
    }
    assert len({step.epochs for step in first.values()}) == 1
    assert {step.optimizer for step in first.values()} == {"muon"}
    pilot = find("combining_lr_long", REFERENCE)
    rates = {arm.experiment.key for arm in pilot.where(lr=(0.01, 0.02, 0.04)).arms}
    assert len(rates) == 6 and rates <= {
        arm.experiment.key for arm in find("baseline_lr_long", REFERENCE).arms
    }
    assert {dict(arm.labels)["network"] for arm in pilot.arms} == {combining.ALEXNET}


def test_the_orders_differ_in_one_thing_and_fold_first(known):
    study = known["combining_order_long"]
    assert len(study.arms) == 25
    for arm in study.arms:
        assert isinstance(arm.experiment.recipe[1], FoldBatchNorm)
        last = arm.experiment.recipe[-2]
        assert (last.bits, last.epochs, last.precision) == (4, 16, "bfloat16")
        way = last.during[0] if last.during else None
        assert way == combining.ORDERS[dict(arm.labels)["order"]]
        assert way is None or isinstance(way, Alternate)


def test_what_a_study_takes_is_said_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    said = plan.announce("combining_long")
    assert said.experiments > 108 and said.trainings > 108
    assert 0 < said.hours < 12 or durations.usual_speed(()) < 2000
    assert f"{said.trainings} trainings, about" in str(said)
    with pytest.raises(ValueError, match="unknown study 'nothing'"):
        plan.announce("nothing")
