"""Variants at the rate that their pilot found, all with the same budget."""

from __future__ import annotations

from dataclasses import replace

import pytest
from finished import place
from tiny import tiny_set

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments import records as rooms
from squeeze_utils.experiments.rates import MOST_RATES, best_rate
from squeeze_utils.experiments.records import Record
from squeeze_utils.models import SMALL
from squeeze_utils.studies import activations, kernels, optimizers, pooling, residual
from squeeze_utils.studies.variants import Chapter, Variant
from squeeze_utils.training.loop import Train

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
        device="cpu",
        data_fingerprint=tiny_set().fingerprint,
        commit="none",
    )
    place(record, rooms.record_path(folder, arm.slug, arm.experiment.key))


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


def test_the_best_rate_waits_for_every_run_and_then_takes_the_best_mean_over_seeds(shipped):
    chapter = replace(CHAPTER, pilot_seeds=(0, 1))
    (plain, _), pilot = chapter.variants, chapter.pilot(REFERENCE)
    assert len(pilot.arms) == 2 * (4 + 3)
    runs = chapter.grid(plain, REFERENCE, {})
    accuracies = {0.01: (50, 50), 0.02: (70, 40), 0.04: (60, 56), 0.08: (1, 2)}
    for arm in pilot.where(kind="plain").arms:
        assert best_rate(pilot.records(), runs) is None
        both = accuracies[dict(arm.labels)["lr"]]
        measure(arm, shipped / pilot.name, both[arm.experiment.seed])
    assert best_rate(pilot.records(), runs) == 0.04


def test_a_grid_goes_on_beyond_its_edge_until_the_best_rate_lies_inside(shipped):
    chapter = replace(CHAPTER, extends_rates=True)
    (_, blurred) = chapter.variants

    def rates() -> list[float]:
        return list(chapter.grid(blurred, REFERENCE, chapter.pilot_records(REFERENCE)))

    def run(accuracy_of) -> None:
        pilot = chapter.pilot(REFERENCE)
        for arm in pilot.where(kind="blurred").arms:
            measure(arm, shipped / pilot.name, accuracy_of(dict(arm.labels)["lr"]))

    assert rates() == [0.01, 0.1, 0.2]
    run(lambda lr: 10 + lr)
    assert rates() == [0.01, 0.1, 0.2, 0.4]
    assert not chapter.study(REFERENCE).arms  # it waits for the new rate
    run(lambda lr: 10 + lr if lr < 0.4 else 5)
    assert rates() == [0.01, 0.1, 0.2, 0.4]
    assert {dict(arm.labels)["lr"] for arm in chapter.study(REFERENCE).arms} == {0.2}
    run(lambda lr: lr)
    while len(rates()) < MOST_RATES:
        run(lambda lr: lr)
    assert rates() == [0.01, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
    assert list(chapter.grid(blurred, QUICK, {})) == [0.01, 0.1, 0.2]


def test_of_equal_rates_the_lowest_is_taken_and_the_grid_goes_on_below_it(shipped):
    chapter = replace(CHAPTER, extends_rates=True)
    (_, blurred) = chapter.variants
    for best in ({0.1, 0.2}, {0.01, 0.1}, {0.005, 0.01}):
        pilot = chapter.pilot(REFERENCE)
        for arm in pilot.where(kind="blurred").arms:
            lr = dict(arm.labels)["lr"]
            measure(arm, shipped / pilot.name, 60.0 if lr in best else 50.0)
        grid = chapter.grid(blurred, REFERENCE, chapter.pilot_records(REFERENCE))
        expected = [0.01, 0.1, 0.2] if best == {0.1, 0.2} else [0.005, 0.01, 0.1, 0.2]
        assert list(grid) == (expected if 0.005 not in best else [0.0025, *expected])


def test_a_best_rate_at_the_edge_of_a_grid_that_ends_is_warned_of(shipped, recwarn):
    chapter = replace(CHAPTER, extends_rates=True)
    (_, blurred) = chapter.variants

    def run(accuracy_of) -> None:
        for arm in chapter.pilot(REFERENCE).where(kind="blurred").arms:
            measure(arm, shipped / chapter.pilot_name, accuracy_of(dict(arm.labels)["lr"]))

    def rates() -> list[float]:
        return list(chapter.grid(blurred, REFERENCE, chapter.pilot_records(REFERENCE)))

    while len(rates()) < MOST_RATES:
        run(lambda lr: -lr)
    assert not recwarn  # the last rate has not been tried
    run(lambda lr: -lr)
    said = r"at the edge of 7 \(0\.000625, .*, 0\.2\).*: 0\.000625 may not be the best .*'blur'"
    with pytest.warns(UserWarning, match=said):
        rates()
    run(lambda lr: -abs(lr - 0.00125))
    recwarn.clear()
    assert len(rates()) == MOST_RATES and not recwarn


def test_what_a_variant_says_goes_before_its_chapter_and_that_before_the_series():
    chapter = replace(CHAPTER, train={"shift": 7, "batch_size": 7, "cutout": 7})
    cycles = {"schedule": "restarts", "cycles": lambda epochs: (epochs,)}
    variant = Variant.of(train={"batch_size": 5, "epochs": 40, **cycles})

    def step(scale: Scale) -> Train:
        (step,) = chapter.experiment(scale, variant, 0.3, 0).recipe
        return step

    at_length = step(REFERENCE)
    assert (at_length.shift, at_length.batch_size, at_length.cutout) == (7, 5, 7)
    assert (at_length.epochs, at_length.cycles, at_length.flip) == (40, (40,), True)
    assert (at_length.lr, at_length.optimizer, at_length.may_diverge) == (0.3, "muon", True)
    quick = step(QUICK)
    assert (quick.shift, quick.cutout, quick.flip) == (1, 0, False)
    assert (quick.epochs, quick.batch_size, quick.cycles) == (3, 80, (3,))


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
