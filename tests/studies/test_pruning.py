from __future__ import annotations

import pytest

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pruning.steps import Densify, Prune
from squeeze_utils.studies import dense_sparse_dense, pruning
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step

SCALES = [Scale("quick"), Scale("reference")]


def epochs(recipe: tuple[Step, ...]) -> int:
    return sum(step.epochs for step in recipe if isinstance(step, Train))


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)
def test_dsd_and_its_controls_train_for_the_same_number_of_epochs(scale):
    recipes = dense_sparse_dense.recipes(scale)
    assert len({epochs(recipe) for recipe in recipes.values()}) == 1
    control = recipes["dense control"]
    for name, recipe in recipes.items():
        if name.startswith("DSD"):
            kept = tuple(step for step in recipe if not isinstance(step, Prune | Densify))
            assert kept == control  # the very same phases and rates, without the zeros
            assert len(recipe) == len(control) + 2
    assert control[2].lr == pytest.approx(control[1].lr / 10)


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)
@pytest.mark.parametrize("study", [pruning.schedules, pruning.trade_off, pruning.whole_filters])
def test_what_is_compared_has_had_equal_training(study, scale):
    found: dict[object, set[int]] = {}
    for arm in study(scale).arms:
        key = dict(arm.labels).get("filters_removed")
        found.setdefault(key, set()).add(epochs(arm.experiment.recipe))
    assert all(len(lengths) == 1 for lengths in found.values())


@pytest.mark.parametrize("kind", ["small and dense", "small, even width"])
@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)
def test_the_small_networks_are_about_as_large_as_the_pruned_one(scale, kind):
    network = pruning.small_networks(scale)[kind].build()
    small = sum(p.numel() for p in network.parameters())
    whole = pruning.network(scale).build()
    dense = [p for n, p in whole.named_parameters() if p.ndim < 2 or n == "features.0.weight"]
    total, kept = (sum(p.numel() for p in part) for part in (whole.parameters(), dense))
    left = kept + (1 - pruning.HIGH) * (total - kept)
    assert left / 1.15 < small < 1.15 * left
    widths = {sum(fire.shape[1:]) for fire in network.fires().values()}
    assert (len(widths) == 1) == (kind == "small, even width")


def test_snip_stands_in_both_forms_which_differ_in_scope_alone():
    for scale in SCALES:
        arms = {dict(arm.labels)["schedule"]: arm for arm in pruning.schedules(scale).arms}
        layer, published = (arms[n].experiment.recipe for n in ("SNIP", "SNIP, global"))
        assert layer[1:] == published[1:]
        assert (layer[0].scope, published[0].scope) == ("layer", "global")
        assert {layer[0].criterion, published[0].criterion} == {"snip"}


def test_five_seeds_for_dsd_three_for_the_others():
    reference = SCALES[1]
    assert {
        arm.experiment.seed for arm in dense_sparse_dense.dense_sparse_dense(reference).arms
    } == set(range(5))
    assert {arm.experiment.seed for arm in pruning.lottery(reference).arms} == {0, 1, 2}
    assert len(pruning.SPARSITIES) >= 7 and max(pruning.SPARSITIES) == 0.98
    assert len(pruning.CRITERIA) >= 4
