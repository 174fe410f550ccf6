from __future__ import annotations

import pytest

from squeeze_utils.base.scale import SCALES, Scale
from squeeze_utils.compress.pricing.frozen_codes import FreezeCodes
from squeeze_utils.compress.pricing.silent_units import RemoveSilent
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.studies import priced, priced_photographs
from squeeze_utils.training.loop import Train


def epochs(arm) -> int:
    steps = arm.experiment.recipe
    return sum(getattr(step, "epochs", 0) for step in steps)


def is_longer(arm) -> bool:
    return dict(arm.labels)["recipe"].endswith(priced.TWICE)


def test_some_recipes_get_twice_the_epochs_and_a_dense_control():
    study = priced.on_digits(Scale("reference"))
    for network, price in priced.LONGER.items():
        arms = study.where(network=network, seed=0).arms
        long = {dict(arm.labels)["recipe"]: arm for arm in arms if is_longer(arm)}
        recipe = priced.recipe_name(price)
        assert list(long) == [f"{name}, {priced.TWICE}" for name in (priced.DENSE, recipe)]
        usual = {dict(arm.labels)["recipe"]: arm for arm in arms}
        for name, arm in long.items():
            short = usual[name.partition(",")[0]]
            assert epochs(arm) == 2 * epochs(short)
            changed = [
                one
                for one, other in zip(arm.experiment.recipe, short.experiment.recipe, strict=True)
                if one != other
            ]
            assert changed == [arm.experiment.recipe[1]]
    assert not any(map(is_longer, priced.on_digits(Scale("quick")).arms))


@pytest.mark.parametrize("name", priced.NETWORKS)
def test_pruning_by_hand_has_three_sparsities(name):
    found = priced.recipes(name, Scale("reference"))
    kept = {}
    for recipe in priced.SPARSER:
        _, pruning, rounding, *_ = found[recipe]
        kept[recipe] = [1 - share for _, share in pruning.during[0].per_layer]
        assert rounding == found[priced.STEPPED][2] and pruning.epochs == 12 + 8 * (
            name == "LeNet-300-100"
        )
    for recipe, parts in priced.SPARSER.items():
        assert kept[recipe] == pytest.approx([k / parts for k in kept[priced.STEPPED]])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("make", [priced.on_digits, priced_photographs.on_photographs])
def test_all_recipes_of_a_network_take_the_same_epochs_and_begin_alike(make, scale):
    study = make(Scale(scale))
    for network in {dict(arm.labels)["network"] for arm in study.arms}:
        arms = [a for a in study.where(network=network).arms if not is_longer(a)]
        assert len({epochs(arm) for arm in arms}) == 1
        assert len({arm.experiment.recipe[0] for arm in arms}) == 1
        assert all(isinstance(arm.experiment.recipe[-1], Encode) for arm in arms)


def test_price_on_and_off_differ_in_the_price_alone():
    free = priced.priced(0.0, "LeNet-5", Scale("reference"))
    paid = priced.priced(1e-6, "LeNet-5", Scale("reference"))
    different = [one for one, other in zip(free, paid, strict=True) if one != other]
    assert len(different) == 1 and isinstance(different[0], Train)
    assert [type(step) for step in paid[2:]] == [RemoveSilent, FreezeCodes, Encode]


@pytest.mark.parametrize("name", priced.NETWORKS)
def test_all_recipes_of_digits_are_trained_in_one_precision(name):
    for steps in priced.recipes(name, Scale("reference")).values():
        assert {s.precision for s in steps if isinstance(s, Train)} == {"float32"}


@pytest.mark.parametrize("name", priced_photographs.LARGE)
def test_recipes_of_photographs_name_their_precision(name):
    for steps in priced_photographs.large_recipes(name, Scale("reference")).values():
        assert {s.precision for s in steps if isinstance(s, Train)} == {"bfloat16"}


@pytest.mark.parametrize("name", priced.NETWORKS)
def test_whatever_has_learned_steps_loses_its_silent_units_before_the_same_coder(name):
    found = priced.recipes(name, Scale("reference"))
    for recipe in (*priced.SPARSER, priced.FREE):
        narrowed = any(isinstance(step, RemoveSilent) for step in found[recipe])
        assert narrowed == (name != priced.FIRE)
        assert found[recipe][-1] == Encode("compact")


def test_names_of_prices():
    assert [priced.recipe_name(p) for p in (5e-7, 1.5e-6, 2e-5)] == [
        "price 5e-7",
        "price 1.5e-6",
        "price 2e-5",
    ]


@pytest.mark.parametrize("name", priced_photographs.OTHER_WAYS)
def test_the_other_ways_prune_layers_that_there_are_and_share_the_dense_training(name):
    names = prunable(priced_photographs.large_network(name, Scale("reference")).build())
    assert set(priced_photographs.SPARSITY[name]) <= set(names)
    found = priced_photographs.large_recipes(name, Scale("reference"))
    rounded = [steps for recipe, steps in found.items() if recipe.startswith(priced.AFTERWARDS)]
    assert len(rounded) == 2 and all(steps[:2] == found[priced.DENSE][:2] for steps in rounded)
    assert {priced.PRUNED, priced.FREE} < set(found)


def test_fires_are_pruned_as_far_as_their_layers_bear():
    names = prunable(priced.network(priced.FIRE, Scale("reference")).build())
    assert set(priced.FIRE_SPARSITY) == set(names)
    kept = sum((1 - priced.FIRE_SPARSITY[name]) * p.numel() for name, p in names.items())
    assert 10_000 < kept < 14_350  # what LeNet-5 keeps


def test_more_coders_write_every_small_file_that_was_made_without_a_price():
    reference = Scale("reference")
    trained = {arm.experiment: arm.labels for arm in priced.on_digits(reference).arms}
    study = priced.with_more_coders(reference)
    recipes = {dict(arm.labels)["recipe"] for arm in study.arms}
    assert {priced.PRUNED, *priced.SPARSER} < recipes
    assert all(one.startswith((priced.PRUNED[:6], priced.AFTERWARDS)) for one in recipes)
    for arm in study.arms:
        *before, last = arm.experiment.recipe
        assert trained[arm.experiment.prefix(len(before))] == arm.labels
        assert {last.coder, *last.coders} == set(priced.MORE_CODERS)
    ends = {
        recipe: steps[-1]
        for recipe, steps in priced_photographs.large_recipes("SqueezeNet", reference).items()
        if recipe != priced.DENSE
    }
    for end in ends.values():
        assert {end.coder, *end.coders} >= set(priced.MORE_CODERS)
