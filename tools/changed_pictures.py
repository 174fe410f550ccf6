"""Scenes whose answer a small file changes: `python -m tools.changed_pictures`.

Writes data/measurements/images/intel_changed.json: ten pictures in small versions, what they are
called before and after, and the maps of their true class in both networks. It needs the images,
the records of `transfer_files`, and the states of its first seed (they are trained again where
they are not at hand).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from squeeze_utils.anatomy.class_maps import class_maps
from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.measurements import keep_measurement
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.data import ImageSet, normalise
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.state_cache import usual_cache
from squeeze_utils.results.answers import CHANGED, answers, changed
from squeeze_utils.results.named_study import NamedStudy
from tools.image_cards import small_picture

IMAGES, FILE, SEED = "intel", "120 kB, trained on", 0


def before_rounding(experiment: Experiment) -> Experiment:
    """The dense network that a file's recipe begins with."""
    steps = [isinstance(step, Squeeze) for step in experiment.recipe]
    if True not in steps:
        raise ValueError("the recipe has no Squeeze: there is nothing before and after it")
    return experiment.prefix(steps.index(True))


def rows(
    moved: pd.DataFrame, data: ImageSet, dense: nn.Module, rounded: nn.Module
) -> list[dict[str, Any]]:
    """A row for each picture of `moved`: small picture, answers, maps (h, w) before and after.

    Networks that do not give the answers of the record are refused.
    """
    found = []
    for row in moved.to_dict("records"):
        picture, true = int(row["picture"]), int(row["class"])
        image = data.test.images[picture]
        x = normalise(image[None], data.mean, data.std)
        maps = {"before": class_maps(dense, x)[0], "after": class_maps(rounded, x)[0]}
        for when, each in maps.items():
            if int(each.mean((1, 2)).argmax()) != row[when]:
                raise ValueError(f"picture {picture}: {when} is not what the record says")
        named = {name: int(row[name]) for name in ("class", *maps)}
        drawn = [each[true].round(decimals=2).tolist() for each in maps.values()]
        found.append({"picture": picture, **named, "image": small_picture(image), "maps": drawn})
    return found


def main() -> Path:
    """Take the ten pictures from the records of the first seed, and write them."""
    found = NamedStudy("transfer_files").records()
    part = found.where(images=IMAGES, file=FILE, seed=SEED)
    moved = changed(answers(part))
    if moved.empty:
        raise ValueError(f"there is no record of {FILE} for {IMAGES} yet, or no answer changed")
    experiment = part.study.arms[0].experiment
    data, cache = experiment.data.load(), usual_cache()
    dense, rounded = (
        run_experiment(each, data=data, cache=cache, progress=True)[0].model
        for each in (before_rounding(experiment), experiment)
    )
    about = {"classes": list(data.classes), "file": FILE, "fingerprint": data.fingerprint}
    return keep_measurement(CHANGED, rows(moved, data, dense, rounded), **about)


if __name__ == "__main__":
    sys.exit(exit_code(lambda: print(main()), "nothing was written"))
