"""Chapter 20's studies and its arithmetic on paper."""

from __future__ import annotations

import pytest

from squeeze_utils.base.scale import SCALES, Scale
from squeeze_utils.results.named_study import study
from squeeze_utils.studies import communication, together
from squeeze_utils.studies.scaling import makespan, reference_hours, step_seconds
from squeeze_utils.training.distributed.together import EXCHANGES


@pytest.mark.parametrize("scale", SCALES)
def test_arms_differ_in_what_is_exchanged_alone(scale):
    for name in ("exchanges_long", "exchanges_vgg"):
        made = communication.STUDIES[name](Scale(scale))
        steps = [arm.experiment.recipe[0] for arm in (*made.arms, *made.expected)]
        assert made.processes == 2 and {step.workers for step in steps} == {2}
        assert len({(step.epochs, step.lr, step.batch_size, step.shift) for step in steps}) == 1
    named = {way.get("exchange", "all") for way in communication.ways(Scale(scale)).values()}
    assert named == set(EXCHANGES)


def test_weights_decay_as_fast_where_the_momentum_is_in_the_exchange():
    for arm in communication.exchanges_vgg(Scale("reference")).arms:
        step = arm.experiment.recipe[0]
        passed_on = 1 / (1 - 0.9) if step.optimizer == "momentum" else 1
        assert step.weight_decay * passed_on == pytest.approx(5e-3)


def test_rare_averages_send_a_hundred_times_less_also_at_the_ends_of_epochs():
    for name, images in {"exchanges_long": 45_000, "exchanges_vgg": 20_000}.items():
        made = communication.STUDIES[name](Scale("reference"))
        arms = [arm for arm in (*made.arms, *made.expected) if ("exchange", "seldom") in arm.labels]
        plan = arms[0].experiment.recipe[0]
        steps = plan.epochs * (images // plan.batch_size)
        assert steps / (steps // plan.every + plan.epochs) > 100


def test_clients_compute_in_a_precision_that_the_recipe_names():
    wanted = {"quick": "float32", "reference": "bfloat16"}
    for scale in SCALES:
        made = communication.federated(Scale(scale))
        steps = [arm.experiment.recipe[0] for arm in (*made.arms, *made.expected)]
        assert {step.precision for step in steps} == {wanted[scale]}
        assert {step.plan.precision for step in steps} == {wanted[scale]}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["exchanges_long", "exchanges_vgg"])
def test_the_name_of_the_largest_numbers_gives_the_share_that_is_sent(scale, name):
    made = communication.STUDIES[name](Scale(scale))
    steps = {
        label: arm.experiment.recipe[0].density
        for arm in (*made.arms, *made.expected)
        for _, label in arm.labels
        if label.endswith(" %")
    }
    assert len(steps) == 1
    assert all(label == f"largest {100 * density:g} %" for label, density in steps.items())


def test_tables_wait_for_their_records():
    for name in communication.STUDIES:
        found = study(name).records()
        assert found.source
        assert len(found.table()) == (len(found.table()) if len(found) else 0)


def test_a_study_of_two_processes_is_launched_and_its_records_are_read(monkeypatch, tmp_path):
    """The processes themselves are tested with the launching; here they are pretended."""
    from finished import pretend

    asked = {}

    def launched(module, count, **how):
        asked.update(how, module=module, count=count)
        made = communication.exchanges(Scale("quick"))
        for arm in made.arms:
            if arm.experiment.key in how["keys"]:
                pretend(arm, type(tmp_path)(how["folder"]) / made.name)
        return [1, 1]

    monkeypatch.setattr(together, "launch", launched)
    live = study("exchanges_long").run(exchange="seldom")
    assert len(live) == 1 and asked["count"] == 2 and len(asked["keys"]) == 1
    assert asked["module"] == together.job.__module__


def test_a_step_on_paper():
    one = step_seconds(1.0, 10_000_000, 1, 1e9)
    assert one == {"seconds": 1.0, "share": 0.0, "speed-up": 1.0}
    many = [step_seconds(1.0, 10_000_000, n, 1e9)["speed-up"] for n in (1, 2, 4, 8, 64, 1000)]
    assert many[0] < many[1] < many[2] and many[-1] < max(many)  # it rises, then it falls
    with pytest.raises(ValueError, match="workers must be"):
        step_seconds(1.0, 1, 0, 1e9)


def test_many_trainings_side_by_side_end_with_the_longest():
    hours = [5.0, 1.0, 1.0, 1.0]
    assert [makespan(hours, n) for n in (1, 2, 4, 64)] == [8.0, 5.0, 5.0, 5.0]
    found = reference_hours()
    assert found == sorted(found, reverse=True) and found[-1] > 0
    assert makespan(found, 10_000) == pytest.approx(found[0])
    assert makespan(found, 8) >= sum(found) / 8
