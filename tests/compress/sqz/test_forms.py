from __future__ import annotations

import numpy as np
import pytest

from squeeze_utils.compress.sqz import forms
from squeeze_utils.compress.sqz.bits import Reader
from squeeze_utils.compress.sqz.coders import CODERS


def rebuilt(form: forms.Form, rows: int = 6) -> np.ndarray:
    """The tensor from what a file would hold of it."""
    raw, count = CODERS["raw"], 0 if form.symbols is None else len(form.symbols)
    codes = b"" if not count else raw.encode(form.symbols, form.alphabet, form.zero)["codes"]
    reader = Reader(form.head + codes)
    opened = forms.READ[form.kind](reader, count or len(form.floats), rows, raw.decode)
    reader.end()
    assert opened.floats == len(form.floats) and opened.ascends == (form.kind == "codebook")
    return opened.values(form.floats)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))


def values(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    numbers = rng.integers(-7, 8, 600)
    if kind == "grid":
        return numbers.astype(np.float32) * np.float32(0.0173)
    if kind == "rows":
        scales = rng.random((6, 1)).astype(np.float32)
        return (numbers.reshape(6, -1).astype(np.float32) * scales).reshape(-1)
    if kind == "shared":
        return rng.normal(size=16).astype(np.float32)[rng.integers(0, 16, 600)]
    if kind == "sparse":
        return (rng.normal(size=600) * (rng.random(600) < 0.2)).astype(np.float32)
    return np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-42, 1.0, 2.0] * 30, np.float32)


@pytest.mark.parametrize("kind", ["grid", "rows", "shared", "sparse", "special"])
def test_every_form_gives_the_tensor_back_bit_for_bit(kind):
    tensor = values(kind)
    found = {form.kind: form for form in forms.forms(tensor, 6)}
    expected = {"grid": "grid", "rows": "grid", "shared": "codebook", "sparse": "sparse"}
    assert expected.get(kind, "codebook") in found
    assert all(same_bits(rebuilt(form), tensor) for form in found.values())


def searched(values: np.ndarray, rows: int) -> forms.Form | None:
    return forms.grid(values, rows, forms.find_steps(values, rows))


def test_a_grid_has_one_step_or_one_for_each_row():
    assert len(searched(values("grid"), 6).floats) == 1
    assert len(searched(values("rows"), 6).floats) == 6
    assert searched(values("shared"), 6) is None


@pytest.mark.parametrize("numbers", [[0, 9, -35, 91, 22, 13], [0, 500, -311, 7], [6, -10, 15]])
def test_a_grid_is_found_where_no_two_values_are_neighbours(numbers):
    row = np.array(numbers, np.float32) * np.float32(0.0123)
    form = searched(row, 1)
    assert form is not None and same_bits(rebuilt(form, 1), row)
    assert searched(np.random.default_rng(0).normal(size=9).astype(np.float32), 1) is None


def test_known_steps_are_made_as_coarse_as_the_numbers_allow():
    """A row of multiples of 6 has numbers a sixth as large, a row of zeros the step 0."""
    numbers = np.array([[6, -12, 18, 0], [1, 2, -3, 5], [0, 0, 0, 0]])
    table = numbers.astype(np.float32) * np.float32(0.25)
    form = forms.grid(table.reshape(-1), 3, np.full(3, 0.25, np.float32))
    assert form.floats.tolist() == [1.5, 0.25, 0.0]
    assert (form.symbols.reshape(3, 4)[0] - form.zero).tolist() == [1, -2, 3, 0]
    assert same_bits(rebuilt(form, 3), table.reshape(-1))


@pytest.mark.parametrize("steps", [[0.3], [0.0], [1e-30], [1e30], [0.25] * 5, [np.nan], []])
def test_steps_that_are_wrong_are_not_used(steps):
    tensor = values("grid")
    wrong = np.array(steps, np.float32)
    assert forms.grid(tensor, 6, wrong) is None
    found = {form.kind: form for form in forms.forms(tensor, 6, wrong)}
    assert len(found["grid"].floats) == 1  # it was searched for
    assert same_bits(rebuilt(found["grid"]), tensor)


def test_zero_is_a_symbol_of_its_own_where_it_occurs_and_minus_zero_is_another():
    tensor = np.array([0.0, -0.0, 1.0, 1.0] * 8, np.float32)
    book = forms.codebook(tensor)
    assert book.alphabet == 3 and book.floats.view(np.uint32)[book.zero] == 0
    assert forms.codebook(np.ones(32, np.float32)).zero is None
