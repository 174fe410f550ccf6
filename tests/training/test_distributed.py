"""Processes that train together: the same result as one, bytes as by the formula, clear errors."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from in_time import within
from tiny import QUICK, timeless, tiny_set

from squeeze_utils.compress.pruning.during_training import Gradual
from squeeze_utils.data import Batches
from squeeze_utils.data.types import DataError
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.models import ModelSpec
from squeeze_utils.training import distributed
from squeeze_utils.training.distributed import launch as launching
from squeeze_utils.training.distributed.exchange import (
    Exchange,
    GradientExchange,
    SeldomExchange,
    average,
)
from squeeze_utils.training.distributed.launch import launch
from squeeze_utils.training.distributed.ranks import (
    LostProcessError,
    ProcessGroupError,
    Ranks,
    _says_when_ended,
    from_first,
    here,
    joined,
    mean_of_all,
)
from squeeze_utils.training.distributed.steps_on_the_wire import count_steps
from squeeze_utils.training.distributed.together import TrainTogether
from squeeze_utils.training.distributed.top_k import TopK, packed, unpacked
from squeeze_utils.training.distributed.wire import ring_bytes, traffic
from squeeze_utils.training.loop import Train

TRAIN = {**QUICK, "batch_size": 64}
PLAIN = ModelSpec.of("lenet_300_100", image_size=8)
NORMED = ModelSpec.of("squeezenet_small", in_channels=1, num_classes=10, width=0.25)
IMAGES = DataSpec("digits", 8, 1024)
WAYS = {
    "all": {"optimizer": "momentum"},
    "half": {"optimizer": "momentum", "exchange": "half"},
    "low rank": {"optimizer": "momentum", "exchange": "low rank"},
    "largest": {"optimizer": "sgd", "exchange": "largest", "density": 0.01, "warm_up": 0.1},
    "seldom": {"optimizer": "momentum", "exchange": "seldom", "every": 12},
}
EPOCHS, STEPS = 4, 64  # of 16 batches each
EXPERIMENTS = {
    "plain": Experiment(PLAIN, IMAGES, (Train(EPOCHS, **TRAIN), Train(1, **TRAIN))),
    "normed": Experiment(NORMED, DataSpec("digits", 16, 256), (Train(1, **TRAIN),)),
    **{
        name: Experiment(PLAIN, IMAGES, (TrainTogether(EPOCHS, **TRAIN, **way),))
        for name, way in WAYS.items()
    },
}


@pytest.fixture(scope="module")
def run(jobs_in_sight):
    """Runs experiments with two processes, in a folder."""

    def together(names, folder, **how):
        experiments = [EXPERIMENTS[name].as_dict() for name in names]
        found = launch(
            "together_job", 2, seconds=120, experiments=experiments, folder=str(folder), **how
        )
        assert [one["rank"] for one in found] == [0, 1]
        return [dict(zip(names, one["steps"], strict=True)) for one in found]

    return together


@pytest.fixture(scope="module")
def both(run, tmp_path_factory):
    """What two processes measured, and the folder that they wrote to."""
    folder = tmp_path_factory.mktemp("both")
    return run(list(EXPERIMENTS), folder), folder


def losses(steps):
    return [epoch["train_loss"] for step in steps for epoch in step["history"]]


def test_two_processes_end_like_one_and_one_of_them_writes(both):
    (first, second), folder = both
    assert first == second
    _, alone = run_experiment(EXPERIMENTS["plain"])
    assert losses(first["plain"]) == pytest.approx(losses(alone), abs=1e-5)
    assert first["plain"][-1]["validation_loss"] == pytest.approx(
        alone[-1]["validation_loss"], abs=1e-5
    )
    assert len(list((folder / "together").glob("*.json"))) == len(EXPERIMENTS)
    assert len(list((folder / "states").glob("*.state"))) == len(EXPERIMENTS) + 1


def test_with_batch_normalisation_they_differ_a_little(both):
    """Each process normalises by its own half of a batch."""
    _, alone = run_experiment(EXPERIMENTS["normed"])
    gap = abs(losses(both[0][0]["normed"])[0] - losses(alone)[0])
    assert 1e-4 < gap < 0.5


def test_bytes_on_the_wire_are_those_of_the_formula(both):
    steps = {name: found[-1] for name, found in both[0][0].items()}
    if "sent_bytes" not in steps["all"]:
        pytest.skip("this system does not count bytes by socket")
    whole = STEPS * ring_bytes(steps["all"]["parameters"], 2)
    sent = {name: steps[name]["sent_bytes"] / whole for name in WAYS}
    assert sent["all"] == pytest.approx(1, rel=0.02)
    assert sent["half"] == pytest.approx(0.5, rel=0.02)
    assert sent["seldom"] == pytest.approx(8 / STEPS, rel=0.05)  # every 12, and ends of epochs
    assert sent["largest"] < 0.05 and sent["low rank"] < 0.3
    assert all(steps[name]["validation_accuracy"] > 80 for name in WAYS)


def test_a_killed_process_ends_the_run_and_it_goes_on_to_the_same_result(run, both, tmp_path):
    with pytest.raises(LostProcessError, match="process 1 of 2 was ended by SIGKILL"):
        run(["plain", "all"], tmp_path, kill_after=2)
    assert list((tmp_path / "states").glob("*.halfway"))
    (first, _) = run(["plain"], tmp_path)
    (whole, _), _ = both
    assert timeless(first["plain"]) == timeless(whole["plain"])
    assert not list((tmp_path / "states").glob("*.halfway"))


def test_an_exchange_that_was_cut_off_begins_anew_and_counts_all_of_its_bytes(run, both, tmp_path):
    with pytest.raises(LostProcessError, match="process 1 of 2 was ended by SIGKILL"):
        run(["largest"], tmp_path, kill_after=2)
    assert not list((tmp_path / "states").glob("*.halfway"))
    found = [timeless(one["largest"])[-1] for one in (run(["largest"], tmp_path)[0], both[0][0])]
    sent = [[one.pop(name, 0) for name in ("sent_bytes", "control_bytes")] for one in found]
    assert found[0] == found[1]
    assert sent[0][0] == pytest.approx(sent[1][0], rel=0.01)


def test_the_error_of_a_process_is_quoted(run, tmp_path):
    with pytest.raises(LostProcessError, match="process 1 of 2 has failed: process 1 does not li"):
        run(["plain"], tmp_path, fail=True)


def test_steps_of_several_group_sizes_are_counted():
    rows = count_steps({"LeNet": PLAIN}, (1, 2, 4), batch=4, steps=3)
    assert [row["processes"] for row in rows] == [1, 2, 4]
    for row in rows:
        assert row["seconds"] > 0 and row["alone"] > 0
        if "sent" in row:
            assert row["sent"] == pytest.approx(row["formula"], rel=0.02)


# --- without other processes ---


def test_alone_nothing_is_exchanged():
    assert here().alone and here().first
    assert from_first(lambda: 7) == 7
    assert mean_of_all(torch.ones(2)).tolist() == [1, 1]
    model = torch.nn.Linear(2, 2)
    exchanges = [Exchange(model), GradientExchange(model), SeldomExchange(model, 2)]
    assert all(one.network is model for one in exchanges)
    average(model.parameters())
    with joined() as ranks:
        assert ranks.size == 1


PROGRAM = """
import sys
from squeeze_utils.training import distributed
assert distributed.ring_bytes and "ring_bytes" in vars(distributed)
print([name for name in sys.modules if name.startswith(distributed.__name__ + ".")])
try:
    distributed.nothing
except AttributeError as error:
    print(error)
"""


def test_a_name_of_the_folder_loads_its_own_module_only():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded, error = done.stdout.splitlines()
    assert "distributed.wire'" in loaded and "steps_on_the_wire" not in loaded
    assert "has no name 'nothing'; it has TopK, TrainTogether" in error
    assert all(getattr(distributed, name) for name in distributed.__all__)


def test_a_training_by_two_processes_says_how_it_is_started():
    with pytest.raises(ValueError, match="is one of 2 processes, and here is 1: start it by torc"):
        run_experiment(EXPERIMENTS["all"])
    with pytest.raises(ValueError, match='has momentum of its own: use optimizer="sgd"'):
        TrainTogether(1, exchange="largest")
    with pytest.raises(ValueError, match="unknown exchange 'some'"):
        TrainTogether(1, exchange="some")
    with pytest.raises(ValueError, match="density must lie in"):
        TrainTogether(1, density=0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"exchange": "seldom", "ema": 0.9}, "leave ema and during out"),
        ({"exchange": "seldom", "during": (Gradual(0.5),)}, "leave ema and during out"),
        ({"exchange": "half", "workers": 1}, "'half' needs two or more"),
    ],
)
def test_exchanges_that_cannot_be_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        TrainTogether(1, **options)


def test_the_shares_of_a_batch_are_the_batch():
    data = tiny_set()

    def batches(share):
        generator = torch.Generator().manual_seed(3)
        how = {"mean": data.mean, "std": data.std, "generator": generator, "drop_last": True}
        return list(Batches(data.train, 16, share=share, **how))

    for whole, *parts in zip(batches((0, 1)), batches((0, 2)), batches((1, 2)), strict=True):
        for one, halves in zip(whole, zip(*parts, strict=True), strict=True):
            assert torch.equal(one, torch.cat(halves))
    with pytest.raises(DataError, match="batches of 16 cannot be shared equally by 3 processes"):
        batches((0, 3))


def join():
    with joined(seconds=1):
        pass


@pytest.fixture
def asked(monkeypatch):
    """The environment of process 1 of 2, whose first process is not there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = {"RANK": 1, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    return port


def test_an_abandoned_port_is_named(asked):
    with pytest.raises(ProcessGroupError, match=f"not all of the 2 processes came to .*{asked}"):
        join()
    assert here().alone


def test_a_port_in_use_is_named(asked, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    with socket.socket() as other:
        other.bind(("0.0.0.0", asked))
        other.listen()
        with pytest.raises(ProcessGroupError, match="is used by another program"):
            join()


def test_a_missing_interface_is_named_with_those_that_there_are(asked, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "nothere0")
    with pytest.raises(ProcessGroupError, match=r"GLOO_SOCKET_IFNAME names nothere0, but .*lo"):
        join()


def test_what_torchrun_needs_is_named(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(ProcessGroupError, match=r"MASTER_PORT is not: start .* with torchrun"):
        join()


def test_a_process_that_torchrun_ends_says_why():
    before = signal.getsignal(signal.SIGTERM)
    said = "process 1 of 2 was told to end .* start the same command again"
    with pytest.raises(SystemExit, match=said), _says_when_ended(Ranks(1, 2)):
        assert signal.getsignal(signal.SIGTERM) is not before
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_leaves_signals_as_they_are():
    before = signal.getsignal(signal.SIGTERM)

    def seen():
        with _says_when_ended(Ranks(1, 2)):
            return signal.getsignal(signal.SIGTERM)

    assert within(10, seen) is before


def test_a_failed_process_is_quoted():
    text = (
        "[rank1]: ValueError: this is bad\nRoot Cause (first observed failure):\n"
        "[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : 1 (pid: 7)\n"
    )
    assert launching._what_failed(text, 2) == "process 1 of 2 has failed: this is bad"
    later = f"[rank0]: ValueError: a consequence\n{text}"
    assert launching._what_failed(later, 2) == "process 1 of 2 has failed: this is bad"
    dead = text.replace("exitcode  : 1", "exitcode  : -9")
    assert "process 1 of 2 was ended by SIGKILL" in launching._what_failed(dead, 2)
    assert launching._what_failed("", 2) == "2 processes could not be started: nothing was said"
    with pytest.raises(ValueError, match="the number of processes must be a whole number"):
        launch("together_job", 0)


def test_what_was_written_last_is_shown_too(tmp_path, capsys):
    path = tmp_path / "errors.txt"
    path.write_text("last words")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    launching._pass_on(path, process)
    assert capsys.readouterr().err == "last words"


def test_the_system_counts_bytes_of_content_and_control_apart(monkeypatch):
    if traffic() is None:
        pytest.skip("this system does not count bytes by socket")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
        server.accept()[0] as other,
    ):
        before = traffic()
        one.sendall(b"x" * 1000)
        assert len(other.recv(1000, socket.MSG_WAITALL)) == 1000
        sent = traffic() - before
        assert (sent.sent, sent.control) == (1000, 0)
        monkeypatch.setenv("MASTER_PORT", str(server.getsockname()[1]))
        before = traffic()
        one.sendall(b"x" * 100)
        other.recv(100, socket.MSG_WAITALL)
        sent = traffic() - before
        assert (sent.sent, sent.control) == (0, 200)  # once as sent, once as received


def test_a_message_of_the_largest_comes_back():
    places = torch.tensor([0, 5, 65_535, 65_536, 199_999])
    values = torch.tensor([1.0, -2.0, 0.001, 4.0, -3.0])
    message, rounded = packed(places, values, 200_000)
    assert len(message) == 4 + 4 * 4 + 4 * 5
    at, read = unpacked(message, 200_000)
    assert torch.equal(at, places) and torch.equal(read, rounded)
    assert torch.allclose(read, values, rtol=1e-3)


def test_nothing_is_lost_with_feedback_and_momentum_is_inside():
    generator = torch.Generator().manual_seed(0)
    weight, sums, sent = torch.zeros(50), torch.zeros(50), torch.zeros(50)
    state, forgetful = TopK(0.1, momentum=0.0), TopK(0.1, momentum=0.0, feedback=False)
    for _ in range(20):
        gradient = torch.randn(50, generator=generator)
        sums += gradient
        waiting = state.accumulate(weight, gradient)
        at = waiting.abs().topk(5).indices
        sent[at] += waiting[at]
        state.forget(weight, at, waiting[at].clone())
        assert torch.equal(forgetful.accumulate(weight, gradient), gradient)
    assert torch.allclose(sent + state.kept[id(weight)][1], sums, atol=1e-5)
    steady = TopK(0.1, momentum=0.5)
    for _ in range(3):
        waiting = steady.accumulate(weight, torch.ones(50))
    assert waiting[0] == 1 + 1.5 + 1.75


def test_the_share_falls_from_a_quarter_to_the_density():
    state = TopK(0.001, warm_up=10)
    shares = []
    for state.step in (0, 5, 10, 11):
        shares.append(state.share())
    assert shares == pytest.approx([0.25, (0.25 * 0.001) ** 0.5, 0.001, 0.001])


def test_defaults_do_not_change_the_key_of_a_training():
    plain = EXPERIMENTS["plain"]
    assert "workers" not in plain.as_dict()["recipe"][0]
    together = replace(plain, recipe=(TrainTogether(EPOCHS, **TRAIN),))
    assert together.key != replace(plain, recipe=plain.recipe[:1]).key
