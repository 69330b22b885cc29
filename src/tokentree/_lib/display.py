"""Tables of bounded size: plain HTML for notebooks, and text.

All text in HTML is escaped. No colours or fonts are set, so tables take those of the page, light or dark.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from html import escape

ROWS = 20
"""Default number of rows of a table; if there are more, the first and the last are shown."""


def table(
    header: Sequence[str],
    n: int,
    row: Callable[[int], Sequence[object]],
    caption: str,
    *,
    limit: int = ROWS,
) -> str:
    """Table of the rows 0 to n - 1, of which at most `limit` are evaluated."""
    body = ["<tr>" + "".join(_cell(value) for value in row(i)) + "</tr>" for i in _first_and_last(n, limit)]
    if n > limit:
        gap = f'<td colspan="{len(header)}" style="text-align:center">{_more(n, limit)}</td>'
        body.insert(-1, f"<tr>{gap}</tr>")
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    return f"{_open(caption)}<thead><tr>{names}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def text_table(
    header: Sequence[str], n: int, row: Callable[[int], Sequence[object]], caption: str, *, limit: int = ROWS
) -> str:
    """The same table as lines of text, without a blank at their ends."""
    rows = [list(row(i)) for i in _first_and_last(n, limit)]
    cells = [list(header), *([_shown(value, 40) for value in each] for each in rows)]
    right = [all(_is_number(value) for value in column) for column in zip(*rows, strict=True)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    ]
    if n > limit:
        lines.insert(-1, _more(n, limit))
    return "\n".join([caption, *lines])


def percent(share: float) -> str:
    """A share with three digits, or with as many as tell it from 1 if it is not 1 within 1e-12."""
    texts = (f"{100 * share:.{digits}g}%" for digits in range(3, 13))
    return next((text for text in texts if share == 1 or float(text[:-1]) < 100), "100%")


def _first_and_last(n: int, limit: int) -> list[int]:
    return list(range(n)) if n <= limit else [*range(limit - 1), n - 1]


def _more(n: int, limit: int) -> str:
    return f"… {n - limit:,} more …"


def pairs(values: Mapping[str, object], caption: str) -> str:
    """Table of two columns: names and values."""
    rows = (
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>{_cell(value, "left", 2000)}</tr>'
        for name, value in values.items()
    )
    return f"{_open(caption)}<tbody>{''.join(rows)}</tbody></table>"


def _open(caption: str) -> str:
    return f'<table><caption style="text-align:left;white-space:nowrap">{escape(caption)}</caption>'


def _cell(value: object, align: str = "", longest: int = 200) -> str:
    """One value; a text longer than `longest` characters is cut."""
    align = align or ("right" if _is_number(value) else "left")
    return f'<td style="text-align:{align}">{escape(_shown(value, longest))}</td>'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Fraction) and not isinstance(value, bool)


def _shown(value: object, longest: int) -> str:
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = str(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"
