"""What people type at first: it works, or the error says what to type."""

import math
import re
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tokentree import (
    BlockCodec,
    Elasticity,
    FisherSprings,
    HuffmanCode,
    Mixture,
    TokenTree,
    depth_curve,
    elasticity,
    entropy,
    explore,
    fit_tail,
    huffman_lengths,
    kl_divergence,
    merge,
    plotting,
    published_form,
    read_along,
    read_model,
    response_curve,
    sign_map,
    unexpanded_bounds,
    verify,
    write_explorer,
)
from tokentree.adapters import CausalLM, CompletionsServer, Recording
from tokentree.alignment import rebound_by_depth, simulate_rebound
from tokentree.information import jensen_shannon_divergence
from tokentree.models import NGramModel, model_rates, modelled_depth
from tokentree.plotting import plot_depth_curve, plot_rate_change, plot_tree, plot_tree_levels
from tokentree.strategies import mixtures, token_trees
from tokentree.training import LinearLaw, MixingLaw, TrainingRuns, compare, fluctuation_response
from tokentree.trees import leaf_distributions

A = TokenTree.from_sequences(["0101", "0100"], depth=3)
B = TokenTree.from_sequences(["0111"], depth=3)
C = TokenTree.from_sequences(["1111", "0000"], depth=3)
WIDE = TokenTree.from_sequences(["0211"], depth=3, alphabet_size=3)
MIXTURE = Mixture.from_trees([A, B, C])
OF_TEXTS = (
    "a Mixture of texts or trees is made by Mixture.from_trees({name: TokenTree.from_text(text, depth=16)})"
)


def chance(prefixes):
    """A model that tosses a coin."""
    return np.log(np.full((len(prefixes), 2), 0.5))


def law():
    """A law fitted to a few runs."""
    sizes = [[share, 1 - share] for share in (0.2, 0.5, 0.8)]
    rates = [Mixture([[3, 1], [1, 3]], each).rates(np.e) for each in sizes]
    return MixingLaw.fit(TrainingRuns(sizes, rates), n_leaves=2, scales="shared", smoothing=1e-4)


def test_trees_one_after_another_or_by_name(unchecked):
    assert merge(A, B, C) == merge([A, B, C]) == merge({"a": A, "b": B, "c": C})
    named = Mixture.from_trees({"web": A, "chat": B, "new": C})
    assert named.names == ("web", "chat", "new")
    np.testing.assert_array_equal(named.rates(), MIXTURE.rates())
    assert Mixture.from_trees({"web": A, "chat": B}, names=["x", "y"]).names == ("x", "y")
    rows = dict(zip("abc", MIXTURE.distributions, strict=True))
    assert Mixture(rows, [1, 1, 1]).names == ("a", "b", "c")
    assert Mixture.from_trees(A, B, C) == MIXTURE
    assert Mixture.from_trees(A, B, names=["x", "y"]).names == ("x", "y")
    given = elasticity(named, "web", "chat", "new")
    assert given == replace(elasticity(MIXTURE), names=("web", "chat", "new"))
    curve, plain = depth_curve({"web": A, "chat": B, "new": C}), depth_curve([A, B, C])
    np.testing.assert_array_equal(curve.overlap, plain.overlap)
    assert curve.names == ("web", "chat", "new")
    assert depth_curve(A, B, C) == plain
    assert depth_curve(A, B, C, depths=[2]) == depth_curve([A, B, C], [2])
    assert Mixture.from_trees(A, B, sizes=[7, 5]) == Mixture.from_trees([A, B], [7, 5])
    assert unexpanded_bounds(A, B, sizes=[7, 5]) == unexpanded_bounds([A, B], [7, 5])
    np.testing.assert_array_equal(leaf_distributions({"a": A, "b": B}), leaf_distributions([A, B]))


def test_sizes_by_name(unchecked):
    trees, sizes = {"web": A, "chat": B, "new": C}, {"chat": 3, "new": Fraction(1, 2), "web": 10}
    listed = [10, 3, Fraction(1, 2)]
    expected = Mixture.from_trees(trees, listed)
    assert Mixture.from_trees(trees, sizes) == Mixture.from_trees(trees, sizes=sizes) == expected
    assert Mixture.from_trees([A, B, C], sizes, names=iter(trees)) == expected
    assert MIXTURE.with_sizes(dict(zip(("D3", "D1", "D2"), (5, 7, 6), strict=True))).sizes.tolist() == [
        7,
        6,
        5,
    ]
    assert expected.with_sizes(sizes) == expected
    rows = dict(zip(trees, MIXTURE.distributions, strict=True))
    assert Mixture(rows, sizes).exact_sizes == Mixture(MIXTURE.distributions, listed).exact_sizes
    assert depth_curve(trees, sizes=sizes) == depth_curve(trees, sizes=listed)
    found = unexpanded_bounds(trees, sizes)
    assert found == unexpanded_bounds([A, B, C], listed, names=list(trees))
    assert repr(found) == "UnexpandedBounds(web, chat, new: unexpanded share 0)"
    assert found.holds("web", "chat", "new") == found.holds()
    chain = np.random.default_rng(0).random((20, 2))
    given = fluctuation_response(chain, 1, {"chat": 3, "web": 10}, names=["web", "chat"])
    np.testing.assert_array_equal(given.balance, fluctuation_response(chain, 1, [10, 3]).balance)
    best = expected.best_sizes("web")
    low, high = ({"new": end, "chat": end, "web": 2 * end} for end in (0.1, 0.4))
    drawn = [
        plotting.plot_best_sizes(best, low=a, high=b).collections[0].get_segments()
        for a, b in ((low, high), ([0.2, 0.1, 0.1], [0.8, 0.4, 0.4]))
    ]
    np.testing.assert_array_equal(*drawn)


def test_labels_of_a_series_or_frame_are_names(unchecked):
    pandas = pytest.importorskip("pandas")
    runs = TrainingRuns([[3, 1], [1, 3], [1, 1]], [[1, 2], [1.4, 1.6], [1.2, 1.7]], ["web", "code"])
    fitted = MixingLaw.fit(runs, 2, "shared", smoothing=1e-2)
    frame = pandas.DataFrame({"code": [1, 3], "web": [3, 1]})
    expected = fitted.predict([[3, 1], [1, 3]])
    np.testing.assert_array_equal(fitted.predict(frame), expected)
    np.testing.assert_array_equal(fitted.predict(frame.iloc[0]), expected[0])
    np.testing.assert_array_equal(fitted.predict(frame.add_prefix("size_")), fitted.predict(frame.to_numpy()))
    np.testing.assert_array_equal(fitted.predict(frame[["web"]]), fitted.predict([[1, 0], [1, 0]]))
    bound = pandas.Series({"code": 0.25, "web": 0.5})
    assert fitted.best_sizes("code", lower=bound) == fitted.best_sizes("code", lower=bound.to_dict())
    assert fitted.mixture(frame.iloc[0]) == fitted.mixture([3, 1])
    trees = {"web": A, "chat": B}
    exact = pandas.Series({"chat": 2**62 + 1, "web": Fraction(1, 3)}, dtype=object)
    assert Mixture.from_trees(trees, exact).exact_sizes == (Fraction(1, 3), 2**62 + 1)
    for given, message in (
        (frame.rename(columns={"web": "wep"}), "sizes names 'wep': must be one of 'web', 'code'"),
        (frame.iloc[0].rename({"web": "wep"}), "sizes names 'wep': must be one of 'web', 'code'"),
        (frame.rename(columns={"web": "code"}), "sizes has the label 'code' twice: labels must differ"),
        (-frame.iloc[0], "sizes['code'] = -1: must be >= 0"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            fitted.predict(given)
    with pytest.raises(ValueError, match="sizes lacks 'chat': must have a number"):
        Mixture.from_trees(trees, exact[["web"]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda s: Mixture.from_trees({"web": A, "chat": B}, s),
            ValueError,
            "sizes lacks 'chat': must have a nu",
        ),
        (
            lambda s: Mixture.from_trees({"a": A, "b": B}, s),
            ValueError,
            "sizes names 'web': must be one of 'a',",
        ),
        (
            lambda s: Mixture.from_trees([A, B], s),
            TypeError,
            "sizes is a dict, but the datasets have no names: m",
        ),
        (
            lambda s: Mixture.from_trees(A, B).with_sizes(s),
            ValueError,
            "sizes names 'web': must be one of 'D1', ",
        ),
        (lambda s: Mixture({"web": [1, 0]}, {"web": -1}), ValueError, "sizes['web'] = -1: must be > 0"),
        (
            lambda s: Mixture({"web": [1, 0]}, {"web": "2"}),
            TypeError,
            "sizes['web'] = '2': must be a number",
        ),
        (
            lambda s: Mixture([[1, 0]], s),
            TypeError,
            "or give names, by names= or a mapping of names to the da",
        ),
        (
            lambda s: depth_curve({"web": A, "chat": B, "c": C}, sizes=s),
            ValueError,
            "sizes lacks 'chat', 'c': m",
        ),
        (
            lambda s: unexpanded_bounds([A, B], s),
            TypeError,
            "sizes is a dict, but the datasets have no names",
        ),
        (
            lambda s: unexpanded_bounds([A, B]).sign("web", 0),
            ValueError,
            "i = 'web': must be one of 'D1', 'D2'",
        ),
        (lambda s: law().predict({"web": 1}), ValueError, "sizes names 'web': must be one of 'D1', 'D2'"),
        (
            lambda s: TrainingRuns({"web": [1]}, [[1]]),
            TypeError,
            "sizes holds numbers by name: must be (runs, d",
        ),
        (
            lambda s: TrainingRuns([[1]], [{"web": 1}]),
            TypeError,
            "TrainingRuns.from_frame(frame, sizes=..., rat",
        ),
    ],
)
def test_sizes_by_wrong_names(unchecked, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call({"web": 10})


def test_a_single_curve_is_drawn_as_a_list_of_one(unchecked):
    curve = response_curve(MIXTURE, [0.1, 0.2])
    alone, listed = (plot_rate_change(each, "align") for each in (curve, [curve]))
    np.testing.assert_array_equal(alone.get_lines()[0].get_xydata(), listed.get_lines()[0].get_xydata())


def test_curves_have_a_grid_of_their_own():
    grid = np.geomspace(0.01, 10, 100)
    curve = response_curve(MIXTURE)
    np.testing.assert_array_equal(curve.l, grid)
    np.testing.assert_array_equal(curve.rates, response_curve(MIXTURE, grid).rates)
    for line in plotting.plot_rates(MIXTURE).get_lines():
        np.testing.assert_array_equal(line.get_xdata(), grid)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: leaf_distributions(A, B), TypeError, "write [a, b] for trees a and b"),
        (lambda: leaf_distributions(A, B, C), TypeError, "write [a, b] for trees a and b"),
        (lambda: Mixture.from_trees([A, B], [1, 1], C), TypeError, "give trees as [a, b, c] or one after"),
        (
            lambda: Mixture.from_trees({"web": [A]}),
            TypeError,
            "trees['web'] is a list: must be a TokenTree; merge(trees)",
        ),
        (lambda: Mixture.from_trees([chance, A]), TypeError, "for a model, read_along(model, data_tree)"),
        (lambda: Mixture([A, B, C], [1, 1, 1]), TypeError, "distributions hold a TokenTree: must be numbers"),
        (lambda: Mixture({"web": A}, [1]), TypeError, OF_TEXTS),
        (
            lambda: Mixture({"a": [1, 0], "b": [2, -1]}, [1, 1]),
            ValueError,
            "distributions['b'][1] = -1: must be",
        ),
        (
            lambda: Mixture({"a": [1, 0], "b": [0.5, 0.6]}, [1, 1]),
            ValueError,
            "['b'].sum(axis=-1) = 1.1: probab",
        ),
        (
            lambda: Mixture({"a": [1, 0], "b": [0, 0]}, [1, 1]),
            ValueError,
            "distributions['b'] sums to 0: every",
        ),
        (
            lambda: Mixture({"a": [0, 0], "b": [0.5, 0.5]}, [1, 1]),
            ValueError,
            "distributions['a'] sums to 0: e",
        ),
        (
            lambda: Mixture({"a": [1, 0], "b": ["x", 1]}, [1, 1]),
            TypeError,
            "distributions['b'] holds text: mus",
        ),
        (lambda: Mixture({"web": A, "chat": B}), TypeError, OF_TEXTS),
        (
            lambda: Mixture({"py": "text"}),
            TypeError,
            "distributions hold a str: must be numbers; " + OF_TEXTS,
        ),
        (lambda: Mixture(["text", "another"]), TypeError, OF_TEXTS),
        (lambda: Mixture(A), TypeError, OF_TEXTS),
        (lambda: Mixture("text", [1]), TypeError, OF_TEXTS),
        (lambda: Mixture([[1, 1]]), TypeError, "sizes is missing: must be a sequence of numbers, one per d"),
        (lambda: Mixture.from_trees({"web": A, "chat": 1}), TypeError, "trees['chat'] is a int: must be a"),
        (
            lambda: merge({"web": A, "chat": WIDE}),
            ValueError,
            "trees['chat'] has alphabet_size 3 and trees['web",
        ),
        (
            lambda: merge({"web": A, "chat": A.prune(1)}),
            ValueError,
            "trees['chat'] is cut at depth 1 and anoth",
        ),
        (
            lambda: leaf_distributions({"web": A, "chat": B}, 4),
            ValueError,
            "depth = 4: trees['web'] is cut at",
        ),
        (
            lambda: depth_curve({"web": A, "chat": B, "new": WIDE}),
            ValueError,
            "trees['new'] has alphabet_siz",
        ),
        (
            lambda: rebound_by_depth({"web": A, "chat": B, "new": WIDE}),
            ValueError,
            "trees['new'] has alphabet",
        ),
        (
            lambda: unexpanded_bounds({"web": A, "chat": WIDE}),
            ValueError,
            "trees['chat'] has alphabet_size 3",
        ),
        (
            lambda: published_form([A, B, WIDE], 1, 1),
            ValueError,
            "parts[2] has alphabet_size 3 and parts[0] h",
        ),
        (
            lambda: model_rates(A, WIDE),
            ValueError,
            "data_tree has alphabet_size 3 and model_tree has 2: they m",
        ),
        (lambda: published_form(A, B, C), ValueError, "must be (m, M), or m trees as [a, b, c]"),
        (lambda: plot_depth_curve(MIXTURE), TypeError, "must be a DepthCurve, as depth_curve([a, b, c])"),
        (lambda: plot_rate_change(MIXTURE, "align"), TypeError, "as response_curve(mixture, l) makes it"),
        (
            lambda: model_rates(chance, A),
            TypeError,
            "model_tree is a function: must be a TokenTree; for a mo",
        ),
        (lambda: model_rates(A, ["01"]), TypeError, "data_tree is a list: must be a TokenTree; TokenTree.f"),
        (
            lambda: read_along(chance, ["01"]),
            TypeError,
            "tree is a list: must be a TokenTree; TokenTree.from",
        ),
        (lambda: read_along(chance, "01"), TypeError, "tree is a str: must be a TokenTree; TokenTree.from_s"),
        (lambda: modelled_depth(chance, A, 0.1), TypeError, "or read_model(model, depth)"),
        (lambda: HuffmanCode.from_tree(MIXTURE), TypeError, "pass one of the trees it was made from"),
        (lambda: HuffmanCode([3, 2, 1]), ValueError, "from_weights takes weights"),
        (lambda: mixtures(n=3), TypeError, "mixtures has no argument 'n': must be n_datasets"),
        (lambda: token_trees(depth=3), TypeError, "token_trees has no argument 'depth': must be max_depth"),
        (lambda: token_trees(q=3), TypeError, "no argument 'q': must be alphabet_size or max_depth or max_r"),
        (lambda: Mixture.from_trees(MIXTURE), TypeError, "trees is a Mixture: must be the trees it was"),
        (lambda: depth_curve(MIXTURE), TypeError, "trees is a Mixture: must be the trees it was"),
        (lambda: TokenTree("hello"), TypeError, "TokenTree.from_text(text, depth=16)"),
        (lambda: entropy(A), TypeError, "p is a TokenTree: must be numbers; pass its leaf_probabilities"),
        (lambda: kl_divergence(A, B), TypeError, "leaf_distributions([a, b]) of several"),
        (lambda: entropy(MIXTURE), TypeError, "p is a Mixture: must be numbers; pass its distributions"),
        (
            lambda: huffman_lengths(A),
            TypeError,
            "weights is a TokenTree: must be numbers; pass its leaf_pr",
        ),
        (lambda: fit_tail(A), TypeError, "masses is a TokenTree: must be numbers; pass its leaf_probabil"),
        (lambda: write_explorer(explore(), "e.html"), TypeError, "write_explorer(path, explorer)"),
        (
            lambda: TokenTree.from_sequences([["the", "cat"]]),
            TypeError,
            "number words first, as {word: i f",
        ),
        (
            lambda: TokenTree.from_sequences([[0, 7, 49151], [49000]]),
            ValueError,
            "[1] = 7: symbols must lie in 0..1 (alphabet_size = 2); pass alphabet_size=, at least one more "
            "than the largest, here 49152; for a model's token ids, model.alphabet_size",
        ),
        (lambda: TokenTree.from_sequences(np.array([[0, 5]])), ValueError, "than the largest, here 6"),
        (lambda: TokenTree.from_sequences(["013"]), ValueError, "than the largest, here 4"),
        (lambda: NGramModel.fit(["013"], 2), ValueError, "than the largest, here 4"),
        (
            lambda: TokenTree.from_sequences(["0", "some"], alphabet_size=49152),
            ValueError,
            "sequences[1][0] = 's': a string holds decimal digits, one for each symbol; of a text, pass the "
            "ids of its tokens, model.encode(text), or count its bits by TokenTree.from_text(text, depth=16)",
        ),
        (
            lambda: TokenTree.from_sequences(["0a"]),
            ValueError,
            "sequences[0][1] = 'a': a string holds decimal",
        ),
        (
            lambda: NGramModel.fit(["to be"], 2),
            ValueError,
            "[0][0] = 't': a string holds decimal digits, one",
        ),
        (
            lambda: TokenTree.from_sequences("to be " * 99),
            TypeError,
            "sequences, of 594 characters, is a single response: pass a list of responses; a string hol",
        ),
        (
            lambda: A.weight("to be"),
            ValueError,
            "prefix[0] = 't': a string holds decimal digits, one for eac",
        ),
        (lambda: BlockCodec(A).encode("to be"), ValueError, "pass the ids of its tokens, model.encode(text)"),
        (lambda: bool(elasticity(MIXTURE)), TypeError, "ask for .holds, which is None if undecided"),
        (lambda: elasticity([A, B, C]), TypeError, "of trees, Mixture.from_trees([a, b, c])"),
        (lambda: simulate_rebound([A, B, C]), TypeError, "of trees, Mixture.from_trees([a, b, c])"),
        (lambda: FisherSprings([A, B, C]), TypeError, "of trees, Mixture.from_trees([a, b, c])"),
        (lambda: rebound_by_depth(A), TypeError, "write [a, b] for trees a and b"),
        (lambda: plot_tree(MIXTURE), TypeError, "tree is a Mixture: must be a TokenTree"),
        (
            lambda: elasticity({"web": A, "chat": B, "new": C}),
            TypeError,
            "of trees, Mixture.from_trees([a, b, c",
        ),
        (lambda: Elasticity(MIXTURE), TypeError, "Elasticity is made by elasticity: it has 15 fields, not 1"),
        (lambda: MixingLaw([[1]]), TypeError, "MixingLaw is made by MixingLaw.fit: it has 5 fields, not 1"),
        (
            lambda: MixingLaw.fit([[1]]),
            TypeError,
            "as TrainingRuns(sizes, rates) or TrainingRuns.from_csv(path) m",
        ),
        (
            lambda: law().score([[1]]),
            TypeError,
            "runs is a list: must be TrainingRuns, as TrainingRuns(sizes, ",
        ),
        (
            lambda: law().best_sizes(["D1"]),
            TypeError,
            "target is a list: must be one name, or map names to wei",
        ),
        (lambda: law().best_sizes({"D1": "x"}), ValueError, "target['D1'] = 'x': must be finite and >= 0"),
        (lambda: law().best_sizes("D1", upper={"D1": "x"}), TypeError, "upper['D1'] = 'x': must be a number"),
        (lambda: law().predict({"D1": -1}), ValueError, "sizes['D1'] = -1: must be >= 0"),
        (
            lambda: MIXTURE.best_sizes("D1", sources="D2"),
            TypeError,
            "must list datasets; write ['D2'] for one",
        ),
        (lambda: MIXTURE.rates("nats"), ValueError, "finite and > 1; 2 for bits, math.e for nats"),
        (lambda: entropy([3, 1]), ValueError, "must sum to 1 within 1e-09; divide others by their sum"),
        (lambda: entropy("0.5 0.5"), TypeError, "p holds text: must be real numbers"),
        (lambda: HuffmanCode([1, 1]).encode("ab"), TypeError, "symbols holds text: must be integers"),
        (
            lambda: jensen_shannon_divergence([A, B]),
            TypeError,
            "[0] is a TokenTree: must be numbers; pass its le",
        ),
        (lambda: Mixture.from_trees(Path("a")), TypeError, "from_text from a text, from_file of a file"),
        (
            lambda: merge("a.txt", "b.txt"),
            TypeError,
            "1 arguments too many: give trees as [a, b, c] or one af",
        ),
        (
            lambda: merge("a.txt"),
            TypeError,
            "trees is a str: must be a TokenTree; TokenTree.from_sequences m",
        ),
        (
            lambda: Mixture.from_trees(chance),
            TypeError,
            "trees is a function: must be a TokenTree; for a model,",
        ),
        (lambda: Mixture.from_trees([A, B], depth="3"), TypeError, "depth = '3': must be an integer >= 1"),
        (lambda: leaf_distributions([A, B], "3"), TypeError, "depth = '3': must be an integer >= 1"),
        (
            lambda: TokenTree.from_bytes("text", 8),
            TypeError,
            "must be contiguous bytes (use from_text for a str)",
        ),
        (
            lambda: TokenTree.from_sequences(A),
            TypeError,
            "sequences is a TokenTree: must be a list of respons",
        ),
        (
            lambda: TokenTree.from_sequences({"01": 3}),
            TypeError,
            "sequences is a dict: must be a list of responses; TokenTree.from_leaves takes responses with th",
        ),
        (lambda: NGramModel.fit({"01": 3}, 1), TypeError, "sequences is a dict: must be a list of responses"),
        (
            lambda: write_explorer("e.html", MIXTURE),
            TypeError,
            "must be an Explorer, as explore(k=1000) makes it",
        ),
        (
            lambda: plotting.plot_response(MIXTURE, "web"),
            TypeError,
            "ax is a str: must be Matplotlib Axes; give o",
        ),
        (lambda: verify("theorem-3.4"), TypeError, "choose claims by claims=['theorem-3.4']"),
        (lambda: plot_tree_levels(MIXTURE), TypeError, "tree is a Mixture: must be a TokenTree"),
    ],
)
def test_errors_say_what_to_type(unchecked, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    ("draw", "kind", "made"),
    [
        (lambda x: plotting.plot_balance(x, 0, 1), "TrainingRuns", "TrainingRuns(sizes, rates)"),
        (plotting.plot_best_sizes, "BestSizes", "law.best_sizes(target)"),
        (plotting.plot_budget, "Mapping", "{name: [inverse_alignment_budget(mixture, epsilon)]}"),
        (
            lambda x: plotting.plot_budget({"a": [x]}),
            "AlignmentBudget",
            "inverse_alignment_budget(mixture, e",
        ),
        (plotting.plot_chain_motion, "ChainMotion", "SpringChain(stiffness).simulate(times)"),
        (plotting.plot_depth_curve, "DepthCurve", "depth_curve([a, b, c])"),
        (lambda x: plotting.plot_extension_gap(x, [1, 2]), "Mixture", "Mixture.from_trees([a, b, c])"),
        (plotting.plot_force_extension, "SpringChain", "SpringChain(stiffness)"),
        (lambda x: plotting.plot_law_response(x, [1, 1]), "MixingLaw", "MixingLaw.fit(runs)"),
        (plotting.plot_log_loss, "ModelRates", "model_rates(model_tree, data_tree)"),
        (plotting.plot_needed, "Rebound", "simulate_rebound(mixture)"),
        (plotting.plot_pareto_convergence, "Mapping", "{name: pareto_convergence(alpha, sizes)}"),
        (
            lambda x: plotting.plot_pareto_convergence({"a": x}),
            "ParetoConvergence",
            "pareto_convergence(alpha",
        ),
        (lambda x: plotting.plot_predictions(x, x), "MixingLaw", "MixingLaw.fit(runs)"),
        (lambda x: plotting.plot_predictions(law(), x), "TrainingRuns", "TrainingRuns(sizes, rates)"),
        (lambda x: plotting.plot_rate_change(x, "align"), "ResponseCurve", "response_curve(mixture, l)"),
        (lambda x: plotting.plot_rate_change([x], "align"), "ResponseCurve", "response_curve(mixture, l)"),
        (plotting.plot_rebound, "Rebound", "simulate_rebound(mixture)"),
        (plotting.plot_rebound_factor, "ReboundFactor", "rebound_by_depth([a, b, c])"),
        (plotting.plot_regret, "TrainingRuns", "TrainingRuns(sizes, rates)"),
        (plotting.plot_resistance, "Resistance", "simulate_resistance(mixture)"),
        (plotting.plot_resistance_gaps, "Resistance", "simulate_resistance(mixture)"),
        (lambda x: plotting.plot_sign_map(x, x="k", y="l"), "SignMap", "sign_map(k=k, l=l)"),
        (plotting.plot_tail_fit, "TailFit", "fit_tail(masses)"),
    ],
)
@pytest.mark.parametrize("given", [object(), A])
def test_a_plot_of_something_else_names_what_makes_what_it_draws(unchecked, draw, kind, made, given):
    rule = f" is a {type(given).__name__}: must be a"
    with pytest.raises(TypeError, match=f"{re.escape(rule)}n? {kind}, as {re.escape(made)}"):
        draw(given)


def test_one_file_of_runs_is_enough(tmp_path):
    (tmp_path / "runs.csv").write_text("size_web,size_code,loss_web,loss_code\n3,1,2.5,1.5\n1,3,2.75,1.25\n")
    runs = TrainingRuns.from_csv(tmp_path / "runs.csv", sizes="size_*", rates="loss_*")
    assert runs == TrainingRuns([[3, 1], [1, 3]], [[2.5, 1.5], [2.75, 1.25]], ["web", "code"])
    with pytest.raises(ValueError, match=r"are one file, runs\.csv: say which columns are which with sizes="):
        TrainingRuns.from_csv(tmp_path / "runs.csv")


def test_frames_of_runs_are_joined_by_their_labels(unchecked):
    pandas = pytest.importorskip("pandas")
    sizes = pandas.DataFrame({"web": [3, 1, 1], "code": [1, 3, 1]}, index=["a", "b", "c"])
    rates = pandas.DataFrame({"quiz": [5, 5, 6], "code": [2, 1.6, 1.7]}, index=["a", "b", "c"])
    runs = TrainingRuns(sizes, rates, tasks=["quiz"])
    assert runs.names == ("web", "code")
    np.testing.assert_array_equal(runs.rates, [[np.nan, 2, 5], [np.nan, 1.6, 5], [np.nan, 1.7, 6]])
    unnamed = TrainingRuns(sizes.add_prefix("size_"), rates)
    assert unnamed.names == ("size_web", "size_code")
    np.testing.assert_array_equal(unnamed.rates, rates)
    with pytest.raises(ValueError, match="rates names 'quiz': must be one of 'web', 'code'"):
        TrainingRuns(sizes, rates)
    with pytest.raises(
        ValueError, match=re.escape("different indices: align them with rates.loc[sizes.index]")
    ):
        TrainingRuns(sizes, rates.loc[["c", "a", "b"]], tasks=["quiz"])


def test_exchanged_files_of_runs(tmp_path):
    for name, text in (("mix", "run,web,code\n0,3,1\n"), ("loss", "run,web_loss,code_loss\n0,2,2.5\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    assert TrainingRuns.from_csv(tmp_path / "mix.csv", tmp_path / "loss.csv").names == ("web", "code")
    with pytest.raises(
        ValueError, match="sizes: all columns are named losses, as 'web_loss': exchange the tables"
    ):
        TrainingRuns.from_csv(tmp_path / "loss.csv", tmp_path / "mix.csv")


def test_columns_of_runs_are_asked_for_by_their_headers(unchecked, tmp_path):
    table = {
        "size_web": [3, 1],
        "size_code": [1, 3],
        "loss_web": [2, 3],
        "loss_code": [2, 1],
        "model": ["70M"] * 2,
    }
    path = tmp_path / "runs.csv"
    rows = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(rows))
    read, rule = TrainingRuns.from_csv, "must be a column or pattern, as in 'weight_*', or several in a list"
    of_frame = partial(TrainingRuns.from_frame, table)
    for call, error, message in (
        (
            lambda: read(path, sizes="size_*"),
            ValueError,
            "'70M': must be a number; name the columns of losses with rates=",
        ),
        (
            lambda: read(path, rates="loss_*"),
            ValueError,
            "'70M': must be a number; name the columns of sizes with sizes=",
        ),
        (
            lambda: read(path, sizes="size_*", rates="loss_*", parameters="model"),
            ValueError,
            "'70M': must be a number",
        ),
        (
            lambda: of_frame(sizes="size_*", rates="loss_*", losses="loss_*"),
            TypeError,
            "losses = 'loss_*': must map datasets",
        ),
        (lambda: of_frame(sizes=[0, 1], rates="loss_*"), TypeError, f"sizes has 0: {rule}"),
        (
            lambda: of_frame(sizes="size_*", rates=slice(2)),
            ValueError,
            f"rates = slice(None, 2, None): {rule}",
        ),
        (
            lambda: of_frame(sizes="size_*", rates="loss_*", tokens=[1, 2]),
            TypeError,
            "tokens is a list: must be the header",
        ),
        (
            lambda: read(table, sizes="size_*"),
            TypeError,
            "sizes_path is a dict: must be the path of a CSV file; ",
        ),
        (lambda: read([path, path]), TypeError, "sizes_path is a list: must be the path of a CSV file; "),
    ):
        with pytest.raises(error, match=re.escape(message)):
            call()


def test_a_picture_is_no_tree(unchecked, tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty").write_bytes(b"")
    law().save(tmp_path / "law")
    A.save(tmp_path / "tree")
    (tmp_path / "cut").write_bytes((tmp_path / "tree").read_bytes()[:-30])
    np.savez(tmp_path / "other.npz", a=1)
    for kind, name, found in (
        (TokenTree, "x.png", r"it is no .npz archive, but begins with b'\x89PNG'"),
        (MixingLaw, "x.png", r"it is no .npz archive, but begins with b'\x89PNG'"),
        (MixingLaw, "empty", "it is empty"),
        (TokenTree, "cut", "it is an archive whose end is missing"),
        (TokenTree, "law", "its format is tokentree.MixingLaw: MixingLaw.load reads it"),
        (MixingLaw, "tree", "its format is tokentree.TokenTree: TokenTree.load reads it"),
        (MixingLaw, "other.npz", "it has no array 'format'"),
    ):
        message = f"{name}' is not an intact file written by {kind.__name__}.save: {found}"
        with pytest.raises(ValueError, match=re.escape(message) + "$"):
            kind.load(tmp_path / name)
    (tmp_path / "a.txt").write_text("hello")
    assert TokenTree.from_file(tmp_path / "a.txt", depth=16) == TokenTree.from_text("hello", depth=16)


@pytest.mark.parametrize(
    "call",
    [
        lambda: TokenTree.from_sequences([[0, -1, 7]]),
        lambda: A.weight("7"),
    ],
)
def test_no_other_alphabet_is_proposed_where_none_would_do(call):
    with pytest.raises(ValueError, match=r"\(alphabet_size = 2\)$"):
        call()


@pytest.mark.parametrize(
    ("how", "written"),
    [
        ({"depth": 16}, "depth=16"),
        ({"depth": 2, "alphabet": "bytes"}, "depth=2, alphabet='bytes'"),
    ],
)
def test_a_text_that_is_the_name_of_a_file(how, written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "py.txt").write_text("hello")
    message = "text is 'py.txt', the name of a file: to count the file, write "
    message += f"TokenTree.from_file('py.txt', {written})"
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        tree = TokenTree.from_text("py.txt", **how)
    assert tree == TokenTree.from_bytes(b"py.txt", **how)


def test_other_texts_are_counted_without_a_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a\n").write_text("hello")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("hello")
    long = "./" * 600 + "b"
    for text in ("a\n", "a", "c", "\0", "b" * 999, long):
        assert TokenTree.from_text(text, 8) == TokenTree.from_bytes(text.encode(), 8)
    assert TokenTree.from_bytes(b"b", 8).n_leaves == 2


def test_bits_that_were_packed_and_unpacked_are_decoded():
    code = HuffmanCode([1, 2, 2])
    bits = code.encode([0, 2, 1])
    np.testing.assert_array_equal(code.decode(np.unpackbits(np.packbits(bits)), 3), [0, 2, 1])


@pytest.mark.parametrize(
    ("lengths", "beside"),
    [
        ([2, 2, 2, *range(3, 1201)], "2^-1200 below 1"),
        ([2, 2, 2, *range(3, 1201), 1200, 1200, 1200], "2^-1199 above 1"),
        ([2, 2, 2, *range(3, 1100), 1101, 1101, 1102], "about 2^-1100 below 1"),
    ],
)
def test_a_kraft_sum_near_one_says_how_near(lengths, beside):
    with pytest.raises(ValueError, match=re.escape(f"a Kraft sum {beside}: a complete code has exactly 1")):
        HuffmanCode(lengths)


def test_results_print_names_and_verdicts_first():
    named = Mixture.from_trees({"web": A, "chat": B, "new": C})
    found = elasticity(named)
    assert repr(found) == (
        "Elasticity(signs fail, certified: web rises (0.2885), chat rises (0.2885) as new grows; "
        "k=2, l=2, ratio=-0.5)"
    )
    bounds = (-0.25, 1.0), (-math.inf, math.inf)
    undecided = repr(replace(found, signs=(None, 1), holds=None, certified=False, bounds=bounds))
    start = "Elasticity(signs undecided: web undecided (-0.25 to 1), chat rises as new grows; "
    assert undecided.startswith(start)
    assert "certificate='pretrain: " in undecided
    assert repr(response_curve(named, [0.1, 0.2])) == (
        "ResponseCurve(web, chat as new grows: signs hold at 0 of 2, certified; k=2, l 0.1 to 0.2)"
    )
    assert repr(depth_curve({"web": A, "chat": B, "new": C})) == (
        "DepthCurve(web, chat, new: signs hold at 0 of 3, certified; depth 1 to 3)"
    )
    assert repr(sign_map([10, 100], 0.25)).startswith(
        "SignMap(signs hold at 2 of 2 points; k 10 to 100, l 0.25"
    )
    assert "limit of l 0.5)" in repr(sign_map(10, 0.25))
    assert "limit" not in repr(sign_map(10, 0.25, form="three-dataset"))
    fit = fit_tail([1.0, 2.0, 3.0, 5.0, 8.0, 13.0], threshold=1, n_bootstrap=20, rng=0)
    assert repr(fit).endswith(f": Pareto tail {'plausible' if fit.plausible else 'rejected'})")


def test_a_law_says_how_well_it_predicts():
    rng = np.random.default_rng(0)
    mixture = Mixture(rng.dirichlet(np.ones(4), size=3), [1, 1, 1], names=["web", "chat", "new"])
    sizes = rng.dirichlet(np.ones(3), size=24)
    rates = [2 + mixture.with_sizes(n).rates(np.e) for n in sizes.tolist()]
    runs = TrainingRuns(sizes, rates, mixture.names)
    assert repr(runs) == "TrainingRuns(24 runs, 3 datasets (web, chat, new), 3 losses)"
    law = MixingLaw.fit(runs, 4, "shared")
    assert law.choice in law.choices
    assert repr(law) == (
        "MixingLaw(3 datasets (web, chat, new), 3 losses; 4 leaves, scales shared, "
        f"R2 {1 - law.choice.error:.4f} on mixtures left out)"
    )
    known = MixingLaw.fit(runs, 4, "shared", smoothing=1e-3)
    assert known.choice is None
    assert repr(known).endswith("scales shared)")


def test_rates_have_names():
    pytest.importorskip("pandas", reason="needs the extra pandas")
    named = Mixture.from_trees({"web": A, "chat": B, "new": C})
    assert named.to_frame()["rate"].to_dict() == dict(zip(named.names, named.rates().tolist(), strict=True))
    table = depth_curve({"web": A, "chat": B, "new": C}).to_frame()
    np.testing.assert_array_equal(table["rate_chat"], depth_curve([A, B, C]).rates[:, 1])
    row = elasticity(named).to_frame().iloc[0]
    assert (row["pretrain"], row["align"], row["perturb"]) == named.names
    shown = str(named).splitlines()
    assert [line.split()[0] for line in shown[2:]] == ["web", "chat", "new"]
    assert shown[1].split() == ["dataset", "size", "weight", "rate", "normalised", "rate"]


class Likeliest:
    """A model that lists one of five tokens, and no end."""

    partial, eos, alphabet_size = True, (4,), 4

    def __call__(self, prefixes):
        with np.errstate(divide="ignore"):
            return np.log(np.array([[0.75, 0, 0, 0, 0]] * len(prefixes)))


def test_what_a_model_did_not_list_is_no_zero_without_a_word():
    data = TokenTree.from_sequences([[0], [0, 0], [0, 1]], alphabet_size=4)
    model_tree = read_along(Likeliest(), data)
    with pytest.warns(
        UserWarning, match=r"^trees\[1\] has unexpanded mass where another tree has the end after \(0"
    ):
        p, q = leaf_distributions([data, model_tree])
    assert np.isinf(kl_divergence(p, q))
    with pytest.warns(
        UserWarning, match=r"^model_tree does not list the end after \(0,?.*\), where 33\.3% of the"
    ):
        rates = model_rates(model_tree, data)
    assert rates.log_loss[0] == pytest.approx(-np.log2(0.75))
    assert np.isnan(rates.log_loss[1:]).all()
    assert np.isfinite(rates.log_loss_lower).all()
    # Whose data are cut before their end asks for none.
    cut = TokenTree.from_sequences([[0, 0], [0, 0]], alphabet_size=4, depth=2)
    assert np.isfinite(model_rates(read_along(Likeliest(), cut), cut).log_loss).all()


def test_data_beside_a_model_need_its_alphabet():
    model, ids = Likeliest(), [[0, 1], [1, 0]]
    tree = read_model(model, depth=2)
    message = (
        "count again with alphabet_size=4, beside trees of a model with alphabet_size=model.alphabet_size"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Mixture.from_trees([tree, TokenTree.from_sequences(ids, depth=2)])
    data = TokenTree.from_sequences(ids, depth=2, alphabet_size=model.alphabet_size)
    assert Mixture.from_trees([tree, data]).unexpanded.tolist() == [1 - 0.75**2, 0]


MASSES = TokenTree.from_leaves({"01": 0.5, "00": 0.5}, depth=3)
PART = read_model(chance, 3, top_k=1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: read_along(chance, [A, B]),
            TypeError,
            "tree is a list: must be a TokenTree; merge(trees) is",
        ),
        (
            lambda: model_rates(A, {"a": B}),
            TypeError,
            "data_tree is a dict: must be a TokenTree; merge(trees)",
        ),
        (
            lambda: read_along(chance, {"a": ["01"]}),
            TypeError,
            "must be a TokenTree; TokenTree.from_sequences",
        ),
        (
            lambda: merge(A, MASSES),
            ValueError,
            "mix counts and masses: all must be of one kind; Mixture.from_t",
        ),
        (
            lambda: merge(MASSES, PART),
            ValueError,
            "its mass there is unknown; prune all to depth 1 or less, or",
        ),
        (
            lambda: merge(TokenTree.from_leaves({"": 1.0}), PART),
            ValueError,
            "lists the end after (): its mass there is unknown; mix them, Mixture.from_trees(trees)",
        ),
        (lambda: model_rates(A, PART), ValueError, "must be fully known; the model's tree comes first"),
        (lambda: model_rates(A, A, 2), ValueError, "depths = 2: must be a sequence, such as [1, 2]"),
        (
            lambda: kl_divergence(A.leaf_probabilities, PART.leaf_probabilities),
            ValueError,
            "the last axes must match; of trees a and b, leaf_distributions([a, b]) has both over the same",
        ),
        (lambda: TokenTree.from_sequences([0, 1]), TypeError, "integers; of one response, pass [response]"),
    ],
)
def test_errors_about_a_model_and_data_say_what_to_type(unchecked, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_one_size_by_name_leaves_the_others():
    mixture = Mixture([[1, 0], [1, 1]], [3, 2], names=["web", "chat"])
    assert mixture.with_sizes({"chat": 10}) == mixture.with_sizes([3, 10])


def test_errors_say_what_was_given_for_datasets(unchecked):
    mixture = Mixture([[1, 0], [1, 1], [0, 1]], [3, 2, 1], names=["web", "chat", "new"])
    with pytest.raises(ValueError, match="align, perturb = 0, 1, 'chat': must be different datasets"):
        elasticity(mixture, perturb="chat")
    with pytest.raises(ValueError, match=r"base = 'chat': .*to select a dataset, index the result"):
        mixture.response("chat")


class Words:
    """A tokenizer that joins a list of texts, as those of transformers do."""

    def encode(self, text, add_special_tokens):
        return [ord(letter) % 8 for letter in "".join(text)]


@pytest.fixture(params=["server", "recording", "transformers"])
def reader(request, tmp_path):
    if request.param == "transformers":
        pytest.importorskip("torch", reason="needs the extra transformers")
        transformers = pytest.importorskip("transformers", reason="needs the extra transformers")
        config = transformers.GPT2Config(vocab_size=8, n_positions=16, n_embd=4, n_layer=1, n_head=1)
        return CausalLM(transformers.GPT2LMHeadModel(config).eval(), Words(), eos=())
    pytest.importorskip("pydantic", reason="needs the extra server")
    # Nothing listens there, and nothing is asked.
    server = CompletionsServer("http://localhost:9", ids=False, eos=())
    return server if request.param == "server" else Recording(tmp_path / "answers.db", server)


def test_one_text_is_encoded_at_a_time(unchecked, reader):
    for given, kind in ((["a", "b"], "list"), (b"a", "bytes"), (3, "int")):
        message = f"text is a {kind}: must be a single str; encode one text at a time, [model.encode("
        with pytest.raises(TypeError, match=re.escape(message)):
            reader.encode(given)


def test_text_is_no_ids_of_a_text(unchecked, reader):
    for given, shown in (("12", "'1'"), (["a"], "'a'"), ([1, "2"], "'2'")):
        with pytest.raises(TypeError, match=f"^{shown} is text: must be token ids, as model.encode"):
            reader.text(given)


def test_prefixes_are_ids(unchecked, reader):
    for given, shown in (
        ("text", "prefixes = 'text'"),
        (["text"], "prefixes[0] = 'text'"),
        ([(1,), "2"], "prefixes[1] = '2'"),
        ([1, 2], "prefixes[0] = 1"),
        (3, "prefixes = 3"),
    ):
        message = f"{shown}: a model takes a list of prefixes, each a tuple of token ids; of a text, mod"
        with pytest.raises(TypeError, match=re.escape(message)):
            reader(given)


RUNS = TrainingRuns([[3, 1], [1, 3], [1, 1]], [[1, 2], [1.4, 1.6], [1.2, 1.7]], ["web", "code"])


def replicated():
    return MixingLaw.fit(RUNS, 2, "shared", smoothing=1e-2).bootstrap(RUNS, n=2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: compare([LinearLaw], RUNS),
            TypeError,
            "laws is a list: must map names to laws, as {'linear'",
        ),
        (
            lambda: compare(RUNS, {"linear": LinearLaw}),
            TypeError,
            "laws is a TrainingRuns: must map names to",
        ),
        (
            lambda: compare({"tree": replicated()}, RUNS),
            TypeError,
            "laws['tree'] is a MixingLaw: must be a class or a function that fits a law to runs, as {",
        ),
        (
            lambda: compare({"linear": LinearLaw}, RUNS.sizes),
            TypeError,
            "runs is a ndarray: must be TrainingR",
        ),
        (lambda: law().predict(RUNS), TypeError, "sizes is a TrainingRuns: must be numbers; pass its sizes"),
        (
            lambda: elasticity(law()),
            TypeError,
            "must be a Mixture or a TrainedMixture; of a law, law.mixture(s",
        ),
        (
            lambda: replicated().interval("web"),
            TypeError,
            "of is a str: must be a function of a law, as lambd",
        ),
        (
            lambda: replicated().interval(lambda each: each.best_sizes("web")),
            TypeError,
            "of returns a BestSizes: must return numbers, as lambda law: law.best_sizes(target).sizes",
        ),
        (
            lambda: replicated().interval(len, level="0.9"),
            ValueError,
            "level = '0.9': must be between 0 and 1",
        ),
        (
            lambda: law().predict("D1"),
            TypeError,
            "sizes = 'D1': must have numbers in order or by name, as {'D",
        ),
        (
            lambda: law().best_sizes("D1", lower="D2"),
            TypeError,
            "lower = 'D2': must have numbers in order or by name, as {'D2': 1}",
        ),
        (
            lambda: RUNS.monotone(2),
            TypeError,
            "certified = 2: must be True or False; name the other, as in z",
        ),
        (lambda: RUNS.gaps("2"), ValueError, "z = '2': a number of standard errors must be finite and >= 0"),
        (lambda: LinearLaw.fit(RUNS, smoothing="0"), ValueError, "smoothing = '0': must be finite and > 0"),
        (lambda: MixingLaw.fit(RUNS, smoothing="0"), ValueError, "smoothing = '0': must be finite and > 0"),
        (
            lambda: MixingLaw.fit(TrainingRuns(RUNS.sizes, RUNS.rates, parameters=[1, 1, 2]), 2),
            ValueError,
            "parameters of the runs differ, and no tokens are given: give tokens too, if only the same",
        ),
        (
            lambda: law().transfer(
                TrainingRuns([[1, 1], [1, 2]], [[1, 2], [2, 1]], parameters=[7, 7], tokens=[1, 2])
            ),
            ValueError,
            "runs differ in parameters or tokens: a law is transferred to models of one size and one number",
        ),
        (lambda: law().best_sizes("D1", total=0), ValueError, "total = 0: must be finite and > 0"),
        (lambda: law().best_sizes("D1", pull="1"), ValueError, "pull = '1': must be finite and >= 0"),
        (lambda: law().best_sizes("D1", prior=[1, 1]), ValueError, "give pull, as in pull=0.1"),
        (
            lambda: law().best_sizes("D1", prior={"D1": 1}, pull=1),
            ValueError,
            "prior gives 'D2' no weight: every dataset that may have a share needs a weight > 0; for ",
        ),
    ],
)
def test_errors_about_runs_and_laws_say_what_to_type(unchecked, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
