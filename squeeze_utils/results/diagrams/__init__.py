"""The diagrams of the series, drawn by code in one look; each function returns a figure.

Most numbers in them are counted on the networks and files of the package.
"""

from __future__ import annotations

from squeeze_utils.results.diagrams.coding import (
    codebook_and_huffman,
    file_anatomy,
    gaps_and_fillers,
    quantizer,
)
from squeeze_utils.results.diagrams.combining import two_orders
from squeeze_utils.results.diagrams.communication import ring
from squeeze_utils.results.diagrams.dense import detector_and_segmenter
from squeeze_utils.results.diagrams.deployment import deployment_paths
from squeeze_utils.results.diagrams.networks import (
    bypasses,
    fire_module,
    network_map,
    one_by_one,
)
from squeeze_utils.results.diagrams.optimizers import update_rules
from squeeze_utils.results.diagrams.pricing import priced_training
from squeeze_utils.results.diagrams.pruning import dsd_phases, masks_through_training
from squeeze_utils.results.diagrams.searching import hyperparameter_search
from squeeze_utils.results.diagrams.training import training_step
from squeeze_utils.results.diagrams.transfer import ways_of_transfer

__all__ = [
    "bypasses",
    "codebook_and_huffman",
    "deployment_paths",
    "detector_and_segmenter",
    "dsd_phases",
    "file_anatomy",
    "fire_module",
    "gaps_and_fillers",
    "hyperparameter_search",
    "masks_through_training",
    "network_map",
    "one_by_one",
    "priced_training",
    "quantizer",
    "ring",
    "training_step",
    "two_orders",
    "update_rules",
    "ways_of_transfer",
]
