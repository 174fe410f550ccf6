"""Running an experiment: its steps one after another, the network measured after each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from squeeze_utils.base import machine
from squeeze_utils.data import ImageSet
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.training.distributed.ranks import from_first, here, wait_for_all
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.step import AfterEpoch, State, Step


def run_experiment(
    experiment: Experiment,
    *,
    data: ImageSet | None = None,
    cache: PrefixCache | None = None,
    device: torch.device | str | None = None,
    after_epoch: AfterEpoch | None = None,
    progress: bool = False,
) -> tuple[State, list[dict[str, Any]]]:
    """Run the steps one after another; return the final state and each step's measurements.

    Where a training may diverge and has left numbers that are not finite, the steps after it are
    not done: each says so in its measurements as "diverged", and the network is judged as it is.

    With a cache, the longest prefix that is already there is loaded instead of trained, and
    the state after every step is kept. The test split is not read: see `finish`. `after_epoch` is
    called with the numbers of every epoch that is trained; what it raises ends the run.

    Everything happens and stays on `device`. Without one it happens where the images' `DataSpec`
    says, and the state comes back to the processor, where the caller's other tensors are.

    >>> import squeeze_utils as sq
    >>> model = sq.ModelSpec.of("lenet_300_100", image_size=8)
    >>> experiment = sq.Experiment(model, sq.DataSpec(size=8), (sq.Train(1), sq.Prune(0.5)))
    >>> state, steps = sq.run_experiment(experiment)
    >>> steps[1]["nonzero"] < steps[0]["nonzero"]
    True
    """
    given = data or experiment.data.load()
    place = torch.device(device) if device else experiment.data.device()
    state = State(_untrained(experiment, place), given.to(place), place, progress=progress)
    state.initial = lambda: _untrained(experiment, state.device)
    state.after_epoch = after_epoch
    steps = _restored(cache, experiment, state) if cache else []
    for position in range(len(steps), len(experiment.recipe)):
        so_far = experiment.prefix(position + 1)
        state.halfway = cache.halfway(so_far.key) if cache else None
        steps.append(_run_step(experiment, position, state))
        if cache and here().first:
            cache.save(so_far, state, steps)
            state.halfway.remove()
    if device is None:
        state.to(torch.device("cpu"), given)
    return state, steps


def _restored(cache: PrefixCache, experiment: Experiment, state: State) -> list[dict[str, Any]]:
    """What is kept of the experiment, the same in all processes that train together."""
    steps = cache.restore_longest(experiment, state)
    count = from_first(lambda: len(steps))
    if len(steps) != count:
        raise RuntimeError(
            f"process {here().rank} finds {len(steps)} finished steps, the first process {count}: "
            "the processes must share the folder of states"
        )
    wait_for_all()  # before the first process writes there
    return steps


def _untrained(experiment: Experiment, device: torch.device) -> nn.Module:
    """The network before the first step; the same for each call."""
    with torch.random.fork_rng():
        torch.manual_seed(experiment.seed_of("model"))
        return experiment.model.build().to(device, memory_format=torch.channels_last)


def _run_step(experiment: Experiment, position: int, state: State) -> dict[str, Any]:
    """Apply one step, where the network is fit for it; what is measured then and after every step.

    The validation is done again where a training has just done it: that one is in the training's
    precision, this one in float32 after whatever step, so that steps can be compared. Where the
    step was begun on another device, `devices` has the names of all.
    """
    step = experiment.recipe[position]
    state.generator = torch.Generator().manual_seed(experiment.seed_of(position))
    start = time.perf_counter()
    broken = _broken(experiment.recipe[:position], state.model)
    measured = {"diverged": broken} if broken else step.apply(state)
    seconds = time.perf_counter() - start + (state.halfway.spent if state.halfway else 0.0)
    found = evaluate(state.model, state.data.validation, state.data)
    device = machine.device_name(state.device)
    devices = state.halfway.with_earlier(device) if state.halfway else [device]
    return {
        "step": step.as_dict(),
        "device": device,
        **({"devices": devices} if len(devices) > 1 else {}),
        "seconds": round(seconds, 3),
        **measured,
        **found.noted("validation"),
        **parameter_counts(state.model),
    }


def _broken(earlier: Sequence[Step], model: nn.Module) -> str:
    """What is not finite after `earlier` steps of which one may diverge; empty if all is well."""
    if any(getattr(step, "may_diverge", False) for step in earlier):
        for name, tensor in model.state_dict().items():
            if not tensor.isfinite().all():
                return f"{name} is not finite after an earlier step: this one was not done"
    return ""


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Parameters, how many of them are not zero, and their bytes as dense float32."""
    total = sum(p.numel() for p in model.parameters())
    nonzero = sum(int(torch.count_nonzero(p)) for p in model.parameters())
    return {"parameters": total, "nonzero": nonzero, "dense_bytes": 4 * total}


def finish(state: State, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read the test split, once, and add what it says to the last step's measurements."""
    found = evaluate(state.model, state.data.test, state.data)
    last = {
        **steps[-1],
        **found.noted("test"),
        "confusion": found.confusion.tolist(),
    }
    return [*steps[:-1], last]
