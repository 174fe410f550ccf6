"""A frame that is printed is noticed, and other columns of text are not."""

from __future__ import annotations

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.printed_tables import has_printed_table, printed_tables

PLAIN = pd.DataFrame({"rate": [0.1, 0.25], "kind": ["a", "long"]})
NAMED = PLAIN.set_index("kind").rename_axis(columns="seed")


@pytest.mark.parametrize(
    "frame",
    [PLAIN, PLAIN.set_index("kind"), NAMED, PLAIN.T, PLAIN.pivot_table("rate", "kind")],
    ids=["plain", "index", "named columns", "turned", "pivot"],
)
def test_a_printed_frame_is_noticed(frame: pd.DataFrame) -> None:
    assert has_printed_table(str(frame))
    assert has_printed_table(f"before\n{frame.to_string()}\nand after")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "one line\n",
        "plain: 1.00\nmixed: 2.00\nother: 3.00\n",
        "  1. Count    not answered\n  2. Stride   not answered\n  3. Factors  not answered\n",
        "      half: 0.693\n     tenth: 2.303\nthousandth: 6.908\n",
        "Chapter 21: 0 of 4 done.\n  a\n  b\n",
        "\n\n\n\n",
    ],
)
def test_other_text_is_no_table(text: str) -> None:
    assert not has_printed_table(text)


def test_the_cell_is_named() -> None:
    shown = new_output("display_data", {"text/plain": str(PLAIN)})
    printed = new_output("stream", name="stdout", text=str(PLAIN))
    cells = [new_markdown_cell("x"), new_code_cell(outputs=[shown])]
    assert list(printed_tables(new_notebook(cells=cells))) == []
    cells.append(new_code_cell(outputs=[printed, printed]))
    (problem,) = printed_tables(new_notebook(cells=cells))
    assert problem.startswith("cell 2 prints a table")
