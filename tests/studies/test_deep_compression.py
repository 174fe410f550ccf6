from __future__ import annotations

from dataclasses import replace

import pytest

from squeeze_utils.base.scale import SCALES, Scale
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.sharing.steps import TuneCentroids
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.studies import deep_compression as chapter
from squeeze_utils.studies import sharing

STUDIES = chapter.STUDIES | sharing.STUDIES
CASES = [(name, scale) for name in STUDIES for scale in SCALES]


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_layers_that_a_recipe_names_are_there(name, scale):
    named = 0
    for arm in STUDIES[name](Scale(scale)).arms[:12]:
        there = set(prunable(arm.experiment.model.build()))
        for step in arm.experiment.recipe:
            for part in (step, *getattr(step, "during", ())):
                own = {layer for layer, _ in getattr(part, "per_layer", ())}
                assert own <= there
                named += len(own)
    assert named or name in ("deep_compression_vgg", "deep_compression_dense")


def test_what_is_compressed_is_judged_by_its_file():
    for scale in map(Scale, SCALES):
        for arm in chapter.deep_compression(scale).arms:
            last, recipe = arm.experiment.recipe[-1], dict(arm.labels)["recipe"]
            assert isinstance(last, Encode) == (recipe != "dense")
            assert recipe == "dense" or last.details


def test_the_reference_has_three_seeds_of_each_network_and_recipe_but_one():
    arms = chapter.deep_compression(Scale("reference")).arms
    groups: dict[tuple, set[int]] = {}
    for arm in arms:
        groups.setdefault(arm.labels, set()).add(arm.experiment.seed)
    single = (("network", "SqueezeNet"), ("recipe", "trained"))
    assert groups.pop(single) == {0}
    assert set(map(len, groups.values())) == {3} and len(groups) == 9


def test_the_dense_controls_train_like_our_networks_and_as_long():
    for scale in map(Scale, SCALES):
        ours = chapter.deep_compression(scale).where(recipe="ours")
        for arm in chapter.dense_as_long(scale).arms:
            network, seed = dict(arm.labels)["network"], arm.experiment.seed
            (other,) = ours.where(network=network, seed=seed).arms
            trained = [step for step in other.experiment.recipe if hasattr(step, "epochs")]
            steps = arm.experiment.recipe
            assert sum(step.epochs for step in steps) == sum(step.epochs for step in trained)
            for step, like in zip(steps, trained, strict=False):
                again = replace(like, epochs=step.epochs, during=(), precision="float32")
                assert step == again


def test_codebooks_are_compared_before_and_after_tuning_on_the_same_network():
    arms = sharing.starts(Scale("reference")).arms
    assert len({arm.experiment.prefix(2).key for arm in arms}) == len(chapter.SEEDS)
    assert all(isinstance(arm.experiment.recipe[-1], TuneCentroids) for arm in arms)
