from __future__ import annotations

from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.pricing.in_training import PriceBits
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.models import checkpoint_files
from squeeze_utils.studies import few_bytes, priced, residual
from squeeze_utils.training.loop import Train
from squeeze_utils.training.start_from_checkpoint import Load

REFERENCE = Scale("reference")


def test_all_begin_with_the_best_network_which_chapter_09_keeps():
    arms = few_bytes.few_bytes(REFERENCE).arms
    assert {arm.experiment.recipe[0] for arm in arms} == {Load(few_bytes.CHECKPOINT)}
    spec = checkpoint_files.load_model(few_bytes.CHECKPOINT)[0].spec
    assert {arm.experiment.model for arm in arms} == {spec}
    kept = [arm for arm in residual.full_width(REFERENCE).arms if arm.checkpoint]
    assert [arm.checkpoint for arm in kept] == [few_bytes.CHECKPOINT]


def test_the_dense_control_is_trained_as_the_rounded_network_is():
    found = few_bytes.recipes(REFERENCE)
    trained = {
        name: step for name, steps in found.items() for step in steps[1:] if isinstance(step, Train)
    }
    plain = trained.pop(f"{priced.DENSE}, trained on")
    assert not plain.during and len(trained) == 3
    for step in trained.values():
        (within,) = step.during
        assert isinstance(within, PriceBits) and within.price == 0
        assert step == Train(**{**vars(plain), "during": (within,)})


def test_only_training_tells_both_ways_apart_which_begin_a_little_too_large():
    found = few_bytes.recipes(REFERENCE)
    for size in few_bytes.SIZES_TRAINED_ON[1]:
        plain = found[f"{priced.AFTERWARDS}, {size // 1000} kB"]
        steps = found[f"rounded, trained on, {size // 1000} kB"]
        (rounded,) = (step for step in steps if isinstance(step, Squeeze))
        assert size < rounded.target_bytes < 1.05 * size
        assert [step for step in steps if not isinstance(step, Train)] == list(plain)


def test_only_the_network_as_it_is_has_one_seed():
    arms = few_bytes.few_bytes(REFERENCE).arms
    seeds = {}
    for arm in arms:
        seeds.setdefault(dict(arm.labels)["recipe"], []).append(arm.experiment.seed)
    assert seeds.pop(priced.DENSE) == [0]
    assert all(found == [0, 1, 2] for found in seeds.values())
