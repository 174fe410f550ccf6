"""What a network answers to each test picture, as a step that measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from squeeze_utils.data import Batches
from squeeze_utils.data.distortions import grey_levels
from squeeze_utils.training.evaluation import evaluating
from squeeze_utils.training.step import State, Step
from squeeze_utils.training.tasks import only_classes


@dataclass(frozen=True)
class ObserveAnswers(Step):
    """Note the answer to each test picture and its probability; the network stays as it is.

    With `pictures` the true class, the brightness (mean grey level) and the contrast (deviation of
    grey levels) of each picture are noted as well. Two such steps in a recipe tell which pictures'
    answers changed in between.
    """

    pictures: bool = False

    def apply(self, state: State) -> dict[str, Any]:
        """Lists with an entry for each picture of the test split, in its order."""
        only_classes(state.data, "answers are noted")
        found = {"answers": answers_of(state)}
        return found | {"pictures": facts_of(state)} if self.pictures else found


@torch.no_grad()
def answers_of(state: State) -> dict[str, list]:
    """The likeliest class of each test picture and its probability."""
    data, classes, shares = state.data, [], []
    with evaluating(state.model):
        for x, _ in Batches(data.test, 500, mean=data.mean, std=data.std):
            logits = state.model(x.to(state.device)).float()[:, : data.num_classes]
            share, answer = logits.softmax(1).max(1)
            classes += answer.tolist()
            shares += [round(value, 4) for value in share.tolist()]
    return {"class": classes, "share": shares}


def facts_of(state: State) -> dict[str, list]:
    """True class, brightness and contrast (grey levels from 0 to 255) of each test picture."""
    test = state.data.test
    levels = torch.cat([grey_levels(block).flatten(1) for block in test.images.split(500)])
    return {
        "class": test.labels.tolist(),
        "brightness": [round(v) for v in levels.mean(1).tolist()],
        "contrast": [round(v) for v in levels.std(1).tolist()],
    }
