"""The BibTeX entry says what CITATION.cff says."""

from __future__ import annotations

from pathlib import Path

import pytest

from squeeze_utils import REPOSITORY, __version__
from squeeze_utils.notebook import citation

SAMPLE = """cff-version: 1.2.0
title: "A title: of two parts"
authors:
  - family-names: Curie
    given-names: Marie
  - name: "The others"
version: "2.1"
date-released: 2031-05-06
repository-code: 'https://example.org/x'
keywords:
  - one
"""


def test_the_entry_has_what_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "CITATION.cff"
    file.write_text(SAMPLE)
    assert citation.bibtex(file).splitlines() == [
        "```bibtex",
        "@misc{squeezenet-squeezed,",
        "  author   = {{Marie Curie} and {The others}},",
        "  title    = {A title: of two parts},",
        "  year     = {2031},",
        "  version  = {2.1},",
        "  url      = {https://example.org/x},",
        "}",
        "```",
    ]


def test_the_entry_of_the_series_names_its_version_and_address() -> None:
    text = citation.bibtex()
    assert f"{{{__version__}}}" in text and f"{{https://github.com/{REPOSITORY}}}" in text


def test_without_the_file_a_sentence_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = f"github.com/{REPOSITORY}/blob/v{__version__}/CITATION.cff"
    assert where in citation.bibtex(tmp_path / "gone")
    monkeypatch.setattr(citation, "repository", lambda: None)
    assert where in citation.bibtex()


@pytest.mark.parametrize(
    "lacking", ["title", "version", "repository-code", "authors", "date-released"]
)
def test_a_file_that_lacks_something_is_refused(lacking: str, tmp_path: Path) -> None:
    file = tmp_path / "CITATION.cff"
    file.write_text(SAMPLE.replace(f"{lacking}:", "abstract:"))
    with pytest.raises(ValueError, match=r"does not say: (title|version|url|author|year)"):
        citation.bibtex(file)


def test_a_date_in_another_form_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "CITATION.cff"
    file.write_text(SAMPLE.replace("2031-05-06", "6 May 2031"))
    with pytest.raises(ValueError, match="date-released is '6 May 2031'; accepted is a date like"):
        citation.bibtex(file)
    file.write_text(SAMPLE.replace("2031-05-06", "'2031-05-06'"))
    assert "  year     = {2031}," in citation.bibtex(file)
