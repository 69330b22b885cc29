"""The map of Theorem 4.2's signs: against the closed form, finite trees, and the theorems it rests on."""

from inspect import unwrap

import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib import pyplot as plt

from tokentree.pareto import ParetoMass, pareto_convergence, pareto_limit, sign_map
from tokentree.plotting import plot_pareto_convergence, plot_sign_map
from tokentree.theorem import elasticity, published_derivatives, published_form, three_dataset_form

exponents = st.floats(1.05, 50)
powers = st.floats(-3, 12).map(lambda x: 10.0**x)
sizes = st.floats(-3, 3).map(lambda x: 10.0**x)
shares = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
merges = st.integers(0, 20).map(lambda b: 2**b)


@given(powers, sizes, exponents, st.integers(3, 8), merges)
def test_disjoint_parts_have_the_closed_form(k, l, alpha, parts, merged):
    found = sign_map(k, l, alpha, shared=0, parts=parts, merged=merged)
    closed = published_derivatives(parts, k, l, base=np.e)
    total = k + 1 + l
    assert found.excess_align == pytest.approx(total * closed.dgamma_align, rel=1e-12)
    # The terms that cancel near l = 1 / (m - 1) are of size (1 + (m - 1) l) / (k + m l).
    scale = (1 + (parts - 1) * l) / (k + parts * l)
    assert abs(found.excess_pretrain - total * closed.dgamma_pretrain) < 1e-12 * max(scale, l * scale, 1 / k)


@given(powers, sizes, exponents)
def test_three_disjoint_datasets_rise_alike(k, l, alpha):
    found = sign_map(k, l, alpha, form="three-dataset", shared=0)
    assert found.excess_align == 1
    assert found.excess_pretrain == pytest.approx(1, rel=1e-9)


@given(powers, sizes, exponents, merges)
def test_three_datasets_over_the_same_leaves_are_the_limit(k, l, alpha, merged):
    found = sign_map(k, l, alpha, form="three-dataset", merged=merged)
    limit = pareto_limit(alpha, [k, 1, l], merged=merged).excess[:, 2]
    # By different formulas for D_p: the law's terms against its own integral.
    scale = (abs(limit[1]) + l * abs(limit[2])) / k
    assert found.excess_align == pytest.approx(limit[1], rel=1e-9, abs=1e-14)
    assert abs(found.excess_pretrain - limit[0]) < 1e-11 * max(scale, abs(limit[0]))


@given(sizes, sizes, exponents, shares, st.integers(3, 5), merges)
def test_published_form_is_bilinear_in_the_parts(k, l, alpha, shared, parts, merged):
    """Against the plain sum over components, at the weights that say how much of the data each one is."""
    found = sign_map(k, l, alpha, shared=shared, parts=parts, merged=merged)
    held = np.full(parts, k / parts)
    held[1:3] += 1, l
    overlap = shared * pareto_limit(alpha, held, merged=merged).overlap
    overlap += (1 - shared) * np.diag(held.sum() / held)
    for value, plain in (
        (found.excess_pretrain, 1 - overlap[:, 2].mean()),
        (found.excess_align, 1 - overlap[1, 2]),
    ):
        assert value == pytest.approx(plain, abs=1e-10 * (1 + overlap[:, 2].mean()))


# What the module's docstring proves


@given(powers, sizes, exponents, shares, merges, st.sampled_from(["published", "three-dataset"]))
def test_one_sign_decides_both(k, l, alpha, shared, merged, form):
    found = sign_map(k, l, alpha, form=form, shared=shared, merged=merged)
    assert bool(found.holds) == (found.excess_pretrain < 0)


@given(st.floats(0, 12).map(lambda x: 10.0**x), sizes, exponents, shares, merges)
def test_three_datasets_of_one_law_fail_for_every_k_from_one_on(k, l, alpha, shared, merged):
    assert not sign_map(k, l, alpha, form="three-dataset", shared=shared, merged=merged).holds


def test_three_datasets_of_one_law_can_hold_below_one():
    # D_a dominates there, and D_p is the small one beside D_t.
    assert sign_map(0.1, 0.1, 2.5, form="three-dataset").holds
    assert not sign_map(0.1, 0.1, 2.5, form="three-dataset", shared=0.9).holds


@given(sizes, st.floats(1e-3, 0.999), exponents, shares, st.integers(3, 6), merges)
def test_published_form_holds_for_every_l_below_the_disjoint_limit(k, part, alpha, shared, parts, merged):
    assert sign_map(k, part / (parts - 1), alpha, shared=shared, parts=parts, merged=merged).holds


@given(st.floats(1.001, 100), exponents, shares, st.integers(3, 6), merges)
def test_published_form_fails_above_the_disjoint_limit_for_large_k(part, alpha, shared, parts, merged):
    assert not sign_map(1e9, part / (parts - 1), alpha, shared=shared, parts=parts, merged=merged).holds


def test_published_form_holds_beyond_the_disjoint_limit_for_small_k():
    assert sign_map(1, 0.65, 2.5).holds
    assert not sign_map(1, 0.75, 2.5).holds


# Finite trees


def sampled(alpha, leaves, shared, merged, count, seed):
    """Rows of `count` components: a common block of leaves, and a block of each one's own."""
    rng = np.random.default_rng(seed)

    def masses():
        return ParetoMass(alpha).sample(leaves * merged, rng).reshape(leaves, merged).sum(axis=1)

    rows = np.zeros((count, (count + 1) * leaves))
    for i, row in enumerate(rows):
        row[:leaves] = shared * masses()
        row[(i + 1) * leaves : (i + 2) * leaves] = (1 - shared) * masses()
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("merged", [1, 8])
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("form", "k", "l"),
    [
        ("published", 20, 0.25),
        ("published", 20, 1.0),
        ("published", 0.3, 0.6),
        ("three-dataset", 20, 0.5),
        ("three-dataset", 0.1, 0.1),
    ],
)
def test_proved_signs_of_samples_agree_with_the_map(form, k, l, shared, merged):
    # A sum over 10^4 leaves has a standard error of 1 percent of its terms' spread; five of those.
    alpha, leaves = 4.0, 10_000
    found = sign_map(k, l, alpha, form=form, shared=shared, merged=merged)
    signs = int(np.sign(found.excess_pretrain)), int(np.sign(found.excess_align))
    make = published_form if form == "published" else three_dataset_form
    for seed in range(3):
        decided = elasticity(make(sampled(alpha, leaves, shared, merged, 3, seed), k, l), base=np.e)
        assert decided.certified
        np.testing.assert_allclose(
            np.array([decided.dgamma_pretrain, decided.dgamma_align]) * (k + 1 + l),
            [found.excess_pretrain, found.excess_align],
            atol=0.05 * abs(found.excess_align) + 0.01 / merged,
        )
        assert decided.signs == signs
        assert decided.holds == found.holds


# Shapes and bad arguments


def test_parameters_broadcast():
    found = sign_map([[1.0], [100.0]], [0.2, 0.4, 0.6], alpha=[[1.5], [3.0]], shared=0.5, merged=[1, 2, 2])
    assert {array.shape for name, array in vars(found).items() if name not in ("form", "limit")} == {(2, 3)}
    assert found.alpha.tolist() == [[1.5] * 3, [3.0] * 3]
    assert found.merged.tolist() == [[1, 2, 2]] * 2
    for i, j in np.ndindex(2, 3):
        one = sign_map(
            found.k[i, j], found.l[i, j], found.alpha[i, j], shared=0.5, merged=int(found.merged[i, j])
        )
        assert found.excess_pretrain[i, j] == pytest.approx(one.excess_pretrain, rel=1e-9)
        assert found.holds[i, j] == one.holds


def test_more_points_than_one_chunk():
    k = np.geomspace(1, 1e6, 1500)
    found = sign_map(k, 0.3, 3.0)
    assert found.excess_align[1400] == pytest.approx(sign_map(k[1400], 0.3, 3.0).excess_align, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ValueError, r"^k = 0\.0: must be finite and > 0$"),
        ({"k": [1, np.inf]}, ValueError, r"^k\[1\] = inf: must be finite and > 0$"),
        ({"l": [[1, -1]]}, ValueError, r"^l\[0, 1\] = -1\.0: must be finite and > 0$"),
        ({"alpha": [2, 1]}, ValueError, r"^alpha\[1\] = 1\.0: must lie between 1\.05 and 50$"),
        ({"shared": [0.5, 1.5]}, ValueError, r"^shared\[1\] = 1\.5: must lie between 0 and 1$"),
        ({"shared": np.nan}, ValueError, r"^shared = nan: must lie between 0 and 1$"),
        ({"merged": 0}, ValueError, r"^merged = 0: must be an integer >= 1$"),
        ({"merged": 1.5}, TypeError, r"^merged has dtype float64: must be integers >= 1$"),
        ({"parts": 2}, ValueError, r"^parts = 2: must be an integer >= 3$"),
        (
            {"k": [1, 2], "l": [1, 2, 3]},
            ValueError,
            r"^shapes must broadcast: k \(2,\), l \(3,\), alpha \(\)",
        ),
        ({"k": [1, 1e21]}, ValueError, r"^k\[1\] = 1e\+21: a component's weight must be at least 1e-20$"),
        ({"l": "1"}, TypeError, r"^l holds text: must be real numbers"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        sign_map(**({"k": 10, "l": 0.1, "form": "three-dataset"} | arguments))


def test_unknown_form_is_named():
    with pytest.raises(ValueError, match=r"^form = 'other': must be 'published' or 'three-dataset'$"):
        unwrap(sign_map)(1, 1, form="other")


# Pictures


@pytest.mark.parametrize(
    ("form", "shared", "collections"), [("published", 1, 2), ("three-dataset", 0, 1), ("published", 0, 2)]
)
def test_map_is_drawn_with_its_boundary(form, shared, collections):
    found = sign_map(
        np.geomspace(1, 1e3, 12), np.geomspace(0.1, 5, 12)[:, None], 2.5, form=form, shared=shared
    )
    ax = plot_sign_map(found)
    ax.figure.canvas.draw()
    # The hatched region, and the line where the sign changes.
    assert len(ax.collections) == collections
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert "|D_p|" in ax.get_xlabel()
    assert "|D_t|" in ax.get_ylabel()
    assert len(ax.get_legend().get_texts()) == 3 + (form == "published")
    title = ax.get_legend().get_title().get_text()
    assert title == rf"{form} form, Pareto exponent $\alpha = 2.5$"


def test_map_where_all_holds_has_no_hatching():
    found = sign_map([1.0, 2.0], [[0.1], [0.2]])
    assert found.holds.all()
    assert len(plot_sign_map(found).collections) == 0


def test_boundary_is_where_the_overlap_is_one():
    shared = np.linspace(0, 1, 21)
    found = sign_map(1.0, np.linspace(0.1, 1, 91)[:, None], 2.5, shared=shared)
    figure, ax = plt.subplots()
    assert plot_sign_map(found, "shared", "l", ax) is ax
    assert ax.figure is figure
    assert (ax.get_xscale(), ax.get_xlabel()) == ("linear", "share of the mass on common leaves")
    # On the line the excess is that of linear interpolation between points 0.01 apart.
    x, y = ax.collections[1].get_paths()[0].vertices.T
    assert np.abs(sign_map(1.0, y, 2.5, shared=np.clip(x, 0, 1)).excess_pretrain).max() < 1e-3


def test_bad_maps_are_named():
    found = sign_map([1.0, 2.0], [[0.1], [0.2]])
    with pytest.raises(
        ValueError, match=r"^x, y = 'k', 'k': must be two different parameters among k, l, alpha"
    ):
        plot_sign_map(found, "k", "k")
    with pytest.raises(ValueError, match=r"^x, y = 'm', 'k': must be two different"):
        unwrap(plot_sign_map)(found, "m", "k")
    with pytest.raises(ValueError, match=r"^found has a grid of shape \(2,\): must be 2-D"):
        plot_sign_map(sign_map([1.0, 2.0], 0.1))


@pytest.mark.parametrize(("entry", "label"), [(1, r"\gamma_2"), ((0, 1), "S_{12}")])
def test_convergence_is_drawn_as_quantiles(entry, label):
    found = {str(a): pareto_convergence(a, [3, 1], [100, 1000], range(5)) for a in (1.5, 3)}
    figure, axes = plt.subplots()
    ax = plot_pareto_convergence(found, entry, axes)
    assert ax is axes
    assert ax.figure is figure
    assert label in ax.get_ylabel()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1.5", "3", "falls as $M^{-1/2}$"]
    one = found["3"]
    if entry == 1:
        off = np.abs(one.normalized_rates[:, :, 1] - one.limit.normalized_rates[1])
    else:
        off = np.abs(one.excess[:, :, 0, 1] - one.limit.excess[0, 1])
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), np.median(off, axis=1))
    # Bars from the 10th to the 90th percentile, and a guide below all of them.
    bars = [np.array(each.get_segments()) for each in ax.collections]
    np.testing.assert_allclose(bars[1][..., 1].T, np.quantile(off, (0.1, 0.9), axis=1), rtol=1e-12)
    x, y = ax.get_lines()[2].get_data()
    np.testing.assert_allclose(y * np.sqrt(x), y[0] * np.sqrt(x[0]), rtol=1e-12)
    assert all((each[..., 1] * np.sqrt(each[..., 0]) > y[0] * np.sqrt(x[0])).all() for each in bars)


def test_no_convergence_to_draw_is_named():
    with pytest.raises(ValueError, match=r"^found is empty: at least one convergence is needed$"):
        plot_pareto_convergence({})


def test_the_table_is_numbered_by_the_parameters():
    found = sign_map([1.0, 10.0], [[0.1], [0.2]], shared=0.5)
    frame = found.to_frame()
    assert frame.index.names == ["k", "l", "alpha", "shared", "merged"]
    np.testing.assert_array_equal(frame["holds"].to_numpy(), found.holds.ravel())
    assert frame.loc[(10.0, 0.1, 2.5, 0.5, 1), "excess_align"] == found.excess_align[0, 1]
