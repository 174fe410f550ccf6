"""Records: whole or named as damaged, and good ones found whatever has been imported."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import tiny_experiment, tiny_set

from squeeze_utils.base import machine, paths
from squeeze_utils.experiments.records import KEYS, Record, read_records, record_path, write_first
from squeeze_utils.experiments.run_experiment import finish, run_experiment


@pytest.fixture(scope="module")
def record() -> Record:
    experiment = tiny_experiment()
    data = tiny_set()
    return Record.of(
        experiment,
        finish(*run_experiment(experiment, data=data)),
        labels={"model": "LeNet"},
        device="cpu",
        data_fingerprint=data.fingerprint,
        commit="0123456789ab",
    )


def test_it_carries_what_a_reader_needs(record):
    values = json.loads(record.text())
    assert tuple(values) == KEYS
    assert values["experiment"] == tiny_experiment().as_dict()
    assert values["data"]["name"] == "digits" and values["data"]["fingerprint"]
    assert values["commit"] == "0123456789ab"
    assert values["device"] == machine.device_name("cpu")
    assert set(values["versions"]) >= {"python", "torch", "torchvision"}
    assert values["steps"][-1]["test_accuracy"] == record.final["test_accuracy"]
    assert len(record.history) == record.epochs == 1
    assert len(values["date"]) == 10


def test_it_survives_its_file(record, tmp_path):
    path = record_path(tmp_path, "lenet-s0", record.key)
    write_first(record, path)
    assert read_records(tmp_path) == {record.key: record}
    assert record.key == tiny_experiment().key
    assert [p.name for p in tmp_path.iterdir()] == [f"lenet-s0-{record.key}.json"]


def test_it_knows_whether_a_step_diverged(record):
    first, last = record.steps[0], {"step": {"step": "Encode"}, "seconds": 0.0}
    assert record.diverged == ""
    assert (
        replace(record, steps=[{**first, "diverged": "in epoch 2"}, last]).diverged == "in epoch 2"
    )


def test_it_names_all_devices_of_its_steps_in_their_order(record):
    steps = [{}, {"device": "b"}, {"device": "c", "devices": ["b", "a", "c"]}]
    several = replace(record, steps=steps, device="c")
    assert several.devices == ("c", "b", "a")  # the first step is of an old record
    assert several.devices_of(steps[-1]) == ["b", "a", "c"]
    assert record.devices == (machine.device_name("cpu"),)


def _without(name):
    return lambda values: json.dumps({key: v for key, v in values.items() if key != name})


def _with(**changed):
    return lambda values: json.dumps({**values, **changed})


def _with_experiment(**changed):
    return _with(experiment={**tiny_experiment().as_dict(), **changed})


DAMAGES = {
    "truncated": (lambda values: json.dumps(values)[:-40], "delimiter|Unterminated|Expecting"),
    "empty": (lambda values: "", "Expecting value"),
    "no object": (lambda values: "[1]", "not a JSON object"),
    "no device": (_without("device"), "it lacks device"),
    "steps short": (_with(steps=[]), "one entry for each step"),
    "steps null": (_with(steps=None), "steps are not a list"),
    "steps a number": (_with(steps=3), "steps are not a list"),
    "steps of numbers": (_with(steps=[1]), "steps are not objects"),
    "recipe of numbers": (_with_experiment(recipe=[1]), "steps are not objects"),
    "experiment a list": (_with(experiment=[]), "lacks a model, data, a recipe or a seed"),
    "no recipe": (_with_experiment(recipe=None), "lacks a model, data, a recipe or a seed"),
    "no seed": (_with_experiment(seed=None), "lacks a model, data, a recipe or a seed"),
    "options a list": (
        _with_experiment(model={"name": "x", "options": []}),
        "lacks a model, data, a recipe or a seed",
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


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"recipe": [{"step": "Trian"}]}, "unknown step 'Trian'"),
        ({"recipe": [{"step": "Train", "epochs": 1, "speed": 2}]}, "step Train has no field speed"),
        ({"recipe": [{"step": "Train", "epochs": "many"}]}, "epochs must be a whole number"),
        ({"model": {"name": "resnet", "options": {}}}, "unknown model 'resnet'"),
        ({"data": {"name": "digits", "colour": True}}, "colour"),
    ],
    ids=["step", "field", "value", "model", "data"],
)
def test_a_record_of_an_experiment_that_is_not_known_here_is_not_damaged(
    changed, words, record, tmp_path
):
    path = record_path(tmp_path, "lenet-s0", record.key)
    path.write_text(_with_experiment(**changed)(json.loads(record.text())))
    content = path.read_bytes()
    for repair in (False, True):
        with pytest.warns(UserWarning, match=f"{path.name} is of an experiment .*{words}"):
            assert read_records(tmp_path, repair=repair) == {}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == content


PROGRAM = """
import sys, warnings
warnings.simplefilter("error")
from pathlib import Path
from squeeze_utils.experiments.records import read_records
for folder in map(Path, sys.argv[1:]):
    files = sorted(path.name for path in folder.iterdir())
    keys = read_records(folder, repair=True)
    assert {name.removesuffix(".json").rpartition("-")[2] for name in files} == set(keys)
    assert sorted(path.name for path in folder.iterdir()) == files
    print(folder.name, len(keys))
"""


def test_a_fresh_process_finds_every_committed_record_and_renames_none():
    """Nothing but the module of records has been imported there, and so no step."""
    folders = sorted({path.parent for path in paths.shipped("runs").glob("*/*.json")})
    command = [sys.executable, "-c", PROGRAM, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = dict(line.split() for line in done.stdout.splitlines())
    assert counts["pruning"] == "84" and len(counts) == len(folders) >= 47


def test_a_record_that_another_process_has_just_moved_is_left_out(record, tmp_path, recwarn):
    write_first(record, record_path(tmp_path, "lenet-s0", record.key))
    (tmp_path / "moved.json").symlink_to("gone")  # listed, but not there when it is read
    assert read_records(tmp_path, repair=True) == {record.key: record}
    assert not recwarn


def test_a_record_is_known_by_its_content_and_not_by_its_name(record, tmp_path):
    write_first(record, record_path(tmp_path, "renamed", "0" * 16))
    assert list(read_records(tmp_path)) == [record.key]


def test_a_record_of_another_experiment_is_never_overwritten(record, tmp_path):
    path = record_path(tmp_path, "lenet-s0", record.key)
    values = json.loads(record.text())
    values["experiment"]["seed"] = 9
    path.write_text(json.dumps(values))
    with pytest.warns(UserWarning, match=f"{path.name} held another record, moved to"):
        write_first(record, path)
    assert read_records(tmp_path) == {record.key: record}
    kept = path.with_name(path.name + ".corrupt")
    assert json.loads(kept.read_text())["experiment"]["seed"] == 9


@pytest.fixture(scope="module")
def committed() -> list[tuple[Path, Record]]:
    files = sorted(paths.shipped("runs").glob("*/*.json"))
    return [(path, Record.parse(path.read_text(encoding="utf-8"))) for path in files]


def test_the_committed_records_are_whole_and_named_by_their_key(committed):
    """A default that changes its value would change keys and orphan every record: this tells."""
    wrong = [
        path.name
        for path, record in committed
        if not path.stem.endswith(f"-{record.key}") or record.final.get("test_accuracy") is None
    ]
    assert wrong == [] and len(committed) >= 987


def parts(last: dict[str, float], step: dict[str, float]) -> bool:
    """Whether a network is judged otherwise after its training than in the last epoch.

    Wrong running statistics show in accuracy and in loss. Accuracy alone also parts by two points
    where three of 120 images are close calls.
    """
    points = abs(last["validation_accuracy"] - step["validation_accuracy"])
    loss = abs(last["validation_loss"] / step["validation_loss"] - 1)
    return points > 1 and (loss > 0.01 or points > 3)


@pytest.mark.parametrize(
    ("accuracy", "loss", "parted"),
    [
        (90.0, 0.3, False),
        (90.9, 0.4, False),
        (88.0, 0.3, False),
        (87.5, 0.36, True),
        (86, 0.3, True),
    ],
)
def test_wrong_statistics_would_be_noticed(accuracy, loss, parted):
    known = {"validation_accuracy": 90.0, "validation_loss": 0.3}
    assert parts({"validation_accuracy": accuracy, "validation_loss": loss}, known) == parted


def test_the_committed_networks_evaluate_as_they_did_in_training(committed):
    """The last epoch's validation is in the training's precision, the step's in float32.

    Where running statistics are wrong, a recipe has to renew them.
    """
    wrong, compared = [], 0
    for path, record in committed:
        names = [step["step"] for step in record.experiment["recipe"]]
        for step, after in zip(record.steps, [*names[1:], "nothing"], strict=True):
            if step.get("history") and after != "Recalibrate":
                compared += 1
                if parts(step["history"][-1], step):
                    wrong.append(path.name)
    assert compared > 500 and wrong == []
