"""What each Fire module of a trained network is worth: its branch taken out at test time.

After A. Veit, M. Wilber, S. Belongie 2016, "Residual networks behave like ensembles of
relatively shallow networks", section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from squeeze_utils.base.checks import choose
from squeeze_utils.data import ImageSet, Split
from squeeze_utils.models import Fire, SqueezeNet
from squeeze_utils.training.evaluation import evaluate, watching
from squeeze_utils.training.step import State, Step
from squeeze_utils.training.tasks import only_classes


@dataclass(frozen=True)
class Ablation:
    """The network without one block: which, what is left in its place, accuracy in percent.

    `left` is what `bypass_of` gives. The accuracy is None where nothing of the right shape is left.
    """

    block: str
    left: str
    accuracy: float | None


def fire_modules(model: nn.Module) -> dict[str, Fire]:
    """The Fire modules by name, "fire2" to "fire9" in a SqueezeNet; refuses a model without."""
    if isinstance(model, SqueezeNet):
        return {f"fire{index}": fire for index, fire in model.fires().items()}
    fires = {name: m for name, m in model.named_modules() if isinstance(m, Fire)}
    if not fires:
        raise ValueError(
            f"{type(model).__name__} has no Fire modules to take out; a SqueezeNet has some, and "
            "so have vgg16_fire and lenet5_fire"
        )
    return fires


def bypass_of(fire: Fire) -> str:
    """What stands in a Fire module's place once its branch is gone.

    "identity": its bypass; "projection": the 1x1 convolution on its bypass; "input": it has no
    bypass, but its input has the shape of its output; "nothing": the shapes differ.
    """
    if fire.bypass is not None:
        return "projection"
    if fire.adds_input:
        return "identity"
    return "input" if fire.squeeze.in_channels == fire.out_channels else "nothing"


@contextmanager
def without_blocks(model: nn.Module, *names: str) -> Iterator[nn.Module]:
    """The model with the branches of these blocks taken out; whole again afterwards.

    No weight is touched: the outputs of the blocks are replaced on their way.
    """
    fires = fire_modules(model)
    for name in names:
        fire = fires[choose("block", name, fires)]
        if bypass_of(fire) == "nothing":
            raise ValueError(
                f"{name} cannot be taken out: it makes {fire.out_channels} channels of "
                f"{fire.squeeze.in_channels} and has no bypass"
            )
    with watching({name: fires[name] for name in names}, after=_bypass_only):
        yield model


def _bypass_only(name: str, fire: Fire, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    (x,) = inputs
    return x if fire.bypass is None else fire.bypass(x)


def ablate_blocks(model: nn.Module, split: Split, data: ImageSet) -> list[Ablation]:
    """Accuracy on `split` with the branch of one Fire module after the other taken out.

    `data` is the image set that the split belongs to. The model is afterwards what it was.
    """
    rows = []
    for name, fire in fire_modules(model).items():
        left, accuracy = bypass_of(fire), None
        if left != "nothing":
            with without_blocks(model, name):
                accuracy = evaluate(model, split, data).accuracy
        rows.append(Ablation(name, left, accuracy))
    return rows


@dataclass(frozen=True)
class ObserveBlocks(Step):
    """Measures on the validation split what each Fire module is worth; changes nothing."""

    def apply(self, state: State) -> dict[str, Any]:
        """The rows of `ablate_blocks` as plain values."""
        only_classes(state.data, "blocks are taken out")
        rows = ablate_blocks(state.model, state.data.validation, state.data)
        return {"blocks": [vars(row) for row in rows]}
