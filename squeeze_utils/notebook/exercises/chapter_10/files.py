"""The properties of right answers in notebook 10: what zeros save in a file and in a product."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from squeeze_utils.notebook.exercises.answers import array, ask, close, named, number
from squeeze_utils.notebook.exercises.exercise import Claims


def break_even(answer: Any) -> Claims:
    given = named(answer, "csr", "mask", "mask_smaller_up_to")
    s = np.linspace(0, 1, 960_001)  # the bytes for each weight, at every sparsity
    csr, mask = (1 - s) * (4 + 2), 1 / 8 + (1 - s) * 4
    right = {
        "csr": s[np.argmax(csr < 4)],
        "mask": s[np.argmax(mask < 4)],
        "mask_smaller_up_to": s[np.argmax(csr < mask)],
    }
    for name, exact in right.items():
        mistakes = {1 - exact: "this is the share that is kept. Give the sparsity, which goes."}
        if name == "csr":
            mistakes[0.5] = "a column takes 16 bits, two bytes, not four."
        if name == "mask":
            mistakes[0.25] = "the mask has one bit for each weight, an eighth of a byte."
        yield from number(name, given[name], float(exact), mistakes, absolute=1e-3)


def skips_zeros(answer: Any) -> Claims:
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((6, 8)) * (rng.random((6, 8)) < 0.4)
    dense[2] = 0
    matrix, maps = sparse.csr_array(dense), rng.standard_normal((8, 3))
    parts = (matrix.data, matrix.indices, matrix.indptr)
    found = array(ask(answer, *parts, maps), (6, 3), "the product").numpy()
    yield "empty row", not found[2].any(), "a row without weights gives zeros."
    last = np.zeros_like(found)
    for row, place in enumerate(matrix.indptr[1:]):
        if place > matrix.indptr[row]:
            last[row] = matrix.data[place - 1] * maps[matrix.indices[place - 1]]
    alone = "only one weight of each row counts: add up over the weights of the row."
    yield "sums", not np.allclose(found, last), alone
    yield "product", close(found, dense @ maps), "it differs from the dense product."
