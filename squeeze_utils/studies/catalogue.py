"""The studies and the searches of the series by name."""

from __future__ import annotations

from collections.abc import Callable

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.search.space import Search
from squeeze_utils.experiments.study import Study
from squeeze_utils.studies import (
    activations,
    baseline,
    combining,
    communication,
    deep_compression,
    dense_answers,
    dense_sparse_dense,
    few_bytes,
    headline,
    hyperparameters,
    kernels,
    optimizers,
    pooling,
    priced,
    priced_photographs,
    pruning,
    pruning_long,
    quantization,
    residual,
    sharing,
    transfer,
    transfer_files,
    transfer_images,
)

CHAPTERS = (
    baseline,
    headline,
    optimizers,
    kernels,
    activations,
    pooling,
    hyperparameters,
    residual,
    pruning,
    pruning_long,
    dense_sparse_dense,
    quantization,
    sharing,
    deep_compression,
    combining,
    priced,
    priced_photographs,
    few_bytes,
    transfer,
    transfer_files,
    transfer_images,
    dense_answers,
    communication,
)


def catalogue() -> dict[str, Callable[[Scale], Study]]:
    """Every study of the series by name; each is made for a scale."""
    return {name: make for chapter in CHAPTERS for name, make in chapter.STUDIES.items()}


def maker(name: str) -> Callable[[Scale], Study]:
    """What makes the study called `name`; an unknown name is refused with a list of all."""
    known = catalogue()
    if name not in known:
        raise ValueError(f"unknown study {name!r}; accepted: {', '.join(sorted(known))}")
    return known[name]


def find(name: str, scale: Scale) -> Study:
    """The study called `name` at `scale`."""
    return maker(name)(scale)


def searches(scale: Scale) -> dict[str, Search]:
    """Every search of the series at `scale`, by name, in the order in which they should run."""
    return {search.name: search for search in hyperparameters.searches(scale)}


def find_searches(name: str, scale: Scale) -> list[Search]:
    """The search called `name`, or all of the group of that name."""
    known = searches(scale)
    if name in known:
        return [known[name]]
    group = [search for search in known.values() if search.group == name]
    if not group:
        groups = dict.fromkeys(search.group for search in known.values())
        accepted = [*groups, *known, hyperparameters.GRID.name]
        raise ValueError(f"unknown search {name!r}; accepted: {', '.join(accepted)}")
    return group
