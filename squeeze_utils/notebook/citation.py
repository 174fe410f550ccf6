"""How to cite the series: the entry for BibTeX, made from CITATION.cff."""

from __future__ import annotations

import re
from pathlib import Path

from squeeze_utils import REPOSITORY, __version__
from squeeze_utils.base.paths import repository

FILE = "CITATION.cff"
#: Of the file, and as BibTeX calls them; of the date only the year is wanted.
FIELDS = {
    "title": "title",
    "date-released": "year",
    "version": "version",
    "repository-code": "url",
}
YEAR = re.compile(r"(\d{4})-\d\d-\d\d")


def bibtex(path: Path | None = None) -> str:
    """The BibTeX entry in Markdown, from the CITATION.cff at `path`, the repository's by default.

    An installed package does not have the file: then a sentence says where it is.

    Raises:
        ValueError: the file lacks the title, the date, the version, the address or the authors.
    """
    root = repository()
    path = path or (root / FILE if root else None)
    if path is None or not path.is_file():
        where = f"https://github.com/{REPOSITORY}/blob/v{__version__}/{FILE}"
        return f"The entry is made from {FILE}, which is not part of an installed package: {where}"
    text = path.read_text(encoding="utf-8")
    values = {"author": " and ".join(f"{{{name}}}" for name in _authors(text))}
    for field, name in FIELDS.items():
        found = re.search(rf"^{field}: *(.+?) *$", text, re.MULTILINE)
        values[name] = found[1].strip("\"'") if found else ""
    values["year"] = _year(values["year"], path)
    lacking = [name for name, value in values.items() if not value]
    if lacking:
        raise ValueError(f"{path} does not say: {', '.join(lacking)}")
    lines = [f"  {name:8} = {{{value}}}," for name, value in values.items()]
    return "\n".join(["```bibtex", "@misc{squeezenet-squeezed,", *lines, "}", "```"])


def _year(date: str, path: Path) -> str:
    """The year of a date as the format wants it, 2026-11-30; nothing of no date."""
    found = YEAR.fullmatch(date)
    if date and found is None:
        raise ValueError(f"{path}: date-released is {date!r}; accepted is a date like 2026-11-30")
    return found[1] if found else ""


def _authors(text: str) -> list[str]:
    """The names below "authors:", in order."""
    block = re.search(r"^authors:\n((?:[ -].*\n?)+)", text, re.MULTILINE)
    names = []
    for one in re.split(r"^ *- ", block[1], flags=re.MULTILINE)[1:] if block else ():
        found = dict(re.findall(r"([\w-]+): *[\"']?(.+?)[\"']? *$", one, re.MULTILINE))
        parts = (found.get(part) for part in ("name", "given-names", "family-names"))
        names.append(" ".join(filter(None, parts)))
    return names
