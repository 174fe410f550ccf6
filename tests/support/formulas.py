"""The formulas in the notebooks' text, and whether the glossary's symbols occur in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tools.site.chapters import notebook_paths, read_cells
from tools.site.symbols import Symbol

_FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<!\\)\$([^$\n]+?)(?<!\\)\$", re.DOTALL)
_WORD = re.compile(r"\\(?:text|textrm|textit|operatorname|mathrm)\b")
_WORDS = re.compile(_WORD.pattern + r"\s*\{[^{}]*\}")
#: Letters that need no entry: indices, and the constant.
PLAIN = frozenset({"c", "i", "j", "\\pi"})
_GREEK = re.compile(
    r"\\(?:alpha|beta|gamma|delta|(?:var)?epsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|pi|rho|sigma|"
    r"tau|(?:var)?phi|chi|psi|omega|ell|Gamma|Delta|Theta|Lambda|Xi|Sigma|Phi|Psi|Omega)"
)
_UNREAD = re.compile(r"\\(?:begin|end)\{\w+\}|\\mathbb\s*\{?\w\}?|_(?:\{[^{}]*\}|\\[A-Za-z]+|\w)")
_LETTER = re.compile(r"\\[A-Za-z]+|[A-Za-z]")
_NAMED = re.compile(r"\bwith ([A-Za-z])[:,]")
_BRACES = re.compile(r"(\\(?:mathbb|mathbf|hat|bar))\{(\w)\}")


def formulas(root: Path) -> dict[str, list[str]]:
    """The formulas in the text of each chapter, by its number."""
    return {
        path.name[:2]: [
            formula
            for cell in read_cells(path)
            if cell["cell_type"] == "markdown"
            for formula in formulas_of(cell["source"])
        ]
        for path in notebook_paths(root)
    }


def formulas_of(text: str) -> Iterator[str]:
    """What stands between dollar signs."""
    for display, inline in _FORMULA.findall(text):
        yield display or inline


def occurs(tex: str, formula: str) -> bool:
    """Whether a symbol stands in a formula, as a whole: e in e_1 or p in \\hat p do not count."""
    begins = r"(?<![\\A-Za-z])" if tex[0].isalpha() else r"(?<!\\)"
    ends = r"(?![A-Za-z])" if re.search(r"\\[A-Za-z]+$", tex) else ""
    if "_" not in tex and "^" not in tex:
        ends += r"(?!_)"
    if tex.startswith("X^"):  # any matrix
        begins, tex = r"[A-Z]", tex[1:]
    pattern = begins + r"\s*".join(map(re.escape, tex.split())) + ends
    return re.search(pattern, formula if _WORD.search(tex) else _bare(formula)) is not None


def _bare(formula: str) -> str:
    """Without the words and without the names of commands, which are no symbols."""
    return _WORDS.sub(" ", _BRACES.sub(r"\1 \2", formula))


def not_found(symbols: list[Symbol], found: dict[str, list[str]]) -> list[str]:
    """Every symbol that does not occur in a chapter it names; chapters not there are left out."""
    return [
        f"{symbol.tex} does not occur in chapter {number}"
        for symbol in symbols
        for number in symbol.chapters
        if number in found and not any(occurs(symbol.tex, formula) for formula in found[number])
    ]


def unexplained(symbols: list[Symbol], found: dict[str, list[str]], often: int = 6) -> list[str]:
    """Every letter in `often` formulas of a chapter that no symbol of the glossary has there.

    A letter that the meaning of another one names ("with B: ...") has its entry with it.
    """
    known: dict[str, set[str]] = {}
    for symbol in symbols:
        named = set(_NAMED.findall(symbol.meaning))
        for number in symbol.chapters:
            known.setdefault(number, set()).update(letters(symbol.tex) | named)
    counted = {
        number: Counter(x for one in those for x in letters(one)) for number, those in found.items()
    }
    return [
        f"{letter} of chapter {number} has no entry: it is in {count} formulas"
        for number, counts in counted.items()
        for letter, count in sorted(counts.items())
        if count >= often and letter not in PLAIN | known.get(number, set())
    ]


def letters(formula: str) -> set[str]:
    """The letters of a formula, Latin and Greek, without those of words and of subscripts.

    >>> sorted(letters(r"\\hat x_i = \\alpha \\sqrt{m'}"))
    ['\\\\alpha', 'm', 'x']
    """
    bare = _UNREAD.sub(" ", _WORDS.sub(" ", formula))
    return {one for one in _LETTER.findall(bare) if len(one) == 1 or _GREEK.fullmatch(one)}
