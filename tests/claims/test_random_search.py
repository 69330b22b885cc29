"""Statements that the ledger says hold, each on 10^5 small cases drawn at random, in exact integers.

Written without the library, so that an error in it could not hide an exception here. Arrays hold Python's
integers, one case each along their last axis: nothing is rounded, and nothing overflows. Masses are counts,
scaled so that all datasets of a case have one sum.
"""

from collections import Counter
from heapq import heapify, heappop, heappush
from itertools import product
from math import prod
from random import Random

import numpy as np
import pytest

pytestmark = pytest.mark.slow

CASES = 10**5


@pytest.fixture
def seed(request):
    return [ord(letter) for letter in request.node.name]


@pytest.fixture
def rng(seed):
    return np.random.default_rng(seed)


@pytest.fixture
def draw(seed):
    return Random(str(seed))


def integers(rng, low, high, *shape):
    """From low to high, both included."""
    return rng.integers(low, high + 1, (*shape, CASES)).astype(object)


def rows_of(rng, datasets=3, leaves=3, top=4, least=0):
    """Distributions over leaves, each a row of integers; all rows of a case have one sum."""
    counts = integers(rng, least, top, datasets, leaves)
    counts[:, 0] += counts.sum(axis=1) == 0
    sums = counts.sum(axis=1)
    scale = sums.prod(axis=0)
    return counts * (scale // sums)[:, None]


def over(rows, sizes):
    """The mixture's masses, in units of which the sum is the total size times a row's sum."""
    return (sizes[:, None] * rows).sum(axis=0)


def rests(masses):
    """The product of what is positive, and that without each leaf, 0 where there is nothing."""
    whole = np.where(masses > 0, masses, 1).prod(axis=0)
    return whole, np.where(masses > 0, whole // np.where(masses > 0, masses, 1), 0)


def excess(rows, sizes, i, t):
    """1 - S_it, times a positive number that is the same for all i and t."""
    whole, rest = rests(over(rows, sizes))
    return rows[0].sum(axis=0) * whole - sizes.sum(axis=0) * (rows[i] * rows[t] * rest).sum(axis=0)


def signs_hold(rows, sizes):
    return (excess(rows, sizes, 0, 2) < 0) & (excess(rows, sizes, 1, 2) > 0)


def sized(*sizes):
    return np.stack([np.full(CASES, n, dtype=object) if isinstance(n, int) else n for n in sizes])


def alike(one, two):
    return (one == two).all(axis=0)


def powers(bases, exponents):
    """0 to the power of 0 is 1."""
    return (bases**exponents).prod(axis=0)


def huffman(weights):
    """Lengths of an optimal code."""
    lengths = [0] * len(weights)
    heap = [(weight, i, [i]) for i, weight in enumerate(weights)]
    heapify(heap)
    while len(heap) > 1:
        (one, i, few), (two, _, more) = heappop(heap), heappop(heap)
        for leaf in (merged := few + more):
            lengths[leaf] += 1
        heappush(heap, (one + two, i, merged))
    return lengths


def spent(counts, lengths):
    return sum(c * bits for c, bits in zip(counts, lengths, strict=True))


def test_the_balance_reciprocity_and_concavity_of_rates(rng):
    # gibbs-duhem; and the order of theorem-4.2/depth, that to merge two leaves weakens the response.
    rows, sizes, v = rows_of(rng), integers(rng, 1, 30, 3), integers(rng, -5, 5, 3)
    found = np.array([[excess(rows, sizes, i, t) for t in range(3)] for i in range(3)])
    assert ((sizes[:, None] * found).sum(axis=0) == 0).all()
    assert (found == found.swapaxes(0, 1)).all()
    form = (v[:, None] * v * found).sum(axis=(0, 1))
    assert (form <= 0).all()
    merged = np.stack([rows[:, 0] + rows[:, 1], rows[:, 2]], axis=1)
    pruned = np.array([[excess(merged, sizes, i, t) for t in range(3)] for i in range(3)])
    coarse = (v[:, None] * v * pruned).sum(axis=(0, 1))
    fine_unit, coarse_unit = (rests(over(each, sizes))[0] for each in (rows, merged))
    assert (form * coarse_unit <= coarse * fine_unit).all()


def test_rates_between_their_bounds_and_finite_changes(rng):
    # rate-as-printed, rate-as-it-must-be, and the inequalities for finite changes, as products of powers.
    counts = integers(rng, 0, 3, 2, 3)
    counts[:, 0] += counts.sum(axis=1) == 0
    times, more = integers(rng, 1, 4, 2), integers(rng, 1, 4, 2)
    joint, other = over(counts, times), over(counts, more)
    total, others = joint.sum(axis=0), other.sum(axis=0)
    # T H(q) <= -sum u log q', and the other way round.
    own = powers(joint, joint)
    assert (own * others**total >= powers(other, joint) * total**total).all()
    assert (powers(other, other) * total**others >= powers(joint, other) * others**others).all()
    for row, a in zip(counts, times, strict=True):
        n = row.sum(axis=0)
        spent_, entropy = powers(joint, row), powers(row, row)
        assert (n**n * spent_ <= total**n * entropy).all()
        assert (entropy * (a * n) ** n <= spent_ * n**n).all()
        # The slope of T H(q) over a step lies between the rates at its two ends.
        grown = joint + row
        rise, fall = (total + n) ** (total + n) * own, powers(grown, grown) * total**total
        assert ((total + n) ** n * fall <= rise * powers(grown, row)).all()
        assert (rise * spent_ <= total**n * fall).all()


def test_rates_per_response_and_per_token(rng):
    # rate-per-response, its charitable reading, and rate-per-token.
    rows, sizes, tokens = rows_of(rng), integers(rng, 1, 9, 3), integers(rng, 1, 4, 3)
    per = 12 // tokens
    joint, total = over(rows, sizes), sizes.sum(axis=0)
    whole, rest = rests(joint)
    change = (total * rows[2] - joint) * rest  # of log q, in units
    slopes = -(rows * per * change).sum(axis=1)
    assert ((sizes * slopes).sum(axis=0) == whole * ((joint - total * rows[2]) * per).sum(axis=0)).all()
    # Of the code that minimises E[L / |x|], with masses in proportion to q / |x|.
    weight = (joint * per).sum(axis=0)
    change_ = rows[2] * rest * weight - (rows[2] * per).sum(axis=0) * whole * (joint > 0)
    assert ((sizes * (rows * per * change_).sum(axis=1)).sum(axis=0) == 0).all()
    means = (rows * tokens).sum(axis=1)
    # Over each dataset's tokens, times the product of all three.
    slopes = -(rows * change).sum(axis=1) * (means.prod(axis=0) // means)
    assert ((sizes * means * slopes).sum(axis=0) == 0).all()


def test_what_minimises_the_loss_and_the_rates(rng):
    # section-3.1/loss-and-rate: sum w log q is largest at q ~ w, for w = p and w = p / |x|.
    counts, tokens = integers(rng, 0, 4, 3), integers(rng, 1, 3, 3)
    model = integers(rng, 0, 6, 3)
    model[0] += model.sum(axis=0) == 0
    for weights in (counts, counts * 6 // tokens):
        n, m = weights.sum(axis=0), model.sum(axis=0)
        assert (powers(weights, weights) * m**n >= powers(model, weights) * n**n).all()


def test_huffman_codes_and_the_entropy(draw):
    # source-coding, theorem-3.4/plain-bracket, theorem-3.4/within-a-bit and section-3.1/extension.
    for _ in range(CASES):
        counts = [draw.randint(1, 6) for _ in range(draw.randint(1, 5))]
        n, bits = sum(counts), spent(counts, huffman(counts))
        heaviest, own = n**n, prod(c**c for c in counts)  # n H = log2(heaviest / own)
        assert heaviest <= 2**bits * own < 2**n * heaviest
        dyadic = all(n % c == 0 and (n // c).bit_count() == 1 for c in counts)
        assert (heaviest == 2**bits * own) == dyadic
        ceiling = next(h for h in range(4) if heaviest <= 2 ** (n * h) * own)
        assert abs(bits - n * ceiling) < n
        # Any lengths that Kraft allows.
        given = [draw.randint(0, 5) for _ in counts]
        assert sum(32 >> each for each in given) > 32 or spent(counts, given) >= bits
        if len(counts) <= 3:
            pairs = [a * b for a, b in product(counts, repeat=2)]
            twice, square = spent(pairs, huffman(pairs)), n * n
            assert heaviest ** (2 * n) <= 2**twice * own ** (2 * n) < 2**square * heaviest ** (2 * n)


def test_prefix_codes_are_lossless(draw):
    # definition-3.3, for blocks that were seen.
    for _ in range(CASES):
        lengths = huffman([draw.randint(1, 6) for _ in range(draw.randint(2, 5))])
        words, code = {}, 0
        for bits, leaf in sorted((bits, leaf) for leaf, bits in enumerate(lengths)):
            words[f"{code >> (8 - bits):0{bits}b}"] = leaf
            code += 1 << (8 - bits)
        assert code == 1 << 8
        spelt = {leaf: word for word, leaf in words.items()}
        message = [draw.randrange(len(lengths)) for _ in range(6)]
        decoded, begun = [], ""
        for bit in "".join(spelt[leaf] for leaf in message):
            begun += bit
            if begun in words:
                decoded.append(words[begun])
                begun = ""
        assert (decoded, begun) == (message, "")


def test_token_trees_add_up(draw):
    # definition-3.1, mixture-formula and section-3.1/log-loss; $ ends a response.
    def tree(responses):
        return Counter(response[:d] for response in responses for d in range(len(response) + 1))

    responses = ["$", "0$", "1$", "00$", "01$", "10$", "11$"]
    for _ in range(CASES):
        one, two = (draw.choices(responses, k=draw.randint(1, 4)) for _ in range(2))
        joint, apart = tree(one + two), (tree(one), tree(two))
        assert all(weight == sum(part[node] for part in apart) for node, weight in joint.items())
        assert all(
            weight == joint[node + "0"] + joint[node + "1"] + joint[node + "$"]
            for node, weight in joint.items()
            if node[-1:] != "$"
        )
        nodes = [one[0][:d] for d in range(len(one[0]) + 1)]
        left = prod(joint[node] for node in nodes[1:]) * len(one + two)
        assert left == prod(joint[node] for node in nodes[:-1]) * joint[one[0]]


@pytest.mark.parametrize("m", [3, 4])
def test_the_published_form_with_disjoint_parts(rng, m):
    # theorem-4.2/published, theorem-4.2/ratio, section-4.2/example.
    parts = rows_of(rng, m, leaves=2, top=3)
    apart = np.zeros((m, 2 * m, CASES), dtype=object)
    for j, part in enumerate(parts):
        apart[j, 2 * j : 2 * j + 2] = part
    n_p, n_a, n_t = integers(rng, 1, 400), integers(rng, 1, 30), integers(rng, 1, 15)
    rows = np.stack([apart.sum(axis=0), m * apart[1], m * apart[2]])
    sizes = sized(n_p, n_a, n_t)
    pretrain, align = (excess(rows, sizes, i, 2) for i in range(2))
    # align is 1 in the units of both.
    assert (pretrain * (n_p + m * n_t) == -(n_a - (m - 1) * n_t) * align).all()
    assert (align == rows[0].sum(axis=0) * rests(over(rows, sizes))[0]).all()
    small = (m - 1) * n_t < n_a
    assert (small == ((pretrain < 0) & (align > 0))).all()
    # r = -gamma_a' / (k gamma_p'), between 1 and a bound.
    top, bottom = (x[small] for x in (-align * n_a, pretrain * n_p))
    k, l, one = n_p[small], n_t[small], n_a[small]
    assert (top * k * (one - (m - 1) * l) == bottom * one * (k + m * l)).all()
    assert (top <= bottom).all()
    half = 2 * (m - 1) * l <= one
    assert (top * k * one >= bottom * (k * one + 2 * ((m - 1) * k + m * one) * l))[half].all()
    if m == 3:
        assert (100 * top >= 215 * bottom)[(4 * l <= one) & (k >= 10 * one)].all()


def test_the_published_form_with_overlapping_parts(rng):
    # theorem-4.2/published-overlapping: the limit l* on the perturbation.
    parts = rows_of(rng)
    p, one = parts.sum(axis=0), parts[0].sum(axis=0)
    whole, rest = rests(p)
    a_at, a_tt = (3 * (row * parts[2] * rest).sum(axis=0) for row in parts[1:])
    unit = one * whole  # A_at = a_at / unit
    n_p, n_a, n_t = integers(rng, 1, 10**6), integers(rng, 1, 20), integers(rng, 1, 20)
    beyond = n_a * a_at + n_t * a_tt - (n_a + n_t) * unit
    square = 9 * (parts[2] * ((n_a * parts[1] + n_t * parts[2]) * rest) ** 2).sum(axis=0)
    enough = square // (whole * np.where(beyond > 0, beyond, 1)) + 1
    rows = np.stack([p, 3 * parts[1], 3 * parts[2]])
    assert signs_hold(rows, sized(n_p, n_a, n_t))[beyond < 0].all()
    assert not signs_hold(rows, sized(enough, n_a, n_t))[beyond > 0].any()
    assert (a_tt > unit)[~alike(p, 3 * parts[2])].all()


def test_three_datasets(rng):
    # theorem-4.2/three-datasets-condition, theorem-4.2/any-model for free models, limitations/threshold.
    rows, sizes = rows_of(rng), integers(rng, 1, 9, 3)
    sizes[0] *= 10 ** integers(rng, 0, 6)
    found = [excess(rows, sizes, i, 2) for i in range(3)]
    holds = (found[0] < 0) & (found[1] > 0)
    assert (holds == (found[0] < 0)).all()
    assert (holds == (sizes[1] * found[1] > -sizes[2] * found[2])).all()
    assert (sizes[1] * found[1] >= -sizes[0] * found[0])[holds].all()
    # With more pre-training data, or more perturbation, the signs can only be lost.
    for more in ([3, 1, 1], [1, 1, 2]):
        assert not (signs_hold(rows, sizes * np.array(more)[:, None]) & ~holds).any()
    like, unlike = rows[[0, 1, 0]], ~alike(*rows[:2])
    pretrain, align = (excess(like, sizes, i, 2) for i in range(2))
    assert ((pretrain < 0) & (align > 0))[unlike].all()
    assert (sizes[1] * align == -(sizes[0] + sizes[2]) * pretrain).all()


def test_masses_of_one_law(rng):
    # theorem-4.2/many-leaves: independent masses of any one law, one leaf for each triple of them.
    low = integers(rng, 1, 8)
    law = np.stack([low, low + integers(rng, 1, 8)])
    rows = np.stack([np.stack(leaf) for leaf in product(law, repeat=3)], axis=1)
    n_a, n_t = integers(rng, 1, 12), integers(rng, 1, 12)
    n_p = n_a * 10 ** integers(rng, 0, 4)
    assert not signs_hold(rows, sized(n_p, n_a, n_t)).any()
    published = np.stack([rows.sum(axis=0), 3 * rows[1], 3 * rows[2]])
    assert signs_hold(published, sized(n_p, n_a, n_t))[2 * n_t < n_a].all()


def test_the_two_sided_inequality_of_huffman_codes(draw):
    # theorem-4.2/huffman
    for _ in range(CASES):
        joint, more = [draw.randint(1, 20) for _ in range(4)], [3 * draw.randint(0, 6) for _ in range(4)]
        before, after = huffman(joint), huffman([u + c for u, c in zip(joint, more, strict=True)])
        moved = [new - old for old, new in zip(before, after, strict=True)]
        assert 0 <= spent(joint, moved) <= -spent(more, moved)


def test_least_losses_of_any_models(rng):
    # trained/slopes and training-runs/law, for finite sets of models.
    models, one, two = integers(rng, 0, 9, 3, 5), integers(rng, 1, 6, 3), integers(rng, 1, 6, 3)
    totals = [(sizes[:, None] * models).sum(axis=0) for sizes in (one, two)]
    best = [np.take_along_axis(models, np.argmin(each, axis=0)[None, None], axis=1)[:, 0] for each in totals]
    least = [each.min(axis=0) for each in totals]
    assert ((one * (best[1] - best[0])).sum(axis=0) >= 0).all()
    assert ((two * (best[1] - best[0])).sum(axis=0) <= 0).all()
    assert (least[1] <= least[0] + ((two - one) * best[0]).sum(axis=0)).all()
    middle = ((one + two)[:, None] * models).sum(axis=0).min(axis=0)
    assert (middle >= sum(least)).all()


def test_models_at_a_temperature(rng):
    # trained/temperature, where sizes change by whole numbers: models have weights 2^(-n . L).
    losses, sizes, step = integers(rng, 0, 3, 3, 5), integers(rng, 0, 3, 3), integers(rng, -2, 2, 3)
    weights = 2 ** (30 - (sizes[:, None] * losses).sum(axis=0))
    after = 2 ** (60 - ((sizes + step)[:, None] * losses).sum(axis=0))
    change = (step[:, None] * losses).sum(axis=0)
    before, then = ((each * change).sum(axis=0) for each in (weights, after))
    # (n' - n) . (gamma' - gamma) <= 0
    assert (then * weights.sum(axis=0) <= before * after.sum(axis=0)).all()
    # The covariances are those of a symmetric, positive semidefinite matrix.
    v, whole = integers(rng, -3, 3, 3), weights.sum(axis=0)
    first = (weights * losses).sum(axis=1)
    second = (weights * losses[:, None] * losses).sum(axis=2)
    covariance = second * whole - first[:, None] * first
    assert ((v[:, None] * v * covariance).sum(axis=(0, 1)) >= 0).all()


def test_quadratic_losses(rng):
    # trained/response, /regularizer, /stopped-early, /le-chatelier, training-runs/law, theorem-4.2/any-model.
    a, b, n = (integers(rng, 1, 3, 3) for _ in range(3))
    c, d = (integers(rng, -3, 3, 3) for _ in range(2))
    decay, early = integers(rng, 0, 2), integers(rng, 0, 1)

    # L_i = a_i (x - c_i)^2 + b_i (y - d_i)^2, and decay (x^2 + y^2): half of H, and that times the best x.
    def optimum(n, curves, places, decay):
        return decay + (n * curves).sum(axis=0), (n * curves * places).sum(axis=0)

    (across, x), (along, y) = optimum(n, a, c, decay), optimum(n, b, d, decay)
    x = x + early * across
    gx, gy = a * (x - across * c), b * (y - along * d)  # halves of gradients, times across and along
    assert ((n * gx).sum(axis=0) == early * across**2 - decay * x).all()
    assert ((n * gy).sum(axis=0) == -decay * y).all()
    response = -(gx[:, None] * gx * along**3 + gy[:, None] * gy * across**3)
    v = integers(rng, -3, 3, 3)
    whole = (v[:, None] * v * response).sum(axis=(0, 1))
    part = -((v * gx).sum(axis=0) ** 2) * along**3
    assert (whole <= part).all()
    assert (part <= 0).all()
    # The balance, with what the regularizer and the gradient that is left take of it.
    taken = (decay * x - early * across**2) * gx * along**3 + decay * y * gy * across**3
    assert ((n[:, None] * response).sum(axis=0) == taken).all()
    plain = (decay == 0) & (early == 0)
    signs = (response[0, 2] < 0) & (response[1, 2] > 0)
    assert (signs == (-n[1] * response[1, 2] < n[2] * response[2, 2]))[plain].all()
    # Finite changes, without a regularizer.
    grown = n + integers(rng, 0, 3, 3)
    losses = []
    for sizes in (n, grown):
        (s, x), (w, y) = optimum(sizes, a, c, 0), optimum(sizes, b, d, 0)
        losses.append((a * (x - s * c) ** 2 * w**2 + b * (y - w * d) ** 2 * s**2, (s * w) ** 2))
    (before, unit), (after, other) = losses
    moved = after * unit - before * other
    assert ((n * moved).sum(axis=0) >= 0).all()
    assert ((grown * moved).sum(axis=0) <= 0).all()


def test_the_star_theorem(rng):
    # section-5.2/table-3: after less alignment, less new data leave the model as near, in f-divergences.
    p, a, b = rows_of(rng, least=1, top=3)
    one = p.sum(axis=0)
    n_p, n_a, n_b = integers(rng, 1, 9, 3)
    part = integers(rng, 0, 9) % (n_a + 1)
    # By counts in proportion.
    pairs = [(n_p * p + n_a * a + n_b * b, n_a * n_p * p + part * (n_a * a + n_b * b))]
    # With fixed steps, from tenths kept to no fewer: longer is what is kept then.
    few, more = np.sort(integers(rng, 0, 9, 2), axis=0)
    on = integers(rng, 1, 10)
    longer, unit = on * (10 - few), on * (10 - few) + (10 - on) * (10 - more)
    assert (on * unit <= 10 * longer).all()
    assert (longer <= unit).all()
    pairs.append(
        (
            on * (few * p + (10 - few) * a) + 10 * (10 - on) * b,
            longer * (more * p + (10 - more) * a) + 10 * (unit - longer) * b,
        )
    )
    for models in pairs:
        (far, near), (weight, other) = models, (model.sum(axis=0) // one for model in models)
        off, less = np.abs(far - weight * p), np.abs(near - other * p)
        assert (less.sum(axis=0) * weight <= off.sum(axis=0) * other).all()
        # sum (q - p)^2 / p, and with p and q exchanged.
        _, rest = rests(p)
        assert ((less**2 * rest).sum(axis=0) * weight**2 <= (off**2 * rest).sum(axis=0) * other**2).all()
        (whole, rest), (whole_, rest_) = rests(far), rests(near)
        left, right = (less**2 * rest_).sum(axis=0), (off**2 * rest).sum(axis=0)
        assert (left * whole * weight <= right * whole_ * other).all()


def test_what_undoes_an_alignment(rng):
    # definition-3.5 and definition-3.6, by counts.
    p, a, b = rows_of(rng)
    n_p, n_a, n_b = integers(rng, 1, 99), integers(rng, 1, 9), integers(rng, 1, 20)
    total, one = n_p + n_a + n_b, p.sum(axis=0)
    apart = np.abs(a - p).sum(axis=0)  # twice the total variation, times one
    left = np.abs(n_p * p + n_a * a + n_b * b - total * p).sum(axis=0) * (n_p + n_a)
    before = total * n_a * apart  # left / before is the share that is left
    assert ((before - left) * apart * n_a <= n_b * (2 * one * before + left * apart)).all()
    # If all is undone, |D_b| is at least (max p_a / p_p - 1) |D_a|; what is missing then does it.
    missing = (n_a + n_b) * p - n_a * a
    assert ((missing >= 0).all(axis=0) | (left > 0)).all()
    able = (missing >= 0).all(axis=0)
    assert alike(n_p * p + n_a * a + missing, total * p)[able].all()
    m, t = integers(rng, 3, 6), integers(rng, 1, 8)
    assert ((n_p + m * n_a == n_p + n_a + t * n_a) == (t == m - 1)).all()


def test_the_fall_of_the_score(rng):
    # section-5.2/rebound: where the score falls it slows down; by counts it begins faster exactly below 1/2.
    p, a, t = rows_of(rng, top=3)
    one, both = p.sum(axis=0), a + t
    unit, rest = rests(both)
    good = a * rest  # the share of a leaf that counts for D_a, in units
    here = (both > 0).astype(object)
    bad = (t * good).sum(axis=0)
    n_p, first, more = integers(rng, 1, 30), integers(rng, 1, 20), integers(rng, 1, 20)
    (ours, whole), (later, all_) = (
        [((n_p * p + n * a) * weight).sum(axis=0) for weight in (good, here)] for n in (first, first + more)
    )
    # The score is ours / (unit whole), and falls by (ours one - bad whole) / (unit whole^2) at once.
    slope, steeper = ours * one - bad * whole, later * one - bad * all_
    falls = (slope > 0) & (steeper > 0)
    gain = steeper * whole**2 - slope * all_**2
    below = (2 * ours <= unit * whole) & (2 * later <= unit * all_)
    above = (2 * ours >= unit * whole) & (2 * later >= unit * all_)
    moves = ~alike(a, t)
    assert (gain > 0)[falls & below & moves].all()
    assert (gain < 0)[falls & above & moves].all()
    for kept, new in (
        ([1, 1, 1], [0, 2, 4]),
        ([10**4, 9**2 * 10**2, 9**4], [0, (10**2 - 9**2) * 10**2, 10**4 - 9**4]),
    ):
        # By counts, and with fixed steps of a tenth.
        unit_of = 1 if kept[1] == 1 else n_p + first
        scores = [
            (share * ours + n * unit_of * bad, share * whole + n * unit_of * one)
            for share, n in zip(kept, new, strict=True)
        ]
        (o0, w0), (o1, w1), (o2, w2) = scores
        early, late = (o0 * w1 - o1 * w0) * w2, (o1 * w2 - o2 * w1) * w0
        assert (early > late)[slope > 0].all()
        assert (late > 0)[slope > 0].all()


def test_two_datasets_and_one_more(rng):
    # section-4/larger-dataset, section-5/near-the-start, section-4.2 for two datasets.
    rows, sizes = rows_of(rng, datasets=2), integers(rng, 1, 50, 2)
    joint, total, one = over(rows, sizes), sizes.sum(axis=0), rows[0].sum(axis=0)
    chosen = integers(rng, 0, 1, 3)
    large, small, model = ((row * chosen).sum(axis=0) for row in (*rows, joint))
    assert (sizes[0] * (total * large - model) == -sizes[1] * (total * small - model)).all()
    assert (np.abs(joint - total * rows[0]) <= sizes[1] * one).all()
    assert (sizes[0] * excess(rows, sizes, 0, 1) == -sizes[1] * excess(rows, sizes, 1, 1)).all()
    # Datasets of one distribution change alike, whatever their sizes.
    again, more = rows[[0, 1, 0]], sized(*sizes, integers(rng, 1, 9))
    assert (excess(again, more, 0, 1) == excess(again, more, 2, 1)).all()


def test_reverse_divergences(rng):
    # equation-3/as-printed for models that minimise sum n_i KL(x || p_i), of masses that are powers of 1/2.
    sizes = integers(rng, 1, 2, 3)
    total = sizes.sum(axis=0)
    exponents = total * integers(rng, 0, 2, 3, 3)
    middle = (sizes[:, None] * exponents).sum(axis=0) // total
    weights = 2 ** (30 - middle)
    apart = exponents - middle  # log2 x / p_i, but for a constant
    drift = weights.sum(axis=0) * apart[2] - (weights * apart[2]).sum(axis=0)
    changes = -(weights * drift * apart).sum(axis=1)
    assert ((sizes * changes).sum(axis=0) == 0).all()
    assert (changes[2] <= 0).all()


def test_springs_in_series(rng):
    # introduction/springs: extensions in inverse proportion to stiffness cost the least energy.
    stiffness, off = integers(rng, 1, 9, 3), integers(rng, -30, 30, 2)
    extensions = stiffness.prod(axis=0) // stiffness
    others = extensions + np.stack([*off, -off.sum(axis=0)])
    energy, more = ((stiffness * lengths**2).sum(axis=0) for lengths in (extensions, others))
    assert ((energy < more) | (off == 0).all(axis=0)).all()


def test_the_search_finds_exceptions_where_there_are_some(rng):
    # The signs for any three datasets; and that they stay as they are when |D_p| grows.
    rows = rows_of(rng)
    few, many = (signs_hold(rows, sized(n_p, 10, 1)) for n_p in (10, 10**6))
    assert 0 < few.sum() < CASES
    assert (few & ~many).any()
