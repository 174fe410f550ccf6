"""The same tables and figures as one page: Markdown, and HTML that holds its pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path

from tools import readme_results
from tools.writeup.exhibits import NOTE, Chapter, Exhibit, Figure, Table

TITLE = "SqueezeNet, squeezed: tables and figures"
_STYLE = (
    "body{font:11pt/1.4 Arial,sans-serif;max-width:50em;margin:2em auto;color:#111;background:#fff}"
    "table{border-collapse:collapse}th,td{border:1px solid #bbb;padding:3px 8px;text-align:left}"
    "img{max-width:100%}figcaption,.source{font-size:9pt;color:#444}"
)


def markdown_table(table: Table) -> str:
    """The table in Markdown's form."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (table.header, *table.rows)]
    return readme_results.markdown_table(rows[0], rows[1:]) + "\n"


def markdown(chapters: list[Chapter]) -> str:
    """One page of Markdown; pictures lie in the folder figures beside it."""
    return "\n\n".join([f"# {TITLE}", NOTE, *_blocks(chapters)]) + "\n"


def _blocks(chapters: list[Chapter]) -> Iterator[str]:
    for chapter in chapters:
        yield f"## {_name(chapter)}"
        for exhibit in chapter.exhibits:
            if isinstance(exhibit, Figure):
                yield f"![{exhibit.caption}](figures/{exhibit.name}.png)"
                yield f"*{exhibit.caption}*"
            else:
                yield f"**{exhibit.caption}**"
                yield markdown_table(exhibit).rstrip()
            if exhibit.source:
                yield exhibit.source


def _name(chapter: Chapter) -> str:
    return f"{chapter.number} {chapter.title}".strip()


def html(chapters: list[Chapter], figures: Path) -> str:
    """One page that holds its pictures, so that it can be copied whole into another document."""
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{TITLE}</title>",
        f"<style>{_STYLE}</style><h1>{TITLE}</h1><p>{NOTE}</p>",
    ]
    for chapter in chapters:
        parts.append(f"<h2>{escape(_name(chapter))}</h2>")
        parts += [_html_of(exhibit, figures) for exhibit in chapter.exhibits]
    return "\n".join([*parts, "</html>", ""])


def _html_of(exhibit: Exhibit, figures: Path) -> str:
    caption = escape(exhibit.caption)
    source = f"<p class='source'>{escape(exhibit.source)}</p>" if exhibit.source else ""
    if isinstance(exhibit, Figure):
        png = exhibit.png or (figures / f"{exhibit.name}.png").read_bytes()
        data = base64.b64encode(png).decode()
        picture = (
            f"<img alt='{escape(exhibit.caption, quote=True)}' src='data:image/png;base64,{data}'>"
        )
        return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>{source}"
    rows = "".join(_html_row(row, "td") for row in exhibit.rows)
    return f"<p><b>{caption}</b></p><table>{_html_row(exhibit.header, 'th')}{rows}</table>{source}"


def _html_row(cells: tuple[str, ...], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
