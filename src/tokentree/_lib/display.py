"""Plain HTML for notebooks: tables of bounded size.

All text is escaped. No colours or fonts are set, so tables take those of the page, light or dark.
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
    shown = list(range(n)) if n <= limit else [*range(limit - 1), n - 1]
    body = ["<tr>" + "".join(_cell(value) for value in row(i)) + "</tr>" for i in shown]
    if n > limit:
        gap = f'<td colspan="{len(header)}" style="text-align:center">… {n - limit:,} more …</td>'
        body.insert(-1, f"<tr>{gap}</tr>")
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    return f"{_open(caption)}<thead><tr>{names}</tr></thead><tbody>{''.join(body)}</tbody></table>"


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
    number = isinstance(value, int | float | Fraction) and not isinstance(value, bool)
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif number and isinstance(value, int):
        text = f"{value:,}"
    else:
        text = str(value)
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    align = align or ("right" if number else "left")
    return f'<td style="text-align:{align}">{escape(text)}</td>'
