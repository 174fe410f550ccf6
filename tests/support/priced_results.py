"""Results of the studies of chapter 15 whose table is written by hand."""

from __future__ import annotations

import pandas as pd

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.study import Study
from squeeze_utils.results.study_results import Results
from squeeze_utils.studies import few_bytes, priced, priced_photographs

DENSE = 1_724_320  # LeNet-5 in float32
STUDY = priced.on_digits(Scale("reference"))
FEW_BYTES = few_bytes.few_bytes(Scale("reference"))
PHOTOGRAPHS = priced_photographs.on_photographs(Scale("reference"))


class Fake(Results):
    """Results with a table of their own."""

    rows: tuple = ()

    @property
    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(list(type(self).rows))


def with_rows(*rows: dict, study: Study = STUDY) -> Results:
    """Results whose table has these rows."""
    return type("Some", (Fake,), {"rows": rows})(study, {})


def row(recipe: str, size: float, accuracy: float, network: str = "LeNet-5") -> dict:
    """A row of that table."""
    found = {"network": network, "recipe": recipe, "file_bytes": size, "test_accuracy": accuracy}
    return {**found, "validation_accuracy": accuracy, "first_dense_bytes": DENSE, "epochs": 50}


def every_recipe(network: str, size: float, accuracy: float, study: Study = STUDY) -> list[dict]:
    """A row for each seed of each recipe of a network."""
    labels = [dict(arm.labels) for arm in study.arms]
    mine = [one["recipe"] for one in labels if one["network"] == network]
    return [row(recipe, size, accuracy, network) for recipe in mine]
