from __future__ import annotations

import pytest
from tiny import tiny_set

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments import records as rooms
from squeeze_utils.experiments import variants
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.variants import Chapter, Variant, best_rate
from squeeze_utils.models import SMALL
from squeeze_utils.studies import activations, kernels, optimizers, pooling, residual

QUICK, REFERENCE = Scale("quick"), Scale("reference")
CHAPTER = Chapter(
    "kinds",
    "which kind?",
    (
        Variant.of({"pooling": "max"}, kind="plain"),
        Variant.of({"pooling": "blur"}, rates=(0.01, 0.1, 0.2), kind="blurred"),
    ),
)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr("squeeze_utils.base.paths.shipped", lambda name: tmp_path / name)
    return tmp_path / "runs"


def measure(arm, folder, accuracy: float) -> None:
    """A record of an arm that was never run."""
    step = {
        "step": arm.experiment.recipe[0].as_dict(),
        "seconds": 1.0,
        "validation_accuracy": accuracy,
    }
    record = Record.of(
        arm.experiment,
        [step],
        labels=dict(arm.labels),
        device="none",
        data_fingerprint=tiny_set().fingerprint,
        commit="none",
    )
    rooms.write_record(record, rooms.record_path(folder, arm.slug, arm.experiment.key))


def test_a_variant_joins_with_the_rate_that_its_pilot_found_best(shipped):
    pilot = CHAPTER.pilot(REFERENCE)
    assert len(pilot.arms) == 4 + 3 and not CHAPTER.study(REFERENCE).arms
    blurred = [arm for arm in pilot.arms if dict(arm.labels)["kind"] == "blurred"]
    for arm, accuracy in zip(blurred, (50.0, 70.0, 60.0), strict=True):
        assert not CHAPTER.study(REFERENCE).arms
        measure(arm, shipped / pilot.name, accuracy)
    arms = CHAPTER.study(REFERENCE).arms
    assert [arm.experiment.seed for arm in arms] == [0, 1, 2]
    assert all(dict(arm.labels) == {"kind": "blurred", "lr": 0.1} for arm in arms)
    (step,) = arms[0].experiment.recipe
    assert step.lr == 0.1 and step.epochs == CHAPTER.epochs > CHAPTER.pilot_epochs


def test_the_best_rate_waits_for_every_run(shipped):
    arms = CHAPTER.pilot(REFERENCE).arms[:4]
    for arm in arms[:3]:
        measure(arm, shipped / "kinds_lr", 10.0)
    experiments = [arm.experiment for arm in arms]
    assert best_rate(CHAPTER.pilot(REFERENCE).records(), experiments) is None


def test_at_quick_scale_there_is_no_pilot_to_wait_for(shipped):
    arms = CHAPTER.study(QUICK).arms
    assert [dict(arm.labels)["kind"] for arm in arms] == ["plain", "blurred"]
    assert [dict(arm.labels)["lr"] for arm in arms] == [0.04, 0.04]


def test_the_plain_network_of_one_chapter_is_that_of_the_others():
    plain = [
        (activations.CHAPTER, "relu"),
        (kernels.RATIO_CHAPTER, 0.125),
        (kernels.FIRST_CHAPTER, "3x3"),
        (kernels.EXPAND_CHAPTER, "plain"),
        (pooling.KIND_CHAPTER, "max"),
        (pooling.PLACE_CHAPTER, "as in 1.1"),
        (pooling.HEAD_CHAPTER, "average"),
    ]
    keys = set()
    for chapter, name in plain:
        for variant in chapter.variants:
            if dict(variant.labels) and name in dict(variant.labels).values():
                keys.add(chapter.experiment(REFERENCE, variant, 0.02, 0).key)
    assert len(keys) == 1


CHAPTERS = [
    activations.CHAPTER,
    activations.INIT_CHAPTER,
    kernels.RATIO_CHAPTER,
    kernels.SHARE_CHAPTER,
    kernels.FIRST_CHAPTER,
    kernels.EXPAND_CHAPTER,
    optimizers.CHAPTER,
    pooling.KIND_CHAPTER,
    pooling.PLACE_CHAPTER,
    pooling.HEAD_CHAPTER,
    residual.CHAPTER,
    residual.FULL_WIDTH,
]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_chapter_keeps_to_the_series_budget(chapter):
    """At least 3 seeds, 20,000 images, 8 epochs, 4 rates; the same for every variant."""
    assert len(chapter.seeds) >= 3
    budgets = set()
    for variant in chapter.variants:
        assert len(set(variant.rates)) >= 4
        experiment = chapter.experiment(REFERENCE, variant, variant.rates[0], 0)
        (step,) = experiment.recipe
        assert experiment.data.train_limit is None or experiment.data.train_limit >= 20_000
        assert step.epochs >= 8
        budgets.add((experiment.data, step.epochs, step.batch_size))
    assert len(budgets) == 1


def test_options_at_their_default_are_left_out():
    variant = Variant.of({"pooling": SMALL.pooling, "width": 0.25}, name="x")
    options = dict(CHAPTER.experiment(REFERENCE, variant, 0.01, 0).model.options)
    assert options == {"num_classes": 10, "width": 0.25}


@pytest.mark.parametrize(
    ("epochs", "cycles"), [(1, (1,)), (2, (2,)), (3, (1, 2)), (4, (1, 3)), (8, (1, 2, 5))]
)
def test_restarts_fill_the_run(epochs, cycles):
    assert optimizers.restarts(epochs) == cycles


def test_every_variant_differs_from_every_other():
    for chapter in CHAPTERS:
        keys = [chapter.experiment(REFERENCE, v, 0.01, 0).key for v in chapter.variants]
        assert len(set(keys)) == len(keys), chapter.name


def test_seeds_are_those_of_the_series():
    assert variants.SEEDS == (0, 1, 2)
