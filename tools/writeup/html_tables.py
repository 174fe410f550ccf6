"""The tables of a notebook's HTML output as text; a cell that spans columns is repeated."""

from __future__ import annotations

from html.parser import HTMLParser

Cell = tuple[str, int, int]  # text, columns, rows
Row = tuple[str, ...]


def read_tables(html: str) -> list[tuple[Row, tuple[Row, ...]]]:
    """Header and rows of each table. Rows of a header of several lines are joined by a blank.

    >>> read_tables("<table><tr><th>a</th></tr><tr><td>1</td></tr></table>")
    [(('a',), (('1',),))]
    """
    reader = _Reader()
    reader.feed(html)
    return [_split(table) for table in reader.tables if table]


class _Reader(HTMLParser):
    """Collects (is a header, cells) for each row of each table."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[tuple[bool, list[Cell]]]] = []
        self._text: list[str] | None = None
        self._span = (1, 1)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append((True, []))
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            found = dict(attrs)
            self._text = []
            self._span = (int(found.get("colspan") or 1), int(found.get("rowspan") or 1))
            if tag == "td":
                self.tables[-1][-1] = (False, self.tables[-1][-1][1])
        elif tag == "br" and self._text is not None:
            self._text.append(" ")

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._text is not None:
            text = " ".join("".join(self._text).split())
            self.tables[-1][-1][1].append((text, *self._span))
            self._text = None


def _split(table: list[tuple[bool, list[Cell]]]) -> tuple[Row, tuple[Row, ...]]:
    """Header and body; a table whose first row is no header gets empty titles."""
    heads = [is_head for is_head, _ in table]
    count = heads.index(False) if False in heads else len(heads)
    grid = _spread([cells for _, cells in table])
    titles = (dict.fromkeys(filter(None, column)) for column in zip(*grid[:count], strict=True))
    header = tuple(" ".join(parts) for parts in titles) if count else ("",) * len(grid[0])
    return header, tuple(grid[count:])


def _spread(rows: list[list[Cell]]) -> list[Row]:
    """Every cell in every place that it spans, all rows equally wide.

    Text of a cell that spans rows stands in the first of them only.
    """
    placed: dict[tuple[int, int], str] = {}
    for y, cells in enumerate(rows):
        x = 0
        for text, wide, high in cells:
            while (x, y) in placed:
                x += 1
            for right in range(wide):
                for down in range(high):
                    placed[x + right, y + down] = "" if down else text
            x += wide
    width = 1 + max((x for x, _ in placed), default=0)
    return [tuple(placed.get((x, y), "") for x in range(width)) for y in range(len(rows))]
