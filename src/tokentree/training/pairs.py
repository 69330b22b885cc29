"""Runs compared pairwise, for what the law implies for any two of them.

All pairs are compared by matrix products, a block of rows at a time. The rounding error of a pair is bounded
by the terms of its own sum, however large the rates of other runs, and nothing below the bound counts as a
violation.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

_BLOCK = 2**21
"""Pairs of runs compared at a time."""


class Found(NamedTuple):
    """Pairs compared and violated, and the worst sum with the positions of its runs."""

    pairs: int
    violated: int
    worst: float
    first: int
    second: int


class Pairs:
    """Runs compared pairwise, over the datasets alone."""

    def __init__(
        self,
        sizes: Float[np.ndarray, "runs datasets"],
        rates: Float[np.ndarray, "runs datasets"],
        errors: Float[np.ndarray, "runs datasets"] | None,
    ) -> None:
        self.sizes, self.rates = sizes, rates
        self.known = ~np.isnan(rates)
        self.given = np.where(self.known, rates, 0.0)
        self.squares = None if errors is None else np.where(self.known, errors, 0.0) ** 2
        # Counts of missing losses are small integers, which float32 holds exactly.
        self.has = (sizes > 0).astype(np.float32)
        self.missing = (~self.known).astype(np.float32)
        self.whole = ~(self.has * self.missing).any(axis=1)
        # Relative to its terms, bounds the rounding of a sum over the datasets, and of the given rates.
        self.rounding = (2 * sizes.shape[1] + 4) * np.finfo(np.float64).eps

    def blocks(self) -> Iterator[slice]:
        """Rows of the matrix of pairs, a block at a time."""
        runs = len(self.sizes)
        step = max(1, _BLOCK // runs)
        return (slice(start, min(start + step, runs)) for start in range(0, runs, step))

    def regrets(self) -> Iterator[tuple[slice, Float[np.ndarray, "rows runs"]]]:
        """n^a . (g^b - g^a) for all b and some a."""
        partial = not self.known.all()
        for rows in self.blocks():
            block = self.sizes[rows] @ self.given.T
            block -= np.diagonal(block, rows.start)[:, None].copy()
            if partial:
                block[self.has[rows] @ self.missing.T > 0] = np.nan
                block[~self.whole[rows]] = np.nan
            yield rows, block

    def gaps(self, z: float) -> Float[np.ndarray, "runs"]:
        """The largest n^a . (g^a - g^b) of every run a, less z standard errors."""
        gaps = np.empty(len(self.sizes))
        for rows, block in self.regrets():
            if self.squares is not None:
                weights = self.sizes[rows] ** 2
                own = (weights * self.squares[rows]).sum(axis=1, keepdims=True)
                block += z * np.sqrt(weights @ self.squares.T + own)
            if not self.known.all():
                # A row is all NaN only if it has no gap; the other NaN are skipped.
                block[np.isnan(block)] = np.inf
            best = block.argmin(axis=1)
            sizes = self.sizes[rows]
            # From differences, as in `_exactly`: n^a . g^a minus n^a . g^b would have their rounding.
            own, other = self.given[rows], self.given[best]
            found = (sizes * (own - other)).sum(axis=1)
            if self.squares is not None:
                found -= z * np.sqrt((sizes**2 * (self.squares[rows] + self.squares[best])).sum(axis=1))
            bound = self.rounding * (sizes * (np.abs(own) + np.abs(other))).sum(axis=1)
            gaps[rows] = np.where(self.whole[rows], np.where(found > bound, found, 0.0), np.nan)
        return gaps

    def monotone(self, z: float, certified: bool) -> Found:
        """How often (n' - n) . (g' - g), less z standard errors, is above zero."""
        known, n, g = self.known.astype(np.float64), self.sizes * self.known, self.given
        left = np.hstack([known, n * g, -g, -n])
        right = np.hstack([n * g, known, n, g])
        lacks, variances = self._lacking(certified), self._variances()
        pairs = violated = 0
        worst, at = -np.inf, (0, 0)
        for rows in self.blocks():
            later = slice(rows.start, None)
            block = left[rows] @ right[later].T
            if variances is not None:
                # Rounded below zero where both sizes are the same.
                block -= z * np.sqrt(np.maximum(variances[0][rows] @ variances[1][:, later], 0.0))
            apart = np.triu(np.ones(block.shape, bool), 1)
            if lacks is not None:
                apart &= ~lacks(rows, later)
            block[~apart] = -np.inf
            pairs += int(np.count_nonzero(apart))
            some = (block > 0).any(axis=1)
            # Twice as much as in `gaps`: where these are all zero, nothing is violated.
            bound = 2 * self.rounding * (np.abs(left[rows][some]) @ np.abs(right[later]).T)
            if variances is not None:
                terms = np.abs(variances[0][rows][some]) @ np.abs(variances[1][:, later])
                bound += z * np.sqrt(2 * self.rounding * terms)
            violated += int(np.count_nonzero(block[some] > bound))
            first, second = divmod(int(block.argmax()), block.shape[1])
            if block[first, second] > worst:
                worst, at = block[first, second], (rows.start + first, rows.start + second)
        return Found(pairs, violated, self._exactly(*at, z), *at)

    def _exactly(self, a: int, b: int, z: float) -> float:
        """The sum for one pair, from differences: it keeps its digits, and is zero for two equal runs."""
        both = self.known[a] & self.known[b]
        steps = (self.sizes[b] - self.sizes[a])[both]
        found = float(steps @ (self.rates[b] - self.rates[a])[both])
        if self.squares is not None:
            found -= z * float(np.sqrt(steps**2 @ (self.squares[a] + self.squares[b])[both]))
        return found

    def _lacking(self, certified: bool) -> "_Lacking | None":
        """Which pairs cannot be compared, or None if all can."""
        if self.known.all():
            return None
        if certified:
            return _Lacking(
                np.hstack([self.has, self.missing]), np.hstack([self.missing, self.has]), self.whole
            )
        known = 1 - self.missing
        return _Lacking(known, known, None)

    def _variances(self) -> tuple[Float[np.ndarray, "runs parts"], Float[np.ndarray, "parts runs"]] | None:
        """Two factors of the variances of (n' - n) . (g' - g)."""
        if self.squares is None:
            return None
        known, squares = self.known.astype(np.float64), self.squares
        n, n2 = self.sizes * known, self.sizes**2 * known
        left = np.hstack([known, n2 * squares, squares, n2, -2 * n * squares, -2 * n])
        return left, np.hstack([n2 * squares, known, n2, squares, n, n * squares]).T


class _Lacking(NamedTuple):
    """Pairs of runs that lack what a comparison needs."""

    left: Float[np.ndarray, "runs losses"]
    right: Float[np.ndarray, "runs losses"]
    whole: Bool[np.ndarray, "runs"] | None
    """Runs with the losses on all their own data; None if one common loss suffices."""

    def __call__(self, rows: slice, later: slice) -> Bool[np.ndarray, "rows later"]:
        found: Bool[np.ndarray, "rows later"] = self.left[rows] @ self.right[later].T > 0
        if self.whole is None:
            found = ~found
        else:
            found |= ~(self.whole[rows, None] & self.whole[None, later])
        return found
