"""Springs drawn: what stands in the Axes is what the theory says, computed another way."""

import math
from fractions import Fraction
from itertools import combinations, pairwise

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from matplotlib import pyplot as plt
from matplotlib.patches import Arc
from matplotlib.quiver import Quiver
from matplotlib.text import Text
from PIL import Image
from tests.drawing import labelled, labels, recorded
from tests.exact import overlaps

from tokentree import (
    FisherSprings,
    Mixture,
    SpringChain,
    depth_curve,
    kl_divergence,
    published_form,
    response_curve,
    unexpanded_bounds,
)
from tokentree.adapters import read_model
from tokentree.plotting import (
    animate_springs,
    plot_chain_motion,
    plot_depth_curve,
    plot_extension_gap,
    plot_fisher_triangle,
    plot_force_extension,
    plot_invariant,
    plot_rate_change,
    plot_rates,
    plot_ratio,
    plot_response,
)

THIRDS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
OVERLAPPING = [[8, 1, 1, 2], [1, 8, 1, 0], [2, 5, 3, 1]]


def anchors(ax):
    return np.transpose(labelled(ax, "datasets").get_data())


def gram(rows, sizes):
    """<p_i - q, p_t - q> in the Fisher metric at q: S_it - 1."""
    return [[entry - 1 for entry in row] for row in overlaps(rows, sizes)]


@st.composite
def datasets(draw):
    n, m = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    row = st.lists(st.integers(0, 9), min_size=m, max_size=m).filter(any)
    sizes = st.lists(st.integers(1, 100), min_size=n, max_size=n)
    return draw(st.lists(row, min_size=n, max_size=n)), draw(sizes)


# The Fisher triangle


@given(datasets())
@example((THIRDS, [1, 1, 1]))
@example(([[1, 2], [1, 2], [2, 1]], [5, 1, 1]))
@example(([[1, 2], [1, 2], [1, 2]], [5, 1, 1]))
@example(([[1]], [3]))
def test_triangle_is_isometric_and_its_forces_balance(drawn):
    rows, sizes = drawn
    mixture = Mixture(rows, sizes)
    ax = plot_fisher_triangle(mixture)
    points = anchors(ax)
    exact = np.array(gram(rows, sizes), float)
    # Products of coordinates, each right to a few units in the last place of the longest vector.
    np.testing.assert_allclose(points @ points.T, exact, rtol=0, atol=1e-13 * max(exact.max(), 1e-300))
    np.testing.assert_array_equal(np.transpose(labelled(ax, "model").get_data()), [[0, 0]])

    arrows = [each for each in ax.collections if isinstance(each, Quiver)]
    sizes_of_forces = np.sqrt(np.diag(exact)) * sizes
    assert len(arrows) == (not np.allclose(exact, 0, atol=1e-14))
    for arrow in arrows:
        forces = np.stack([arrow.U, arrow.V], axis=1)
        largest = sizes_of_forces.max()
        assert np.abs(forces.sum(axis=0)).max() <= 1e-12 * largest
        np.testing.assert_allclose(np.hypot(*forces.T), sizes_of_forces, rtol=0, atol=1e-12 * largest)
        # From q towards the anchors.
        assert (np.einsum("ij,ij->i", forces, points) >= 0).all()
        assert (arrow.X == 0).all()
        assert (arrow.Y == 0).all()
        assert (arrow.angles, arrow.scale_units) == ("xy", "xy")
    plt.close("all")


def test_triangle_keeps_its_scale_where_one_dataset_dwarfs_the_others():
    k = 10**12
    points = anchors(plot_fisher_triangle(Mixture(OVERLAPPING, [k, 1, 1])))
    exact = gram(OVERLAPPING, [k, 1, 1])
    for i, t in ((0, 0), (0, 1), (0, 2), (1, 2)):
        assert points[i] @ points[t] == pytest.approx(float(exact[i][t]), rel=1e-12)
    assert math.hypot(*points[0]) < 1e-11


@pytest.mark.parametrize("sizes", [[3, 1, 1], [1, 1, 30], [1000, 1, 2]])
def test_angles_say_which_rates_rise(sizes):
    mixture = Mixture(OVERLAPPING, sizes)
    ax = plot_fisher_triangle(FisherSprings(mixture))
    exact = np.array(gram(OVERLAPPING, sizes), float)
    arcs = [patch for patch in ax.patches if isinstance(patch, Arc)]
    lines = labels(ax)[:3]
    assert sum("acute" in line for line in lines) <= 1
    for arc, label, (i, t) in zip(arcs, lines, combinations(range(3), 2), strict=True):
        cosine = exact[i, t] / math.sqrt(exact[i, i] * exact[t, t])
        assert arc.theta2 - arc.theta1 == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-9)
        ends = {round(angle % 360, 6) for angle in (arc.theta1, arc.theta2)}
        points = anchors(ax)
        assert ends == {round(math.degrees(math.atan2(*points[j][::-1])) % 360, 6) for j in (i, t)}
        # The rate itself, after a little more data.
        for one, other in ((i, t), (t, i)):
            moved = mixture.perturb(other, 1e-4).rates()[one] - mixture.rates()[one]
            assert ("obtuse, rates rise" in label) == (moved > 0)
            assert ("acute, rates fall" in label) == (moved < 0)
        assert label.startswith(f"D{i + 1}, D{t + 1}: $S = {exact[i, t] + 1:.3g} ")


@pytest.fixture
def read_in_part():
    # Where a twentieth of the last dataset lies decides whether it goes with the first.
    rows = np.log([[0.9, 0.09, 0.01], [0.1, 0.8, 0.1], [0.89, 0.06, 0.05]])
    trees = [
        read_model(lambda prefixes, row=row: np.tile(row, (len(prefixes), 1)), 1, top_k=k)
        for row, k in zip(rows, (3, 3, 2), strict=True)
    ]
    return dict(zip(("web", "chat", "model"), trees, strict=True))


def test_what_is_not_certain_of_rates_is_marked(read_in_part):
    mixture = Mixture.from_trees(read_in_part, [10, 1, 1])
    bounds = unexpanded_bounds(read_in_part, [10, 1, 1])
    open_ = [bounds.sign(i, t) == 0 for i, t in combinations(range(3), 2)]
    assert open_ == [False, True, False]
    found = labels(plot_fisher_triangle(mixture))[:3]
    assert [label.endswith(" as read, not certain") for label in found] == open_
    known = Mixture(mixture.rows.values, [10, 1, 1])
    assert not any("as read" in label for label in labels(plot_fisher_triangle(known)))
    signs = np.array([text.get_text() for text in plot_response(mixture).texts]).reshape(3, 3)
    expected = [[bounds.sign(i, t) == 0 for t in range(3)] for i in range(3)]
    np.testing.assert_array_equal(np.strings.endswith(signs, "?"), expected)
    assert not any("?" in text.get_text() for text in plot_response(known).texts)


@pytest.mark.parametrize(
    "plot",
    [
        lambda mixture: plot_rates(mixture, [1, 2]),
        plot_response,
        plot_fisher_triangle,
        lambda mixture: plot_invariant(mixture, "model", [1, 2]),
        lambda mixture: plot_extension_gap(mixture, [1, 2]),
        lambda mixture: recorded(animate_springs(mixture, "model", [1, 2]), lambda left, _: left)[0],
    ],
    ids=["rates", "response", "triangle", "invariant", "gap", "springs"],
)
def test_unexpanded_shares_stand_beside_the_names(plot, read_in_part):
    mixture = Mixture.from_trees(read_in_part, [10, 1, 1])
    for each, noted in (
        (mixture, True),
        (Mixture(mixture.rows.values, [10, 1, 1], names=mixture.names), False),
    ):
        figure = plot(each).get_figure(root=True)
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert any("model (5% unexpanded)" in text for text in texts) == noted
        assert not any("web (" in text or "chat (" in text for text in texts)
        plt.close(figure)


@pytest.mark.parametrize(
    "plot",
    [
        lambda trees: plot_ratio(list(trees.values()), 10, 1),
        lambda trees: plot_depth_curve(depth_curve(trees)),
        lambda trees: plot_rate_change(response_curve(Mixture.from_trees(trees), [0.5, 1]), "align"),
    ],
    ids=["ratio", "depth", "change"],
)
def test_legends_of_trees_read_in_part_say_so(plot, read_in_part):
    title = plot(read_in_part).get_legend().get_title().get_text()
    assert title.split("\n")[-1] == "up to 5% of a dataset unexpanded"
    whole = dict.fromkeys(read_in_part, read_in_part["web"])
    assert "unexpanded" not in plot(whole).get_legend().get_title().get_text()


def test_overlaps_near_one_keep_their_sign():
    # S_12 = 1 - 1/(1 + 2k), about, and 1 exactly.
    near = plot_fisher_triangle(Mixture([[1, 1], [2, 1]], [10**6, 1]))
    excess = gram([[1, 1], [2, 1]], [10**6, 1])[0][1]
    assert -1e-6 < excess < 0
    figures, power = f"{-float(excess):.1e}".split("e")
    assert (
        labels(near)[0] == rf"D1, D2: $S = 1 - {figures} \times 10^{{{int(power)}}} < 1$, obtuse, rates rise"
    )
    middle = plot_fisher_triangle(Mixture([[1, 1], [1, 0], [0, 1]], [5, 1, 1]))
    assert labels(middle)[0] == "D1, D2: $S = 1$, neither rate moves"
    # Only the pair with forces has an angle.
    assert sum(isinstance(patch, Arc) for patch in middle.patches) == 1


def test_longest_side_is_level_and_the_third_dataset_above():
    points = anchors(plot_fisher_triangle(Mixture(OVERLAPPING, [3, 1, 1])))
    sides = {pair: math.dist(points[pair[0]], points[pair[1]]) for pair in combinations(range(3), 2)}
    i, t = max(sides, key=sides.get)
    assert points[i, 1] == pytest.approx(points[t, 1], abs=1e-14)
    assert points[i, 0] < points[t, 0]
    assert points[3 - i - t, 1] > points[i, 1]


def test_equal_datasets_have_no_force_and_one_label():
    ax = plot_fisher_triangle(Mixture([[1, 1], [1, 1], [2, 2]], [3, 1, 1], names=["a$b$", "c", "d"]))
    assert "none: the distributions are equal" in labels(ax)[-1]
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["a\\$b\\$, $n = 3$\nc, $n = 1$\nd, $n = 1$", "$q$"]
    assert not [patch for patch in ax.patches if isinstance(patch, Arc)]
    ax.figure.canvas.draw()


def test_triangle_asks_for_a_plane(unchecked):
    with pytest.raises(ValueError, match="mixture has 4 datasets: a plane shows at most 3"):
        plot_fisher_triangle(Mixture(np.eye(4, dtype=int), [1, 1, 1, 1]))
    with pytest.raises(TypeError, match="mixture is a str"):
        plot_fisher_triangle("mixture")


# The chain


def test_force_extension_is_hookes_law():
    chain, force = SpringChain([1, 3, 7], ["p", "a", "t"]), 5.0
    ax = plot_force_extension(chain, force=force, units=("cm", "N"))
    whole, *springs = ax.get_lines()
    for line, k in zip(springs, (1, 3, 7), strict=True):
        x, y = line.get_data()
        np.testing.assert_allclose(y, np.multiply(k, x), rtol=1e-15)
        assert y[-1] == force
    x, y = whole.get_data()
    assert x[-1] == pytest.approx(float(sum(Fraction(5, k) for k in (1, 3, 7))), rel=1e-15)
    assert x[-1] == pytest.approx(chain.under_load(force).positions[-1], rel=1e-15)
    assert labels(ax) == [
        r"chain, $k_\mathrm{eff} = 0.6774$",
        "p, $k = 1$",
        "a, $k = 3$",
        "t, $k = 7$",
    ]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("extension (cm)", "force (N)")
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")


def test_a_thousand_springs_from_soft_to_hard():
    k = 10 ** np.random.default_rng(0).uniform(-9, 9, 1000)
    ax = plot_force_extension(SpringChain(k))
    whole, *springs = ax.get_lines()
    assert (ax.get_xscale(), ax.get_yscale(), len(springs)) == ("log", "log", 1000)
    assert whole.get_xdata()[-1] == pytest.approx(
        math.fsum(line.get_xdata()[-1] for line in springs), rel=1e-14
    )
    np.testing.assert_allclose([line.get_xdata()[-1] for line in springs], 1 / k, rtol=1e-15)
    assert (whole.get_xdata() > 0).all()
    named = [label.split(",")[0] for label in labels(ax)]
    assert sorted(named) == sorted(["chain", f"k{k.argmin() + 1}", f"k{k.argmax() + 1}"])
    ax.figure.canvas.draw()


def test_one_spring_is_its_chain():
    ax = plot_force_extension(SpringChain([2]))
    (whole, spring) = ax.get_lines()
    np.testing.assert_array_equal(whole.get_data(), spring.get_data())


@pytest.mark.parametrize("force", [0, -1, math.inf, math.nan])
def test_force_must_pull(force):
    with pytest.raises(ValueError, match=r"force = .*must be finite and > 0"):
        plot_force_extension(SpringChain([1]), force=force)


@pytest.mark.parametrize("n", [1, 3, 4, 12])
def test_motion_against_integration(n):
    rng = np.random.default_rng(n)
    chain = SpringChain(rng.uniform(1, 5, n))
    times = rng.permutation(np.linspace(0, 20, 60))
    options = {"load": 2.0, "mass_damping": 0.3}
    ax = plot_chain_motion(chain.simulate(times, **options), units=("s", "cm"))
    check = chain.simulate(np.sort(times), **options, integrate=True).displacements
    moving = [line for line in ax.get_lines() if len(line.get_xdata()) == 60]
    assert len(moving) == n
    drawn = np.array([line.get_ydata() for line in moving])
    # Of many nodes the first and the last come on top.
    order = range(n) if n <= 4 else [*range(1, n - 1), 0, n - 1]
    np.testing.assert_allclose(drawn, check.T[list(order)], rtol=0, atol=1e-8)
    for line in moving:
        np.testing.assert_array_equal(line.get_xdata(), np.sort(times))
    names = labels(ax)
    named = [f"node {j + 1}" for j in (range(n) if n <= 4 else (0, n - 1))]
    assert names == [*named, "at rest under the load"]
    rest = [line.get_ydata()[0] for line in ax.get_lines() if len(line.get_xdata()) == 2]
    balance = chain.under_load(2.0).positions[1:]
    np.testing.assert_allclose(rest, balance if n <= 4 else balance[[0, -1]], rtol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "displacement (cm)")


# The invariant


def test_invariant_is_size_times_change():
    mixture = Mixture([[8, 1, 1], [1, 8, 1], [3, 1, 6]], [100, 3, 1])
    sizes = np.array([0.25, 1, 2, 10])
    ax = plot_invariant(mixture, 2, sizes, base=math.e)
    p, before = mixture.distributions, mixture.joint
    zero, *lines = ax.get_lines()
    assert set(zero.get_ydata()) == {0}
    assert len(lines) == 7
    after = [mixture.with_sizes([100, 3, size]).joint for size in sizes]
    for i in range(3):
        n = mixture.sizes[i]
        forward, reverse = lines[2 * i : 2 * i + 2]
        np.testing.assert_array_equal(forward.get_xdata(), sizes)
        change = [n * (kl_divergence(p[i], q, math.e) - kl_divergence(p[i], before, math.e)) for q in after]
        np.testing.assert_allclose(forward.get_ydata(), change, rtol=0, atol=1e-12)
        change = [n * (kl_divergence(q, p[i], math.e) - kl_divergence(before, p[i], math.e)) for q in after]
        np.testing.assert_allclose(reverse.get_ydata(), change, rtol=0, atol=1e-12)
        assert (forward.get_marker(), reverse.get_marker()) == ("None", "o")
    total = np.sum([line.get_ydata() for line in lines[:6:2]], axis=0)
    np.testing.assert_allclose(lines[6].get_ydata(), total, rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        total, [mixture.total_size * kl_divergence(before, q, math.e) for q in after], rtol=0, atol=1e-12
    )
    assert ax.get_ylabel() == r"$|D_i|\,\Delta$KL (nats)"


def test_infinite_direction_is_named_not_dropped():
    thirds = published_form(THIRDS, k=100, l=0.01)
    ax = plot_invariant(FisherSprings(thirds), "perturb", [0.01, 0.1])
    reverse = {label.split(":")[0]: label for label in labels(ax) if r"q\,\Vert\,p" in label}
    # D_p has every leaf, the other two a third of them each.
    assert [label.endswith(": infinite") for label in reverse.values()] == [False, True, True]
    assert len(ax.get_lines()) == 1 + 3 + 1 + 1
    assert ax.get_ylabel().endswith("(bits)")
    ax.figure.canvas.draw()


def test_two_springs_in_series_mirror_one_another():
    # The response of the larger, and of the smaller but for its second order.
    pair = Mixture([[2, 1], [1, 2]], [1000, 1])
    ax = plot_invariant(pair, 1, [1, 1.0001])
    forward = [line.get_ydata()[-1] for line in ax.get_lines()[1::2][:2]]
    assert forward[0] == pytest.approx(-forward[1], rel=1e-3)
    assert forward[0] > 0


@pytest.mark.parametrize(
    ("sizes", "rule"),
    [
        ([1.0, 0.0], r"sizes\[1\] = 0.0: must be finite and > 0"),
        ([], r"sizes has shape \(0,\): must be one-dimensional"),
        ([[1.0]], r"sizes has shape \(1, 1\)"),
    ],
)
@pytest.mark.parametrize("draw", [plot_invariant, animate_springs])
def test_sizes_are_checked(unchecked, draw, sizes, rule):
    with pytest.raises(ValueError, match=rule):
        draw(Mixture(THIRDS, [1, 1, 1]), 2, sizes)


def test_base_names_the_unit():
    mixture = Mixture(THIRDS, [1, 1, 1])
    assert plot_invariant(mixture, 2, [1, 2], base=10).get_ylabel().endswith("(log base 10)")
    with pytest.raises(ValueError, match="base = 1"):
        plot_invariant(mixture, 2, [1, 2], base=1)


# The animation


@pytest.mark.parametrize("rows", [OVERLAPPING, THIRDS, [[1, 2], [1, 2], [2, 1]], [[1, 0], [0, 1]]])
def test_node_is_the_mixtures_model_in_every_frame(rows):
    mixture, sizes = Mixture(rows, [4, 2, 1][: len(rows)]), [0.5, 1, 3, 50]
    t = len(rows) - 1
    seen = recorded(
        animate_springs(mixture, t, sizes),
        lambda left, right: (np.ravel(labelled(left, "model $q$").get_data()), anchors(left)),
    )
    assert len(seen) == 4
    p = mixture.distributions
    first = mixture.perturb(t, 0.5 - mixture.sizes[t]).joint
    metric = np.divide(1, first, out=np.zeros_like(first), where=first > 0)
    for size, (node, points) in zip(sizes, seen, strict=True):
        q = mixture.perturb(t, size - mixture.sizes[t]).joint
        # One embedding for all frames: distances from q to every anchor fix q's place in it.
        np.testing.assert_array_equal(points, seen[0][1])
        for anchor, point in zip(p, points, strict=True):
            assert math.dist(node, point) == pytest.approx(
                math.sqrt(((q - anchor) ** 2 * metric).sum()), rel=1e-12, abs=1e-14
            )
    np.testing.assert_allclose(seen[0][0], 0, atol=1e-15)


def test_springs_rates_and_invariant_follow():
    mixture, sizes = Mixture(OVERLAPPING, [40, 2, 1], names=["web", "chat", "attack"]), [1, 2, 8]

    def look(left, right):
        springs = [labelled(left, name) for name in mixture.names]
        now = labelled(right, "now")
        return (
            [(line.get_xydata()[0], line.get_xydata()[-1], line.get_linewidth()) for line in springs],
            np.ravel(labelled(left, "model $q$").get_data()),
            np.transpose(now.get_data()),
            left.figure.get_suptitle(),
            (left.get_xlim(), left.get_ylim(), left.get_position().bounds),
            labelled(left, "its path").get_xydata(),
            [labelled(right, name).get_data() for name in mixture.names],
        )

    animation = animate_springs(mixture, "attack", sizes, base=math.e)
    seen = recorded(animation, look)
    start = mixture.rates(math.e)
    points = anchors(plot_fisher_triangle(mixture))
    for frame, size in enumerate(sizes):
        springs, node, now, text, place, path, _ = seen[frame]
        after = mixture.with_sizes([40, 2, size])
        for (begin, end, _), point in zip(springs, points, strict=True):
            np.testing.assert_allclose(begin, node, atol=1e-15)
            np.testing.assert_allclose(end, point, atol=1e-15)
        np.testing.assert_array_equal(now[:, 0], size)
        np.testing.assert_allclose(
            now[:, 1], mixture.sizes * (after.rates(math.e) - start), rtol=0, atol=1e-13
        )
        for line, name, n, rate in zip(
            text.split("\n"), mixture.names, after.sizes, after.rates(math.e), strict=True
        ):
            words = line.split()
            assert (words[0], float(words[1]), words[4:]) == (name, n, ["nats", "per", "block"])
            assert float(words[3]) == pytest.approx(rate, abs=5e-7)
        assert place == seen[0][4]
        np.testing.assert_array_equal(path, [each[1] for each in seen[: frame + 1]])
    widths = [[spring[2] for spring in each[0]] for each in seen]
    assert all(a[0] == b[0] and a[1] == b[1] and a[2] < b[2] for a, b in pairwise(widths))
    assert widths[0][0] > widths[0][1] > widths[0][2]
    for i, (x, y) in enumerate(seen[0][6]):
        np.testing.assert_array_equal(x, sizes)
        np.testing.assert_array_equal(y, [each[2][i, 1] for each in seen])


def test_gif_has_every_frame(tmp_path):
    mixture = Mixture(THIRDS, [4, 1, 1])
    animate_springs(mixture, 2, np.geomspace(0.1, 10, 7), interval=40).save(
        tmp_path / "s.gif", writer="pillow"
    )
    with Image.open(tmp_path / "s.gif") as image:
        assert image.n_frames == 7
        image.seek(3)
        assert image.info["duration"] == 40
    assert not plt.get_fignums()


def test_equal_datasets_stand_still():
    mixture = Mixture([[1, 1]] * 3, [1, 1, 1])
    seen = recorded(
        animate_springs(mixture, 0, [1, 5]),
        lambda left, right: np.ravel(labelled(left, "model $q$").get_data()),
    )
    np.testing.assert_array_equal(seen, 0)


def test_animation_arguments(unchecked):
    with pytest.raises(ValueError, match="a plane shows at most 3"):
        animate_springs(Mixture(np.eye(4, dtype=int), [1] * 4), 0, [1])
    with pytest.raises(ValueError, match="perturb = 3: must be below"):
        animate_springs(Mixture(THIRDS, [1] * 3), 3, [1])
    with pytest.raises(ValueError, match=r"interval = 0.0: must be finite and > 0"):
        animate_springs(Mixture(THIRDS, [1] * 3), 0, [1], interval=0)
    with pytest.raises(TypeError, match="mixture is a str"):
        animate_springs("mixture", 0, [1])


# What all pictures share


def test_axes_are_taken_and_style_left_alone():
    before = dict(mpl.rcParams)
    chain, mixture = SpringChain([1, 2]), Mixture(THIRDS, [4, 1, 1])
    for draw in (
        lambda ax: plot_fisher_triangle(mixture, ax),
        lambda ax: plot_force_extension(chain, ax),
        lambda ax: plot_chain_motion(chain.simulate([0, 1]), ax),
        lambda ax: plot_invariant(mixture, 2, [1, 2], ax),
    ):
        figure, ax = plt.subplots()
        assert draw(ax) is ax
        assert draw(None).figure is not figure
    assert dict(mpl.rcParams) == before
