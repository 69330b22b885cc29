"""Where unexpanded mass may lie: the pools of several trees."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from .._lib import checks
from ..trees import EOS, REST, TokenTree, joint_tree, pruned
from .blocks import SCALE

_U = 2.0**-52


class _Known(NamedTuple):
    """The known masses of the trees at the leaves of their joint tree, times SCALE."""

    p: Float[np.ndarray, "datasets leaves"]
    """Known masses, and zero where unknown."""
    pool: Int[np.ndarray, "datasets leaves"]
    """Pool from which an unknown mass comes; -1 where the mass is known."""
    rest: Float[np.ndarray, "datasets pools"]
    """Masses of the pools."""
    room: Float[np.ndarray, "datasets pools"]
    """Logarithm of the number of leaves that a pool may fill."""


def _known(trees: dict[str, TokenTree], depth: int | None, q: int) -> _Known:
    deepest = max(tree.depth for tree in trees.values())
    d = deepest if depth is None else checks.integer("depth", depth, 1)
    trees = {name: pruned(tree, d, name) for name, tree in trees.items()}
    union, places = joint_tree(trees, mixed=True)
    _, above = union._depths_and_parents()
    rests = np.flatnonzero(union.symbols == REST)
    rank = np.full(union.n_nodes, -1)
    rank[rests] = np.arange(len(rests))
    # In addition to the listed leaves, one for every node below which no tree lists some token.
    leaves = union._leaf_nodes[union.symbols[union._leaf_nodes] != REST]
    listed = np.bincount(above[1:], union.symbols[1:] != REST, union.n_nodes)
    inner = np.bincount(above[1:], minlength=union.n_nodes) > 0
    gaps = np.flatnonzero(inner & (listed <= q))

    p = np.zeros((len(trees), len(leaves) + len(gaps)))
    pool = np.empty(p.shape, np.int64)
    rest, room = np.zeros((2, len(trees), len(rests)))
    for i, ((name, tree), place) in enumerate(zip(trees.items(), places, strict=True)):
        every = tree._within_range(name)
        weights = every[tree._leaf_nodes]
        # Divided by their sum, rounded leaf masses are a distribution again.
        total = float(weights.sum() if weights.dtype.kind == "i" else math.fsum(weights))
        mass = np.zeros(union.n_nodes)
        mass[place] = every / total * SCALE
        p[i, : len(leaves)] = mass[leaves]
        own = np.flatnonzero((tree.symbols == REST) & (every > 0))
        mine = rank[place[own]]
        rest[i, mine] = mass[place[own]]
        room[i, mine] = _room(tree, own, d, q, name)

        known = np.zeros(union.n_nodes, dtype=bool)
        known[place] = True
        # The pool of the mass that the tree does not list below a node.
        below = np.full(union.n_nodes, -1)
        below[above[place[own]]] = mine
        for level in range(1, union.depth + 1):
            here = union.level(level)
            below[here] = np.where(known[here], below[here], below[above[here]])
        pool[i] = np.concatenate([np.where(known[leaves], -1, below[leaves]), below[gaps]])
    met = np.flatnonzero((pool >= 0).any(axis=0) | (np.arange(pool.shape[1]) < len(leaves)))
    return _Known(p[:, met], pool[:, met], rest, room)


def _room(
    tree: TokenTree, own: Int[np.ndarray, "own"], d: int, q: int, name: str
) -> Float[np.ndarray, "own"]:
    """Logarithm of the number of leaves, down to depth d, that each unexpanded leaf represents."""
    depths, above = tree._depths_and_parents()
    ends = tree.symbols == EOS
    spelled = np.bincount(above[1:], tree.symbols[1:] >= 0, tree.n_nodes)[above[own]]
    open_symbols = q - spelled
    open_end = 1 - np.bincount(above[ends], minlength=tree.n_nodes)[above[own]]
    level = depths[own]
    full = open_symbols + open_end == 0
    full &= tree.weights[own] > checks.SUM_TOLERANCE * float(tree.total_weight)
    if full.any():
        first = int(np.flatnonzero(full)[0])
        prefix = tree._paths(above[own[[first]]])[0, : level[first] - 1]
        raise ValueError(
            f"{name} holds unexpanded mass {tree.weights[own[first]]} after prefix {tuple(prefix.tolist())}, "
            "although it lists every token there"
        )
    # Leaves below a node by remaining levels: 1, then end-of-sequence and q children, recursively.
    counts = [1]
    for _ in range(d):
        counts.append(1 + q * counts[-1])
    logs = np.array([math.log(count) for count in counts])
    below = logs[d - level]
    found = below + np.log(np.maximum(open_symbols, 1) + open_end * np.exp(-below))
    # If only rounding is unexpanded it counts as one leaf.
    return np.where(open_symbols > 0, found, 0.0)


def _error(n: int) -> float:
    """Relative error of q, of p_i p_t / q and of their sums over leaves, for n datasets."""
    return (n + 64) * 2.0**-52


def _within(
    pick: np.ufunc, values: Float[np.ndarray, "leaves"], pool: Int[np.ndarray, "leaves"], n: int
) -> Float[np.ndarray, "pools"]:
    """Least or largest of the values within reach of each pool; 0 if there are none."""
    near = np.flatnonzero(pool >= 0)
    found = np.zeros(n)
    found[pool[near]] = values[near]
    pick.at(found, pool[near], values[near])
    return found


def _lengths(q: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """-log q in nats, for q times SCALE; 0 where q = 0."""
    mantissa, exponent = np.frexp(q)
    lengths = (math.frexp(SCALE)[1] - 1 - exponent) * math.log(2) - np.log(np.where(q > 0, mantissa, 1.0))
    return np.where(q > 0, lengths, 0.0)


class _Pools(NamedTuple):
    """Pools of unexpanded mass, and the leaves within their reach: pool, pull m and base q of each."""

    budget: Float[np.ndarray, "pools"]
    pool: Int[np.ndarray, "leaves"]
    m: Float[np.ndarray, "leaves"]
    q: Float[np.ndarray, "leaves"]
    up: float
    """Factor for the rounding of sums."""

    def level(self) -> Float[np.ndarray, "pools"]:
        """The z of each pool at which sum max(0, m / z - q) equals its budget, approached from below."""
        z: Float[np.ndarray, "pools"] = np.zeros(len(self.budget))
        pool, m, q = self.pool, self.m, self.q
        # No leaf can take more than the whole budget.
        np.maximum.at(z, pool, m / (self.budget[pool] + q))
        while True:
            # Newton steps. Leaves only ever become dry, so this ends.
            z = np.maximum(z, _ratio(_sums(pool, m, len(z)), self.budget + _sums(pool, q, len(z))))
            wet = m > z[pool] * q
            if wet.all():
                break
            pool, m, q = pool[wet], m[wet], q[wet]
        return z

    def hyperbolic(self, z: Float[np.ndarray, "pools"] | None = None) -> float:
        """Upper bound on what the pools add to sum (m^2 / q) beta / (q + beta), at their levels or at z."""
        if z is None:
            z = self.level()
        root = np.sqrt(self.q)
        dry = np.maximum(self.m / root - z[self.pool] * root, 0.0) ** 2
        return self.up * float((self.budget * z**2).sum() + dry.sum())

    def logarithmic(self) -> float:
        """Upper bound on what the pools add to sum m log(1 + beta / q)."""
        z = self.level()
        with np.errstate(over="ignore"):
            # In this order, as z q may underflow. Where t does, m is below 2^-600 of all mass.
            t = np.clip(z[self.pool] * (self.q / self.m), 2.0**-1022, 1.0)
        return self.up * float((self.budget * z).sum() + (self.m * (t - 1 - np.log(t))).sum())


def _pools(
    known: _Known,
    w: Float[np.ndarray, "datasets"],
    c: int,
    m: Float[np.ndarray, "leaves"],
    q: Float[np.ndarray, "leaves"],
) -> _Pools:
    """The pools of dataset c and the leaves they reach, with m rounded up and q rounded down."""
    near = np.flatnonzero((known.pool[c] >= 0) & (m > 0))
    off, up = 4 * _error(len(w)), 1 + (len(m) + 100) * _U
    return _Pools(w[c] * known.rest[c], known.pool[c][near], m[near] * (1 + off), q[near] * (1 - off), up)


def _sums(index: Int[np.ndarray, "n"], values: Float[np.ndarray, "n"], n: int) -> Float[np.ndarray, "sums"]:
    # Without entries bincount returns integers.
    return np.bincount(index, values, n).astype(np.float64, copy=False)


def _ratio(over: Float[np.ndarray, "n"], under: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """A quotient, and 0 where its numerator is 0."""
    quotient: Float[np.ndarray, "n"] = np.divide(over, under, out=np.zeros_like(over), where=over > 0)
    return quotient
