"""SqueezeNet, squeezed: everything that a notebook of the series needs, under one name.

>>> import squeeze_utils as sq
>>> sq.build("squeezenet_small", num_classes=10).num_classes
10

A name is loaded when it is first used, so the import itself takes a moment and no torch. What is
not in this list lies in one of the rooms: `squeeze_utils.compress.sqz`, for example.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "1.0.0"

# The one place where the repository's address stands. `make badges REPO=owner/name` rewrites this
# line and then every badge, link and set-up cell from it. An account name on GitHub cannot hold an
# underscore, so the address below can belong to nobody: it waits for the repository's real home.
REPOSITORY = "your_account/squeezenet-math"

# Where each name of the façade lives.
_HOMES: dict[str, str] = {
    # a notebook begins
    "start": "notebook",
    "say": "notebook",
    "exercises": "notebook.exercises",
    # images
    "load_images": "data.sets",
    "Batches": "data.batches",
    "normalise": "data.batches",
    # networks
    "build": "models",
    "Fire": "models",
    "ModelSpec": "models",
    "load_model": "models.checkpoint_files",
    # training and judging
    "fit": "training.loop",
    "evaluate": "training.evaluation",
    "State": "training.step",
    # what a network is and costs
    "count": "anatomy.costs",
    "latency": "anatomy.costs",
    # steps of a recipe
    "Train": "training.loop",
    "Prune": "compress.pruning.steps",
    "Densify": "compress.pruning.steps",
    "Recalibrate": "compress.pruning.steps",
    "Share": "compress.sharing.steps",
    "TuneCentroids": "compress.sharing.steps",
    "QuantizeWeights": "compress.quantizing.after_training",
    "Calibrate": "compress.quantizing.after_training",
    "QuantizedTrain": "compress.quantizing.in_training",
    "FoldBatchNorm": "compress.quantizing.fold_batch_norm",
    "Encode": "compress.sqz.steps",
    # files
    "save_sqz": "compress.sqz.container",
    "load_sqz": "compress.sqz.container",
    # experiments and studies
    "DataSpec": "experiments.experiment",
    "Experiment": "experiments.experiment",
    "run_experiment": "experiments.run_experiment",
    "study": "results.named_study",
    # what is shown
    "curve_style": "results.figures",
    "save_figure": "results.figures",
}

__all__ = ["REPOSITORY", "__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(
            f"squeeze_utils has no name {name!r}; it has {', '.join(sorted(_HOMES))}"
        )
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
