"""What the library computes, handed to Coq as theorems about the definitions of docs/proofs.

Coq checks the library's numbers; no formula is repeated in Python. Three kinds of number cross the bridge:

- The response. The library's exact (1 - S_it) / T, from which it decides signs, is stated to be `response`
  of Mixture.v: in every ordered field, for every mixture with these sizes and masses, and there is one.
  Bridge.v computes on binary rationals and proves that what it computes is that response.
- Huffman's cost. sum w l with the library's lengths is stated to be `cost (huffman w)` of Huffman.v, which is
  proved there to be the least of all codes. Coq's integers are unary: the weights are small.
- Pruned leaves. The leaves of a pruned tree with their weights are stated to be those of TokenTree.v.

So these instances are right. Of the Python itself nothing is proved, and its floats are compared with the
certified rationals in Python.
"""

import math
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tokentree.codes import huffman_lengths
from tokentree.mixtures import Mixture
from tokentree.mixtures.excess import integer_excess
from tokentree.theorem import elasticity, published_form
from tokentree.trees import LeafKind, TokenTree

pytestmark = pytest.mark.slow

SOURCES = Path(__file__).parents[2] / "docs" / "proofs"
NEEDED = ("Mixture", "FieldTactic", "Kraft", "Huffman", "TokenTree", "Bridge")
"""Those that the statements are about and what they need, in order."""

HEADER = """
From Coq Require Import QArith.
From mathcomp Require Import all_ssreflect all_algebra.
From tokentree Require Import Mixture Huffman TokenTree Bridge.
Notation symbol k := (@Ordinal 3 k isT).
"""

Coq = Callable[[str], subprocess.CompletedProcess[str]]
Matrix = Sequence[Sequence[Fraction]]


@pytest.fixture(scope="session")
def coq(tmp_path_factory: pytest.TempPathFactory) -> Coq:
    """Compile a file, given as text, that may require the proofs."""
    compiler = shutil.which("coqc")
    if compiler is None:
        pytest.skip("coqc is not installed")
    place = tmp_path_factory.mktemp("proofs")

    def compiled(text: str, name: str = "Instances") -> subprocess.CompletedProcess[str]:
        (place / f"{name}.v").write_text(text, encoding="utf-8")
        options = ["-q", "-Q", ".", "tokentree", "-w", "-notation-overridden,-ambiguous-paths"]
        command = [compiler, *options, f"{name}.v"]
        return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)

    if compiled("From mathcomp Require Import all_ssreflect all_algebra.", "Probe").returncode:
        pytest.skip("Coq has no mathcomp: libcoq-mathcomp")
    for name in NEEDED:
        result = compiled((SOURCES / f"{name}.v").read_text(encoding="utf-8"), name)
        assert result.returncode == 0, result.stderr
    return compiled


def theorems(statements: Iterable[str]) -> str:
    """A file that proves each statement by computing."""
    proof = "Proof. by {}vm_compute. Qed."
    return HEADER + "\n".join(
        f"Lemma instance_{i} : {statement}.\n"
        + proof.format("apply: responses_decided; " if statement.startswith("responses_are") else "")
        for i, statement in enumerate(statements)
    )


def listed(items: Iterable[str]) -> str:
    return f"[:: {'; '.join(items)}]"


def rationals(row: Iterable[Fraction]) -> str:
    return listed(f"{x.numerator} # {x.denominator}" for x in row)


# Statements, from what the library was given and what it found


def state_response(sizes: Sequence[Fraction], rows: Matrix, found: Matrix) -> str:
    matrices = (listed(map(rationals, matrix)) for matrix in (rows, found))
    parts = (f"{part}%bin" for part in (rationals(sizes), *matrices))
    return f"responses_are {len(rows)} {len(rows[0])} {' '.join(parts)}"


def state_cost(weights: Sequence[int], found: int) -> str:
    posz = listed(f"Posz {w}" for w in weights)
    return f"cost (huffman (R := [realDomainType of int]) {posz}) = Posz {found}"


Node = tuple[int | None, ...]
"""A path of symbols, closed by None at an EOS leaf."""


def state_leaves(
    sequences: Sequence[Sequence[int]], weights: Sequence[int], depth: int, found: dict[Node, int]
) -> str:
    pairs = zip(sequences, weights, strict=True)
    data = listed(f"({listed(f'symbol {s}' for s in x) if x else '[::]'}, Posz {w})" for x, w in pairs)

    def node(path: Node) -> str:
        return listed("None" if s is None else f"Some (symbol {s})" for s in path)

    leaves = listed(f"({node(path)}, Posz {weight})" for path, weight in found.items())
    return (
        f"let t := prune {depth} (@token_tree [numDomainType of int] [finType of 'I_3] {data}) in\n"
        f"  perm_eq [seq (v, node_weight t v) | v <- TokenTree.leaves t] {leaves}"
    )


# Instances, and what the library finds

Response = tuple[Mixture, list[Fraction], list[list[Fraction]], list[list[Fraction]]]


def exact_response(mixture: Mixture) -> list[list[Fraction]]:
    """R in nats, as the library decides signs by it."""
    datasets = range(mixture.n_datasets)
    excesses = [[integer_excess(mixture.rows, mixture.exact_sizes, i, t) for t in datasets] for i in datasets]
    total = sum(mixture.exact_sizes)
    for excess in (excess for row in excesses for excess in row):
        assert excess is not None
        assert excess.method == "exact rational"
    return [[Fraction(e.over, e.under) / total for e in row if e is not None] for row in excesses]


@cache
def responses() -> list[Response]:
    draw = random.Random(0)
    mixtures = []
    for case in range(60):
        n, leaves = draw.randint(1, 4), draw.randint(1, 6)
        counts = [[draw.choice([0, 0, 1, draw.randint(2, 999)]) for _ in range(leaves)] for _ in range(n)]
        for row in counts:
            row[draw.randrange(leaves)] += 1
        sizes = [Fraction(draw.randint(1, 10 ** draw.randint(1, 9)), draw.randint(1, 9)) for _ in range(n)]
        rows = [[Fraction(c, sum(row)) for c in row] for row in counts]
        mixtures.append((Mixture(counts if case % 2 else rows, sizes), sizes, rows))
    parts = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    rows = [[Fraction(1, 3)] * 3, *([Fraction(x) for x in part] for part in parts[1:])]
    # gamma_p' is negative, zero and positive.
    published = [[Fraction(1000), Fraction(1), l] for l in (Fraction(1, 3), Fraction(1, 2), Fraction(2, 3))]
    mixtures += [(published_form(parts, k=1000, l=sizes[2]), sizes, rows) for sizes in published]
    return [(m, sizes, rows, exact_response(m)) for m, sizes, rows in mixtures]


def test_responses(coq: Coq) -> None:
    """Signs, and float values, are those of numbers that Coq finds right."""
    signs = set()
    for mixture, _, _, exact in responses():
        # A few units in the last place, of sums that cancel to no less than 2^-10.
        rounded = np.array([[float(x) for x in row] for row in exact])
        np.testing.assert_allclose(mixture.response(base=math.e), rounded, rtol=2.0**-40, atol=0)
        if mixture.n_datasets >= 3:
            decided = elasticity(mixture)
            assert decided.signs == tuple((x > 0) - (x < 0) for x in (exact[0][2], exact[1][2]))
            signs.add(decided.signs)
    assert {(-1, 1), (0, 1), (1, 1), (1, -1)} <= signs
    proved(coq, [state_response(sizes, rows, exact) for _, sizes, rows, exact in responses()])


def test_wrong_response(coq: Coq) -> None:
    """Off by one part in 10^30, in one entry."""
    _, sizes, rows, exact = responses()[3]
    wrong = [list(row) for row in exact]
    wrong[-1][0] += Fraction(1, 10**30)
    refused(coq, state_response(sizes, rows, exact), state_response(sizes, rows, wrong))


def test_no_mixture(coq: Coq) -> None:
    """Of numbers that no mixture has nothing is proved, be it true of none."""
    half = Fraction(1, 2)
    right = state_response([half], [[half, half]], [[Fraction()]])
    refused(coq, right, state_response([half], [[half, half, half]], [[Fraction(-1)]]))


def test_costs(coq: Coq) -> None:
    draw = random.Random(1)
    instances = [[draw.choice([0, 1, 1, draw.randint(2, 60)]) for _ in range(m)] for m in [*range(1, 13)] * 5]
    instances += [[1, 1, 2, 3, 5, 8, 13, 21, 34], [0, 0, 0], [7] * 8]
    proved(coq, [state_cost(weights, cost(weights)) for weights in instances])


def test_wrong_cost(coq: Coq) -> None:
    weights = [5, 0, 1, 8, 2]
    refused(coq, state_cost(weights, cost(weights)), state_cost(weights, cost(weights) + 1))


def test_pruned_leaves(coq: Coq) -> None:
    draw = random.Random(2)
    instances = []
    for _ in range(60):
        sequences = [
            [draw.randrange(3) for _ in range(draw.randint(0, 4))] for _ in range(draw.randint(1, 9))
        ]
        instances.append((sequences, [draw.randint(1, 40) for _ in sequences], draw.randint(1, 5)))
    found = [leaves(*instance) for instance in instances]
    # Leaves of both kinds, and trees that pruning leaves as they are.
    assert {path[-1] is None for paths in found for path in paths} == {True, False}
    assert any(max(map(len, sequences)) < depth for sequences, _, depth in instances)
    proved(coq, [state_leaves(*instance, leaf) for instance, leaf in zip(instances, found, strict=True)])


@pytest.mark.parametrize("wrong", [{(1, 0): 6, (None,): 3}, {(1, None): 7, (None,): 3}, {(1, 0): 7}])
def test_wrong_leaves(coq: Coq, wrong: dict[Node, int]) -> None:
    """A weight, a path, a leaf too few."""
    instance = [[1, 0, 0], [], [1, 0]], [4, 3, 3], 2
    refused(coq, state_leaves(*instance, leaves(*instance)), state_leaves(*instance, wrong))


def cost(weights: Sequence[int]) -> int:
    return int(huffman_lengths(weights) @ np.array(weights))


def leaves(sequences: Sequence[Sequence[int]], weights: Sequence[int], depth: int) -> dict[Node, int]:
    tree = TokenTree.from_sequences(sequences, weights, alphabet_size=3).prune(depth)
    found = tree.leaves()
    paths = [leaf.prefix + (None,) * (leaf.kind is LeafKind.EOS) for leaf in found]
    return dict(zip(paths, found.weight.tolist(), strict=True))


def proved(coq: Coq, statements: Sequence[str]) -> None:
    result = coq(theorems(statements))
    assert result.returncode == 0, result.stderr


def refused(coq: Coq, right: str, wrong: str) -> None:
    """The second is refused, for what it says: computing does not make it true."""
    result = coq(theorems([right, wrong]))
    assert result.returncode == 1
    line = re.search(r"line (\d+)", result.stderr)
    assert line is not None
    text = theorems([right, wrong]).splitlines()[: int(line[1])]
    assert any("instance_1" in row for row in text)
    assert text[-1].startswith("Proof.")
    assert "No applicable tactic" in result.stderr, result.stderr
