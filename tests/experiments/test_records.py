from __future__ import annotations

import json

import pytest
from tiny import tiny_experiment, tiny_set

from squeeze_utils.base import paths
from squeeze_utils.experiments.recipe import finish, run_experiment
from squeeze_utils.experiments.records import KEYS, Record, read_records, record_path, write_record


@pytest.fixture(scope="module")
def record() -> Record:
    experiment = tiny_experiment()
    data = tiny_set()
    return Record.of(
        experiment,
        finish(*run_experiment(experiment, data=data)),
        labels={"model": "LeNet"},
        device="a processor",
        data_fingerprint=data.fingerprint,
        commit="0123456789ab",
    )


def test_it_carries_what_a_reader_needs(record):
    values = json.loads(record.text())
    assert tuple(values) == KEYS
    assert values["experiment"] == tiny_experiment().as_dict()
    assert values["data"]["name"] == "digits" and values["data"]["fingerprint"]
    assert set(values["versions"]) >= {"python", "torch", "torchvision"}
    assert values["steps"][-1]["test_accuracy"] == record.final["test_accuracy"]
    assert len(record.history) == record.epochs == 1
    assert len(values["date"]) == 10


def test_it_survives_its_file(record, tmp_path):
    path = record_path(tmp_path, "lenet-s0", record.key)
    write_record(record, path)
    assert read_records(tmp_path) == {record.key: record}
    assert record.key == tiny_experiment().key
    assert [p.name for p in tmp_path.iterdir()] == [f"lenet-s0-{record.key}.json"]


def _without(name):
    return lambda values: json.dumps({key: v for key, v in values.items() if key != name})


def _with(**changed):
    return lambda values: json.dumps({**values, **changed})


DAMAGES = {
    "truncated": (lambda values: json.dumps(values)[:-40], "delimiter|Unterminated|Expecting"),
    "empty": (lambda values: "", "Expecting value"),
    "no object": (lambda values: "[1]", "not a JSON object"),
    "no device": (_without("device"), "it lacks device"),
    "steps short": (_with(steps=[]), "one entry for each step"),
    "steps of numbers": (_with(steps=[1]), "steps are not objects"),
    "experiment a list": (_with(experiment=[]), ""),
    "options a list": (
        _with(experiment={**tiny_experiment().as_dict(), "model": {"name": "x", "options": []}}),
        "",
    ),
    "unknown step": (
        _with(experiment={**tiny_experiment().as_dict(), "recipe": [{"step": "Trian"}]}),
        "unknown step 'Trian'",
    ),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_record_is_named_when_read_and_moved_only_on_repair(kind, record, tmp_path):
    damage, words = DAMAGES[kind]
    path = record_path(tmp_path, "lenet-s0", record.key)
    path.write_text(damage(json.loads(record.text())))
    with pytest.warns(UserWarning, match=f"damaged record {path.name}, left out: .*({words})"):
        assert read_records(tmp_path) == {}
    assert path.is_file()
    with pytest.warns(UserWarning, match=f"{path.name}, moved to {path.name}.corrupt"):
        assert read_records(tmp_path, repair=True) == {}
    assert [p.name for p in tmp_path.iterdir()] == [f"{path.name}.corrupt"]


def test_a_record_is_known_by_its_content_and_not_by_its_name(record, tmp_path):
    write_record(record, record_path(tmp_path, "renamed", "0" * 16))
    assert list(read_records(tmp_path)) == [record.key]


def test_a_record_of_another_experiment_is_never_overwritten(record, tmp_path):
    path = record_path(tmp_path, "lenet-s0", record.key)
    values = json.loads(record.text())
    values["experiment"]["seed"] = 9
    path.write_text(json.dumps(values))
    with pytest.warns(UserWarning, match=f"{path.name} held another record, moved to"):
        write_record(record, path)
    assert read_records(tmp_path) == {record.key: record}
    kept = path.with_name(path.name + ".corrupt")
    assert json.loads(kept.read_text())["experiment"]["seed"] == 9
    write_record(record, path)  # the same experiment again replaces its own record
    assert len(list(tmp_path.iterdir())) == 2


def test_the_committed_records_are_whole_and_named_by_their_key():
    """A default that changes its value would change keys and orphan every record: this tells."""
    import squeeze_utils.experiments

    squeeze_utils.studies.catalogue.catalogue()  # knows every step
    found = sorted(paths.shipped("runs").glob("*/*.json"))
    wrong = []
    for path in found:
        found = Record.parse(path.read_text(encoding="utf-8"))
        if not path.stem.endswith(f"-{found.key}") or found.final.get("test_accuracy") is None:
            wrong.append(path.name)
    assert wrong == []


def test_the_committed_networks_evaluate_as_they_did_in_training():
    """The last epoch's validation is in the training's precision, the step's in float32.

    They part where running statistics are wrong; there a recipe has to renew them.
    """
    wrong, compared = [], 0
    for path in sorted(paths.shipped("runs").glob("*/*.json")):
        record = Record.parse(path.read_text(encoding="utf-8"))
        names = [step["step"] for step in record.experiment["recipe"]]
        for step, after in zip(record.steps, [*names[1:], "nothing"], strict=True):
            if step.get("history") and after != "Recalibrate":
                last = step["history"][-1]["validation_accuracy"]
                compared += 1
                if abs(last - step["validation_accuracy"]) > 1:
                    wrong.append(path.name)
    assert compared > 500 and wrong == []
