"""Tables and a whole document in LaTeX: booktabs, any engine, no package beyond the usual ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from tools.writeup.columns import places
from tools.writeup.exhibits import NOTE, Chapter, Exhibit, Figure, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%#_{}$"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"\(\pm\)",
    "×": r"\(\times\)",
    "·": r"\(\cdot\)",
    "−": r"\(-\)",
    "≤": r"\(\leq\)",
    "≥": r"\(\geq\)",
    "≈": r"\(\approx\)",
    "→": r"\(\to\)",
    "½": r"\(\frac12\)",
    "…": r"\dots{}",
    "∞": r"\(\infty\)",
    "–": "--",
    "—": "---",
    "’": "'",
    "\N{NO-BREAK SPACE}": "~",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "√": r"\(\surd\)",
    "∂": r"\(\partial\)",
    "‖": r"\(\|\)",
    "°": r"\(^\circ\)",
    "✓": r"\(\surd\)",
    "µ": r"\(\mu\)",
    "ο": "o",
}
_GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (\w+)")
_FORMULA = re.compile(r"(\$[^$]+\$)")
_PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[margin=25mm]{geometry}
\usepackage{amsmath,array,booktabs,graphicx}
\usepackage[hidelinks]{hyperref}
\setcounter{secnumdepth}{0} % chapters have numbers of their own
% as wide as it is, at most as wide as the text
\newsavebox{\exhibit}
\newcommand{\fitted}[1]{\sbox{\exhibit}{#1}%
  \ifdim\wd\exhibit>\linewidth\resizebox{\linewidth}{!}{\usebox{\exhibit}}%
  \else\usebox{\exhibit}\fi}
\title{SqueezeNet, squeezed: tables and figures}
\author{}
\date{}
\begin{document}
\maketitle
"""
_AT_ONCE = 15  # floats that wait; LaTeX holds no more than 18


def escape(text: str) -> str:
    """Text for LaTeX; what stands between dollar signs is a formula and stays.

    >>> escape("9 % of $x^2$ & more")
    '9 \\\\% of $x^2$ \\\\& more'
    """
    parts = _FORMULA.split(text)
    return "".join(part if part[:1] == "$" != part else _plain(part) for part in parts)


def _plain(text: str) -> str:
    return "".join(_SPECIAL.get(character) or _letter(character) for character in text)


def _letter(character: str) -> str:
    """Greek letters and small digits by their names; what LaTeX lacks becomes "?"."""
    if match := _GREEK.fullmatch(unicodedata.name(character, "")):
        size, name = match.groups()
        name = name.replace("LAMDA", "LAMBDA")  # Unicode's spelling
        return f"\\(\\{name.lower() if size == 'SMALL' else name.capitalize()}\\)"
    place, _, digit = unicodedata.decomposition(character).partition(" ")
    if place in ("<sub>", "<super>"):
        return f"\\text{place[1:-1]}script{{{chr(int(digit, 16))}}}"
    return character if character.isascii() or character.isalpha() else "?"


def table(shown: Table) -> str:
    """A tabular between booktabs' rules: columns of numbers to the right, the others left."""
    lines = [_row(shown.header), r"\midrule", *map(_row, shown.rows)]
    body = "\n".join([r"\toprule", *lines, r"\bottomrule"])
    return f"\\begin{{tabular}}{{{''.join(places(shown))}}}\n{body}\n\\end{{tabular}}\n"


def _row(cells: Iterable[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"


def document(chapters: list[Chapter]) -> str:
    """A main.tex that includes everything: the tables by file, the figures as PDF."""
    lines = [_PREAMBLE, rf"\noindent {NOTE}", r"\tableofcontents"]
    for chapter in chapters:
        lines.append(f"\\section{{{escape(f'{chapter.number} {chapter.title}'.strip())}}}")
        for number, exhibit in enumerate(chapter.exhibits, 1):
            lines.append(_float(exhibit))
            if number % _AT_ONCE == 0:
                lines.append(r"\clearpage")
        lines.append(r"\clearpage")
    return "\n".join([*lines, r"\end{document}", ""])


def _float(exhibit: Exhibit) -> str:
    note = f" {{\\footnotesize {escape(exhibit.source)}}}" if exhibit.source else ""
    caption, label = f"{escape(exhibit.caption)}{note}", exhibit.name
    if isinstance(exhibit, Figure):
        file = f"figures/{exhibit.name}.pdf"
        inner = f"\\fitted{{\\includegraphics{{{file}}}}}\n\\caption{{{caption}}}"
        return _placed("figure", inner, f"fig:{label}")
    inner = f"\\caption{{{caption}}}\n\\fitted{{\\input{{tables/{exhibit.name}.tex}}}}"
    return _placed("table", inner, f"tab:{label}")


def _placed(kind: str, inner: str, label: str) -> str:
    return f"\\begin{{{kind}}}[htbp]\n\\centering\n{inner}\n\\label{{{label}}}\n\\end{{{kind}}}"
