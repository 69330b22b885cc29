"""Tables of training runs: CSV files and data frames, with columns matched by words in their headers."""

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import filter as matching
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from .._lib import checks

Columns = Iterable[str] | Mapping[str, str]
"""Columns of a table: a name or pattern, several of them, or a mapping of new names to columns."""

_MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "<na>"})

_LABELS = ("run", "run_id", "name", "index", "")
"""Headers of columns that identify runs in published files."""

_LOSS_WORDS = frozenset(["loss", "nll", "metric", "metrics", "train", "val", "validation", "eval", "test"])
"""Words that a header may add to the name of a dataset even if no other header adds them."""

_LOSSES = frozenset(["loss", "nll"])
"""Words of which no header of sizes has any."""

_BY_HAND = "name its loss with losses={dataset: column, or None}"

_WORD = r"[^\W_]+"

Words = tuple[str, ...]
Frame = tuple[Words, Words]


class Source(NamedTuple):
    """The source of runs: matched, missing and unread columns."""

    matches: Mapping[str, str]
    """The column of each loss."""
    left_out: Mapping[str, tuple[str, ...]]
    """Runs that are in only one file, by the file's name."""
    unused: tuple[str, ...]
    """Columns that were not read."""


ARRAYS = Source({}, {}, ())
"""The source of runs given as arrays."""


class Table:
    """Columns of cells under their headers, with the place of each cell.

    Cells read from a file are text, and `lines` has the line of each row; otherwise they are whatever a
    column holds.
    """

    def __init__(
        self, name: str, columns: Mapping[str, Any], lines: Sequence[int] | None = None, comma: bool = False
    ) -> None:
        self.name, self.columns, self.lines, self.comma = name, columns, lines, comma

    @classmethod
    def of_columns(cls, name: str, frame: Any) -> "Table":
        """The columns of a data frame or mapping."""
        headers = list(frame) if isinstance(frame, Mapping) else list(getattr(frame, "columns", ()))
        _distinct(name, list(map(str, headers)))
        columns = {str(header): frame[header] for header in headers}
        shapes = {header: np.shape(column) for header, column in columns.items()}
        if not columns or not all(len(shape) == 1 and shape[0] for shape in shapes.values()):
            raise ValueError(f"{name}: must be a data frame or a mapping of columns, with at least one row")
        first = next(iter(shapes))
        for header, shape in shapes.items():
            if shape != shapes[first]:
                rows = f"{shapes[first][0]} rows in {first!r} and {shape[0]} in {header!r}"
                raise ValueError(f"{name} has {rows}: columns must be of equal length")
        return cls(name, columns)

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str], name: str) -> "Table":
        """The table of a CSV file."""
        try:
            text = Path(path).read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{name} is not UTF-8 at byte {error.start}: save it as CSV in UTF-8") from None
        try:
            mark = max(",;\t", key=lambda mark: len(next(_rows(text, mark), (0, []))[1]))
            (_, header), *body = _rows(text, mark)
        except csv.Error as error:
            raise ValueError(f"{name} is not a CSV file: {error}") from None
        except ValueError:
            raise ValueError(f"{name} is empty: must have a row of headers and rows of numbers") from None
        _distinct(name, header)
        for line, row in body:
            if len(row) != len(header):
                rule = f"must have {len(header)}, one under each header"
                raise ValueError(f"{name}, line {line} has {len(row)} cells: {rule}")
        if not body:
            raise ValueError(f"{name} has only headers: must have one row per run")
        lines, rows = zip(*body, strict=True)
        return cls(name, dict(zip(header, zip(*rows, strict=True), strict=True)), lines, mark == ";")

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))

    @property
    def has(self) -> str:
        """The columns to choose from, for errors."""
        return f"it has {', '.join(map(repr, self.columns))}"

    def place(self, header: str | None, row: int) -> str:
        """The place of a cell, or of a row, in words."""
        if self.lines is None:
            return f"{self.name}[{row}]" if header is None else f"{self.name}[{header!r}][{row}]"
        return f"{self.name}, line {self.lines[row]}" + ("" if header is None else f", column {header!r}")

    def column(self, argument: str, header: str) -> Any:
        """The cells of a column that an argument names."""
        if header not in self.columns:
            raise ValueError(f"{argument} = {header!r}: no such column in {self.name}; {self.has}")
        return self.columns[header]

    def chosen(self, argument: str, wanted: Columns) -> dict[str, str | None]:
        """The selected columns, and their new names if there are any."""
        if isinstance(wanted, Mapping):
            named: dict[str, str | None] = {}
            for name, header in wanted.items():
                self.column(argument, header)
                if header in named:
                    both = f"{named[header]!r} and {name!r}"
                    raise ValueError(f"{argument} has column {header!r} as {both}: must be different columns")
                named[header] = name
            return named
        found: dict[str, str | None] = {}
        rule = "must be a column or pattern, as in 'weight_*', or several in a list"
        for pattern in [wanted] if isinstance(wanted, str) else checks.items(argument, wanted, rule):
            if not isinstance(pattern, str):
                raise TypeError(f"{argument} has {pattern!r}: {rule}")
            headers = [pattern] if pattern in self.columns else matching(self.columns, pattern)
            if not headers:
                raise ValueError(f"{argument} = {pattern!r}: no such column in {self.name}; {self.has}")
            found |= dict.fromkeys(headers)
        return found

    def rest(self, others: set[Any]) -> list[str]:
        """The columns except others."""
        return [header for header in self.columns if header not in others]

    def labels(self, header: str) -> list[str]:
        """A column as text."""
        return [str(cell).strip() for cell in self.columns[header]]

    def numbers(
        self, header: str, rows: Sequence[int], needed: bool, instead: str = ""
    ) -> Float[np.ndarray, "rows"]:
        """A column as numbers: finite and >= 0 if `needed`, otherwise NaN where nothing was measured.

        The error about a cell that is no number says what to do `instead`.
        """
        column = self.columns[header]
        given = checks.plain_array(header, column) if checks.is_array(column) else None
        if given is not None and given.dtype.kind in "iuf":
            numbers = checks.float_array(f"{self.name}[{header!r}]", given)[list(rows)]
        else:
            cells = list(column)
            numbers = np.array([self._number(header, row, cells[row], instead) for row in rows])
        unfit = ~((numbers >= 0) & (numbers < np.inf)) if needed else np.isinf(numbers)
        if unfit.any():
            at = int(np.flatnonzero(unfit)[0])
            found = "missing" if np.isnan(numbers[at]) else f"{numbers[at]:g}"
            rule = "a size must be finite and >= 0" if needed else "must be finite, or empty if not measured"
            raise ValueError(f"{self.place(header, rows[at])} is {found}: {rule}")
        return numbers

    def _number(self, header: str, row: int, cell: Any, instead: str) -> float:
        text = str(cell).strip()
        if text.lower() in _MISSING:
            return np.nan
        if self.comma and text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        try:
            if isinstance(cell, bool | np.bool_):
                raise TypeError
            return float(text if isinstance(cell, str) else cell)
        except (TypeError, ValueError):
            raise ValueError(f"{self.place(header, row)} = {cell!r}: must be a number{instead}") from None


def _rows(text: str, mark: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, and their lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield reader.line_num, cells


def _distinct(name: str, headers: Sequence[str]) -> None:
    for at, header in enumerate(headers):
        if header and header in headers[:at]:
            twice = f"columns {headers.index(header) + 1} and {at + 1} are both {header!r}"
            raise ValueError(f"{name}: {twice}; headers must differ")


# Runs from tables


class Asked(NamedTuple):
    """The columns to read, as given to `TrainingRuns.from_csv`."""

    sizes: Columns | None
    rates: Columns | None
    run: str | None
    parameters: str | None
    tokens: str | None
    losses: Mapping[str, str | None] | None


def _check_headers(asked: Asked) -> None:
    for argument in ("run", "parameters", "tokens"):
        header = getattr(asked, argument)
        if not isinstance(header, str | None):
            raise TypeError(f"{argument} is a {type(header).__name__}: must be the header of a column")


class _Joined(NamedTuple):
    """Two tables, possibly the same one, and the pairs of rows that belong together."""

    tables: tuple[Table, Table]
    rows: tuple[Sequence[int], Sequence[int]]
    key: str | None
    left_out: Mapping[str, tuple[str, ...]]

    def numbers(self, side: int, header: str, needed: bool, instead: str = "") -> Float[np.ndarray, "rows"]:
        return self.tables[side].numbers(header, self.rows[side], needed, instead)


def from_table(table: Table, asked: Asked) -> tuple[dict[str, Any], Source]:
    """Arguments of `TrainingRuns` from a table of both sizes and losses, and their source."""
    _check_headers(asked)
    if asked.run is not None:
        table.column("run", asked.run)
    others = {asked.parameters, asked.tokens, asked.run, *_LABELS}
    sizes = None if asked.sizes is None else table.chosen("sizes", asked.sizes)
    rates = None if asked.rates is None else table.chosen("rates", asked.rates)
    if sizes is None:
        sizes = dict.fromkeys(table.rest(others.union(rates or ())))
    if rates is None:
        rates = dict.fromkeys(table.rest(others.union(sizes)))
    for header in sizes:
        if header in rates:
            raise ValueError(f"sizes and rates both have column {header!r}: must be different columns")
    rows = range(table.n_rows)
    return _arguments(_Joined((table, table), (rows, rows), asked.run, {}), sizes, rates, asked)


def from_files(
    sizes_path: str | os.PathLike[str], rates_path: str | os.PathLike[str], asked: Asked
) -> tuple[dict[str, Any], Source]:
    """Arguments of `TrainingRuns` from CSV files, and their source."""
    for argument, path in (("sizes_path", sizes_path), ("rates_path", rates_path)):
        if not isinstance(path, str | os.PathLike):
            rule = "must be the path of a CSV file; TrainingRuns.from_frame reads tables"
            raise TypeError(f"{argument} is a {type(path).__name__}: {rule}")
    one, two = Path(sizes_path).name, Path(rates_path).name
    if os.path.samefile(sizes_path, rates_path):
        if asked.sizes is None and asked.rates is None:
            rule = "say which columns are which with sizes= or rates=, as in sizes='weight_*'"
            raise ValueError(f"sizes and losses are one file, {one}: {rule}")
        table = Table.from_csv(sizes_path, one)
        found = (label for label in _LABELS[:2] if label in table.columns)
        return from_table(table, asked._replace(run=next(found, None) if asked.run is None else asked.run))
    _check_headers(asked)
    if one == two:
        one, two = os.fspath(sizes_path), os.fspath(rates_path)
    tables = Table.from_csv(sizes_path, one), Table.from_csv(rates_path, two)
    joined = _joined(tables, _key(tables, asked.run))
    others = {asked.parameters, asked.tokens, joined.key, *_LABELS}
    sizes = tables[0].chosen("sizes", tables[0].rest(others) if asked.sizes is None else asked.sizes)
    rates = tables[1].chosen("rates", tables[1].rest(others) if asked.rates is None else asked.rates)
    return _arguments(joined, sizes, rates, asked)


def _key(tables: tuple[Table, Table], run: str | None) -> str:
    """The column that identifies runs in both tables."""
    if run is not None:
        for table in tables:
            table.column("run", run)
        return run
    for label in _LABELS[:2]:
        if all(label in table.columns for table in tables):
            return label
    first, second = (next(iter(table.columns)) for table in tables)
    if first != second:
        named = f"{tables[0].name} begins with column {first!r}, {tables[1].name} with {second!r}"
        raise ValueError(f"{named}: name the column that identifies runs in both, with run=")
    return first


def _joined(tables: tuple[Table, Table], key: str) -> _Joined:
    """The runs that both tables have, in the order of the first."""
    one, two = (_row_of_each(table, key) for table in tables)
    both = [label for label in one if label in two]
    if not both:
        raise ValueError(f"column {key!r}: no run of {tables[0].name} is in {tables[1].name}")
    left_out = {
        tables[0].name: tuple(label for label in one if label not in two),
        tables[1].name: tuple(label for label in two if label not in one),
    }
    return _Joined(tables, ([one[label] for label in both], [two[label] for label in both]), key, left_out)


def _row_of_each(table: Table, key: str) -> dict[str, int]:
    rows: dict[str, int] = {}
    for row, label in enumerate(table.labels(key)):
        if label in rows:
            first = table.place(key, rows[label])
            raise ValueError(f"{table.place(key, row)} = {label!r}: already the run of {first}")
        rows[label] = row
    return rows


def _arguments(
    joined: _Joined, sizes: Mapping[str, str | None], rates: Mapping[str, str | None], asked: Asked
) -> tuple[dict[str, Any], Source]:
    first, second = joined.tables
    for argument, headers, table in (("sizes", sizes, first), ("rates", rates, second)):
        if not headers:
            raise ValueError(f"{argument}: no column of {table.name} is left; {table.has}")
    if not isinstance(asked.losses, Mapping | None):
        rule = "must map datasets to columns of losses; rates= selects these columns"
        raise TypeError(f"losses = {asked.losses!r}: {rule}")
    named = [[not _LOSSES.isdisjoint(_words(header.lower())) for header in side] for side in (sizes, rates)]
    if all(named[0]) and not any(named[1]):
        raise ValueError(
            f"sizes: all columns are named losses, as {next(iter(sizes))!r}: exchange the tables"
        )
    datasets = _datasets(sizes)
    matches = _matches(datasets, sizes, rates, asked.losses or {})
    never = np.full(len(joined.rows[1]), np.nan)
    # A column that nobody asked for may hold anything.
    of_sizes = (
        "" if asked.sizes is not None else "; name the columns of sizes with sizes=, as in sizes='weight_*'"
    )
    of_losses = (
        "" if asked.rates is not None else "; name the columns of losses with rates=, as in rates='*_loss'"
    )
    read = {name: joined.numbers(1, header, False, of_losses) for name, header in matches.items()}
    tasks = [name for name in matches if name not in datasets]
    arguments: dict[str, Any] = {
        "sizes": np.stack([joined.numbers(0, header, True, of_sizes) for header in sizes], axis=1),
        "rates": np.stack([read.get(name, never) for name in [*datasets, *tasks]], axis=1),
        "names": list(datasets),
        "tasks": tasks,
    }
    empty = np.flatnonzero(~(arguments["sizes"] > 0).any(axis=1))
    if empty.size:
        place = first.place(None, joined.rows[0][int(empty[0])])
        raise ValueError(f"{place} has only sizes of zero: every run needs some data")
    for argument, header in (("parameters", asked.parameters), ("tokens", asked.tokens)):
        if header is not None:
            side = 0 if header in first.columns else 1
            joined.tables[side].column(argument, header)
            arguments[argument] = joined.numbers(side, header, False)
    if joined.key is not None:
        labels = first.labels(joined.key)
        arguments["labels"] = [labels[row] for row in joined.rows[0]]
    used = {*sizes, *rates, asked.parameters, asked.tokens, joined.key, ""}
    unused = tuple(header for header in {**first.columns, **second.columns} if header not in used)
    return arguments, Source(matches, joined.left_out, unused)


# Common words of headers


def _words(header: str) -> Words:
    return tuple(re.findall(_WORD, header))


def _shared(headers: Iterable[Words]) -> tuple[int, int]:
    """Numbers of common leading and trailing words of headers, leaving each header at least one word."""
    listed = list(headers)
    most = min(map(len, listed)) - 1
    if len(listed) < 2 or most < 1:
        return 0, 0
    before = next((n for n in range(most) if len({words[n] for words in listed}) > 1), most)
    most -= before
    after = next((n for n in range(most) if len({words[-1 - n] for words in listed}) > 1), most)
    return before, after


def _own(headers: Iterable[str]) -> dict[str, str]:
    """Each header without the words with which all begin or end."""
    headers = list(headers)
    before, after = _shared(map(_words, headers))
    spans = {header: [found.span() for found in re.finditer(_WORD, header)] for header in headers}
    return {
        header: header[words[before][0] : words[-1 - after][1]] if words else header
        for header, words in spans.items()
    }


def _datasets(sizes: Mapping[str, str | None]) -> dict[str, Words]:
    """The datasets of columns of sizes: their names, and the words that identify them."""
    own = _own(sizes)
    datasets: dict[str, Words] = {}
    for header, renamed in sizes.items():
        name = own[header] if renamed is None else renamed
        if name in datasets:
            other = list(sizes)[list(datasets).index(name)]
            rule = "name them with sizes={new name: column}"
            raise ValueError(f"columns {other!r} and {header!r} would both be dataset {name!r}: {rule}")
        datasets[name] = _words(name)
    return datasets


def _matches(
    datasets: Mapping[str, Words],
    sizes: Iterable[str],
    rates: Mapping[str, str | None],
    losses: Mapping[str, str | None],
) -> dict[str, str]:
    """The column of each loss, by the name of its dataset or task."""
    found = _by_hand(datasets, rates, losses)
    if None in rates.values():
        idle = frozenset.intersection(*(frozenset(_words(header)) for header in sizes)) | _LOSS_WORDS
        open_ = {name: words for name, words in datasets.items() if name not in losses}
        found |= _matched(open_, rates, set(found.values()), idle)
    else:
        renamed = {name: header for header, name in rates.items() if name}
        found = {name: renamed[name] for name in datasets if name in renamed and name not in losses} | found
    matches = {name: found[name] for name in datasets if name in found}
    names = _short(rates, datasets)
    for header in rates:
        if header not in found.values():
            name = rates[header] or names[header]
            if name in matches or name in datasets:
                rule = "name it with rates={new name: column}"
                raise ValueError(f"column {header!r} would be called {name!r}, as another is: {rule}")
            matches[name] = header
    return matches


def _short(headers: Iterable[str], datasets: Iterable[str]) -> dict[str, str]:
    """Each header without the words with which all begin or end, if no two are then the same."""
    short = _own(headers)
    taken = [*datasets, *short.values()]
    return {header: name if taken.count(name) == 1 else header for header, name in short.items()}


def _by_hand(
    datasets: Mapping[str, Words], headers: Iterable[str], losses: Mapping[str, str | None]
) -> dict[str, str]:
    """The columns of the losses that were named, where there is one."""
    headers = list(headers)
    for name, header in losses.items():
        if name not in datasets:
            raise ValueError(f"losses has {name!r}: must name a dataset, {', '.join(map(repr, datasets))}")
        if header is not None and header not in headers:
            rule = f"must be a column of losses, {', '.join(map(repr, headers))}"
            raise ValueError(f"losses[{name!r}] = {header!r}: {rule}")
    named = [(name, header) for name, header in losses.items() if header is not None]
    for at, (name, header) in enumerate(named):
        for other, same in named[:at]:
            if same == header:
                raise ValueError(f"losses gives {header!r} to both {other!r} and {name!r}: must be different")
    return dict(named)


def _matched(
    datasets: Mapping[str, Words], headers: Iterable[str], taken: set[str], idle: frozenset[str]
) -> dict[str, str]:
    """The losses whose headers identify their dataset, given the words that do not."""
    split = {header: _words(header) for header in headers}
    fits = [
        (header, name, frame)
        for header, words in split.items()
        if header not in taken
        for name, own in datasets.items()
        for frame in _frames(words, own)
    ]
    served: defaultdict[Frame, set[str]] = defaultdict(set)
    for _, name, frame in fits:
        served[frame].add(name)
    before, after = _shared(split.values())
    shared = {(words[:before], words[len(words) - after :]) for words in split.values()}
    claims: defaultdict[str, set[str]] = defaultdict(set)
    for header, name, (left, right) in fits:
        if len(served[left, right]) > 1 or (left, right) in shared or idle.issuperset(left + right):
            claims[header].add(name)
    owners: dict[str, str] = {}
    for header, names in claims.items():
        most = max(len(datasets[name]) for name in names)
        best = [name for name in datasets if name in names and len(datasets[name]) == most]
        if len(best) > 1:
            both = f"{best[0]!r} and {best[1]!r}"
            raise ValueError(f"column {header!r} matches datasets {both} equally well: {_BY_HAND}")
        if best[0] in owners:
            both = f"{owners[best[0]]!r} and {header!r}"
            raise ValueError(f"columns {both} match dataset {best[0]!r} equally well: {_BY_HAND}")
        owners[best[0]] = header
    return owners


def _frames(words: Words, own: Words) -> list[Frame]:
    """The words before and after those of a dataset, wherever these occur."""
    n = len(own)
    starts = range(len(words) - n + 1) if n else ()
    return [(words[:i], words[i + n :]) for i in starts if words[i : i + n] == own]
