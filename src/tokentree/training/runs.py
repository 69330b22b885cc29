r"""Training runs as a table, and what the law implies for any table of runs.

Let Theta be any set of models, L_i(theta) the loss of theta on dataset i and F_n(theta) = sum n_i L_i(theta).
Training on sizes n seeks the theta that minimises F_n; its losses are the rates gamma. For any two models
n . (g' - g) = F_n(theta') - F_n(theta), so for minimisers at n and n'

    n . (g' - g) >= 0 >= n' . (g' - g),    and    (n' - n) . (g' - g) <= 0.

No smoothness is needed, and nothing is assumed about the models except that they come from one Theta.
Conversely (Afriat 1967, Varian 1982), a table of runs comes from exact minimisers of some Theta if n^a . g^a
<= n^a . g^b for all a and b. So n^a . (g^a - g^b) > 0 is a certified lower bound on the loss that run a could
still have saved: run a is beaten on its own data by run b's model.

These one-sided inequalities are tested by `TrainingRuns.gaps`. The symmetric one, in which both of a pair are
added, is tested by `TrainingRuns.monotone` and is weaker: a run that is beaten passes if the other run would
lose more with its model.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.display import table
from .._lib.frames import frame as make_frame
from .._lib.results import Result, few, same, span
from ..mixtures import dataset_index
from .pairs import Pairs
from .tables import ARRAYS, Asked, Columns, Source, Table, from_files, from_table

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False, repr=False)
class Monotonicity(Result):
    """The symmetric test, how often (n' - n) . (g' - g) <= 0 holds; made by `TrainingRuns.monotone`."""

    pairs: int
    """Pairs of runs that could be compared."""
    violated: int
    """Number of pairs in which the sum is positive by more than its error and by more than rounding."""
    worst: float
    """The largest sum over the pairs, minus its error, at most 0 by the law; NaN if there are no pairs."""
    worst_pair: tuple[int, int] | None
    """The positions of the runs of that pair, from 0; ``runs.labels``, if given, has their names."""
    certified: bool
    """Whether all losses of both runs' own data were measured in both runs of every pair."""

    @property
    def holds(self) -> bool:
        """Whether no pair violates the inequality. Runs may still be beaten: see `TrainingRuns.gaps`."""
        return self.violated == 0


class TrainingRuns:
    r"""Training runs as rows: the sizes of the datasets trained on, and the measured losses.

    Immutable: the arrays are copied, and the copies are read-only.

    Parameters
    ----------
    sizes : array_like, shape (A, N)
        Amount of dataset j that run a was trained on, in any unit, which may differ between runs: finite, >=
        0, with a positive sum in every row. Shares are allowed.
    rates : array_like, shape (A, N + K)
        Losses in nats, first on the N datasets, then on the K tasks; NaN where not measured. A DataFrame with
        a dataset among its columns is read by name.
    names : N distinct strings, optional
        Names of the datasets. Default: the columns of a DataFrame, else "D1", "D2", ...
    tasks : K distinct strings
        Names of the losses that belong to no dataset, other than those of the datasets.
    parameters, tokens : array_like, shape (A,), optional
        Size of each run's model, and number of tokens it was trained on; finite and > 0.
    errors : array_like, shape (A, N + K), optional
        Standard errors of the rates, in nats: finite and >= 0 wherever the rate was measured.
    labels : A strings, optional
        Names of the runs, as in the table they come from. Results refer to runs by position, from 0; figures
        and ``tokentree runs`` by label.

    Raises
    ------
    ValueError
        If a shape, an entry or a name is not as described above.
    TypeError
        If an array holds no real numbers, or a name is not a string.

    Examples
    --------
    >>> runs = TrainingRuns(
    ...     sizes=[[3, 1], [2, 2], [1, 3]],
    ...     rates=[[1.0, 2.0], [1.25, 1.5], [1.5, 1.3]],
    ...     names=["web", "code"],
    ... )
    >>> runs
    TrainingRuns(3 runs, 2 datasets (web, code), 2 losses)
    >>> runs.regret().round(2)
    array([[0.  , 0.25, 0.8 ],
           [0.5 , 0.  , 0.1 ],
           [1.6 , 0.35, 0.  ]])
    >>> runs.monotone().holds
    True
    """

    _source: Source = ARRAYS

    def __init__(
        self,
        sizes: Annotated[Numbers, "runs datasets"],
        rates: Annotated[Numbers, "runs losses"],
        names: Iterable[str] | None = None,
        *,
        tasks: Iterable[str] = (),
        parameters: Annotated[Numbers, "runs"] | None = None,
        tokens: Annotated[Numbers, "runs"] | None = None,
        errors: Annotated[Numbers, "runs losses"] | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        columns = checks.labels_of(sizes)
        if names is None and columns and all(isinstance(column, str) for column in columns):
            names = columns
        _same_rows(sizes, rates)
        self._sizes = _checked_sizes(sizes)
        self._names = checks.distinct_names(names, self.n_datasets, "dataset", "D")
        self._tasks = _task_names(tasks, self._names)
        self._rates = self._losses_array("rates", rates)
        unfit = np.isinf(self._rates)
        if unfit.any():
            checks.fail_at("rates", self._rates, unfit, "must be finite, or NaN where not measured")
        self._parameters = self._per_run("parameters", parameters)
        self._tokens = self._per_run("tokens", tokens)
        self._errors = None if errors is None else self._losses_array("errors", errors)
        if self._errors is not None:
            unfit = ~((self._errors >= 0) & (self._errors < np.inf)) & ~np.isnan(self._rates)
            if unfit.any():
                rule = "must be finite and >= 0 where the rate was measured"
                checks.fail_at("errors", self._errors, unfit, rule)
        self._labels = None if labels is None else self._label_names(labels)

    def _losses_array(self, name: str, value: Numbers) -> Float[np.ndarray, "runs losses"]:
        array = _floats(name, value, self.losses)
        shape = self.n_runs, len(self.losses)
        if array.shape != shape:
            rule = f"{shape}: a row for each run, a column for each dataset and each task"
            raise ValueError(f"{name} has shape {array.shape}: must be {rule}")
        return _frozen(array)

    def _per_run(self, name: str, value: Numbers | None) -> Float[np.ndarray, "runs"] | None:
        if value is None:
            return None
        array = checks.positive(name, value)
        if array.shape != (self.n_runs,):
            raise ValueError(f"{name} has shape {array.shape}: must be ({self.n_runs},), one for each run")
        return _frozen(array)

    def _label_names(self, labels: Iterable[str]) -> tuple[str, ...]:
        listed = checks.items("labels", labels)
        if len(listed) != self.n_runs:
            raise ValueError(f"labels lists {len(listed)}: must be {self.n_runs} strings, one for each run")
        for a, label in enumerate(listed):
            if not isinstance(label, str):
                raise TypeError(f"labels[{a}] = {label!r}: must be a string")
        return tuple(listed)

    @classmethod
    def from_csv(
        cls,
        sizes_path: str | os.PathLike[str],
        rates_path: str | os.PathLike[str] | None = None,
        *,
        sizes: Columns | None = None,
        rates: Columns | None = None,
        run: str | None = None,
        parameters: str | None = None,
        tokens: str | None = None,
        losses: Mapping[str, str | None] | None = None,
    ) -> "TrainingRuns":
        r"""Read runs from two CSV files, one with the sizes and one with the losses, or from one with both.

        Rows are joined on the column `run`; by default on ``run`` or ``run_id`` if both files have it
        (Olmix), else on the first column if it has the same name in both (RegMix). Rows of runs that are in
        only one file are left out and listed in `left_out`. If only one file is given, its rows are the runs,
        and `sizes` or `rates` selects the columns.

        Parameters
        ----------
        sizes_path, rates_path : str or path
            UTF-8, with or without a byte order mark; separated by commas, semicolons or tabs. With
            semicolons, numbers may have decimal commas.
        sizes, rates : str, strings, or mapping, optional
            Columns of sizes and of losses: names or patterns (``"weight_*"``, as in `fnmatch`), or a mapping
            of new names to columns. Default: all columns not otherwise used, except ``run``, ``run_id``,
            ``name``, ``index`` and those without a name.
        run, parameters, tokens : str, optional
            Columns of the runs' names, model sizes and numbers of tokens.
        losses : mapping, optional
            The column with the loss of a dataset, by the dataset's name, where the headers do not show it or
            mislead; None if there is no such column.

        Returns
        -------
        TrainingRuns
            The matching is in `matches`, which notebooks show.

        Raises
        ------
        ValueError
            If a size is missing, a number cannot be read, a run occurs twice, no column is found, two losses
            match one dataset, or two datasets match one loss. The error names the file, line and column.
        TypeError
            If a path, a column or `losses` is of another kind.
        OSError
            If a file cannot be read.

        Notes
        -----
        Headers are split into words at characters that are neither letters nor digits. The name of a dataset
        is its header without the words with which all size headers begin or end: ``train_the_pile_arxiv``
        gives arxiv. A loss belongs to a dataset if its header contains the dataset's words side by side, as
        in ``metric/the_pile_arxiv_val_loss``, and the words around them are those around another dataset's
        words, or those that all losses share, or mere words for a loss: so ``high_school_politics`` is not
        the loss of a dataset politics. If several datasets match, the one with most words is taken. A loss of
        no dataset is a task.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> mixtures = "index,train_web,train_code,train_forum\n1,2,1,1\n2,1,2,1\n3,0,1,1\n"
        >>> losses = "index,val/web_loss,val/code_loss,val/quiz_loss\n1,3.1,1.5,2\n2,3.4,1.2,2\n"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = [pathlib.Path(folder, name) for name in ("mixtures.csv", "losses.csv")]
        ...     written = [path.write_text(text) for path, text in zip(paths, (mixtures, losses))]
        ...     runs = TrainingRuns.from_csv(*paths)
        >>> runs
        TrainingRuns(2 runs, 3 datasets (web, code, forum), 3 losses, tasks: quiz; no loss of forum;
                     left out: 1 of mixtures.csv)
        >>> runs.matches
        {'web': 'val/web_loss', 'code': 'val/code_loss', 'quiz': 'val/quiz_loss'}
        """
        asked = Asked(sizes, rates, run, parameters, tokens, losses)
        return cls._read(*from_files(sizes_path, sizes_path if rates_path is None else rates_path, asked))

    @classmethod
    def from_frame(
        cls,
        frame: "pandas.DataFrame | Mapping[str, Annotated[Numbers, 'runs']]",
        *,
        sizes: Columns,
        rates: Columns,
        run: str | None = None,
        parameters: str | None = None,
        tokens: str | None = None,
        losses: Mapping[str, str | None] | None = None,
    ) -> "TrainingRuns":
        """Read runs from a pandas DataFrame, or from any mapping of names to columns.

        Parameters
        ----------
        frame : DataFrame or mapping
            One row per run.
        sizes, rates, run, parameters, tokens, losses
            As for `from_csv`.

        Raises
        ------
        ValueError
            As for `from_csv`, and if columns differ in length.

        Examples
        --------
        >>> shares = {"weight_web": [0.75, 0.5], "weight_code": [0.25, 0.5]}
        >>> losses = {"web": [1, 1.1], "code": [2, 1.7]}
        >>> runs = TrainingRuns.from_frame(shares | losses, sizes="weight_*", rates=["web", "code"])
        >>> runs.names, runs.measured
        (('web', 'code'), array([ True,  True]))
        """
        asked = Asked(sizes, rates, run, parameters, tokens, losses)
        return cls._read(*from_table(Table.of_columns("frame", frame), asked))

    @classmethod
    def _read(cls, arguments: Mapping[str, Any], source: Source) -> "TrainingRuns":
        runs = cls(**arguments)
        runs._source = source
        return runs

    # The data

    @property
    def sizes(self) -> Float[np.ndarray, "runs datasets"]:
        """The sizes n, shape (A, N)."""
        return self._sizes

    @property
    def rates(self) -> Float[np.ndarray, "runs losses"]:
        """The losses in nats, shape (A, N + K): of the datasets, then of the tasks; NaN if not measured."""
        return self._rates

    @property
    def names(self) -> tuple[str, ...]:
        """The N datasets' names."""
        return self._names

    @property
    def tasks(self) -> tuple[str, ...]:
        """The K tasks' names."""
        return self._tasks

    @property
    def losses(self) -> tuple[str, ...]:
        """The names of the columns of `rates`: datasets, then tasks."""
        return self._names + self._tasks

    @property
    def parameters(self) -> Float[np.ndarray, "runs"] | None:
        """Sizes of the models, if given."""
        return self._parameters

    @property
    def tokens(self) -> Float[np.ndarray, "runs"] | None:
        """Tokens trained on, if given."""
        return self._tokens

    @property
    def errors(self) -> Float[np.ndarray, "runs losses"] | None:
        """Standard errors of the rates in nats, if given."""
        return self._errors

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the runs, if given."""
        return self._labels

    @property
    def n_runs(self) -> int:
        """Number A of runs."""
        return int(self._sizes.shape[0])

    @property
    def n_datasets(self) -> int:
        """Number N of datasets."""
        return int(self._sizes.shape[1])

    @property
    def weights(self) -> Float[np.ndarray, "runs datasets"]:
        """Shares w = n / T of the datasets, shape (A, N)."""
        weights: Float[np.ndarray, "runs datasets"] = self._sizes / self._sizes.sum(axis=1, keepdims=True)
        return weights

    @property
    def measured(self) -> Bool[np.ndarray, "losses"]:
        """Which losses were measured in at least one run, shape (N + K,)."""
        measured: Bool[np.ndarray, "losses"] = ~np.isnan(self._rates).all(axis=0)
        return measured

    @property
    def matches(self) -> dict[str, str]:
        """The column that each loss was read from, by the loss's name; empty for arrays."""
        return dict(self._source.matches)

    @property
    def left_out(self) -> dict[str, tuple[str, ...]]:
        """Runs that are in only one of two files, by the file's name."""
        return dict(self._source.left_out)

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns of the table that were not read."""
        return self._source.unused

    def subset(self, rows: Annotated[Numbers, "rows"] | slice) -> "TrainingRuns":
        """The runs at the given positions, in this order, or where the mask is true.

        Parameters
        ----------
        rows : slice or array_like
            Positions, or a mask of one boolean for each run.

        Returns
        -------
        TrainingRuns

        Raises
        ------
        ValueError
            If there is no run at a position, a mask has the wrong length, or no run is selected.
        TypeError
            If `rows` holds neither integers nor booleans.

        Examples
        --------
        >>> runs = TrainingRuns([[3, 1], [2, 2], [1, 3]], [[1.0, 2.0], [1.1, 1.7], [1.4, 1.6]])
        >>> runs.subset([True, False, True]).sizes
        array([[3., 1.],
               [1., 3.]])
        """
        kept = self._positions(rows)

        def of(array: Float[np.ndarray, "..."] | None) -> Float[np.ndarray, "..."] | None:
            return None if array is None else array[kept]

        runs = TrainingRuns(
            self._sizes[kept],
            self._rates[kept],
            self._names,
            tasks=self._tasks,
            parameters=of(self._parameters),
            tokens=of(self._tokens),
            errors=of(self._errors),
            labels=None if self._labels is None else [self._labels[a] for a in kept.tolist()],
        )
        runs._source = self._source
        return runs

    def _positions(self, rows: Numbers | slice) -> Int[np.ndarray, "rows"]:
        if isinstance(rows, slice):
            kept = np.arange(self.n_runs)[rows]
        else:
            kept = checks.integer_array("rows", rows)
            if kept.ndim != 1 or (kept.dtype == bool and kept.size != self.n_runs):
                rule = f"must be positions, or a mask of {self.n_runs} runs"
                raise ValueError(f"rows has dtype {kept.dtype} and shape {kept.shape}: {rule}")
            if kept.dtype == bool:
                kept = np.flatnonzero(kept)
        outside = (kept < -self.n_runs) | (kept >= self.n_runs)
        if outside.any():
            checks.fail_at("rows", kept, outside, f"must be a position among {self.n_runs} runs")
        if not kept.size:
            raise ValueError("rows selects no run: must select at least one")
        return kept.astype(np.int64) % self.n_runs

    def to_frame(self) -> "pandas.DataFrame":
        """The runs as a pandas table, one row each. Needs the extra ``pandas``.

        Returns
        -------
        pandas.DataFrame
            Index run, the labels or positions; columns size_NAME and loss_NAME, error_NAME if there are
            errors, and parameters and tokens if given.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> runs = TrainingRuns([[3, 1], [1, 3]], [[1.0, 2.0], [1.4, 1.6]], ["web", "code"])
        >>> runs.to_frame().columns.to_list()
        ['size_web', 'size_code', 'loss_web', 'loss_code']
        """
        columns: dict[str, object] = {"run": list(self._labels or range(self.n_runs))}
        columns |= {f"size_{name}": self._sizes[:, j] for j, name in enumerate(self._names)}
        columns |= {f"loss_{name}": self._rates[:, j] for j, name in enumerate(self.losses)}
        if self._errors is not None:
            columns |= {f"error_{name}": self._errors[:, j] for j, name in enumerate(self.losses)}
        for name, values in (("parameters", self._parameters), ("tokens", self._tokens)):
            if values is not None:
                columns[name] = values
        return make_frame(columns, "run")

    # Tests of the law

    def regret(self) -> Float[np.ndarray, "runs runs"]:
        """The loss that run a would add with run b's model: [a, b] is n^a . (g^b - g^a).

        Returns
        -------
        ndarray, shape (A, A)
            In nats times the unit of the sizes; for shares, in nats per token. Negative where run b's model
            is better on run a's own data. NaN where run a has data whose loss is missing in a or in b.

        Notes
        -----
        Runs of any model sizes and tokens are compared. O(A^2 N) by one matrix product, without a second
        array of that size. The error is within about N units in the last place of n^a . (|g^a| + |g^b|).

        Examples
        --------
        >>> TrainingRuns([[1, 0], [1, 1]], [[1, 2], [0.5, 2]]).regret()
        array([[ 0. , -0.5],
               [ 0.5,  0. ]])
        """
        regret = np.empty((self.n_runs, self.n_runs))
        everyone = np.arange(self.n_runs)
        for rows, block in self._compared(everyone).regrets():
            regret[rows] = block
        return regret

    def gaps(self, z: float = 2) -> Float[np.ndarray, "runs"]:
        """Certified lower bounds on the loss each run could save: max_b n^a . (g^a - g^b), at least 0.

        The one-sided test: runs with a positive bound are beaten on their own data. If all are 0,
        nothing in the table contradicts the law and, without standard errors, `monotone` holds as well.

        Parameters
        ----------
        z : float
            With standard errors, the number of them subtracted from each difference before the maximum is
            taken. Errors of different losses and runs are taken as independent. With two, a true zero shows
            as positive about once in forty; the maximum of A differences needs more, three or four.

        Returns
        -------
        ndarray, shape (A,)
            In the unit of `regret`. NaN where run a has data without a measured loss. Runs that lack a loss
            that run a needs are skipped. Zero if the difference is within rounding.

        Raises
        ------
        ValueError
            If `z` is negative or not finite.

        Notes
        -----
        Where model sizes and tokens are given, only runs with equal values are compared: a larger model, or
        one trained for longer, is no evidence that the smaller one could have been better. O(A^2 N).

        Examples
        --------
        >>> TrainingRuns([[1, 0], [1, 1]], [[1, 2], [0.5, 2]]).gaps()
        array([0.5, 0. ])
        """
        z = _multiple(z)
        gaps = np.empty(self.n_runs)
        for runs in self._groups():
            gaps[runs] = self._compared(runs).gaps(z)
        return gaps

    def monotone(self, certified: bool = True, *, z: float = 2) -> Monotonicity:
        """Test (n' - n) . (g' - g) <= 0 on all pairs of runs, as it holds for all pairs of minimisers.

        The symmetric test. It is weaker than `gaps`: a pair passes although one run is beaten on its own data
        if the other would lose more with its model. With `certified` False it also covers runs of which
        `gaps` knows nothing.

        Parameters
        ----------
        certified : bool
            Compare only runs that both have the losses on all data that either was trained on. If False, sum
            over the losses measured in both: an indication, not a proof, that the law is obeyed.
        z : float
            With standard errors, the number of them subtracted from each sum, as in `gaps`.

        Returns
        -------
        Monotonicity

        Raises
        ------
        ValueError
            If `z` is negative or not finite.
        TypeError
            If `certified` is not a boolean.

        Notes
        -----
        Only runs of the same model size and tokens are compared, as in `gaps`. O(A^2 N).

        Examples
        --------
        >>> TrainingRuns([[3, 1], [1, 3]], [[1.0, 2.0], [1.4, 1.6]]).monotone()
        Monotonicity(pairs=1, violated=0, worst=-1.6, worst_pair=(0, 1), certified=True)

        The second run is beaten on its own data, which this test does not see:

        >>> runs = TrainingRuns([[3, 1], [1, 3]], [[1.0, 2.0], [2.4, 2.1]])
        >>> runs.monotone().holds, runs.gaps().round(2)
        (True, array([0. , 1.7]))
        """
        if not isinstance(certified, bool | np.bool_):
            raise TypeError(f"certified = {certified!r}: must be True or False; name the other, as in z=2")
        z = _multiple(z)
        pairs = violated = 0
        worst, worst_pair = -np.inf, None
        for runs in self._groups():
            found = self._compared(runs).monotone(z, certified)
            pairs, violated = pairs + found.pairs, violated + found.violated
            if found.pairs and found.worst > worst:
                worst = found.worst
                worst_pair = (int(runs[found.first]), int(runs[found.second]))
        return Monotonicity(pairs, violated, worst if pairs else np.nan, worst_pair, certified)

    def balance(self, i: int | str, j: int | str) -> float:
        r"""Theorem 4.2's inverse proportion along the runs on data of `i` and `j` only.

        Along a path of minimisers sum n dgamma = 0 (Gibbs-Duhem), so with two datasets the integral of
        n_j dgamma_j is that of -n_i dgamma_i.

        Parameters
        ----------
        i, j : int or str
            Positions or names of two datasets.

        Returns
        -------
        float
            The first integral over the second, 1 for minimisers. NaN if neither loss changes.

        Raises
        ------
        ValueError
            If `i` or `j` is not a dataset or both are the same, if there are fewer than two mixtures of `i`
            and `j` with both losses, or if their runs differ in model size or tokens.

        Notes
        -----
        Runs are sorted by the share of `i`, those of equal share are averaged, and the trapezoidal rule is
        used in the shares: a small bias remains if the path has few steps.

        Examples
        --------
        >>> from tokentree import Mixture
        >>> mixture = Mixture([[3, 1], [1, 3]], [1, 1])
        >>> sizes = [[share, 1 - share] for share in np.linspace(0.25, 0.75, 50)]
        >>> rates = [mixture.with_sizes(n).rates(np.e) for n in sizes]
        >>> round(TrainingRuns(sizes, rates).balance("D1", "D2"), 4)
        1.0
        """
        weights, rates = self.path(i, j)
        paid, won = ((weights[1:] + weights[:-1]) / 2 * np.diff(rates, axis=0)).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.divide(won, -paid))

    def path(
        self, i: int | str, j: int | str
    ) -> tuple[Float[np.ndarray, "mixtures 2"], Float[np.ndarray, "mixtures 2"]]:
        """The runs on data of `i` and `j` only, ordered by the share of `i`.

        Parameters
        ----------
        i, j : int or str
            Positions or names of two datasets.

        Returns
        -------
        weights : ndarray, shape (K, 2)
            Shares of `i` and `j`.
        rates : ndarray, shape (K, 2)
            Their rates in nats; runs of equal share are averaged.

        Raises
        ------
        ValueError
            As for `balance`.

        Examples
        --------
        >>> weights, rates = TrainingRuns([[3, 1], [1, 1]], [[1.0, 2.0], [1.4, 1.6]]).path("D1", "D2")
        >>> weights
        array([[0.5 , 0.5 ],
               [0.75, 0.25]])
        >>> rates
        array([[1.4, 1.6],
               [1. , 2. ]])
        """
        pair = checks.different(
            {"i": i, "j": j}, lambda each, name: dataset_index(name, each, self.n_datasets, self._names)
        )
        others = np.delete(self._sizes, pair, axis=1)
        path = ~(others > 0).any(axis=1) & ~np.isnan(self._rates[:, pair]).any(axis=1)
        shares = self._sizes[path][:, pair] / self._sizes[path][:, pair].sum(axis=1, keepdims=True)
        steps, which = np.unique(shares[:, 0], return_inverse=True)
        if steps.size < 2:
            names = f"{self._names[pair[0]]!r} and {self._names[pair[1]]!r}"
            rule = "must be two or more mixtures of them alone with both losses"
            raise ValueError(f"i, j = {names}: {steps.size} mixtures found, {rule}")
        for name, values in (("parameters", self._parameters), ("tokens", self._tokens)):
            if values is not None and np.ptp(values[path]) > 0:
                rule = "must be the same along the path; take a subset"
                raise ValueError(f"{name} of these runs are {span(values[path])}: {rule}")
        weights, rates = np.zeros((2, steps.size, 2))
        for mean, each in ((weights, shares), (rates, self._rates[path][:, pair])):
            np.add.at(mean, which.ravel(), each)
            mean /= np.bincount(which.ravel())[:, None]
        return weights, rates

    def _groups(self) -> list[Int[np.ndarray, "runs"]]:
        """The groups of runs with equal model size and number of tokens."""
        known = [values for values in (self._parameters, self._tokens) if values is not None]
        if not known:
            return [np.arange(self.n_runs)]
        _, group = np.unique(np.stack(known, axis=1), axis=0, return_inverse=True)
        order = np.argsort(group.ravel(), kind="stable")
        return np.split(order, np.flatnonzero(np.diff(group.ravel()[order])) + 1)

    def _compared(self, runs: Int[np.ndarray, "runs"]) -> Pairs:
        n = self.n_datasets
        errors = None if self._errors is None else self._errors[runs, :n]
        return Pairs(self._sizes[runs], self._rates[runs, :n], errors)

    # Display

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TrainingRuns):
            return NotImplemented
        return all(
            same(value, vars(other).get(name)) for name, value in vars(self).items() if name != "_source"
        )

    __hash__ = None  # type: ignore[assignment]  # Python's way of saying that there is no hash

    def __repr__(self) -> str:
        return f"TrainingRuns({self._summary()})"

    def _summary(self) -> str:
        measured = self.measured
        datasets = f"{self.n_datasets} datasets ({few(self.names)})"
        text = f"{self.n_runs:,} runs, {datasets}, {int(measured.sum())} losses"
        if self._tasks:
            text += f", tasks: {few(self._tasks)}"
        without = [name for name, known in zip(self.losses, measured.tolist(), strict=True) if not known]
        if without:
            text += f"; no loss of {few(without)}"
        lost = [f"{len(rows):,} of {file}" for file, rows in self._source.left_out.items() if rows]
        return text + (f"; left out: {', '.join(lost)}" if lost else "")

    def _repr_html_(self) -> str:
        n, weights, matches = self.n_datasets, self.weights, self._source.matches
        known = ~np.isnan(self._rates)
        header = ["loss", "share", "runs with it", "measured in", "nats"] + ["column"] * bool(matches)

        def row(j: int) -> list[object]:
            data = [span(weights[:, j]), int(np.count_nonzero(weights[:, j]))] if j < n else ["task", ""]
            loss = [int(known[:, j].sum()), span(self._rates[known[:, j], j])]
            return [self.losses[j], *data, *loss, *[matches.get(self.losses[j], "")][: bool(matches)]]

        return table(header, len(self.losses), row, f"TrainingRuns: {self._summary()}", limit=200)


def checked_runs(runs: object) -> TrainingRuns:
    """The runs, or an error that says what makes them."""
    if not isinstance(runs, TrainingRuns):
        raise TypeError(
            f"runs is a {type(runs).__name__}: must be TrainingRuns, as TrainingRuns(sizes, rates) or "
            "TrainingRuns.from_csv(path) makes them"
        )
    return runs


def _same_rows(sizes: Numbers, rates: Numbers) -> None:
    """Refuse two data frames whose rows are not the same runs."""
    if hasattr(sizes, "columns") and hasattr(rates, "columns"):
        one, two = (list(getattr(frame, "index", ())) for frame in (sizes, rates))
        if one != two:
            rule = "align them with rates.loc[sizes.index], or pass .to_numpy() of both"
            raise ValueError(f"sizes and rates are data frames with different indices: {rule}")


def _floats(name: str, value: Numbers, losses: tuple[str, ...] | None = None) -> Float[np.ndarray, "..."]:
    """`value` as float64, its columns in the order of `losses`; columns or rows by name are a table."""
    if isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and isinstance(next(iter(value), 0), Mapping)
    ):
        raise TypeError(
            f"{name} holds numbers by name: must be (runs, {'datasets' if name == 'sizes' else 'losses'}); a "
            "table with a column for each is read by TrainingRuns.from_frame(frame, sizes=..., rates=...)"
        )
    return checks.float_array(name, checks.by_name(name, value, losses, np.nan))


def _checked_sizes(value: Numbers) -> Float[np.ndarray, "runs datasets"]:
    sizes = _floats("sizes", value)
    if sizes.ndim != 2 or not sizes.size:
        raise ValueError(f"sizes has shape {sizes.shape}: must be (runs, datasets), at least one of each")
    checks.nonnegative("sizes", sizes)
    with np.errstate(over="ignore"):
        totals = sizes.sum(axis=1)
    unfit = ~((totals > 0) & (totals < np.inf))
    if unfit.any():
        checks.fail_at("sizes.sum(axis=1)", totals, unfit, "must be finite and > 0: every run has some data")
    return _frozen(sizes)


def _task_names(tasks: Iterable[str], names: tuple[str, ...]) -> tuple[str, ...]:
    listed = checks.items("tasks", tasks, "must be strings, one for each loss that belongs to no dataset")
    for k, task in enumerate(listed):
        if not isinstance(task, str):
            raise TypeError(f"tasks[{k}] = {task!r}: must be a string")
        if task in names:
            raise ValueError(f"tasks[{k}] = {task!r}: already the name of dataset {names.index(task)}")
        if task in listed[:k]:
            raise ValueError(f"tasks[{k}] = {task!r}: already the name of task {listed.index(task)}")
    return tuple(listed)


def _frozen(array: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    array = array.copy()
    array.flags.writeable = False
    return array


def _multiple(z: float) -> float:
    if not (checks.is_number(z) and 0 <= z < np.inf):
        raise ValueError(f"z = {z!r}: a number of standard errors must be finite and >= 0")
    return float(z)
