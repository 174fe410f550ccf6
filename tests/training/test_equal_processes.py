"""Two processes end with equal networks, and with that of one process, whatever they train."""

from __future__ import annotations

import equal_job
import pytest
import torch

from squeeze_utils.models import build
from squeeze_utils.training.detection import Detection
from squeeze_utils.training.distributed import exchange, ranks
from squeeze_utils.training.distributed.launch import launch
from squeeze_utils.training.distributed.ranks import Ranks
from squeeze_utils.training.optimizers import OPTIMIZERS, make_optimizer
from squeeze_utils.training.segmentation import Segmentation
from squeeze_utils.training.tasks import Classification


@pytest.fixture(scope="module")
def both(jobs_in_sight):
    """What each of two processes comes to."""
    return launch("equal_job", 2, seconds=120)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_gives_both_processes_the_network_of_one(name, both):
    check(both, name, equal_job.by_optimizer(name))


@pytest.mark.parametrize("name", equal_job.SCENES)
def test_means_over_cells_and_pixels_are_those_of_the_whole_batch(name, both):
    check(both, name, equal_job.of_scenes(name))


def check(both, name, alone):
    first, second = (found[name] for found in both)
    assert first == second
    assert first["losses"] == pytest.approx(alone["losses"], abs=1e-5)
    assert first["last"] == pytest.approx(alone["last"], abs=1e-5)


def test_processes_that_come_apart_are_told_so(both):
    for found in both:
        assert "have different weights after an epoch" in found["apart"]
    assert equal_job.apart() == ""


# --- without other processes ---


def in_process(monkeypatch, rank: int, size: int = 2) -> None:
    for module in (ranks, exchange):
        monkeypatch.setattr(module, "here", lambda: Ranks(rank, size))


def walk(model, optimizer, steps: int) -> torch.Tensor:
    for _ in range(steps):
        for weight in model.parameters():
            weight.grad = torch.zeros_like(weight)
        optimizer.step()
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def perturbed(seed: int = 1):
    torch.manual_seed(seed)
    model = build("squeezenet_small", width=0.25).to(memory_format=torch.channels_last)
    torch.manual_seed(seed + 1)
    return model, make_optimizer("perturbed", model, 0.1)


def test_noise_is_that_of_one_process_whatever_else_a_process_draws(monkeypatch):
    alone = walk(*perturbed(), 3)
    for rank in (0, 1):
        in_process(monkeypatch, rank)
        model, optimizer = perturbed()
        ranks.seed_for(0, 5)  # as for dropout: other numbers in each process
        assert torch.equal(walk(model, optimizer, 3), alone)


def test_noise_goes_on_where_a_kept_training_stopped(monkeypatch):
    in_process(monkeypatch, 1)
    model, optimizer = perturbed()
    walk(model, optimizer, 2)
    kept = optimizer.state_dict()
    expected = walk(model, optimizer, 2)
    again, other = perturbed()
    walk(again, other, 2)
    torch.rand(7, generator=other.generator)
    other.load_state_dict(kept)
    assert torch.equal(walk(again, other, 2), expected)


def test_one_process_keeps_no_noise():
    _, optimizer = perturbed()
    assert optimizer.state_dict().keys() == {"state", "param_groups"}


@pytest.mark.parametrize(
    ("own", "mean", "factor"),
    [(6.0, 4.0, 1.5), (2.0, 4.0, 0.5), (0.0, 4.0, 0.25), (0.0, 0.0, 2.0), (1.0, 0.5, 2.0)],
)
def test_a_part_weighs_as_much_as_it_holds(monkeypatch, own, mean, factor):
    """A part without anything has divided by one; of two empty parts each counts fully."""
    model = torch.nn.Linear(1, 1)
    one = exchange.GradientExchange(model)
    in_process(monkeypatch, 0)
    monkeypatch.setattr(exchange, "mean_of_all", lambda value: torch.full_like(value, mean))
    counted = torch.tensor(own, dtype=torch.float64)
    loss = one.as_part(torch.tensor(3.0), lambda: counted)
    assert float(loss) == 3 * factor and loss.dtype == torch.float32
    assert float(one.as_part(torch.tensor(3.0), lambda: None)) == 3
    assert float(exchange.Exchange.as_part(one, torch.tensor(3.0), lambda: counted)) == 3


def test_alone_nothing_is_counted():
    one = exchange.GradientExchange(torch.nn.Linear(1, 1))
    loss = torch.tensor(3.0)
    assert one.as_part(loss, lambda: pytest.fail("it was counted")) is loss


def test_what_losses_are_means_over():
    masks = torch.tensor([[[0, 0, 1], [1, 1, 255]]], dtype=torch.uint8)
    task, logits = Segmentation((1.0, 2.5)), torch.zeros(1, 3, 2, 3)
    assert float(task.counted(logits, masks)) == 2 * 1 + 3 * 2.5
    whole = torch.nn.functional.cross_entropy(
        logits, masks.long(), torch.tensor([1, 2.5, 0]), ignore_index=255, reduction="sum"
    )
    assert float(task.loss(logits, masks)) == pytest.approx(float(whole) / 9.5)
    nothing = torch.full((1, 1, 5), -1.0)
    assert float(Detection().counted(torch.zeros(1, 7, 1, 1), nothing)) == 0
    box = torch.tensor([[[1.0, 0.1, 0.1, 0.9, 0.9]]])
    assert float(Detection().counted(torch.zeros(1, 7, 1, 1), box)) == 1
    assert Classification().counted(torch.zeros(2, 3), torch.tensor([0, 1])) is None
