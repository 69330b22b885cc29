import itertools
import math
import operator
from dataclasses import fields
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from scipy import integrate, linalg, special
from tests.exact import joint, mp

from tokentree import Mixture, kl_divergence, published_form
from tokentree.springs import FisherSprings, SpringChain

U = 2.0**-53
LARGE = 10**12
AGREE = 1e-8  # closed form against integration, as the issue asks

stiffness = st.floats(1e-9, 1e9)
chains = st.lists(stiffness, min_size=1, max_size=8)
number = st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-3)


def wide(n=1000, seed=0):
    return 10 ** np.random.default_rng(seed).uniform(-9, 9, n)


# The chain at rest


@given(chains, number)
@example([1e-9] * 4 + [1e9] * 4, 1.0)
def test_chain_under_load_is_hookes_law(k, force):
    chain = SpringChain(k)
    exact = 1 / sum(1 / Fraction(x) for x in k)
    # Each quotient, the sum and the last quotient are rounded once.
    assert abs(Fraction(chain.equivalent_stiffness) / exact - 1) <= 4 * U
    assert [float(Fraction(force) / Fraction(x)) for x in k] == chain.extensions(force).tolist()
    state = chain.under_load(force, natural_lengths=2)
    total = Fraction(force) / exact
    assert abs(Fraction(float(state.positions[-1])) - 2 * len(k) - total) <= (len(k) + 4) * U * (
        2 * len(k) + abs(total)
    )
    assert state.positions[0] == 0
    np.testing.assert_array_equal(state.tensions, force)
    assert abs(Fraction(float(state.energy)) - force * total / 2) <= 8 * U * abs(force * total / 2)
    assert chain.force(float(total)) == pytest.approx(force, rel=8 * U)


def wall_errors(k, distance, lengths, pull):
    """Errors of tensions and positions at 100 digits, over n U times the sizes of their terms."""
    state, n = SpringChain(k).between_walls(distance, lengths, pull), len(k)
    with mpmath.workdps(100):
        soft = [1 / mpmath.mpf(x) for x in k]
        total = mpmath.fsum(soft)
        # From the balance at every node: tension i is the first less the pulls before it.
        less = [mpmath.fsum(pull[:i]) if any(pull[:i]) else mpmath.mpf(0) for i in range(n)]
        free = mpmath.fsum([distance, *(-mpmath.mpf(length) for length in lengths)])
        first = (free + mpmath.fsum(map(operator.mul, less, soft))) / total
        tensions = [first - c for c in less]
        steps = [t * c + length for t, c, length in zip(tensions, soft, lengths, strict=True)]
        positions = list(itertools.accumulate(steps, initial=mpmath.mpf(0)))
        assert abs(positions[-1] - distance) < 1e-60

        sizes, before = [(distance + mpmath.fsum(lengths)) / total] * n, list(itertools.accumulate(soft))
        for p in np.flatnonzero(pull).tolist():
            shares = [before[p] / total if i > p else 1 - before[p] / total for i in range(n)]
            sizes = [a + abs(pull[p]) * b for a, b in zip(sizes, shares, strict=True)]
        off = map(abs, map(operator.sub, state.tensions.tolist(), tensions))
        worst = max((a / b for a, b in zip(off, sizes, strict=True) if b), default=0)
        reach = mpmath.fsum(map(operator.mul, sizes, soft)) + mpmath.fsum(lengths)
        apart = max(map(abs, map(operator.sub, state.positions.tolist(), positions)))
        return float(worst) / (n * U), float(apart / reach if reach else apart) / (n * U)


@given(st.data())
def test_chain_between_walls_balances_every_node(data):
    k = data.draw(chains)
    lengths = data.draw(st.lists(st.sampled_from([0, 0.1, 1, 7.3]), min_size=len(k), max_size=len(k)))
    pull = data.draw(st.lists(number, min_size=len(k) - 1, max_size=len(k) - 1))
    tension, position = wall_errors(k, data.draw(st.floats(0.1, 100)), lengths, pull)
    # Two sums of n terms with four roundings in each term, and a few roundings after them.
    assert tension <= 6 + 10 / len(k)
    assert position <= 10 + 10 / len(k)


def test_a_thousand_springs_of_every_stiffness():
    k = wide()
    exact = 1 / sum(1 / Fraction(x) for x in k.tolist())
    assert abs(Fraction(SpringChain(k).equivalent_stiffness) / exact - 1) <= 4 * U
    pull = np.zeros(999)
    pull[[3, 500, 998]] = 2, -1, 5
    tension, position = wall_errors(k.tolist(), 7, [0.5] * 1000, pull.tolist())
    assert tension <= 7
    assert position <= 11


def test_pulling_the_hard_end_of_a_soft_spring_keeps_its_digits():
    # The hard spring carries all but 10^-18 of the pull; the soft one's tension is not 1 - (1 - 10^-18).
    state = SpringChain([1e-9, 1e9]).between_walls(0, pull=[1])
    assert state.tensions[0] == pytest.approx(1e-18, rel=8 * U)
    assert state.tensions[1] == pytest.approx(-1, rel=8 * U)


def test_force_extension_curves_have_an_axis_for_the_forces():
    chain = SpringChain([1, 3])
    loaded = chain.under_load([0, 3, -6])
    assert loaded.positions.tolist() == [[0, 0, 0], [0, 3, 4], [0, -6, -8]]
    assert loaded.energy.tolist() == [0, 6, 24]
    held = chain.between_walls([4, 8], natural_lengths=[1, 1])
    np.testing.assert_allclose(held.tensions, [[1.5, 1.5], [4.5, 4.5]], rtol=4 * U)
    np.testing.assert_allclose(held.energy, [1.5, 13.5], rtol=8 * U)
    pulled = chain.between_walls([[4], [8]], pull=[[[0.0], [4.0], [8.0]]])
    assert pulled.positions.shape == (2, 3, 3)
    # Against both springs at once: the node gives way by f / (k_1 + k_2).
    np.testing.assert_allclose(pulled.positions[..., 1], np.add.outer([3, 6], [0, 1, 2]), rtol=8 * U)


def test_one_spring():
    chain = SpringChain([5], names=["lone"])
    assert chain.equivalent_stiffness == 5
    assert chain.names == ("lone",)
    assert chain.between_walls(3, 1).tensions.tolist() == [10]
    assert chain.frequencies(masses=0.2).tolist() == pytest.approx([5], rel=4 * U)
    assert repr(chain) == "SpringChain(1 spring, k_eff 5)"
    assert SpringChain([2, 2]).names == ("k1", "k2")


def test_the_softest_float_is_a_spring():
    assert SpringChain([5e-324, 1.0]).equivalent_stiffness == 5e-324


def test_chain_does_not_share_the_callers_array():
    k = np.array([1.0, 2.0])
    chain = SpringChain(k)
    k[0] = 5
    assert chain.stiffness.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        chain.stiffness[0] = 5


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        ([1, 0, 2], ValueError, r"stiffness\[1\] = 0.0: must be finite and > 0"),
        ([1, 2, -3.5], ValueError, r"stiffness\[2\] = -3.5: must be finite and > 0"),
        ([math.nan], ValueError, r"stiffness\[0\] = nan"),
        ([1, math.inf], ValueError, r"stiffness\[1\] = inf"),
        ([], ValueError, r"shape \(0,\)"),
        ([[1, 2]], ValueError, r"shape \(1, 2\)"),
        (["a"], TypeError, "must be real numbers"),
    ],
)
def test_refused_stiffness(k, error, message):
    with pytest.raises(error, match=message):
        SpringChain(k)


def test_refused_arguments_of_the_chain(unchecked):
    chain = SpringChain([1, 2, 3])
    for call, error, message in [
        (lambda: SpringChain([1, 2], names=["a"]), ValueError, "must be 2 strings"),
        (lambda: SpringChain([1, 2], names="ab"), ValueError, "must be 2 strings"),
        (lambda: SpringChain([1, 2], names=["a", 3]), TypeError, r"names\[1\] = 3"),
        (lambda: chain.extensions([1, math.nan]), ValueError, r"force\[1\] = nan: must be finite"),
        (lambda: chain.force(math.inf), ValueError, "total_extension = inf"),
        (lambda: chain.under_load(1, [1, -1, 1]), ValueError, r"natural_lengths\[1\] = -1.0"),
        (lambda: chain.under_load(1, [1, 1]), ValueError, r"natural_lengths has shape \(2,\)"),
        (lambda: chain.between_walls(-1), ValueError, "distance = -1.0: must be finite and >= 0"),
        (lambda: chain.between_walls(1, pull=[1]), ValueError, r"pull has shape \(1,\): must be \(..., 2\)"),
        (lambda: chain.between_walls([1, 2, 3], pull=[[0, 0], [0, 0]]), ValueError, "must broadcast"),
        (lambda: chain.simulate([-1]), ValueError, r"times\[0\] = -1.0"),
        (lambda: chain.simulate([]), ValueError, r"times has shape \(0,\)"),
        (lambda: chain.simulate([1], masses=[1, 0, 1]), ValueError, r"masses\[1\] = 0.0"),
        (lambda: chain.simulate([1], masses=[1, 1, 1], held=True), ValueError, r"or \(2,\)"),
        (lambda: chain.simulate([1], load=[1, 1]), ValueError, r"load has shape \(2,\)"),
        (lambda: chain.simulate([1], mass_damping=-1), ValueError, "mass_damping = -1.0"),
        (lambda: chain.simulate([1], stiffness_damping=math.nan), ValueError, "stiffness_damping = nan"),
        (lambda: chain.simulate([1], displacement=[math.inf, 0, 0]), ValueError, r"displacement\[0\]"),
        (lambda: SpringChain([1]).simulate([1], held=True), ValueError, "no free node"),
    ]:
        with pytest.raises(error, match=message):
            call()


# The chain in motion


def state_matrix(k, masses, a, b):
    """u, u' -> u', u'', written out node by node."""
    n, m = len(k), len(masses)
    stiff = np.zeros((m, m))
    for i in range(n):
        for j in (i - 1, i):
            for l in (i - 1, i):
                if 0 <= j < m and 0 <= l < m:
                    stiff[j, l] += k[i] if j == l else -k[i]
    stiff /= np.asarray(masses)[:, None]
    return np.block([[np.zeros((m, m)), np.eye(m)], [-stiff, -a * np.eye(m) - b * stiff]])


MOTIONS = {
    "undamped": {},
    "lightly damped": {"mass_damping": 0.3},
    "dashpots": {"stiffness_damping": 0.4},
    "both": {"mass_damping": 4.0, "stiffness_damping": 0.5},
    "heavily damped": {"mass_damping": 100.0},
    "between walls": {"held": True, "load": [1.0, -2.0, 0.5], "mass_damping": 0.2},
    "let go": {"displacement": [1.0, 2.0, 3.0, 4.0], "load": 0.0, "velocity": [0.0, -1.0, 0.0, 5.0]},
    "loads on every node": {"load": [1.0, 2.0, -3.0, 1.0], "masses": [1.0, 0.1, 5.0, 0.7]},
}


@pytest.mark.parametrize("name", MOTIONS)
def test_closed_form_agrees_with_integration_and_with_the_matrix_exponential(name):
    k, times = [1.0, 2.0, 3.0, 4.0], np.linspace(0, 15, 16)
    options = {"load": 2.0, "masses": 1.5} | MOTIONS[name]
    closed = SpringChain(k).simulate(times, **options)
    steps = SpringChain(k).simulate(times, integrate=True, **options)
    free = closed.rest.size
    masses = np.broadcast_to(options["masses"], free)
    motion = state_matrix(k, masses, options.get("mass_damping", 0), options.get("stiffness_damping", 0))
    load = (
        np.append(np.zeros(free - 1), options["load"]) if np.ndim(options["load"]) == 0 else options["load"]
    )
    rest = linalg.solve(-motion[free:, :free], load / masses)
    start = [np.broadcast_to(options.get(key, 0.0), free) for key in ("displacement", "velocity")]
    peer = np.array([linalg.expm(t * motion) @ np.append(start[0] - rest, start[1]) for t in times])

    np.testing.assert_allclose(closed.rest, rest, rtol=1e-13)
    for found, stepped, expected in (
        (closed.displacements, steps.displacements, rest + peer[:, :free]),
        (closed.velocities, steps.velocities, peer[:, free:]),
    ):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * scale)
        np.testing.assert_allclose(found, stepped, rtol=0, atol=AGREE * scale)
    np.testing.assert_array_equal(closed.displacements[0], start[0])


@given(
    st.floats(0.1, 10),
    st.floats(0.1, 10),
    st.floats(0, 50),
    st.floats(0, 5),
    st.floats(0, 20),
    number,
    number,
)
@example(1.0, 1.0, 2.0, 0.0, 1.0, 1.0, 1.0)  # critically damped
@example(1.0, 1.0, 2.0 * (1 + 1e-9), 0.0, 1.0, 1.0, 1.0)
@example(1.0, 1.0, 2.0 * (1 - 1e-9), 0.0, 1.0, 1.0, 1.0)
def test_one_mass_is_the_damped_oscillator(k, m, a, b, t, start, speed):
    motion = SpringChain([k]).simulate(
        [t], masses=m, mass_damping=a, stiffness_damping=b, displacement=start, velocity=speed
    )
    with mpmath.workdps(60):
        square = mp(k) / mp(m)
        half = (mp(a) + mp(b) * square) / 2
        # Both roots, apart by so little where they coincide that 60 digits do not see it.
        root = mpmath.sqrt(mpmath.mpc(half**2 - square)) or mpmath.mpf(10) ** -25
        fast, slow = -half - root, -half + root
        c = (mp(speed) - fast * mp(start)) / (slow - fast)
        terms = c * mpmath.exp(slow * mp(t)), (mp(start) - c) * mpmath.exp(fast * mp(t))
        position = float(mpmath.re(sum(terms)))
        velocity = float(mpmath.re(slow * terms[0] + fast * terms[1]))
    scale = abs(start) + abs(speed) / math.sqrt(k / m)
    # Rounding of the frequency is multiplied by the phase.
    slack = (20 + 4 * math.sqrt(k / m) * t) * U * scale
    assert abs(motion.displacements[0, 0] - position) <= slack
    assert abs(motion.velocities[0, 0] - velocity) <= slack * (math.sqrt(k / m) + a + b * k / m)


@pytest.mark.parametrize(
    ("k", "m", "damping", "t"),
    [
        (1e-200, 1e200, 1e-199, 1e100),  # w^2 is below a float64
        (1e-200, 1e200, 1e-199, 1e201),
        (1e200, 1e-200, 0.0, 1e-201),  # and above
        (1e200, 1e-200, 1e201, 1e-200),
        (1.0, 1.0, 1e200, 1.0),  # decay^2 is above
        (1.0, 1.0, 1e200, 1e200),
        (1.0, 1.0, 1e8, 1e-10),  # damped so strongly that z - 1 is a small difference, at first
        (1.0, 1.0, 1.0, 1e-9),
        (1.0, 1.0, 0.5, 0.05),
    ],
)
def test_one_mass_far_from_the_scale_of_one(k, m, damping, t):
    """Started by its load, a mass keeps its digits while it is still far from rest."""
    motion = SpringChain([k]).simulate([0, t], masses=m, load=k, mass_damping=damping)
    with mpmath.workdps(900):
        half, square = mp(damping) / 2, mp(k) / mp(m)
        root = mpmath.sqrt(mpmath.mpc(half**2 - square))
        fast, slow = (mpmath.exp((-half + sign * root) * mp(t)) for sign in (-1, 1))
        push = mpmath.re((slow - fast) / (2 * root))
        moved = float(1 - mpmath.re(slow + fast) / 2 - half * push)
        speed = float(square * push)
    assert motion.displacements[0] == motion.velocities[0] == 0
    assert motion.rest == 1
    assert motion.displacements[1] == pytest.approx(moved, rel=16 * U, abs=0)
    assert motion.velocities[1] == pytest.approx(speed, rel=16 * U, abs=0)


def test_a_node_almost_without_mass_moves_with_the_next():
    # Its frequency is 3 10^154, and its own motion fainter than 10^-300: it divides the way of the other.
    motion = SpringChain([1e9, 1.0]).simulate([0, 1], masses=[1e-300, 1.0], load=1.0)
    stiff = 1 / (1 + 1e-9)
    expected = (1 - math.cos(math.sqrt(stiff))) / stiff
    np.testing.assert_allclose(motion.displacements[1], [expected * stiff * 1e-9, expected], rtol=16 * U)


@pytest.mark.parametrize(
    ("k", "options"),
    [
        ([1e308], {"masses": 1e-320}),
        ([1e300], {"masses": 1e-10, "stiffness_damping": 1e10}),
        ([1.0], {"mass_damping": 1e308, "stiffness_damping": 1e308}),
        ([5e-324], {"load": 1e10}),
        ([5e-324], {"masses": 1e308}),
        ([1e-300, 1e-300], {"load": [1e10], "held": True}),
        ([1.0], {"times": [1e308], "masses": 1e-10}),
    ],
)
def test_motion_beyond_a_float_is_refused(k, options):
    with pytest.raises(ValueError, match="range of float64"):
        SpringChain(k).simulate(**{"times": [0, 1]} | options)


@pytest.mark.parametrize("options", [{"mass_damping": 1e6}, {"mass_damping": 1e2, "stiffness_damping": 1.0}])
def test_stiff_chain_agrees_with_an_implicit_method(options):
    times = np.append(0, np.geomspace(1e-3, 1e18, 20))
    chain = SpringChain(wide(20, seed=1))
    closed = chain.simulate(times, load=1.0, **options)
    steps = chain.simulate(times, load=1.0, integrate=True, **options)
    scale = np.abs(closed.displacements).max()
    np.testing.assert_allclose(closed.displacements, steps.displacements, rtol=0, atol=AGREE * scale)
    scale = np.abs(closed.velocities).max()
    np.testing.assert_allclose(closed.velocities, steps.velocities, rtol=0, atol=AGREE * scale)
    np.testing.assert_allclose(closed.displacements[-1], closed.rest, rtol=AGREE)


@pytest.mark.parametrize("held", [False, True])
def test_stiff_chain_agrees_with_60_digits(held):
    k, free = [1e9, 1e-9, 1.0, 3e8, 2e-6, 1e3], 6 - held
    masses = [1.0, 2.0, 0.5, 1.0, 3.0, 1.0][:free]
    with mpmath.workdps(60):
        root = [mpmath.sqrt(mpmath.mpf(m)) for m in masses]
        stiff = mpmath.zeros(free)
        for i in range(6):
            for j in (i - 1, i):
                for l in (i - 1, i):
                    if 0 <= j < free and 0 <= l < free:
                        stiff[j, l] += (1 if j == l else -1) * mp(k[i]) / (root[j] * root[l])
        values, vectors = mpmath.eigsy(stiff)
        omega = sorted((float(mpmath.sqrt(value)) for value in values), reverse=True)
        times = [1e-3, 1.0, 1e3, 1e6]
        expected = []
        for t in times:
            # Undamped, a unit force on the last node, from rest.
            modes = [
                vectors[free - 1, j] / root[-1] * (1 - mpmath.cos(mpmath.sqrt(values[j]) * t)) / values[j]
                for j in range(free)
            ]
            expected.append(
                [float(sum(vectors[i, j] * modes[j] for j in range(free)) / root[i]) for i in range(free)]
            )
    found = SpringChain(k).frequencies(masses, held)
    np.testing.assert_allclose(found, omega, rtol=1e-14)
    moved = SpringChain(k).simulate(times, masses=masses, load=1.0, held=held).displacements
    for t, row, exact in zip(times, moved, np.array(expected), strict=True):
        # The fastest mode turns 3 10^4 times a unit of time, so 10^-16 of it is that much phase.
        slack = 1e-13 * (1 + omega[0] * t * 1e-3)
        np.testing.assert_allclose(row, exact, rtol=0, atol=slack * np.abs(exact).max())


@pytest.mark.parametrize("held", [False, True])
def test_frequencies_of_the_uniform_chain(held):
    n = 50
    j = np.arange(n - held, 0, -1)
    angle = j * np.pi / (2 * n) if held else (2 * j - 1) * np.pi / (2 * (2 * n + 1))
    expected = 2 * math.sqrt(3 / 7) * np.sin(angle)
    np.testing.assert_allclose(SpringChain([3] * n).frequencies(7, held), expected, rtol=n * 8 * U)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("n", [300, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_frequency_of_many_springs_is_lost(n, held):
    k, masses = wide(n), 10 ** np.random.default_rng(1).uniform(-2, 2, n - held)
    omega = SpringChain(k).frequencies(masses, held)
    assert omega.shape == (n - held,)
    # det K / det M, exactly known; held, by the matrix-tree theorem.
    trees = math.fsum(np.log(k)) + (math.log(math.fsum(1 / k)) if held else 0)
    product = math.fsum(2 * np.log(omega)) - (trees - math.fsum(np.log(masses)))
    assert abs(product) <= 1e-9
    # The trace of K^-1 M weighs the slowest most.
    reach = np.cumsum(1 / k)
    compliance = reach[:-1] * (1 - reach[:-1] / reach[-1]) if held else reach
    assert np.sum(omega**-2.0) == pytest.approx(masses @ compliance, rel=1e-11)


@pytest.mark.slow
def test_a_thousand_springs_in_motion_come_to_rest_and_keep_their_energy():
    chain = SpringChain(wide())
    # The slowest mode fades in 2 mass_damping / w^2.
    late = 100 / chain.frequencies()[-1] ** 2
    end = chain.simulate([late], load=1.0, mass_damping=1.0)
    np.testing.assert_allclose(end.displacements[0], end.rest, rtol=0, atol=1e-12 * end.rest.max())

    k = 10 ** np.random.default_rng(2).uniform(-2, 2, 1000)
    motion = SpringChain(k).simulate([0, 1, 10, 1000], load=[1.0] * 1000)
    strain = np.diff(motion.displacements, prepend=0, axis=1)
    kinetic = (motion.velocities**2).sum(axis=1) / 2
    stored = strain**2 @ k / 2 - motion.displacements.sum(axis=1)
    np.testing.assert_allclose(kinetic + stored, 0, atol=1e-10 * np.abs(stored).max())


def test_times_in_any_order_and_nothing_moving():
    chain = SpringChain([1, 2])
    for integrate_it in (False, True):
        motion = chain.simulate([3, 0, 3, 1], load=1, integrate=integrate_it)
        ordered = chain.simulate([0, 1, 3], load=1, integrate=integrate_it)
        np.testing.assert_array_equal(motion.displacements, ordered.displacements[[2, 0, 2, 1]])
        still = chain.simulate([0, 5], load=2, displacement=[2, 3], integrate=integrate_it)
        np.testing.assert_allclose(still.displacements, [[2, 3], [2, 3]], rtol=8 * U)
        np.testing.assert_allclose(still.velocities, 0, atol=32 * U)
        begin = chain.simulate([0], displacement=[1, 1], integrate=integrate_it)
        np.testing.assert_allclose(begin.displacements, [[1, 1]], rtol=4 * U)


def test_a_failed_integration_says_so(monkeypatch):
    class Failed:
        success, message = False, "step too small"

    monkeypatch.setattr(integrate, "solve_ivp", lambda *_, **__: Failed)
    with pytest.raises(RuntimeError, match="step too small"):
        SpringChain([1]).simulate([1], load=1, integrate=True)


# Joint compression as springs


rows = st.integers(1, 5).flatmap(
    lambda leaves: st.lists(
        st.lists(st.integers(0, 30), min_size=leaves, max_size=leaves).filter(any), min_size=1, max_size=4
    )
)
size = st.one_of(st.integers(1, 20), st.sampled_from([1, LARGE, Fraction(1, 3), 0.1, 1e12]))


@st.composite
def tables(draw, n_min=1):
    table = draw(rows.filter(lambda found: len(found) >= n_min))
    return table, draw(st.lists(size, min_size=len(table), max_size=len(table)))


def mp_kl(p, q):
    """KL(p || q) in nats at 80 digits."""
    if any(a and not b for a, b in zip(p, q, strict=True)):
        return mpmath.inf
    with mpmath.workdps(80):
        return mpmath.fsum(mp(a) * mpmath.log(mp(a) / mp(b)) for a, b in zip(p, q, strict=True) if a)


def scales(p, n, total):
    """sum_{j != i} w_j (p_i + p_j), the scale of p_i - q."""
    leaves, count = range(len(p[0])), range(len(p))
    return [[sum(n[j] * (p[i][x] + p[j][x]) for j in count if j != i) / total for x in leaves] for i in count]


@given(tables())
@example(([[1, 0], [1, 1]], [LARGE, 1]))
def test_forces_are_exact_and_balance(table):
    p, n, total, q = joint(*table)
    forces = FisherSprings(Mixture(*table)).forces
    count = len(p)
    # The bound on p_i - q from the docstring of elasticity, and two roundings.
    c = ((2 * count - 1) * (count + 3) + 8) * U
    for i, (row, scale) in enumerate(zip(forces, scales(p, n, total), strict=True)):
        for x, force in enumerate(row.tolist()):
            assert abs(Fraction(force) - n[i] * (p[i][x] - q[x])) <= Fraction(c) * n[i] * scale[x]
    assert (np.abs(forces.sum(axis=0)) <= 1e-12 * np.abs(forces).max(axis=0)).all()


def test_forces_balance_on_many_leaves():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(20_000, 0.3), size=12)
    sizes = [LARGE, 1, *10.0 ** rng.uniform(0, 12, 10)]
    forces = FisherSprings(Mixture(p, sizes)).forces
    assert forces.shape == (12, 20_000)
    assert np.abs(forces.sum(axis=0)).max() <= 1e-12 * np.abs(forces).max()
    # Far stronger: leaf by leaf.
    assert (np.abs(forces.sum(axis=0)) <= 1e-12 * np.abs(forces).max(axis=0)).all()


@given(tables(2), st.sampled_from([1, 2, math.inf]))
def test_two_datasets_are_two_springs_between_walls_in_any_norm(table, order):
    table = table[0][:2], table[1][:2]
    springs = FisherSprings(Mixture(*table))
    first, second = springs.forces
    lengths = [
        np.linalg.norm(force, order) / n for force, n in zip((first, second), springs.stiffness, strict=True)
    ]
    distance = np.linalg.norm(springs.anchors[0] - springs.anchors[1], order)
    chain = SpringChain(springs.stiffness).between_walls(distance)
    np.testing.assert_allclose(chain.extensions, lengths, rtol=32 * U)
    np.testing.assert_allclose(chain.tensions, np.linalg.norm(first, order), rtol=32 * U)
    # The Fisher length is a norm, too.
    np.testing.assert_allclose(*(springs.stiffness * springs.extensions), rtol=32 * U)
    np.testing.assert_allclose(first, -second, rtol=16 * U)


@given(tables())
def test_extensions_are_fisher_lengths(table):
    p, _, _, q = joint(*table)
    springs = FisherSprings(Mixture(*table))
    chi = [sum((a - b) ** 2 / b for a, b in zip(row, q, strict=True) if b) for row in p]
    response = springs.mixture.response(math.e)
    # Rounding of p_i in units of itself: the length of p_i is sqrt(1 + chi^2).
    slack = 64 * len(p) ** 2 * U
    for i, (found, square) in enumerate(zip(springs.extensions, chi, strict=True)):
        with mpmath.workdps(40):
            length = float(mpmath.sqrt(mp(square)))
        assert abs(found - length) <= slack * max(length, math.sqrt(sum(b for b in q if b)) * 1.0)
        assert found**2 == pytest.approx(-springs.mixture.total_size * response[i, i], rel=1e-9, abs=1e-20)


@given(tables())
@example(([[1, 2, 3], [3, 2, 1]], [LARGE, 1]))
def test_kl_in_both_directions(table):
    p, _, _, q = joint(*table)
    springs = FisherSprings(Mixture(*table))
    forward, reverse = springs.kl(math.e), springs.kl(math.e, reverse=True)
    for i, row in enumerate(p):
        assert forward[i] == pytest.approx(float(mp_kl(row, q)), rel=1e-12, abs=0)
        back = float(mp_kl(q, row))
        assert reverse[i] == pytest.approx(back, rel=1e-12, abs=0)
        assert math.isinf(back) == any(b > 0 and a == 0 for a, b in zip(row, q, strict=True))
    np.testing.assert_allclose(springs.kl(), forward / math.log(2), rtol=4 * U)
    np.testing.assert_allclose(springs.kl(reverse=True), reverse / math.log(2), rtol=4 * U)


def test_equal_distributions_pull_with_no_force():
    springs = FisherSprings(Mixture([[1, 2, 4], [2, 4, 8], [3, 6, 12]], [1, LARGE, 7]))
    np.testing.assert_array_equal(springs.forces, 0)
    np.testing.assert_array_equal(springs.extensions, 0)
    np.testing.assert_array_equal([springs.kl(), springs.kl(reverse=True)], 0)
    assert springs.energy() == 0
    found = springs.invariant(0, 5)
    for field in fields(found)[:4]:
        np.testing.assert_array_equal(getattr(found, field.name), 0)
    assert found.remainder == 0


def test_one_dataset():
    springs = FisherSprings(Mixture([[1, 3]], [4]))
    np.testing.assert_array_equal(springs.forces, 0)
    assert springs.extensions.tolist() == springs.kl().tolist() == [0]
    np.testing.assert_array_equal(springs.flow([0.5, 0.5], 50), [0.25, 0.75])
    assert springs.energy([0.5, 0.5], base=math.e) == pytest.approx(4 * mp_kl([1 / 4, 3 / 4], [0.5, 0.5]))
    assert repr(springs) == "FisherSprings(Mixture(1 datasets, 2 leaves: D1 4))"


@pytest.mark.parametrize("k", [1, 10, 10**6, LARGE])
def test_disjoint_datasets_break_the_analogy(k):
    springs = FisherSprings(Mixture([[1, 2, 0], [0, 0, 1]], [k, 1]))
    assert springs.kl(reverse=True).tolist() == [math.inf, math.inf]
    # KL(p_i || q) = -log w_i, so n_i KL_i are k log(1 + 1/k) and log(1 + k): not equal but for k = 1.
    pulls = springs.stiffness * springs.kl(math.e)
    np.testing.assert_allclose(pulls, [k * math.log1p(1 / k), math.log1p(k)], rtol=1e-12)
    np.testing.assert_allclose(springs.extensions, [k**-0.5, k**0.5], rtol=1e-14)
    found = springs.invariant(1, 1)
    assert np.isnan(found.reverse).all()
    assert np.isnan(found.reverse_response).all()
    assert np.isfinite(found.forward).all()


@given(tables(), st.data())
def test_energy_is_least_at_the_model(table, data):
    p, n, total, q = joint(*table)
    springs = FisherSprings(Mixture(*table))
    least = sum(mp(s) * mp_kl(row, q) for s, row in zip(n, p, strict=True))
    assert springs.energy(base=math.e) == pytest.approx(float(least), rel=1e-12, abs=0)
    counts = data.draw(st.lists(st.integers(0, 20), min_size=len(q), max_size=len(q)).filter(any))
    node = np.array(counts) / sum(counts)
    excess = total * Fraction(1) if any(b and not a for a, b in zip(counts, q, strict=True)) else None
    found = springs.energy(node, base=math.e)
    if excess is not None:
        assert found == math.inf
        return
    # E(x) = E(q) + T KL(q || x)
    expected = float(least + mp(total) * mp_kl(q, [Fraction(c, sum(counts)) for c in counts]))
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-14 * float(total))


# The invariant


def test_splitting_every_leaf_changes_nothing():
    # More leaves than are visited at once.
    table, sizes = np.array([[8, 1, 1], [2, 7, 1], [1, 1, 8]]), [LARGE, 30, 7]
    whole = FisherSprings(Mixture(table, sizes))
    split = FisherSprings(Mixture(np.repeat(table, 5000, axis=1), sizes))
    assert split.forces.shape == (3, 15_000)
    np.testing.assert_allclose(split.extensions, whole.extensions, rtol=1e-12)
    np.testing.assert_allclose(split.kl(reverse=True), whole.kl(reverse=True), rtol=1e-12)
    one, other = split.invariant(2, 5), whole.invariant(2, 5)
    for field in fields(one):
        np.testing.assert_allclose(getattr(one, field.name), getattr(other, field.name), rtol=1e-11)


@given(tables(), st.sampled_from([1e-6, 0.125, 1, 1000, LARGE]), st.data())
@example(([[1, 2, 3], [3, 2, 1], [1, 1, 1]], [LARGE, 1, 1]), 1e-6, None)
def test_invariant_is_the_finite_change(table, amount, data):
    p, n, total, q = joint(*table)
    t = data.draw(st.integers(0, len(p) - 1)) if data else 2
    found = FisherSprings(Mixture(*table)).invariant(t, amount, base=math.e)
    grown = total + Fraction(amount)
    after = [(b * total + Fraction(amount) * a) / grown for a, b in zip(p[t], q, strict=True)]
    shift = Fraction(amount) / grown
    with mpmath.workdps(80):
        remainder = mp(total) * mp_kl(q, after)
        # Distances of the rounded p_i - q and p_t - q, times one another, over q.
        h = scales(p, n, total)
        assert found.remainder == pytest.approx(float(remainder), rel=1e-9, abs=float(total) * 1e-30)
        for i, row in enumerate(p):
            room = sum(h[i][x] * h[t][x] / q[x] for x in range(len(q)) if q[x]) * shift * n[i]
            forward = mp(n[i]) * (mp_kl(row, after) - mp_kl(row, q))
            assert abs(mp(found.forward[i]) - forward) <= 1e-12 * (float(room) + float(abs(forward)))
            if mp_kl(q, row) == mpmath.inf:
                assert math.isnan(found.reverse[i])
                assert math.isnan(found.reverse_response[i])
                continue
            reverse = mp(n[i]) * (mp_kl(after, row) - mp_kl(q, row))
            # |p_t - q| |log(q / p_i)|, leaf by leaf.
            reach = sum(
                mp(h[t][x]) * (abs(mpmath.log(mp(q[x] / row[x]))) + mp(h[i][x] / q[x]))
                for x in range(len(q))
                if q[x]
            )
            room = float(mp(n[i]) * mp(shift) * reach)
            assert abs(mp(found.reverse[i]) - reverse) <= 1e-12 * (room + float(abs(reverse)))


@pytest.mark.parametrize("amount", [1e-21, 1e-6, 1.0, 1e20])
def test_second_order_is_kept_where_the_first_vanishes(amount):
    # |S_12 - 1| = 4e-27: the first order nearly cancels, and the change of the first rate is of second order.
    table, sizes = [[1, 1, 2], [0, 2, 2], [1, 1, 1]], [1e14, 1e-12, 10]
    p, n, total, q = joint(table, [Fraction(size) for size in sizes])
    grown = total + Fraction(amount)
    after = [(b * total + Fraction(amount) * a) / grown for a, b in zip(p[1], q, strict=True)]
    found = FisherSprings(Mixture(table, sizes)).invariant(1, amount, base=math.e)
    with mpmath.workdps(120):
        for i, row in enumerate(p):
            change = mp(n[i]) * (mp_kl(row, after) - mp_kl(row, q))
            assert abs(mp(found.forward[i]) / change - 1) < 1e-14


@given(tables(), st.sampled_from([1e-3, 1, 1e3, LARGE]))
def test_finite_conservation_law(table, amount):
    springs = FisherSprings(Mixture(*table))
    found = springs.invariant(0, amount)
    slack = 1e-12 * np.abs(found.forward).max()
    assert abs(found.forward.sum() - found.remainder) <= slack
    # With the sizes after: -T' KL(q' || q). The two bracket zero.
    after = springs.mixture.perturb(0, amount)
    back = -after.total_size * kl_divergence(after.joint, springs.node)
    grown = found.forward.sum() + found.forward[0] / springs.stiffness[0] * amount
    scale = np.abs(found.forward).max() + abs(found.forward[0] / springs.stiffness[0] * amount)
    assert grown == pytest.approx(back, abs=1e-12 * scale + 1e-14 * after.total_size)
    assert found.remainder >= 0


def test_finite_differences_tend_to_the_response():
    mixture = Mixture([[5, 3, 1, 1], [1, 5, 3, 1], [1, 1, 5, 3]], [1000, 10, 1])
    off = []
    for amount in (1.0, 1e-2, 1e-4):
        found = FisherSprings(mixture).invariant(2, amount)
        expected = mixture.sizes * mixture.response()[:, 2] * amount
        np.testing.assert_allclose(found.forward_response, expected, rtol=4 * U)
        off.append(
            [
                np.abs(found.forward / found.forward_response - 1).max(),
                np.abs(found.reverse / found.reverse_response - 1).max(),
            ]
        )
    # First order: a hundredth of the amount, a hundredth of the distance.
    np.testing.assert_allclose(np.array(off[:-1]) / off[1:], 100, rtol=0.05)


def test_invariant_of_removed_data_down_to_the_last_crumb():
    springs = FisherSprings(Mixture([[1, 1, 0], [0, 1, 2]], [8, 4]))
    for left in (2.0, 2.0**-40):
        found = springs.invariant("D2", left - 4, base=math.e)
        q, after = springs.node, springs.mixture.with_sizes([8, left]).joint
        # Leaf 3 has D2's data only, so its log is that of the data left.
        log = [math.log(after[0] / q[0]), math.log(after[1] / q[1]), math.log(left / 4 * 12 / (8 + left))]
        expected = -springs.stiffness * (springs.anchors @ log)
        np.testing.assert_allclose(found.forward, expected, rtol=1e-12)


def test_published_form_gives_opposite_pulls_up_to_the_l_term():
    mixture = published_form([[3, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], k=LARGE, l=Fraction(1, 1000))
    found = FisherSprings(mixture).invariant("perturb", 1e-6, base=math.e)
    pre, align, perturb = found.forward_response
    assert pre < 0 < align
    # The law: the three sum to zero. The paper's two differ by the third, l / (1 - l) of it at most here.
    assert pre + align + perturb == pytest.approx(0, abs=1e-12 * align)
    assert -pre / align == pytest.approx(1 - 2e-3, rel=1e-9)


@pytest.mark.parametrize("l", [1e-2, 1e-4, 1e-8])
def test_disjoint_datasets_break_the_invariant_however_small_the_perturbing_one(l):
    found = FisherSprings(Mixture([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [1000, 1, l])).invariant(2, l / 1000)
    # n_i R_it = n_i / T for both, and (n_t - T) / T for D_t itself.
    np.testing.assert_allclose(
        found.forward_response, np.array([1000, 1, -1001]) * l / 1001e3 / math.log(2), 2e-5
    )
    np.testing.assert_allclose(found.forward / found.forward[1], [1000, 1, -1000.5], rtol=2e-5)


def test_reverse_response_of_a_tiny_amount():
    amount = 1e-294
    found = FisherSprings(Mixture([[1e-300, 1], [1, 1e-300]], [1e12, 1])).invariant(1, amount, base=math.e)
    with mpmath.workdps(400):
        tiny, n = mp(1e-300), (mp(1e12), mp(1))
        p = [(tiny, mpmath.mpf(1)), (mpmath.mpf(1), tiny)]
        q = [sum(map(operator.mul, n, leaf)) / sum(n) for leaf in zip(*p, strict=True)]
        expected = [
            float(
                size
                * mp(amount)
                / sum(n)
                * sum((b - c) * mpmath.log(c / a) for a, b, c in zip(row, p[1], q, strict=True))
            )
            for size, row in zip(n, p, strict=True)
        ]
    np.testing.assert_allclose(found.reverse_response, expected, rtol=1e-12)
    np.testing.assert_allclose(found.reverse, expected, rtol=1e-12)


def test_the_directions_agree_to_first_order_in_the_distance():
    rng = np.random.default_rng(3)
    centre = rng.dirichlet(np.ones(6))
    shape = rng.normal(size=(3, 6)) * centre
    shape -= shape.sum(axis=1, keepdims=True) * centre
    gaps, lengths, sums = [], [], []
    for near in (1e-2, 1e-3, 1e-4):
        springs = FisherSprings(Mixture(centre + near * shape, [5, 3, 2]))
        found = springs.invariant(2, 1e-3, base=math.e)
        gaps.append(np.abs(found.reverse_response / found.forward_response - 1).max())
        lengths.append(np.abs(2 * springs.kl(math.e) / springs.extensions**2 - 1).max())
        sums.append(abs(found.reverse_response.sum()) / np.abs(found.reverse_response).max())
    for gap in (gaps, lengths, sums):
        np.testing.assert_allclose(np.divide(gap[:-1], gap[1:]), 10, rtol=0.3)


# The flow


@given(tables(), st.data())
def test_flow_agrees_with_integration(table, data):
    springs = FisherSprings(Mixture(*table))
    leaves = springs.node.size
    counts = data.draw(st.lists(st.integers(0, 20), min_size=leaves, max_size=leaves).filter(any))
    start, tau = np.array(counts) / sum(counts), np.array([[3.0, 0.0], [0.5, 20.0]])
    for towards in (None, 0):
        closed = springs.flow(start, tau, towards=towards)
        assert closed.shape == (2, 2, leaves)
        assert closed.min() >= 0
        np.testing.assert_allclose(closed.sum(axis=-1), 1, rtol=(leaves + 8) * U)
        steps = springs.flow(start, tau, towards=towards, integrate=True)
        np.testing.assert_allclose(closed, steps, rtol=0, atol=AGREE)
    np.testing.assert_array_equal(springs.flow(start, 0), start)


def test_flow_is_natural_gradient_descent_in_the_logits():
    # Nothing of the closed form: the gradient of the energy in the logits, by the chain rule from
    # E = -sum n_i p_i log softmax, against the Fisher information of the softmax, pseudo-inverted.
    mixture = Mixture([[5, 3, 1, 1], [1, 1, 4, 4]], [7, 2])
    springs = FisherSprings(mixture)
    counts = mixture.sizes @ mixture.distributions
    total = mixture.total_size

    def descend(_, logits):
        x = special.softmax(logits)
        jacobian = np.diag(x) - np.outer(x, x)
        gradient = jacobian @ (-counts / x) / total
        return -np.linalg.pinv(jacobian, rcond=1e-12) @ gradient

    start = np.array([0.1, 0.2, 0.3, 0.4])
    tau = [0.1, 1.0, 5.0]
    found = integrate.solve_ivp(descend, (0, 5), np.log(start), "DOP853", tau, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        springs.flow(start, tau), special.softmax(found.y, axis=0).T, rtol=0, atol=AGREE
    )


def test_energy_falls_along_the_flow_at_least_as_fast_as_the_distance():
    springs = FisherSprings(Mixture([[5, 3, 1, 0], [1, 1, 4, 4]], [7, 2]))
    tau = np.linspace(0, 10, 41)
    path = springs.flow([0.25, 0.25, 0.25, 0.25], tau)
    excess = np.array([springs.energy(x) for x in path]) - springs.energy()
    assert (np.diff(excess) < 0).all()
    assert (excess <= excess[0] * np.exp(-tau) * (1 + 1e-9)).all()


@given(tables(), st.floats(0, 50), st.data())
def test_training_on_one_dataset_equals_adding_it(table, tau, data):
    springs = FisherSprings(Mixture(*table))
    t = data.draw(st.integers(0, len(table[0]) - 1))
    added = springs.equivalent_size(tau)
    flowed = springs.flow(springs.node, tau, towards=t)
    np.testing.assert_allclose(flowed, springs.mixture.perturb(t, float(added)).joint, rtol=32 * U)
    # e^tau turns a rounding of tau into tau roundings.
    assert springs.equivalent_time(added) == pytest.approx(tau, rel=8 * U)


def test_equivalent_sizes():
    springs = FisherSprings(Mixture([[1, 0], [0, 1]], [3, 1]))
    np.testing.assert_allclose(springs.equivalent_size([0, 1e-20, math.log(3)]), [0, 4e-20, 8], rtol=4 * U)
    assert springs.equivalent_size(1000) == math.inf
    found = springs.equivalent_time([0, 4e-20, 4 * math.expm1(700)]).tolist()
    assert found == pytest.approx([0, 1e-20, 700], rel=4 * U, abs=0)


@given(st.integers(1, 50), st.floats(0.001, 0.9))
def test_fixed_steps_are_the_flow_at_whole_times(steps, rate):
    springs = FisherSprings(Mixture([[3, 1, 1], [0, 1, 1]], [3, 1]))
    x = np.array([0.2, 0.3, 0.5])
    stepped = x
    for _ in range(steps):
        stepped = stepped + rate * (springs.node - stepped)
    np.testing.assert_allclose(
        springs.flow(x, -steps * math.log1p(-rate)), stepped, rtol=0, atol=4 * steps * U
    )


def test_refused_arguments_of_the_springs(unchecked):
    springs = FisherSprings(Mixture([[1, 0], [0, 1]], [3, 1]))
    for call, error, message in [
        (lambda: FisherSprings([[1, 0]]), TypeError, "mixture is a list: must be a Mixture"),
        (lambda: springs.kl(base=1), ValueError, "base = 1"),
        (lambda: springs.kl(base=1, reverse=True), ValueError, "base = 1"),
        (lambda: springs.energy([0.5, 0.25, 0.25]), ValueError, r"node has shape \(3,\): must be \(2,\)"),
        (lambda: springs.energy([0.5, 0.6]), ValueError, "must sum to 1"),
        (lambda: springs.flow([1.5, -0.5], 1), ValueError, r"start\[1\] = -0.5"),
        (lambda: springs.flow([1, 0], [1, -1]), ValueError, r"tau\[1\] = -1.0"),
        (lambda: springs.flow([1, 0], 1, towards="web"), ValueError, "towards = 'web'"),
        (lambda: springs.equivalent_size(-1), ValueError, "tau = -1.0"),
        (lambda: springs.equivalent_time(math.nan), ValueError, "size = nan"),
        (lambda: springs.invariant(5, 1), ValueError, "dataset = 5"),
        (lambda: springs.invariant(1, -1), ValueError, "amount = -1"),
        (lambda: springs.invariant(1, 1e300), ValueError, r"amount = 1e\+300: must leave dataset 1"),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_tables_give_back_the_arrays():
    chain = SpringChain([1, 3, 2])
    loads = np.arange(8.0).reshape(4, 2)
    state, motion = chain.under_load(loads), chain.simulate([0, 1, 5], load=3)
    frame = state.to_frame()
    assert frame.index.names == ["dim_0", "dim_1", "spring"]
    arrays = {name: frame[name].to_numpy().reshape(frame.index.levshape) for name in frame}
    np.testing.assert_array_equal(arrays["positions"], state.positions[..., 1:])
    np.testing.assert_array_equal(arrays["tensions"], state.tensions)
    np.testing.assert_array_equal(arrays["energy"][..., 0], state.energy)
    assert chain.under_load(3).to_frame().index.names == ["spring"]
    frame = motion.to_frame()
    assert frame.index.names == ["time", "node"]
    np.testing.assert_array_equal(frame["velocities"].to_numpy().reshape(3, 3), motion.velocities)
    np.testing.assert_array_equal(frame["rest"].to_numpy()[:3], motion.rest)
    assert motion.to_dict()["rest"] == motion.rest.tolist()
