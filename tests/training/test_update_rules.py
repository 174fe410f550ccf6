"""Every update rule against its plain formula, every schedule against its own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from squeeze_utils.training import optimizers
from squeeze_utils.training.loop import Train

LR, DECAY, STEPS = 0.01, 0.1, 50
CURVATURES = torch.logspace(0, 2, 24, dtype=torch.float64).reshape(6, 4)  # condition number 100


def gradient(w: Tensor) -> Tensor:
    """Of half the sum of curvature times squared distance from 0.3.

    The minimum is not at zero: there, decay would only scale each gradient, which Adam undoes.
    """
    return CURVATURES * (w - 0.3)


class Weight(nn.Module):
    """One matrix in float64, so that it decays and Muon takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(6, 4))


def walked(name: str, decay: float, steps: int = STEPS) -> Tensor:
    """All places (steps + 1, 6, 4) that the registry's optimizer visits on the quadratic."""
    torch.manual_seed(0)
    model = Weight()
    optimizer = optimizers.make_optimizer(name, model, LR, decay)
    places = [model.weight.detach().clone()]
    for _ in range(steps):
        model.weight.grad = gradient(model.weight.detach())
        optimizer.step()
        places.append(model.weight.detach().clone())
    return torch.stack(places)


def sgd(w: Tensor, g: Tensor, memory: dict, decay: float) -> Tensor:
    """The next w. Coupled decay, as here, is a part of g."""
    return w - LR * (g + decay * w)


def perturbed(w: Tensor, g: Tensor, memory: dict, decay: float) -> Tensor:
    return w - LR * (g + decay * w + 0.003 * torch.randn(6, 4, dtype=torch.float64))


def momentum(w: Tensor, g: Tensor, memory: dict, decay: float) -> Tensor:
    memory["v"] = 0.9 * memory.get("v", 0) + g + decay * w
    return w - LR * memory["v"]


def nesterov(w: Tensor, g: Tensor, memory: dict, decay: float) -> Tensor:
    g = g + decay * w
    memory["v"] = 0.9 * memory.get("v", 0) + g
    return w - LR * (g + 0.9 * memory["v"])


def rmsprop(w: Tensor, g: Tensor, memory: dict, decay: float) -> Tensor:
    g = g + decay * w
    memory["s"] = 0.99 * memory.get("s", 0) + 0.01 * g**2
    return w - LR * g / (memory["s"] ** 0.5 + 1e-8)


def adam(w: Tensor, g: Tensor, memory: dict, decay: float) -> Tensor:
    g = g + decay * w
    t = memory["t"] = memory.get("t", 0) + 1
    memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    memory["s"] = 0.999 * memory.get("s", 0) + 0.001 * g**2
    mean, square = memory["m"] / (1 - 0.9**t), memory["s"] / (1 - 0.999**t)
    return w - LR * mean / (square**0.5 + 1e-8)


def adamw(w: Tensor, g: Tensor, memory: dict, decay: float) -> Tensor:
    return adam(w * (1 - LR * decay), g, memory, 0.0)


def lion(w: Tensor, g: Tensor, memory: dict, decay: float) -> Tensor:
    average = memory.get("m", torch.zeros_like(g))
    memory["m"] = 0.99 * average + 0.01 * g
    return w * (1 - LR * decay) - LR * (0.9 * average + 0.1 * g).sign()


def muon(w: Tensor, g: Tensor, memory: dict, decay: float) -> Tensor:
    memory["v"] = torch.lerp(g, memory.get("v", torch.zeros_like(g)), 0.95)
    x = torch.lerp(g, memory["v"], 0.95).T  # 4 rows, 6 columns
    x = x / x.norm()
    for _ in range(5):
        gram = x @ x.T
        factor = torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        x = torch.addmm(x, factor, x, beta=3.4445)
    return w * (1 - LR * decay) - LR * 0.2 * math.sqrt(6) * x.T


FORMULAS = {
    rule.__name__: rule
    for rule in (sgd, perturbed, momentum, nesterov, rmsprop, adam, adamw, lion, muon)
}


def test_every_optimizer_of_the_registry_has_its_formula_here():
    assert set(FORMULAS) == set(optimizers.OPTIMIZERS)


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("name", FORMULAS)
def test_fifty_steps_are_the_formula(name, decay):
    places = walked(name, decay)
    if decay:
        assert not torch.allclose(places[-1], walked(name, 0.0)[-1], atol=1e-5)
    torch.manual_seed(0)
    w, memory = places[0], {}
    for place in places[1:]:
        w = FORMULAS[name](w, gradient(w), memory, decay)
        torch.testing.assert_close(place, w, rtol=1e-9, atol=1e-11)
    assert not torch.allclose(places[-1], places[0], atol=1e-3)


def perturbed_path(start: list[float], sigma: float, steps: int, grad, lr: float = 0.1) -> Tensor:
    w = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = optimizers.PerturbedSGD([w], lr=lr, sigma=sigma)
    for _ in range(steps):
        w.grad = grad(w.detach())
        optimizer.step()
    return w.detach()


def at_the_saddle(w: Tensor) -> Tensor:
    """Of x²/2 - y²/2 + y⁴/4: a saddle at the origin, minima at (0, ±1)."""
    x, y = w
    return torch.stack([x, y**3 - y])


def test_without_noise_perturbed_is_gradient_descent():
    w = torch.tensor([0.7, -0.3], dtype=torch.float64, requires_grad=True)
    plain = torch.optim.SGD([w], lr=0.1)
    for _ in range(20):
        w.grad = at_the_saddle(w.detach())
        plain.step()
    silent = perturbed_path([0.7, -0.3], 0.0, 20, at_the_saddle)
    torch.testing.assert_close(silent, w.detach(), rtol=0, atol=1e-14)


def test_the_noise_enters_the_step_with_the_size_that_was_asked_for():
    torch.manual_seed(0)
    step = perturbed_path([0.0] * 40_000, 0.5, 1, torch.zeros_like, lr=0.02)
    assert step.std().item() == pytest.approx(0.02 * 0.5, rel=0.02)
    assert abs(step.mean().item()) < 3e-4


def test_noise_leaves_a_saddle_where_gradient_descent_stays_for_ever():
    stuck = perturbed_path([1.0, 0.0], 0.0, 2000, at_the_saddle)
    assert stuck[1] == 0.0 and abs(stuck[0]) < 1e-12
    for seed in range(5):
        torch.manual_seed(seed)
        free = perturbed_path([1.0, 0.0], 1e-4, 400, at_the_saddle)
        assert free[1].abs().item() == pytest.approx(1.0, abs=0.01)


def test_perturbed_refuses_negative_noise():
    with pytest.raises(ValueError, match=r"sigma must be at least 0, got -0\.1"):
        optimizers.PerturbedSGD([torch.zeros(1, requires_grad=True)], lr=0.1, sigma=-0.1)


def test_lion_by_hand():
    w = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    optimizer = optimizers.Lion([{"params": [w], "weight_decay": 0.5}], lr=0.1)
    w.grad = torch.tensor([3.0, 0.0], dtype=torch.float64)
    optimizer.step()  # shrink by 0.95, then a step against the sign; the sign of 0 is 0
    torch.testing.assert_close(w.detach(), torch.tensor([0.85, -1.9], dtype=torch.float64))
    w.grad = torch.tensor([-0.2, 1.0], dtype=torch.float64)
    optimizer.step()  # 0.9 x 0.03 - 0.1 x 0.2 is still positive: memory outvotes the gradient
    torch.testing.assert_close(w.detach(), torch.tensor([0.7075, -1.905], dtype=torch.float64))
    memory = optimizer.state[w]["average"]
    expected = torch.tensor([0.99 * 0.03 - 0.002, 0.01], dtype=torch.float64)
    torch.testing.assert_close(memory, expected)


def test_every_lion_step_has_the_size_of_the_rate():
    w = torch.tensor([5.0, -0.001, 300.0], requires_grad=True)
    optimizer = optimizers.Lion([w], lr=0.01)
    for _ in range(5):
        before = w.detach().clone()
        w.grad = before**3
        optimizer.step()
        torch.testing.assert_close(
            (w.detach() - before).abs(), torch.full((3,), 0.01), atol=2e-5, rtol=0
        )


def restarts_by_formula(epoch: float, cycles: tuple[int, ...]) -> float:
    for length in cycles:
        if epoch < length:
            return (1 + math.cos(math.pi * epoch / length)) / 2
        epoch -= length
    return 0.0


@pytest.mark.parametrize("cycles", [(1,), (1, 2, 4), (3, 1, 2), (1, 3, 3, 1)])
def test_restarts_are_cosines_that_jump_at_their_borders(cycles):
    epochs, border = sum(cycles), 0
    factor = optimizers.make_schedule("restarts", cycles, epochs)
    for k in range(20 * epochs):
        epoch = (k + 0.5) / 20
        assert factor(epoch / epochs) == pytest.approx(restarts_by_formula(epoch, cycles))
    for length in cycles:
        assert factor((border + 1e-6) / epochs) == pytest.approx(1, abs=1e-6)
        border += length
        assert factor((border - 1e-6) / epochs) == pytest.approx(0, abs=1e-6)
    assert factor(1.0) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "cycles", "words"),
    [
        ("restarts", (1, 2), r"cycles \(1, 2\) last 3 epochs, the run 4"),
        ("restarts", (1, 2, 4), r"cycles \(1, 2, 4\) last 7 epochs, the run 4"),
        ("restarts", (), "needs cycles, their lengths in epochs"),
        ("restarts", (4, 0), "a cycle must be a whole number of at least 1, got 0"),
        ("restarts", (2.5, 1.5), "a cycle must be a whole number of at least 1, got 2.5"),
        ("cosine", (4,), r'schedule "cosine" takes no cycles, got \(4,\)'),
        ("one_cycle", (1, 3), r'schedule "one_cycle" takes no cycles, got \(1, 3\)'),
        ("cosin", (), "unknown schedule 'cosin'; accepted: constant, linear, cosine, one_cycle"),
    ],
)
def test_a_schedule_that_does_not_fit_the_run_is_refused(name, cycles, words):
    with pytest.raises(ValueError, match=words):
        optimizers.make_schedule(name, cycles, epochs=4)
    with pytest.raises(ValueError, match=words):
        Train(4, schedule=name, cycles=cycles)


def test_unknown_names_list_all_that_are_accepted():
    with pytest.raises(ValueError) as caught:
        Train(1, optimizer="sgdm")
    assert all(name in str(caught.value) for name in optimizers.OPTIMIZERS)
    with pytest.raises(ValueError) as caught:
        Train(1, schedule="warm")
    assert all(name in str(caught.value) for name in optimizers.SCHEDULE_NAMES)
