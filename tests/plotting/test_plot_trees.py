"""Pictures of trees, codes and rates: what is drawn is what the library says, found another way."""

import math
from dataclasses import replace
from fractions import Fraction

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Annotation
from tests.drawing import labels
from tests.toys import coin

from tokentree import HuffmanCode, LeafKind, Mixture, ParetoMass, TokenTree, published_form
from tokentree._lib.display import percent
from tokentree.adapters import read_model
from tokentree.plotting import (
    mixtures,
    plot_code_lengths,
    plot_rates,
    plot_ratio,
    plot_response,
    plot_survival,
    plot_tree,
    plot_tree_levels,
)

SEQUENCES = st.dictionaries(st.text("012", max_size=4), st.integers(1, 20), min_size=1, max_size=12)
PARTS = [[3, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 2, 5]]
OVERLAPPING = [[6, 1, 2], [1, 5, 1], [2, 1, 7]]
MARKERS = {LeafKind.EOS: "o", LeafKind.CUT: "s", LeafKind.UNEXPANDED: ">"}


def new():
    return Figure(layout="constrained").subplots()


def chance(prefixes):
    """A model of four tokens, the last of which ends the response."""
    seeds = [1 + sum((token + 1) * 3**i for i, token in enumerate(prefix)) for prefix in prefixes]
    return np.log([np.random.default_rng(seed).dirichlet([2, 1, 1, 1]) for seed in seeds])


def model_tree():
    return read_model(chance, depth=4, eos=[3], max_nodes=50, top_k=2)


# Trees


def read_back(ax):
    """Leaves of a drawn tree, found by walking its lines from every leaf's label back to the root."""
    (lines,) = (each for each in ax.collections if isinstance(each, LineCollection))
    up, width, dotted = {}, {}, {}
    for segment, thickness, (_, dashes) in zip(
        lines.get_segments(), lines.get_linewidths(), lines.get_linestyles(), strict=True
    ):
        up[tuple(segment[-1])] = tuple(segment[0])
        width[tuple(segment[-1])], dotted[tuple(segment[-1])] = thickness, bool(dashes)
    symbols, labels = {}, {}
    for text in ax.texts:
        if isinstance(text, Annotation):
            labels[tuple(map(float, text.xy))] = text.get_text()
        else:
            # A symbol stands on the line that leads right to its node.
            x, y = text.get_position()
            if text.get_style() == "italic":
                assert text.get_text() == "end"
            else:
                symbols[math.ceil(x), float(y)] = text.get_text()
    found = {}
    for leaf, label in labels.items():
        path, node = [], leaf
        while node in up:
            path.append(symbols.get(node, ""))
            node = up[node]
        assert node[0] == 0
        found[leaf] = ("".join(reversed(path)), label, width[leaf], dotted[leaf])
    return found


def check_tree(tree):
    ax = plot_tree(tree, new())
    found = read_back(ax)
    leaves = list(tree.leaves())
    # Top to bottom is lexicographic order, a row each.
    assert [row for _, row in sorted(found, key=lambda place: place[1])] == list(range(len(leaves)))
    for (place, read), leaf in zip(sorted(found.items(), key=lambda each: each[0][1]), leaves, strict=True):
        path, label, width, dotted = read
        assert place[0] == leaf.depth
        assert path == "".join(map(str, leaf.prefix))
        assert label == f"{leaf.probability:.3g}"
        assert width == pytest.approx(0.5 + 4 * leaf.probability)
        assert dotted == (leaf.kind is LeafKind.UNEXPANDED)
    for kind, marker in MARKERS.items():
        drawn = {
            (float(x), float(y))
            for line in ax.get_lines()
            if line.get_marker() == marker and line.get_label()[0] != "_"
            for x, y in zip(*line.get_data(), strict=True)
        }
        assert drawn == {
            place for i, place in enumerate(sorted(found, key=lambda each: each[1])) if leaves[i].kind is kind
        }
    return ax


@given(SEQUENCES, st.integers(1, 6))
def test_a_drawn_tree_reads_back(weights, depth):
    check_tree(TokenTree.from_leaves(weights, alphabet_size=3).prune(depth))


def test_unexpanded_leaves_read_back():
    tree = model_tree()
    assert {leaf.kind for leaf in tree.leaves()} == set(LeafKind)
    ax = check_tree(tree)
    names = labels(ax)
    assert names == ["end of sequence", "cut here", "unexpanded"]


@given(SEQUENCES)
def test_subtrees_do_not_overlap(weights):
    tree = TokenTree.from_leaves(weights, alphabet_size=3)
    (lines,) = plot_tree(tree, new()).collections
    rows = {}
    for segment in lines.get_segments():
        (x0, y0), _, (x1, y1) = segment
        rows.setdefault(x0, set()).add(y0)
        rows.setdefault(x1, set()).add(y1)
        children = [other[-1][1] for other in lines.get_segments() if tuple(other[0]) == (x0, y0)]
        assert y0 == (min(children) + max(children)) / 2
    for level in rows.values():
        assert len(level) == 1 or np.diff(sorted(level)).min() >= 1


def test_symbols_are_named_and_not_read_as_mathematics():
    tree = TokenTree.from_leaves({(0,): 1, (1,): 3})
    ax = plot_tree(tree, new(), token=["$x^2$", "a_b"].__getitem__, unit="tokens")
    drawn = [text for text in ax.texts if not isinstance(text, Annotation)]
    assert [text.get_text() for text in drawn] == ["$x^2$", "a_b", "end", "end"]
    assert not any(text.get_parse_math() for text in drawn)
    assert ax.get_xlabel() == "depth $d$ (tokens)"


def test_spaces_and_what_cannot_be_seen_are_drawn():
    names = [" the", "\n\n", "\t", "\x07", "é", "→", "\ue000", "", "␣"]
    tree = TokenTree.from_leaves({(i,): 1 for i in range(len(names))}, alphabet_size=len(names))
    ax = plot_tree(tree, new(), token=names.__getitem__)
    drawn = [text.get_text() for text in ax.texts if not isinstance(text, Annotation)]
    assert drawn[len(names) :] == ["end"] * len(names)
    assert drawn[: len(names)] == ["␣the", r"\n\n", r"\t", r"\x07", "é", "→", r"\ue000", "", "␣"]
    # A font that lacks a character would warn.
    ax.figure.canvas.draw()


def folded(tree, fold):
    """What is to be drawn, from prefixes: heavy leaves by path, and below each path what is light."""
    heavy, light = {}, {}
    for depth in range(1, tree.depth + 1):
        for leaf in tree.prune(depth).leaves():
            sign = {LeafKind.EOS: "$", LeafKind.UNEXPANDED: "?"}.get(leaf.kind, "")
            node = (*map(str, leaf.prefix), *sign)
            if leaf.depth == depth:
                heavy[node] = leaf.probability
    shown = {node for node, share in heavy.items() if share >= fold}
    for node, share in heavy.items():
        if node not in shown and (node[:-1] in shown or len(node) == 1):
            light[node[:-1]] = light.get(node[:-1], 0) + share
    leaves = {
        node: heavy[node]
        for node in shown
        if node not in light and not any(other[:-1] == node for other in shown)
    }
    return leaves | {(*node, "..."): share for node, share in light.items()}


@pytest.mark.parametrize("fold", [0, 0.004, 0.02, 0.3, 1])
def test_light_branches_are_folded_and_the_heaviest_come_first(fold):
    tree = model_tree()
    ax = plot_tree(tree, new(), order="mass", fold=fold)
    (lines,) = ax.collections
    up = {tuple(segment[-1]): tuple(segment[0]) for segment in lines.get_segments()}
    width = {
        tuple(segment[-1]): each
        for segment, each in zip(lines.get_segments(), lines.get_linewidths(), strict=True)
    }
    names = {
        (math.ceil(text.get_position()[0]), float(text.get_position()[1])): "$"
        if text.get_style() == "italic"
        else text.get_text()
        for text in ax.texts
        if not isinstance(text, Annotation)
    }
    signs = {">": "?", "D": "..."}
    for line in ax.get_lines():
        if line.get_label()[0] != "_" and line.get_marker() in signs:
            names |= {tuple(map(float, place)): signs[line.get_marker()] for place in line.get_xydata()}
    found = {}
    for text in ax.texts:
        if isinstance(text, Annotation):
            path, node = [], tuple(map(float, text.xy))
            share = (width[node] - 0.5) / 4
            assert text.get_text() == f"{share:.3g}"
            while node in up:
                path.append(names[node])
                node = up[node]
            found[tuple(reversed(path))] = share
    assert found == pytest.approx(folded(tree, fold))
    assert sum(found.values()) == pytest.approx(1)
    assert ("others" in labels(ax)) == (fold > 0)
    # The first child in line with its parent, and below it the lighter ones; then what is not told apart.
    for node in {*up.values()}:
        below = sorted((child for child in up if up[child] == node), key=lambda child: child[1])
        assert below[0][1] == node[1]
        told = [child for child in below if names[child] not in ("?", "...")]
        assert below[: len(told)] == told
        shares = [width[child] for child in told]
        assert shares == sorted(shares, reverse=True)


def test_a_large_tree_is_drawn_once_it_is_folded(unchecked):
    tree = TokenTree.from_sequences(np.random.default_rng(0).integers(0, 2, (500, 8)))
    ax = plot_tree(tree, new(), fold=0.1)
    assert sum(float(text.get_text()) for text in ax.texts if isinstance(text, Annotation)) == pytest.approx(
        1, abs=0.02
    )
    with pytest.raises(ValueError, match=r"nodes of at least fold = 0\.001: at most max_nodes = 150"):
        plot_tree(tree, fold=0.001)
    with pytest.raises(ValueError, match=r"fold = 1\.5: must lie in \[0, 1\]"):
        plot_tree(tree, fold=1.5)
    with pytest.raises(ValueError, match="order = 'weight': must be 'symbols' or 'mass'"):
        plot_tree(tree, order="weight")


def test_large_trees_are_refused_with_advice():
    tree = TokenTree.from_sequences(np.random.default_rng(0).integers(0, 2, (500, 8)))
    with pytest.raises(
        ValueError,
        match=r"nodes: at most max_nodes = 150 are drawn; prune it, fold more, or use plot_tree_levels",
    ):
        plot_tree(tree)
    with pytest.raises(ValueError, match="tree has 5 nodes: at most max_nodes = 4"):
        plot_tree(TokenTree.from_sequences(["0", "1"]), max_nodes=4)


def test_a_new_figure_is_as_tall_as_the_leaves_need():
    small = plot_tree(TokenTree.from_sequences(["0", "1"])).figure.get_size_inches()
    large = plot_tree(
        TokenTree.from_sequences(["0", "1", "00", "01", "10", "11", *map("{:04b}".format, range(16))])
    ).figure.get_size_inches()
    assert large[0] == small[0]
    assert large[1] > small[1]


@pytest.mark.parametrize(
    "tree",
    [
        TokenTree.from_sequences(["0", "01", "01", "11", "", "0110"]),
        TokenTree.from_sequences(["0", "01", "01", "11", "", "0110"], weights=np.arange(6) / 7).prune(2),
        TokenTree.from_sequences([""]),
        TokenTree.from_sequences([[0] * 60, [1] * 50], weights=[2**62, 2**61]),
        model_tree(),
        TokenTree.from_sequences(["00", "01"], depth=2),
    ],
    ids=["whole", "cut", "empty response", "deep and heavy", "model", "blocks"],
)
def test_levels_are_those_of_every_pruned_tree(tree):
    ax = plot_tree_levels(tree, new(), unit="bits")
    drawn = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    shares = {patch.get_label().partition(":")[0]: patch.get_data() for patch in drawn}
    twin = ax.figure.axes[-1]
    counts = {line.get_label(): line.get_data() for line in twin.get_lines()}
    closed = [0.0]
    unexpanded = [0.0]
    for depth in range(1, tree.depth + 1):
        leaves = tree.prune(depth).leaves()
        closed.append(leaves.probability[leaves.kind == LeafKind.EOS].sum())
        unexpanded.append(leaves.probability[leaves.kind == LeafKind.UNEXPANDED].sum())
    np.testing.assert_array_equal(shares["open"].edges, np.arange(tree.depth + 2) - 0.5)
    assert ("closed" in shares) == any(closed)
    if "closed" in shares:
        np.testing.assert_allclose(shares["closed"].values, closed, atol=1e-15)
        assert f"closed: {percent(closed[-1])} have ended" in labels(ax)
    assert ("unexpanded" in shares) == (tree.unexpanded_weight > 0)
    if "unexpanded" in shares:
        np.testing.assert_allclose(shares["unexpanded"].values, np.add(closed, unexpanded))
        np.testing.assert_allclose(shares["unexpanded"].baseline, closed, atol=1e-15)
    np.testing.assert_array_equal(shares["open"].values, 1)
    np.testing.assert_allclose(shares["open"].baseline, np.add(closed, unexpanded), atol=1e-15)

    depths = np.arange(tree.depth + 1)
    pruned = [1, *(tree.prune(int(depth)).n_leaves for depth in depths[1:])]
    np.testing.assert_array_equal(counts["leaves, pruned to $d$"], (depths, pruned))
    whole = [1, *(tree.prune(int(depth)).n_nodes for depth in depths[1:])]
    np.testing.assert_array_equal(counts["nodes at depth $d$"], (depths, np.diff(whole, prepend=0)))
    assert twin.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("depth $d$ (bits)", "share of the mass")
    named = labels(ax)
    assert sorted(named) == sorted([*(patch.get_label() for patch in drawn), *counts])


# Code lengths


def reported(ax):
    """Numbers in the text of a picture of codeword lengths."""
    lines = [line.rsplit("  ", 1) for line in ax.texts[0].get_text().split("\n")]
    return {name: float(value.removesuffix(" bits per block")) for name, value in lines}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60).filter(any), st.booleans())
def test_circles_are_the_leaves(weights, own):
    masses = np.array(weights) / sum(weights)
    lengths = HuffmanCode.from_weights(masses if own else np.arange(1, len(weights) + 1)).lengths
    code = None if own else HuffmanCode(lengths)
    ax = plot_code_lengths(masses, new(), code=code)
    (circles,) = (each for each in ax.collections if isinstance(each, PathCollection))
    expected = {}
    for mass, length in zip(masses, lengths, strict=True):
        if mass:
            place = -math.log2(mass) + 0.0, int(length)
            expected[place] = expected.get(place, 0) + mass
    assert len(circles.get_offsets()) == len(expected)
    drawn = sorted(zip(map(tuple, circles.get_offsets().tolist()), circles.get_sizes(), strict=True))
    for (place, area), (other, mass) in zip(drawn, sorted(expected.items()), strict=True):
        assert place == pytest.approx(other)
        assert area == pytest.approx(900 * mass)
    found = reported(ax)
    mean = sum(mass * length for (_, length), mass in expected.items())
    entropy = sum(mass * ideal for (ideal, _), mass in expected.items())
    assert found["expected length"] == pytest.approx(mean, abs=5.1e-5)
    assert found["entropy"] == pytest.approx(entropy, abs=5.1e-5)
    assert found["redundancy"] == pytest.approx(mean - entropy, abs=5.1e-5)
    assert found.get("leaves of mass 0, not drawn", 0) == weights.count(0)
    (cross,) = (line for line in ax.get_lines() if line.get_label() == "mean")
    assert cross.get_xydata()[0] == pytest.approx([entropy, mean])


def test_the_diagonal_is_the_ideal():
    ax = plot_code_lengths([0.6, 0.3, 0.1], new())
    ax.figure.draw_without_rendering()
    (line,) = (line for line in ax.get_lines() if line.get_label() == r"$L = -\log_2 p$")
    assert line.get_xy1() == (0, 0)
    assert line.get_slope() == 1


def test_many_leaves_make_a_histogram_of_all_the_mass():
    masses = ParetoMass(1.5).sample(10**6, 3)
    lengths = HuffmanCode.from_weights(masses).lengths
    ax = plot_code_lengths(masses, new())
    (mesh,) = (each for each in ax.collections if isinstance(each, QuadMesh))
    cells = mesh.get_array().filled(0)
    assert cells.sum() == pytest.approx(1)
    corners = mesh.get_coordinates()
    across, up = corners[0, :, 0], corners[:, 0, 1]
    assert (across[0], across[-1]) == pytest.approx((-math.log2(masses.max()), -math.log2(masses.min())))
    # Every row is a codeword length, and every column a range of masses.
    for low, high, row in zip(up[:-1], up[1:], cells, strict=True):
        assert row.sum() == pytest.approx(masses[(lengths > low) & (lengths < high)].sum())
    ideal = -np.log2(masses)
    below = [masses[ideal < edge].sum() for edge in across[1:-1]]
    np.testing.assert_allclose(cells.sum(axis=0).cumsum()[:-1], below, rtol=1e-9)
    assert reported(ax)["expected length"] == pytest.approx(masses @ lengths, abs=5.1e-5)
    bar = ax.figure.axes[-1]
    assert bar.get_ylabel() == "share of the mass, per cell"


def test_long_codewords_share_rows():
    masses = 2.0 ** -np.append(np.arange(1, 901), 900)
    ax = plot_code_lengths(masses, new())
    (mesh,) = (each for each in ax.collections if isinstance(each, QuadMesh))
    cells = mesh.get_array().filled(0)
    assert len(cells) <= 101
    assert cells.sum() == pytest.approx(1)
    assert reported(ax)["redundancy"] == 0


def test_code_of_a_tree_is_that_of_its_counts():
    tree = TokenTree.from_text("to be or not to be", depth=8)
    one, other = plot_code_lengths(tree, new()), plot_code_lengths(tree.leaf_probabilities, new())
    assert one.texts[0].get_text() == other.texts[0].get_text()
    assert len(one.collections[0].get_offsets()) == len(other.collections[0].get_offsets())
    assert reported(one)["entropy"] == pytest.approx(
        Mixture([tree.leaves().weight], [1]).rates()[0], abs=5e-5
    )


def test_code_lengths_refuses_what_is_no_code_for_the_leaves(unchecked):
    with pytest.raises(ValueError, match=r"p\.sum\(axis=-1\) = 0.5"):
        plot_code_lengths([0.25, 0.25])
    with pytest.raises(ValueError, match="p has 2 leaves and the code 3 symbols"):
        plot_code_lengths([0.5, 0.5], code=HuffmanCode([1, 2, 2]))
    with pytest.raises(ValueError, match=r"p has shape \(2, 2\): must be one distribution"):
        plot_code_lengths([[0.5, 0.5], [0.5, 0.5]])


# Survival


def step(line, x):
    """Value of a drawn step function, constant up to and including each of its points."""
    assert line.get_drawstyle() == "steps-pre"
    return line.get_ydata()[np.searchsorted(line.get_xdata(), x)]


def curves(ax):
    return [line for line in ax.get_lines() if line.get_marker() == "None"]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40).filter(any))
def test_survival_is_the_share_at_or_above(counts):
    (line,) = curves(plot_survival(counts, new()))
    masses = [count for count in counts if count]
    for x in np.unique([*masses, *(mass - 0.5 for mass in masses)]):
        if x >= min(masses):
            assert step(line, x) == np.mean(np.array(counts) >= x)


def test_survival_of_several_datasets():
    tree = TokenTree.from_sequences(["0", "01", "01", "11", "1", "1", "1"])
    data = {"tree": tree, **{f"{i}": ParetoMass(1.5 + i).sample(50, i) for i in range(6)}}
    ax = plot_survival(data, new(), unit="share of the responses")
    for (name, values), line in zip(data.items(), curves(ax), strict=True):
        masses = tree.leaf_probabilities if name == "tree" else values
        assert line.get_label() == name
        for x in masses:
            assert step(line, x) == np.mean(masses >= x)
    assert (
        len({(str(line.get_linestyle()), str(line._dash_pattern), line.get_color()) for line in curves(ax)})
        == 7
    )
    assert labels(ax) == list(data)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "share of the responses, $x$"


def test_survival_thins_what_cannot_be_seen():
    masses = np.sort(ParetoMass(1.2).sample(50_000, 5))
    (line,) = curves(plot_survival(masses, new()))
    x, y = line.get_data()
    assert len(x) <= 3001
    assert (x[0], x[-1], y[0], y[-1]) == (masses[0], masses[-1], 1, 1 / 50_000)
    np.testing.assert_array_equal(y, (50_000 - np.searchsorted(masses, x)) / 50_000)
    # No gap is wider than a thousandth of the figure, but where the data has one.
    for drawn, own in ((x, masses), (y, np.arange(50_000, 0, -1))):
        scale = np.ptp(np.log(own))
        assert (
            np.abs(np.diff(np.log(drawn))).max() / scale <= 1e-3 + np.abs(np.diff(np.log(own))).max() / scale
        )


def test_a_single_mass_is_a_point():
    ax = plot_survival([2.0, 2.0], new())
    (point,) = (line for line in ax.get_lines() if line.get_marker() == ".")
    assert point.get_xydata().tolist() == [[2.0, 1.0]]
    assert ax.get_legend() is None


def test_survival_refuses_what_has_none(unchecked):
    with pytest.raises(ValueError, match="masses is empty"):
        plot_survival({})
    with pytest.raises(ValueError, match=r"masses\['b'\] has no mass above zero"):
        plot_survival({"a": [1.0], "b": [0.0]})
    with pytest.raises(ValueError, match=r"masses\['a'\]\[1\] = -1.0: must be finite and >= 0"):
        plot_survival({"a": [1.0, -1.0]})
    tree = read_model(coin, depth=2, max_nodes=6)
    with pytest.raises(
        ValueError, match=r"masses\['a'\] has an unexpanded share of 0.5: that is the mass of"
    ):
        plot_survival({"a": tree})
    assert curves(plot_survival({"a": tree.prune(1)}, new()))
    with pytest.raises(ValueError, match=r"has shape \(1, 2\): must be one row"):
        plot_survival([[1.0, 2.0]])


# Rates


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize(("base", "unit"), [(2, "bits"), (math.e, "nats"), (10, "log base 10")])
def test_rates_are_cross_entropies_under_the_joint_model(normalized, base, unit):
    p = np.array([*OVERLAPPING, [1, 0, 3]], float) / np.array([9, 7, 10, 4])[:, None]
    sizes, l = [7, 3, 1, 2], np.array([0.1, 0.5, 2])
    ax = plot_rates(Mixture(p, sizes), l, new(), normalized=normalized, base=base)
    assert len(ax.get_lines()) == 4
    for i, (line, leaves) in enumerate(zip(ax.get_lines(), [3, 3, 3, 2], strict=True)):
        np.testing.assert_array_equal(line.get_xdata(), l)
        for each, drawn in zip(l, line.get_ydata(), strict=True):
            grown = np.array([7, 3, 3 * each, 2])
            joint = grown @ p / grown.sum()
            rate = -sum(a * math.log(b, base) for a, b in zip(p[i], joint, strict=True) if a)
            assert drawn == pytest.approx(rate - normalized * math.log(leaves, base))
    assert ax.get_ylabel().endswith(f"({unit} per block)")
    assert ax.get_ylabel().startswith("normalised") == normalized
    assert labels(ax) == ["D1", "D2", "D3", "D4"]


def test_roles_code_and_tokens_reach_the_rates():
    names = ["web", "chat", "news"]
    mixture = Mixture(OVERLAPPING, [9, 2, 3], names=names, depth=5)
    ax = plot_rates(mixture, [0.5, 4], new(), align="news", perturb="web", code="huffman", per="token")
    for i, line in enumerate(ax.get_lines()):
        for each, drawn in zip((1.5, 12), line.get_ydata(), strict=True):
            lengths = HuffmanCode.from_weights(mixture.with_sizes([each, 2, 3]).joint).lengths
            assert drawn == pytest.approx(mixture.distributions[i] @ lengths / 5)
    assert "bits per token" in ax.get_ylabel()


def test_rates_refuses(unchecked):
    mixture = Mixture(OVERLAPPING, [9, 2, 3])
    with pytest.raises(ValueError, match="align, perturb = 1, 1: must be two different datasets"):
        plot_rates(mixture, [1.0], perturb=1)
    with pytest.raises(ValueError, match=r"l\[1\] = 0.0: must be finite and > 0"):
        plot_rates(mixture, [1.0, 0.0])
    with pytest.raises(ValueError, match="l is empty: at least one number is needed"):
        plot_rates(mixture, np.zeros(0))
    with pytest.raises(ValueError, match=r"l has shape \(1, 2\): must be a sequence of numbers"):
        plot_rates(mixture, [[1.0, 2.0]])
    with pytest.raises(ValueError, match="perturb = 'news'"):
        plot_rates(mixture, [1.0], perturb="news")
    with pytest.raises(ValueError, match=r"l has shape \(1, 1\)"):
        plot_rates(mixture, [[1.0]])


# The ratio


def exact_ratio(parts, k, l):
    """-gamma_a' / (k gamma_p') and whether the signs hold, from the definitions, in fractions."""
    p = [[Fraction(x, sum(row)) for x in row] for row in parts]
    pretrain = [sum(column) / len(parts) for column in zip(*p, strict=True)]
    align, perturb = p[1], p[2]
    k, l = Fraction(k), Fraction(l)
    q = [(k * a + b + l * c) / (k + 1 + l) for a, b, c in zip(pretrain, align, perturb, strict=True)]
    excess = [
        1 - sum(a * b / c for a, b, c in zip(row, perturb, q, strict=True)) for row in (pretrain, align)
    ]
    ratio = -excess[1] / (k * excess[0]) if excess[0] else None
    return ratio, excess[0] < 0 < excess[1]


def measured(ax):
    """Marker, face, place of the computed points, in the order drawn."""
    return [
        (line.get_marker(), line.get_markerfacecolor(), *line.get_xydata()[0])
        for line in ax.get_lines()
        if line.get_marker() != "None"
    ]


@pytest.mark.parametrize("parts", [PARTS, OVERLAPPING])
def test_ratio_is_that_of_the_definitions(parts):
    ks, ls = [1, Fraction(7, 2), 100.0, 10**6], [Fraction(1, 100), 0.25, 2]
    points = measured(plot_ratio(parts, ks, ls, new()))
    grid = [(k, l) for l in ls for k in ks]
    assert len(points) == len(grid)
    for i, ((k, l), (marker, face, x, y)) in enumerate(zip(grid, points, strict=True)):
        ratio, holds = exact_ratio(parts, k, l)
        assert marker == "osD"[i // 4]
        assert x == float(k)
        assert y == pytest.approx(float(ratio), rel=1e-9)
        assert face == ("0.0" if holds else "1.0")
    assert {face for _, face, _, _ in points} == {"0.0", "1.0"}


def test_lines_are_the_closed_form_and_one():
    ax = plot_ratio([*PARTS, [1, 1, 1, 1, 1]], np.array([2.0, 50.0]), [0.1, 0.7], new())
    *lines, one = (line for line in ax.get_lines() if line.get_marker() == "None")
    assert len(lines) == 2
    for l, line in zip((0.1, 0.7), lines, strict=True):
        k, ratio = line.get_data()
        assert k[0] < 2
        assert k[-1] > 50
        np.testing.assert_allclose(ratio, (1 + 4 * l / k) / (1 - 3 * l), rtol=1e-13)
    np.testing.assert_array_equal(one.get_ydata(), [1, 1])
    assert ax.get_xscale() == "log"
    assert ax.get_legend().get_title().get_text() == "published form; lines: closed form for disjoint parts"


ONE = "the theorem's ratio, 1"


def test_an_infinite_ratio_is_drawn_and_named():
    ax = plot_ratio(PARTS, [10, 100], Fraction(1, 2), new())
    points = measured(ax)
    assert [(marker, x) for marker, _, x, _ in points] == [("^", 10), ("^", 100)]
    on_edge = [line for line in ax.get_lines() if line.get_marker() == "^"]
    assert all(line.get_transform() == ax.get_xaxis_transform() for line in on_edge)
    assert [line.get_ydata()[0] for line in on_edge] == [1, 1]
    assert labels(ax) == ["$l = 0.5$", "the signs fail", "infinite", ONE]


def test_no_force_is_no_ratio():
    ax = plot_ratio([[1, 1]] * 3, 10, 1, new())
    assert [point[0] for point in measured(ax)] == ["x"]
    assert labels(ax) == ["$l = 1$", "the signs fail", "0 / 0", ONE]


def test_what_is_not_decided_is_grey(monkeypatch):
    decide = mixtures.elasticity
    monkeypatch.setattr(mixtures, "elasticity", lambda mixture: replace(decide(mixture), holds=None))
    ax = plot_ratio(PARTS, 10, 0.1, new())
    assert [point[1] for point in measured(ax)] == ["0.6"]
    assert labels(ax) == ["$l = 0.1$", "not decided", ONE]


def test_ratio_takes_trees():
    trees = [TokenTree.from_leaves(each) for each in ({"00": 3, "01": 1}, {"10": 1}, {"110": 2, "111": 5})]
    assert measured(plot_ratio(trees, [5], 0.1, new())) == measured(plot_ratio(PARTS, [5], 0.1, new()))


def test_ratio_refuses():
    with pytest.raises(ValueError, match="k is empty"):
        plot_ratio(PARTS, [], 1)
    with pytest.raises(ValueError, match=r"k\[1\] = -1: must be finite and > 0"):
        plot_ratio(PARTS, [1, -1], 1)
    with pytest.raises(ValueError, match=r"l\[0\] = 0: must be finite and > 0"):
        plot_ratio(PARTS, 1, 0)
    with pytest.raises(ValueError, match="parts has 2 rows"):
        plot_ratio(PARTS[:2], 1, 1)


# Response


def test_one_large_response_leaves_the_others_visible():
    mixture = Mixture(np.eye(4), [10**6, 10**4, 10, 1])
    ax = plot_response(mixture, new())
    (image,) = ax.images
    strength = mixture.total_size * np.abs(mixture.response())
    np.testing.assert_allclose(image.get_array(), strength, rtol=1e-14)
    greys = 1 - image.cmap(image.norm(strength))[..., 0]
    assert greys.max() == 1
    assert greys[strength > 1e-6 * strength.max()].min() > 0.02
    order = strength.argsort(axis=None)
    assert (np.diff(greys.ravel()[order]) >= 0).all()
    assert image.cmap(image.norm(0.0))[:3] == (1, 1, 1)


def test_ticks_of_the_response_are_its_extremes():
    mixture = published_form(PARTS, 1000, 0.1)
    strength = mixture.total_size * np.abs(mixture.response())
    ticks = plot_response(mixture, new()).images[0].colorbar.get_ticks()
    assert ticks[0] == 0
    np.testing.assert_allclose([min(ticks[1:]), max(ticks)], [strength.min(), strength.max()], rtol=1e-12)
    # Equal datasets respond to nothing.
    assert plot_response(Mixture([[1, 1]] * 2, [1, 1]), new()).images[0].colorbar.get_ticks().tolist() == [
        0,
        1,
    ]


# All of them

TREE = TokenTree.from_sequences(["0", "01", "01", "11"])
CALLS = [
    lambda ax=None: plot_tree(TREE, ax),
    lambda ax=None: plot_tree_levels(TREE, ax),
    lambda ax=None: plot_code_lengths(TREE, ax),
    lambda ax=None: plot_survival(TREE, ax),
    lambda ax=None: plot_rates(published_form(PARTS, 10, 1), [0.1, 1], ax),
    lambda ax=None: plot_ratio(PARTS, [1, 10], 0.1, ax),
]
NAMES = ["tree", "levels", "code", "survival", "rates", "ratio"]


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
def test_takes_and_returns_an_axes_and_leaves_style_alone(call):
    before = dict(mpl.rcParams)
    ax = new()
    assert call(ax) is ax
    assert not plt.get_fignums()
    own = call()
    assert own.figure is not ax.figure
    # Drawing, too, raises no warning.
    own.figure.canvas.draw()
    assert dict(mpl.rcParams) == before
