import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import assume, example, given, settings, strategies as st
from tests.exact import joint, mp, overlaps

from tokentree.codes import huffman_lengths
from tokentree.mixtures import Mixture, Rows
from tokentree.mixtures.blocks import BLOCK, compensated_sum, inverse_root
from tokentree.mixtures.coding import joint_counts
from tokentree.mixtures.rows import combination
from tokentree.trees import TokenTree, leaf_distributions

U = 2.0**-53
LARGE = 10**15


def counts(n_min=1, n_max=4, m_max=6, largest=30):
    """Integer rows, each with some data."""

    def table(shape):
        row = st.lists(st.integers(0, largest), min_size=shape[1], max_size=shape[1]).filter(any)
        return st.lists(row, min_size=shape[0], max_size=shape[0])

    return st.tuples(st.integers(n_min, n_max), st.integers(1, m_max)).flatmap(table)


size = st.one_of(
    st.integers(1, 20),
    st.sampled_from([1, LARGE, Fraction(1, 3), 0.1, 1e12]),
    st.fractions(Fraction(1, 50), 100, max_denominator=50),
    st.floats(1e-3, 1e6),
)


@st.composite
def tables(draw, n_min=1, n_max=4, **kwargs):
    rows = draw(counts(n_min, n_max, **kwargs))
    return rows, draw(st.lists(size, min_size=len(rows), max_size=len(rows)))


def exact_response(rows, sizes):
    total = sum(map(Fraction, sizes))
    return [[(1 - entry) / total for entry in row] for row in overlaps(rows, sizes)]


def response_bound(rows, sizes):
    """The bound derived in elasticity's docstring, every |d_i| replaced by h_i >= |d_i|."""
    p, n, total, q = joint(rows, sizes)
    count, leaves = len(p), len(q)
    h = [
        [sum(n[j] * (p[i][x] + p[j][x]) for j in range(count) if j != i) / total for x in range(leaves)]
        for i in range(count)
    ]
    c = (2 * count - 1) * (count + 3) * U + 5 * U
    # The last term: T, the division by it and the conversions of the result.
    factor = 2 * c + c * c + 8 * U + 2 * (count + 8) * U + (leaves + 1) * U + 8 * U
    terms = [[sum(a[x] * b[x] / q[x] for x in range(leaves) if q[x]) / total for b in h] for a in h]
    return [[Fraction(factor) * term for term in row] for row in terms]


def exact_rates(rows, sizes):
    p, _, _, q = joint(rows, sizes)
    with mpmath.workdps(80):
        log = [mpmath.log(mp(mass)) if mass else None for mass in q]
        return [-mpmath.fsum(mp(a) * b for a, b in zip(row, log, strict=True) if a) for row in p]


# Rates


@given(tables())
def test_rates_are_cross_entropies_to_the_last_digits(table):
    rows, sizes = table
    found = Mixture(rows, sizes).rates(base=math.e)
    # Three roundings in each p and log q, N + 1 in q, M in the sum; -log q >= log 2 off the heaviest leaf.
    tolerance = 2 * (len(rows) + len(rows[0]) + 20) * U
    for rate, expected in zip(found, exact_rates(rows, sizes), strict=True):
        assert abs(mp(rate) - expected) <= tolerance * abs(expected)


def test_rate_of_a_leaf_that_is_all_but_certain():
    # q = 1 - 10^-15 / (1 + 10^-15): the rate of the large dataset is the small one's weight.
    rates = Mixture([[1, 0], [0, 1]], [LARGE, 1]).rates(base=math.e)
    assert rates[0] == pytest.approx(-math.log1p(-1 / (LARGE + 1)), rel=4 * U, abs=0)
    assert rates[1] == pytest.approx(math.log(LARGE + 1), rel=8 * U)
    floats = Mixture([[1.0, 0.0], [0.0, 1.0]], [LARGE, 1]).rates(base=math.e)
    np.testing.assert_array_equal(floats, rates)


def test_rates_of_faint_masses():
    # q = 10^-300 / (10^15 + 1) is below the smallest normal float64; the length of its codeword is not.
    faint = Mixture([[1.0, 0.0], [1.0, 1e-300]], [LARGE, 1])
    expected = -mpmath.log(mpmath.mpf(1e-300) / (LARGE + 1)) * mpmath.mpf(1e-300)
    assert faint.rates(base=math.e)[1] == pytest.approx(float(expected), rel=16 * U, abs=0)
    assert Mixture([[1.0, 0.0, 0.0], [1.0, 5e-324, 0.0]], [LARGE, 1]).rates()[1] > 0


def test_units_per_token_and_normalised():
    mixture = Mixture([[1, 1, 2, 0], [0, 0, 1, 3]], [3, 2], depth=5)
    bits = mixture.rates()
    # Each side is the same sum divided once or twice by a rounded unit: at most four roundings apart.
    np.testing.assert_allclose(mixture.rates(base=math.e), bits * math.log(2), rtol=5 * U)
    np.testing.assert_allclose(mixture.rates(per="token"), bits / 5, rtol=5 * U)
    np.testing.assert_allclose(mixture.response(per="token") * 5, mixture.response(), rtol=5 * U)
    np.testing.assert_array_equal(mixture.leaf_counts, [3, 2])
    # A difference keeps the absolute error of its two terms, here four to six roundings of each.
    uniform = np.log2([3, 2])
    for found, divisor in [
        (mixture.normalized_rates(), 1),
        (mixture.normalized_rates(per="token", base=4), 10),
    ]:
        allowed = 7 * U * (bits + uniform) / divisor
        assert (np.abs(found - (bits - uniform) / divisor) <= allowed).all()


@given(tables())
def test_kl_is_rate_less_entropy_and_never_negative(table):
    rows, sizes = table
    found = Mixture(rows, sizes).kl(base=math.e)
    assert (found >= 0).all()
    p = joint(rows, sizes)[0]
    with mpmath.workdps(80):
        for i, rate in enumerate(exact_rates(rows, sizes)):
            expected = rate + mpmath.fsum(mp(a) * mpmath.log(mp(a)) for a in p[i] if a)
            assert abs(mp(found[i]) - expected) <= 1000 * U * (expected + abs(rate))


def test_kl_of_a_dataset_that_is_nearly_everything():
    k = 10**12
    found = Mixture([[2, 1, 1], [0, 1, 0]], [k, 1]).kl(base=math.e)
    with mpmath.workdps(80):
        p = [mpmath.mpf(1) / 2, mpmath.mpf(1) / 4, mpmath.mpf(1) / 4]
        q = [(k * a + b) / (k + 1) for a, b in zip(p, (0, 1, 0), strict=True)]
        expected = mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(p, q, strict=True))
    # 1.5e-24, of rates whose digits end at 1e-16.
    assert found[0] == pytest.approx(float(expected), rel=200 * U, abs=0)


# Thermodynamics


@given(tables(n_min=2, n_max=3, m_max=4, largest=9))
def test_rates_and_response_are_the_potentials_derivatives(table):
    rows, sizes = table
    mixture = Mixture(rows, sizes)
    p, n, total, _ = joint(rows, sizes)

    with mpmath.workdps(120):

        def potential(amounts):
            q = [
                mpmath.fsum(s * mp(row[x]) for s, row in zip(amounts, p, strict=True))
                for x in range(len(p[0]))
            ]
            everything = mpmath.fsum(amounts)
            return -mpmath.fsum(a * mpmath.log(a / everything) for a in q if a)

        n, step = [mp(s) for s in n], mp(min(n)) * mpmath.mpf(10) ** -30
        assert abs(potential(n) - mixture.potential(math.e)) <= 100 * U * abs(potential(n))

        def moved(*moves):
            return potential([s + step * sum(by for j, by in moves if j == i) for i, s in enumerate(n)])

        bounds = response_bound(rows, sizes)
        for i in range(len(n)):
            slope = (moved((i, 1)) - moved((i, -1))) / (2 * step)
            # The differences themselves are good to the square of the step: far below a float's rounding.
            assert abs(slope - mp(mixture.rates(math.e)[i])) <= 100 * U * abs(slope) + mpmath.mpf(10) ** -40
            for t in range(len(n)):
                corners = (moved((i, a), (t, b)) * a * b for a in (1, -1) for b in (1, -1))
                curvature = mpmath.fsum(corners) / (4 * step**2)
                gap = abs(curvature - mp(mixture.response(math.e)[i, t]))
                assert gap <= mp(bounds[i][t]) + mpmath.mpf(10) ** -25 / mp(total)


@given(tables())
def test_euler(table):
    mixture = Mixture(*table)
    n, m = mixture.rows.values.shape
    assert mixture.sizes @ mixture.rates() == pytest.approx(mixture.potential(), rel=4 * (n + m + 20) * U)


@given(tables())
def test_response_equals_the_exact_rational(table):
    rows, sizes = table
    found = Mixture(rows, sizes).response(base=math.e)
    bounds = response_bound(rows, sizes)
    for i, row in enumerate(exact_response(rows, sizes)):
        for t, value in enumerate(row):
            assert abs(Fraction(found[i, t]) - value) <= bounds[i][t]


@given(tables())
def test_response_laws(table):
    rows, sizes = table
    mixture = Mixture(rows, sizes)
    response, n = mixture.response(base=math.e), mixture.sizes
    np.testing.assert_array_equal(response, response.T)
    bounds = np.array(response_bound(rows, sizes)).astype(float)
    # Gibbs-Duhem and the conservation law, exactly true of the rational response.
    assert (np.abs(response @ n) <= bounds @ n * 1.01 + 8 * U * np.abs(response) @ n).all()
    assert (np.diag(response) <= 0).all()
    # Negative semidefinite in the coordinates sqrt(n_i), where the response is of order one.
    root = np.sqrt(n)
    scaled = root[:, None] * response * root
    slack = (root[:, None] * bounds * root).sum() + 50 * U * np.abs(scaled).sum()
    assert np.linalg.eigvalsh(scaled).max() <= slack
    exact_rows = exact_response(rows, sizes)
    exact_n = [Fraction(s) for s in sizes]
    assert all(sum(map(Fraction.__mul__, row, exact_n)) == 0 for row in exact_rows)


@given(tables())
def test_overlap_is_one_less_the_response(table):
    rows, sizes = table
    overlap = Mixture(rows, sizes).overlap()
    total = sum(Fraction(s) for s in sizes)
    expected = [[float(1 - total * value) for value in row] for row in exact_response(rows, sizes)]
    np.testing.assert_allclose(overlap, expected, rtol=2 * (len(rows) + len(rows[0]) + 20) * U, atol=0)


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3), min_size=2, max_size=4), st.data())
def test_disjoint_datasets_push_all_others_by_one_over_the_total(blocks, data):
    width = sum(map(len, blocks))
    rows, start = [], 0
    for block in blocks:
        rows.append([0] * start + block + [0] * (width - start - len(block)))
        start += len(block)
    sizes = data.draw(st.lists(size, min_size=len(rows), max_size=len(rows)))
    mixture = Mixture(rows, sizes)
    off = ~np.eye(len(rows), dtype=bool)
    np.testing.assert_allclose(
        mixture.response(math.e)[off] * mixture.total_size, 1, rtol=(4 * len(rows) ** 2 + 50) * 4 * U
    )
    assert (mixture.overlap()[off] == 0).all()


@given(tables(n_min=2), st.randoms(use_true_random=False))
def test_order_of_leaves_and_datasets_does_not_matter(table, random):
    rows, sizes = table
    leaves, datasets = list(range(len(rows[0]))), list(range(len(rows)))
    random.shuffle(leaves)
    random.shuffle(datasets)
    shuffled = Mixture([[rows[i][x] for x in leaves] for i in datasets], [sizes[i] for i in datasets])
    bounds = response_bound(rows, sizes)
    original, moved = Mixture(rows, sizes).response(math.e), shuffled.response(math.e)
    for a, i in enumerate(datasets):
        for b, t in enumerate(datasets):
            assert abs(moved[a, b] - original[i, t]) <= 2 * float(bounds[i][t])


def test_many_blocks_and_float_rows_agree_with_exact_rationals():
    rng = np.random.default_rng(7)
    rows = rng.integers(0, 50, (3, BLOCK + 77)) * (rng.random((3, BLOCK + 77)) < 0.6)
    sizes = [10**9, 1, Fraction(1, 4)]
    listed = rows.tolist()
    # The exact rational of 8000 leaves in double-double: fsum of correctly rounded terms.
    p, _, total, q = joint(listed, sizes)
    found = Mixture(rows, sizes).response(math.e)
    for i, t in [(0, 2), (1, 2), (2, 2), (0, 0)]:
        terms = [float((p[i][x] - q[x]) * (p[t][x] - q[x]) / q[x]) for x in range(len(q)) if q[x]]
        expected = -math.fsum(terms) / float(total)
        scale = math.fsum(map(abs, terms)) / float(total)
        assert abs(found[i, t] - expected) <= (BLOCK + 200) * U * scale
    floats = Mixture(rows / rows.sum(axis=1, keepdims=True), sizes)
    np.testing.assert_allclose(floats.response(), Mixture(rows, sizes).response(), rtol=1e-10)


@pytest.mark.parametrize("mass", [1e-300, 5e-324])
def test_faint_masses_do_not_underflow(mass):
    # Only the last leaf tells the datasets apart; (p_i - q)(p_t - q) alone would be zero.
    response = Mixture([[1.0, mass], [1.0, 2 * mass]], [1, 1]).response(math.e)
    # d = -+ mass / 2 and q = 3 mass / 2, so R_11 = -mass / 12.
    assert response[0, 0] == pytest.approx(-mass / 12, rel=8 * U, abs=5e-324)
    # Only the last leaf is shared: S_12 = mass^2 / mass, and mass^2 alone would be zero.
    overlap = Mixture([[1.0, 0.0, mass], [0.0, 1.0, mass]], [LARGE, 1]).overlap()
    assert overlap[0, 1] == pytest.approx(mass, rel=16 * U, abs=5e-324)
    # A row is read as given, also where it sums to 1 - u: S_22 = (1 - u)^2, as mass * T is far below u.
    lone = Mixture([[1.0, 0.0], [1.0 - U, mass]], [LARGE, 1]).overlap()
    assert lone[1, 1] == pytest.approx((1 - U) ** 2, rel=16 * U)


def test_sizes_one_and_ten_to_the_fifteen():
    rows, sizes = [[5, 3, 0, 2], [0, 1, 1, 1], [1, 1, 1, 1]], [LARGE, 1, 0.5]
    found = Mixture(rows, sizes).response(math.e)
    for i, row in enumerate(exact_response(rows, sizes)):
        for t, value in enumerate(row):
            assert found[i, t] == pytest.approx(float(value), rel=100 * U, abs=0)


# Huffman codes


def dyadic(rows):
    """Rows of total 64, so that every Huffman rate is an exact float."""
    return [[*row, 64 - sum(row)] for row in rows]


@given(
    st.lists(st.lists(st.integers(0, 16), min_size=4, max_size=4), min_size=2, max_size=4),
    st.data(),
)
def test_huffman_rates_obey_the_two_sided_inequality(rows, data):
    rows = dyadic(rows)
    mixture = Mixture(rows, data.draw(st.lists(st.integers(1, 50), min_size=len(rows), max_size=len(rows))))
    other = mixture.with_sizes(
        data.draw(st.lists(st.integers(1, 50), min_size=len(rows), max_size=len(rows)))
    )
    n, m = mixture.exact_sizes, other.exact_sizes
    g, f = ([Fraction(x) for x in each.rates(code="huffman")] for each in (mixture, other))
    moves = [b - a for a, b in zip(g, f, strict=True)]
    assert sum(map(Fraction.__mul__, n, moves)) >= 0 >= sum(map(Fraction.__mul__, m, moves))

    t, delta = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(1, 100))
    grown = [Fraction(x) for x in mixture.perturb(t, delta).rates(code="huffman")]
    moves = [b - a for a, b in zip(g, grown, strict=True)]
    assert 0 <= sum(map(Fraction.__mul__, n, moves)) <= -delta * moves[t]


def test_codes_of_pairs_obey_neither_the_corollary_nor_the_two_sided_inequality():
    """The counterexamples of docs/real-codes.md."""
    lone = Mixture([[1, 0], [0, 1]], [3, 1])
    rates = lone.rates(code="huffman", extension=2)
    assert rates.tolist() == [0.5, 1.5]
    assert lone.weights @ rates < lone.potential() / 4

    before, after = (lone.with_sizes(sizes) for sizes in ([2, 3], [2, 4]))
    change = after.rates(code="huffman", extension=2) - before.rates(code="huffman", extension=2)
    assert before.sizes @ change == -0.5


@given(tables(m_max=5))
def test_huffman_length_of_the_joint_data_is_within_a_bit_of_the_entropy(table):
    rows, sizes = table
    mixture = Mixture(rows, sizes)
    mean = mixture.weights @ mixture.rates(code="huffman")
    entropy = mixture.potential() / mixture.total_size
    assert entropy * (1 - 100 * U) <= mean < entropy + 1


def test_huffman_weights_beyond_int64_are_exact():
    # Three equal pairs of weights around 2^62, told apart only in the last bit.
    rows = [[2**61, 2**61, 2**61 + 1, 2**61 - 1]]
    assert Mixture(rows, [1]).rates(code="huffman").tolist() == [2.0]
    near = Mixture([[2**61 + 1, 2**61, 2**61, 2**61], [1, 0, 0, 1]], [2**70, Fraction(1, 3)])
    assert joint_counts(near.rows, near.exact_sizes).dtype == object
    assert near.rates(code="huffman")[1] == 2.0
    assert Mixture([[0.5, 0.5, 0.0]], [1]).rates(code="huffman").tolist() == [1.0]


# From trees


words = st.lists(st.text("01", max_size=4), min_size=1, max_size=6)


def cut_leaves(datasets, depth):
    """Leaf of the joint tree for every response: its prefix, closed by a full stop if it ends above depth."""
    return [[(word + ".")[:depth] for word in dataset] for dataset in datasets]


@given(st.lists(words, min_size=1, max_size=4), st.one_of(st.none(), st.integers(1, 6)))
def test_counted_trees_keep_their_counts(datasets, depth):
    trees = [TokenTree.from_sequences(dataset) for dataset in datasets]
    mixture = Mixture.from_trees(trees, depth=depth)
    depth = depth or 1 + max(len(word) for dataset in datasets for word in dataset)
    assert mixture.depth == depth
    cut = cut_leaves(datasets, depth)
    # "." sorts before "0", as the end of a sequence does.
    leaves = sorted(set().union(*cut))
    assert mixture.rows.values.dtype == np.int64
    assert mixture.rows.values.tolist() == [[dataset.count(leaf) for leaf in leaves] for dataset in cut]
    assert mixture.rows.values.tolist() == leaf_distributions(trees, depth, weights=True).tolist()
    assert mixture.exact_sizes == tuple(map(len, datasets))
    assert mixture.names == tuple(f"D{i + 1}" for i in range(len(trees)))


def test_trees_by_hand():
    web = TokenTree.from_sequences(["00", "00", "01", "1"])
    chat = TokenTree.from_sequences(["1", "11"])
    mixture = Mixture.from_trees([web, chat], names=["web", "chat"])
    # Leaves 00., 01., 1., 11.
    assert repr(mixture) == "Mixture(2 datasets, 4 leaves, depth 3: web 4, chat 2)"
    assert mixture.rows.values.tolist() == [[2, 1, 1, 0], [0, 0, 1, 1]]
    np.testing.assert_allclose(mixture.joint, np.array([2, 1, 2, 1]) / 6, rtol=8 * U)
    # Per token: (2/4 log 3 + 1/4 log 6 + 1/4 log 3) / 3 and (log 3 + log 6) / 2 / 3.
    expected = [(3 * math.log2(3) + math.log2(6)) / 12, (math.log2(3) + math.log2(6)) / 6]
    np.testing.assert_allclose(mixture.rates(per="token"), expected, rtol=16 * U)

    pruned = Mixture.from_trees((web, chat), [1, Fraction(1, 3)], depth=1)
    assert (pruned.depth, pruned.exact_sizes) == (1, (1, Fraction(1, 3)))
    assert pruned.rows.values.tolist() == [[3, 1], [0, 2]]


def test_masses_and_counts_side_by_side():
    masses = TokenTree.from_sequences(["0", "1", "1"], [0.5, 1.0, 0.25])
    assert Mixture.from_trees([masses]).exact_sizes == (Fraction(7, 4),)
    counted = TokenTree.from_sequences(["0", "11"])
    mixture = Mixture.from_trees([masses, counted])
    assert mixture.depth == 3
    assert mixture.exact_sizes == (Fraction(7, 4), 2)
    np.testing.assert_array_equal(mixture.distributions, leaf_distributions([masses, counted]))
    np.testing.assert_array_equal(mixture.distributions, [[0.5 / 1.75, 1.25 / 1.75, 0.0], [0.5, 0.0, 0.5]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: Mixture.from_trees([]), ValueError, "trees is empty: at least one tree is needed"),
        (lambda t: Mixture.from_trees([t, "0"]), TypeError, r"trees\[1\] is a str: must be a TokenTree"),
        (lambda t: Mixture.from_trees([t], depth=0), ValueError, "depth = 0: must be an integer >= 1"),
        (lambda t: Mixture.from_trees([t], [1, 2]), ValueError, r"sizes = \[1, 2\]: must be a sequence of 1"),
        (lambda t: Mixture.from_trees([t], names="D"), ValueError, "names = 'D': must be 1 strings"),
        (lambda t: Mixture([[1]], [1], names=[1]), TypeError, r"names\[0\] = 1: must be a string"),
        (lambda t: Mixture([[1]], [1], depth=1.5), TypeError, "depth = 1.5: must be an integer >= 1"),
        (lambda t: Mixture([[1]], [1]).rates(code="lzw"), ValueError, "code = 'lzw': must be 'ideal' or "),
        (lambda t: Mixture([[1]], [1]).rates(per="leaf"), ValueError, "per = 'leaf': must be 'block' or"),
        (lambda t: Mixture([[1]], [1]).response(base=1), ValueError, "base = 1: the base of a logarithm"),
        (lambda t: Mixture([[1]], [1]).kl(base=0), ValueError, "base = 0: the base of a logarithm"),
        (lambda t: Mixture([[1]], [1]).potential(base=0), ValueError, "base = 0: the base of a logarithm"),
        (lambda t: Mixture([[1]], [1]).index(0.5), TypeError, "dataset = 0.5: must be an integer >= 0"),
        (lambda t: Mixture([[1]], [1]).perturb(0, "1"), TypeError, "amount = '1': must be an int, a float"),
    ],
)  # fmt: skip
def test_what_annotations_would_catch_is_refused_without_them(unchecked, call, error, message):
    with pytest.raises(error, match=message):
        call(TokenTree.from_sequences(["0"]))


# The object


def test_rows_are_read_exactly():
    third = Mixture([[Fraction(1, 3), Fraction(2, 3)], [1, 0]], [1, 1])
    assert third.rows.values.tolist() == [[1, 2], [1, 0]]
    big = Mixture([[2**70, 2**70], [2**63, 2**63]], [1, 1])
    assert big.distributions.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert big.rows.totals == [2**71, 2**64]
    unsigned = Mixture(np.array([[2**63, 2**63]], np.uint64), [1])
    assert unsigned.rows.totals == [2**64]
    many = Mixture(np.full((1, 4), 2**62), [1])
    assert many.rows.totals == [2**64]
    assert many.distributions.tolist() == [[0.25] * 4]
    floats = Mixture([[0.1, 0.9], [0.5, 0.5]], [1, 1])
    scale = Fraction(floats.rows.totals[0]) / (Fraction(0.1) + Fraction(0.9))
    assert floats.rows.integers[0].tolist() == [Fraction(0.1) * scale, Fraction(0.9) * scale]
    assert floats.rows.integers[1].tolist() == [1, 1]


def test_proportional_leaves_are_collected():
    directions = Mixture([[1, 2, 3, 0, 0], [2, 4, 6, 0, 5]], [1, 1]).rows.directions
    assert directions == {(1, 2): 1 + 2 + 3, (0, 1): 5}
    halves = Mixture([[0.5, 0.25, 0.25], [0.25, 0.125, 0.625]], [1, 1]).rows.directions
    # Rows in integers are (2, 1, 1) and (2, 1, 5).
    assert halves == {(1, 1): 2 + 1, (1, 5): 1}


def test_a_count_too_small_for_a_float_is_still_a_leaf():
    mixture = Mixture([[1, 10**400]], [1])
    assert mixture.leaf_counts.tolist() == [2]
    assert mixture.rows.relative_error == 1.0


def test_rows_know_how_far_their_masses_are_off():
    assert Rows([[1, 2, 4]]).relative_error == 4 * U
    # A mass of 2^-1022 is the smallest normal one.
    assert Rows([[1, 2**1022 - 1]]).relative_error == 4 * U
    assert Rows([[1, 2**1023 - 1]]).relative_error == 1.0
    assert Rows([[0.5, 0.5]]).relative_error == 2 * U
    assert Rows([[0.5, 0.5], [0.5, 0.5 + 2.0**-40]]).relative_error == 2.0**-40 + 2 * U


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2, 4], [10, 0, 3]],
        [[10**15, 10**15 + 1, 7], [2**53 + 1, 1, 1]],
        # Totals near and beyond the largest int64 over 4, and beyond int64.
        [[2**60, 2**60 + 3, 5], [2**61 - 1, 1, 1], [2**61, 1, 1]],
        [[2**70, 2**70 + 3, 5], [3, 4, 5], [1, 0, 10**30]],
    ],
)
def test_rows_know_what_rounding_took(rows):
    found = Rows(rows)
    for i, row in enumerate(rows):
        lost = [Fraction(c, sum(row)) - Fraction(p) for c, p in zip(row, found.probabilities[i], strict=True)]
        # Two roundings: of the remainder over the total.
        np.testing.assert_allclose(
            found.rounding(slice(None))[i], [float(x) for x in lost], rtol=4 * U, atol=0
        )


@pytest.mark.parametrize(
    ("third", "sizes"),
    [([10**12, 10**12, 10**12 + 1], [5, 3, 2]), ([1, 5, 100], [5 * 2**100, 3 * 2**100, 1])],
)
def test_differences_keep_their_digits_where_datasets_nearly_coincide(third, sizes):
    # Where the third is far off, it hardly counts.
    rows = [[10**12, 10**12 + 1, 10**12], [10**12 + 2, 10**12, 10**12], third]
    p, _, _, q = joint(rows, sizes)
    ((_, _, found),) = Mixture(rows, sizes).centred_blocks()
    for line, row in zip(found / 2.0**512, p, strict=True):
        np.testing.assert_allclose(line, [float(a - b) for a, b in zip(row, q, strict=True)], rtol=1e-12)


def test_integers_of_rows():
    assert Rows([[0.25, 0.75, 0.0]]).integers.tolist() == [[1, 3, 0]]
    # int64 as long as all fit.
    most = 2**63 - 1
    assert Rows(np.array([[most, 0]], dtype=object)).values.dtype == np.int64
    assert Rows(np.array([[most + 1, 0]], dtype=object)).values.dtype == object


def test_mean_of_rows_is_of_their_masses():
    assert Rows([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]).mean().tolist() == [0.75, 0.25, 0.0]
    counted = Rows([[1, 1, 0], [3, 0, 0]]).mean()
    assert [Fraction(int(c), int(counted.sum())) for c in counted] == [Fraction(3, 4), Fraction(1, 4), 0]


def test_roots_of_masses():
    assert inverse_root(np.array([0.25, 0.0, 4.0])).tolist() == [2.0, 1.0, 0.5]


def test_mixtures_are_equal_where_the_same_was_given():
    def given(rows=((1, 3), (1, 1)), sizes=(3, 1), **options):
        return Mixture(np.array(rows), list(sizes), **options)

    mixture = given()
    assert mixture == given()
    assert hash(mixture) == hash(given())
    others = [
        given(rows=((1, 3), (1, 2))),
        given(rows=((0.25, 0.75), (0.5, 0.5))),
        given(sizes=(3, 2)),
        given(names=["a", "b"]),
        given(depth=2),
        mixture.rows,
    ]
    assert not [other for other in others if mixture == other]


def test_combinations_of_rows_do_not_overflow():
    rows = np.array([[2**40, 1], [3, 2**62]])
    assert combination([2**40, 1], rows).tolist() == [2**80 + 3, 2**40 + 2**62]
    assert combination([1, 1], rows).tolist() == [2**40 + 3, 2**62 + 1]
    assert combination([2**63, 1], np.array([[0], [5]])).tolist() == [5]


def test_sums_keep_what_cancels_between_blocks():
    parts = [np.array([x]) for x in (1.0, 1e16, 1.0, -1e16, 1e-3)]
    assert compensated_sum(parts).tolist() == [2.001]


def test_codes_of_blocks_whose_weights_do_not_fit_int64():
    weights = [2**40, 2**39, 2**38, 1]
    mixture = Mixture([weights], [1])
    pairs = [a * b for a in weights for b in weights]
    lengths = huffman_lengths(np.array(pairs, dtype=object)).tolist()
    cost = Fraction(sum(w * n for w, n in zip(pairs, lengths, strict=True)), sum(pairs)) / 2
    assert mixture.rates(code="huffman", extension=2)[0] == pytest.approx(float(cost), rel=16 * U)
    assert mixture.normalized_rates(code="huffman")[0] == mixture.rates(code="huffman")[0] - 2


def test_the_table_is_in_the_units_asked_for():
    pytest.importorskip("pandas")
    mixture = Mixture([[3, 1, 0, 0], [0, 1, 2, 1]], [3, 1], depth=2)
    for options in ({}, {"base": math.e}, {"per": "token"}):
        frame = mixture.to_frame(**options)
        assert frame["rate"].tolist() == mixture.rates(**options).tolist()
        assert frame["normalized_rate"].tolist() == mixture.normalized_rates(**options).tolist()


def test_the_negative_entry_is_named_and_not_a_zero():
    with pytest.raises(ValueError, match=r"^distributions\[0, 2\] = -1: must be finite and >= 0$"):
        Rows([[0, Fraction(1, 2), -1]])


def test_attributes():
    given_rows = np.array([[0.25, 0.75], [1.0, 0.0]])
    mixture = Mixture(given_rows, [3, Fraction(1, 2)], names=["web", "chat"], depth=4)
    assert np.shares_memory(mixture.distributions, given_rows)
    assert repr(mixture) == "Mixture(2 datasets, 2 leaves, depth 4: web 3, chat 1/2)"
    assert (
        repr(Mixture([[1], [1]], [0.1, 10**15]))
        == "Mixture(2 datasets, 1 leaves: D1 0.1, D2 1000000000000000)"
    )
    assert mixture.names == ("web", "chat")
    assert (mixture.depth, mixture.n_datasets, mixture.n_leaves) == (4, 2, 2)
    assert mixture.sizes.tolist() == [3.0, 0.5]
    assert mixture.total_size == 3.5
    assert mixture.weights.tolist() == [3 / 3.5, 0.5 / 3.5]
    for array in (mixture.distributions, mixture.weights, mixture.joint):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        mixture.depth = 3
    assert repr(Mixture(np.eye(7, dtype=int), [1] * 7)).endswith("D6 1, ...)")
    # A dyadic size with a long denominator is shown as a decimal.
    assert repr(Mixture([[1]], [Fraction(1, 2**20)])) == f"Mixture(1 datasets, 1 leaves: D1 {2.0**-20})"
    assert repr(Mixture([[1]], [Fraction(1, 2**19)])) == f"Mixture(1 datasets, 1 leaves: D1 1/{2**19})"


def test_sizes_include_their_limits():
    least, most = Fraction(1, 2**200), 2**200
    assert Mixture([[1], [1]], [least, most]).exact_sizes == (least, most)
    for beyond in (least * Fraction(99, 100), most + 1):
        with pytest.raises(ValueError, match=r"^sizes\[1\] = .*: must lie between 2\*\*-200 and 2\*\*200$"):
            Mixture([[1], [1]], [1, beyond])
    mixture = Mixture([[1], [1]], [2, 1])
    for left in (least, most):
        assert mixture.perturb(0, left - 2).exact_sizes == (left, 1)
    for beyond in (least * Fraction(99, 100), most + 1):
        with pytest.raises(
            ValueError, match=r"must leave dataset 0 of size 2 between 2\*\*-200 and 2\*\*200$"
        ):
            mixture.perturb(0, beyond - 2)


def test_with_sizes_and_perturb_share_the_distributions():
    mixture = Mixture([[1, 3], [1, 1]], [3, 1], names=["web", "chat"])
    assert mixture.joint.tolist() == [0.3125, 0.6875]
    other = mixture.with_sizes([1, 1])
    assert other.joint.tolist() == [0.375, 0.625]
    assert mixture.joint.tolist() == [0.3125, 0.6875]
    assert other.distributions is mixture.distributions
    assert mixture.perturb("chat", Fraction(1, 3)).exact_sizes == (3, Fraction(4, 3))
    assert mixture.perturb(0, -0.5).exact_sizes == (Fraction(5, 2), 1)


@given(tables(), st.data())
def test_adding_data_then_removing_it_changes_nothing(table, data):
    mixture = Mixture(*table)
    amount = data.draw(size)
    dataset = data.draw(st.integers(0, mixture.n_datasets - 1))
    assume(amount > 0)
    back = mixture.perturb(dataset, amount).perturb(dataset, -Fraction(amount))
    assert back.exact_sizes == mixture.exact_sizes


@pytest.mark.parametrize(
    ("rows", "sizes", "options", "error", "message"),
    [
        ([1, 2], [1], {}, ValueError, r"distributions has shape \(2,\)"),
        (np.zeros((0, 3), int), [], {}, ValueError, r"distributions has shape \(0, 3\)"),
        ([[], []], [1, 1], {}, ValueError, r"distributions has shape \(2, 0\)"),
        ([[1, 2], [1]], [1, 1], {}, ValueError, "distributions has rows of different lengths"),
        ([[1, -2]], [1], {}, ValueError, r"distributions\[0, 1\] = -2: must be finite and >= 0"),
        ([[1, 0], [0, 0]], [1, 1], {}, ValueError, r"distributions\[1\] sums to 0"),
        ([[0.5, 0.4]], [1], {}, ValueError, r"distributions.sum\(axis=-1\)\[0\] = 0.9.*sum to 1"),
        ([[0.5, math.nan]], [1], {}, ValueError, r"distributions\[0, 1\] = nan"),
        ([[2.0**64, math.inf]], [1], {}, ValueError, r"distributions\[0, 1\] = inf"),
        ([["a", "b"]], [1], {}, TypeError, r"distributions\[0\] holds text"),
        ([[True, False]], [1], {}, TypeError, r"distributions\[0\] has dtype bool"),
        ([[Fraction(1, 2), 0.5]], [1], {}, TypeError, r"distributions\[0\]\[1\] = 0.5: a float together"),
        ([[Fraction(-1, 2), 1]], [1], {}, ValueError, r"distributions\[0, 0\] = -1/2"),
        ([[1]], [1, 2], {}, ValueError, r"sizes = \[1, 2\]: must be a sequence of 1 numbers"),
        ([[1]], 3, {}, ValueError, "sizes = 3: must be a sequence of 1 numbers"),
        ([[1]], "3", {}, ValueError, "sizes = '3': must be a sequence"),
        ([[1]], [0], {}, ValueError, r"sizes\[0\] = 0: must be > 0"),
        ([[1]], [-0.5], {}, ValueError, r"sizes\[0\] = -0.5: must be > 0"),
        ([[1]], [math.nan], {}, ValueError, r"sizes\[0\] = nan: must be finite"),
        ([[1], [1]], [1, math.inf], {}, ValueError, r"sizes\[1\] = inf: must be finite"),
        ([[1]], [True], {}, TypeError, r"sizes\[0\] = True: must be an int, a float or a Fraction"),
        ([[1]], ["1"], {}, TypeError, r"sizes\[0\] = '1'"),
        ([[1]], [1e-300], {}, ValueError, r"sizes\[0\] = 1e-300: must lie between 2\*\*-200 and 2\*\*200"),
        ([[1]], [10**400], {}, ValueError, r"sizes\[0\] = 1000+: must lie between"),
        ([[1]], [1], {"names": ["a", "b"]}, ValueError, r"names = \['a', 'b'\]: must be 1 strings"),
        ([[1]], [1], {"names": "a"}, ValueError, "names = 'a': must be 1 strings"),
        (
            [[1], [1]],
            [1, 1],
            {"names": ["a", "a"]},
            ValueError,
            r"names\[1\] = 'a': already the name of dataset 0",
        ),
        ([[1]], [1], {"depth": 0}, ValueError, "depth = 0: must be an integer >= 1"),
    ],
)
def test_bad_input_is_refused_by_name(rows, sizes, options, error, message):
    with pytest.raises(error, match=message):
        Mixture(rows, sizes, **options)


def test_bad_arguments_are_refused_by_name():
    mixture = Mixture([[1, 1], [0, 1]], [1, 1])
    with pytest.raises(ValueError, match="base = 1"):
        mixture.rates(base=1)
    for method in (mixture.rates, mixture.normalized_rates, mixture.response):
        with pytest.raises(ValueError, match="needs the depth of the joint tree"):
            method(per="token")
    with pytest.raises(ValueError, match="dataset = 'D3': must be one of 'D1', 'D2'"):
        mixture.perturb("D3", 1)
    with pytest.raises(ValueError, match="dataset = 2: must be below the number of datasets, 2"):
        mixture.perturb(2, 1)
    with pytest.raises(ValueError, match="dataset = -1: must be an integer >= 0"):
        mixture.perturb(-1, 1)
    with pytest.raises(ValueError, match="amount = -1: must leave dataset 0 of size 1 some data"):
        mixture.perturb(0, -1)
    with pytest.raises(
        ValueError, match=r"amount = 1e\+300: must leave dataset 1 of size 1 between 2\*\*-200"
    ):
        mixture.perturb(1, 1e300)
    with pytest.raises(ValueError, match=r"must leave dataset 1 of size 1 between .* and 2\*\*200"):
        mixture.perturb(1, Fraction(1, 2**201) - 1)
    with pytest.raises(ValueError, match="amount = nan: must be finite"):
        mixture.perturb(0, math.nan)
    with pytest.raises(ValueError, match=r"sizes\[1\] = 0"):
        mixture.with_sizes([1, 0])


# Accuracy where leaves cancel


@given(tables(n_min=2, n_max=4, largest=5))
@settings(max_examples=3 * settings.default.max_examples)
@example(([[2, 2, 2], [3, 0, 0], [1, 0, 2]], [358711271280, Fraction(3, 187), Fraction(501, 467)]))
@example(([[1, 1, 1, 1, 1], [0, 1, 1, 1, 2], [1, 1, 3, 2, 1]], [972920244002, 1, Fraction(47, 177)]))
@example(([[1, 1, 1], [0, 1, 0], [0, 0, 1]], [10**12, 1, Fraction(1, 2)]))
@example(([[1, 2], [1, 2], [2, 1]], [10**12, 1, 1]))
def test_response_has_twelve_digits_however_leaves_cancel(table):
    rows, sizes = table
    found = Mixture(rows, sizes).response(base=math.e)
    for line, exact_line in zip(found.tolist(), exact_response(rows, sizes), strict=True):
        for value, expected in zip(line, exact_line, strict=True):
            assert abs(Fraction(value) - expected) <= Fraction(10) ** -12 * abs(expected)


def test_response_of_float_rows_that_miss_one_is_of_the_rows_as_given():
    rows = np.array([[0.5, 0.5], [0.25, 0.75]]) * (1 + 2.0**-31)
    found = Mixture(rows, [1, 1]).response(base=math.e)
    given = Mixture([[2, 2], [1, 3]], [1, 1]).response(base=math.e)
    # Read as given, every mass is larger by the excess.
    np.testing.assert_allclose(found, given * (1 + 2.0**-31), rtol=1e-14)


def test_cancelling_response_of_float_rows_that_miss_one_is_of_the_rows_as_given():
    # Read as a distribution, the fourth row is q, and the response to it zero. As given, q is pulled aside.
    rows = np.array([[8, 4, 4, 0], [4, 4, 4, 4], [2, 8, 2, 4], [0, 0, 0, 0]]) / 16
    rows[3] = (2 * rows[0] + rows[1] + rows[2]) / 4
    rows[2] *= 1 + 2.0**-31
    n = [2, 1, 1, 3]
    found = Mixture(rows, n).response(base=math.e)
    p = [[Fraction(x) for x in row] for row in rows.tolist()]
    q = [sum(s * x for s, x in zip(n, column, strict=True)) / sum(n) for column in zip(*p, strict=True)]
    for i in (0, 1):
        expected = -sum((a - c) * (b - c) / c for a, b, c in zip(p[i], p[3], q, strict=True)) / sum(n)
        assert found[i, 3] == pytest.approx(float(expected), rel=1e-5, abs=0)


def test_depth_below_the_cut_is_refused():
    trees = [TokenTree.from_sequences(["0101"], depth=2), TokenTree.from_sequences(["0111"], depth=2)]
    with pytest.raises(ValueError, match=r"depth = 3: trees\[0\] is cut at depth 2"):
        Mixture.from_trees(trees, depth=3)
