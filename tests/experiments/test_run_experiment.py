"""Running one experiment: what is measured after every step, and that the seed decides all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diverging import Poison
from tiny import QUICK, same_states, timeless, tiny_experiment, tiny_set, tiny_spec

from squeeze_utils.base import machine
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.run_experiment import finish, run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State

ONE, TWO = Train(1, **QUICK), Train(1, **{**QUICK, "lr": 0.02})


@pytest.fixture(scope="module")
def data():
    return tiny_set(classes=3)


def test_running_measures_every_step_and_reads_the_test_split_only_at_the_end(data):
    poisoned = replace(data.test, labels=torch.full_like(data.test.labels, 10**6))
    experiment = tiny_experiment(ONE, TWO)
    state, steps = run_experiment(experiment, data=replace(data, test=poisoned))
    assert [step["step"]["lr"] for step in steps] == [0.05, 0.02]
    count = sum(p.numel() for p in state.model.parameters())
    for step in steps:
        assert step["parameters"] == count and step["dense_bytes"] == 4 * count
        assert step["nonzero"] <= count and step["seconds"] >= 0
        assert step["device"] == machine.device_name("cpu")
        assert step["precision"] == "float32" and len(step["history"]) == 1
        assert "test_accuracy" not in step
    state.data = data
    finished = finish(state, steps)
    assert "test_accuracy" not in finished[0]
    assert 0 <= finished[1]["test_accuracy"] <= 100
    assert sum(map(sum, finished[1]["confusion"])) == len(data.test)


def test_the_seed_decides_everything(data):
    before = torch.get_rng_state()
    first, first_steps = run_experiment(tiny_experiment(), data=data)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    second, second_steps = run_experiment(tiny_experiment(), data=data)
    other, _ = run_experiment(tiny_experiment(seed=1), data=data)
    assert same_states(first, second)
    assert timeless(first_steps) == timeless(second_steps)
    assert not same_states(first, other)


def test_after_a_divergence_steps_are_left_out_and_say_so(data, tmp_path):
    experiment, cache = tiny_experiment(ONE, Poison(), Prune(0.5), Encode()), PrefixCache(tmp_path)
    for _ in range(2):  # run, then read from the cache
        steps = finish(*run_experiment(experiment, data=data, cache=cache))
        assert ["diverged" in step for step in steps] == [False, False, True, True]
        assert steps[-1]["diverged"].startswith("classifier.0.weight is not finite")
        assert "file_bytes" not in steps[-1] and 0 <= steps[-1]["test_accuracy"] <= 100
    with pytest.raises(ValueError, match=r"is not finite: the training before Encode diverged"):
        run_experiment(tiny_experiment(Poison(may_diverge=False), Encode()), data=data)


def test_a_state_moves_with_all_that_binds_it(data):
    state = State(tiny_spec().build(), None)
    state.saved = {"remembered": {}, "revived": {}}
    for held in (state.masks, state.codebooks, *state.saved.values()):
        held["a weight"] = torch.ones(2)
    state.to(torch.device("meta"), data)
    put_aside = [tensor for kept in state.saved.values() for tensor in kept.values()]
    bound = [*state.masks.values(), *state.codebooks.values(), *put_aside]
    assert len(bound) == 4
    assert all(tensor.is_meta for tensor in (*bound, *state.model.state_dict().values()))
    assert state.data is data and state.device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_a_gpu_has_trained_comes_back_to_the_processor(data, tmp_path, monkeypatch):
    cache = PrefixCache(tmp_path)
    monkeypatch.setattr(DataSpec, "device", lambda spec: torch.device("cuda"))
    for _ in range(2):  # trained, then read from the cache
        state, steps = run_experiment(tiny_experiment(), data=data, cache=cache)
        everything = [*state.model.state_dict().values(), *state.masks.values()]
        assert all(tensor.device.type == "cpu" for tensor in everything)
        assert state.data is data
        assert next(state.initial().parameters()).device.type == "cpu"
        assert finish(state, steps)[-1]["test_accuracy"] >= 0
    there, _ = run_experiment(tiny_experiment(), data=data, cache=cache, device="cuda")
    assert all(tensor.is_cuda for tensor in there.model.state_dict().values())


def test_every_trained_epoch_is_told_and_whoever_listens_may_end_the_run(data):
    told = []
    _, steps = run_experiment(
        tiny_experiment(Train(2, **QUICK), TWO), data=data, after_epoch=told.append
    )
    assert told == [epoch for step in steps for epoch in step["history"]]
    assert [epoch["epoch"] for epoch in told] == [1, 2, 1]

    class EnoughError(Exception):
        pass

    def stop(epoch):
        raise EnoughError

    before = torch.get_rng_state()
    with pytest.raises(EnoughError):
        run_experiment(tiny_experiment(), data=data, after_epoch=stop)
    assert torch.equal(torch.get_rng_state(), before)
