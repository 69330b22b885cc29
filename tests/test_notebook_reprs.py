"""How results show in notebooks, and how they leave for other tools: tables, graphs, pickles, copies."""

import copy
import math
import operator
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.toys import coin

from tokentree import (
    FisherSprings,
    HuffmanCode,
    Ledger,
    Mixture,
    SpringChain,
    TokenTree,
    Verdict,
    depth_curve,
    elasticity,
    fit_tail,
    inverse_alignment_budget,
    model_rates,
    modelled_depth,
    pareto_limit,
    response_curve,
    sign_map,
    three_dataset_form,
    unexpanded_bounds,
)
from tokentree.adapters import read_model
from tokentree.claims import Finding
from tokentree.pareto import pareto_convergence
from tokentree.strategies import token_trees
from tokentree.theorem import published_derivatives

EVIL = "<script>alert('&')</script>"
TREES = token_trees(alphabet_size=3, max_depth=5, max_responses=12)


def finding(**given):
    about = {"id": "one", "claim": "1 = 1.", "where": "nowhere", "verdict": Verdict.HOLDS, "reason": "It is."}
    rest = {"grounds": "proof", "figures": {"digits": 1.5}, "witness": "assert 1 == 1", "short": "it is"}
    return Finding(**(about | rest | given))


def mixture():
    return Mixture(
        [[2, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]], [3, 1, 0.1], names=["web", "chat", EVIL], depth=2
    )


def trees():
    return [TokenTree.from_leaves({leaf: 1}, depth=2) for leaf in ("01", "10", "00")]


RESULTS = {
    "counted tree": lambda: TokenTree.from_sequences(["0", "01", "01", "11"]),
    "pruned tree": lambda: TokenTree.from_sequences(["0", "01", "01", "11"]).prune(1),
    "model's tree": lambda: read_model(coin, depth=3, max_nodes=10),
    "leaves": lambda: read_model(coin, depth=3, max_nodes=10).leaves(),
    "code": lambda: HuffmanCode([1, 2, 2]),
    "integer mixture": mixture,
    "fraction mixture": lambda: Mixture([[Fraction(1, 10**20), 1], [1, 1]], [Fraction(1, 3), 1]),
    "float mixture": lambda: Mixture([[0.1, 0.9], [0.5, 0.5]], [0.1, 1]),
    "elasticity": lambda: elasticity(mixture()),
    "no ratio": lambda: elasticity(three_dataset_form([[1, 1]] * 3, 2, 1)),
    "response curve": lambda: response_curve(mixture(), [0.1, 1.0]),
    "empty curve": lambda: response_curve(mixture(), np.zeros(0)),
    "closed form": lambda: published_derivatives(3, 10.0, [0.1, 0.5]),
    "depth curve": lambda: depth_curve(trees()),
    "modelled depth": lambda: modelled_depth(trees()[0], trees()[0], 0.1),
    "sign map": lambda: sign_map([1.0, 10.0], [0.1, 0.2]),
    "limit": lambda: pareto_limit(2.5, [5, 1]),
    "convergence": lambda: pareto_convergence(3, [5, 1], [100, 200], range(3)),
    "model's rates": lambda: model_rates(read_model(coin, depth=2), trees()[0]),
    "bounds": lambda: unexpanded_bounds([read_model(coin, depth=3, max_nodes=n) for n in (8, 10)]),
    "chain at rest": lambda: SpringChain([1.0, 2.0]).under_load(3.0),
    "chain in motion": lambda: SpringChain([1.0, 2.0]).simulate([0.0, 1.0], load=3.0),
    "invariant": lambda: FisherSprings(mixture()).invariant("chat", 0.1),
    "budget": lambda: inverse_alignment_budget(mixture(), epsilon=0.1),
    "tail": lambda: fit_tail([1.0, 2.0, 3.5, 8.0, 20.0], n_bootstrap=10, rng=0),
    "finding": finding,
    "ledger": lambda: Ledger((finding(), finding(id="two")), seed=0),
}
SHOWN = {
    "pruned tree",
    "model's tree",
    "code",
    "integer mixture",
    "elasticity",
    "no ratio",
    "finding",
    "ledger",
}


class Balanced(HTMLParser):
    """What a page holds; fails where tags do not close in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def rows(self):
        return self.tags.count("tr")


# Pickles, copies and equality


@pytest.mark.parametrize("name", RESULTS)
def test_results_survive_pickles_and_copies(name):
    result = RESULTS[name]()
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result), copy.copy(result)):
        assert type(other) is type(result)
        assert other == result
        assert not operator.ne(other, result)
        assert repr(other) == repr(result)


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_equals_no_other_result(name):
    result = RESULTS[name]()
    for other, make in RESULTS.items():
        if other != name:
            assert result != make()
            assert not operator.eq(result, make())


@pytest.mark.parametrize(
    "name", ["response curve", "depth curve", "sign map", "limit", "convergence", "leaves"]
)
def test_one_digit_makes_a_result_another(name):
    result = RESULTS[name]()
    field = next(
        key for key, value in vars(result).items() if isinstance(value, np.ndarray) and value.size > 1
    )
    array = vars(result)[field].copy()
    array.flat[-1] += 1
    changed = replace(result, **{field: array})
    assert changed != result


def test_verdicts_without_a_ratio_can_be_equal():
    found = RESULTS["no ratio"]()
    assert math.isnan(found.ratio)
    assert found == pickle.loads(pickle.dumps(found))
    assert found != replace(found, k=found.k + 1)
    assert found != "a verdict"


def test_mixtures_compare_by_what_was_given():
    rows, sizes = [[2, 1, 1], [0, 1, 1]], [3, 1]
    given = Mixture(rows, sizes, names=["a", "b"], depth=2)
    assert given == Mixture(np.array(rows), [Fraction(3), 1.0], names=["a", "b"], depth=2)
    assert hash(given) == hash(Mixture(rows, sizes, names=["a", "b"], depth=2))
    others = [
        Mixture([[2, 1, 1], [1, 1, 1]], sizes, names=["a", "b"], depth=2),
        Mixture(np.array(rows) / [[4], [2]], sizes, names=["a", "b"], depth=2),
        Mixture(rows, [3, 2], names=["a", "b"], depth=2),
        Mixture(rows, sizes, names=["a", "c"], depth=2),
        Mixture(rows, sizes, names=["a", "b"], depth=3),
        Mixture(rows, sizes, names=["a", "b"]),
        Mixture([*rows, [1, 0, 0]], [3, 1, 1]),
    ]
    assert all(given != other for other in others)
    assert given != "a mixture"


def test_pickles_hold_what_was_given_and_stay_read_only():
    code = HuffmanCode.from_weights(np.ones(8))
    fresh = len(pickle.dumps(code))
    code.decode(code.encode(np.arange(8)))
    assert len(pickle.dumps(code)) == fresh
    assert not pickle.loads(pickle.dumps(code)).lengths.flags.writeable
    given = mixture()
    fresh = len(pickle.dumps(given))
    given.rates()
    assert len(pickle.dumps(given)) == fresh
    other = pickle.loads(pickle.dumps(given))
    assert not other.rows.values.flags.writeable
    assert not other.distributions.flags.writeable
    np.testing.assert_array_equal(other.rates(), given.rates())


def test_mixtures_of_other_sizes_share_their_rows_and_forget_their_weights():
    given = mixture()
    given.joint, given.weights  # noqa: B018 (asking is the point)
    grown = given.with_sizes([1, 1, 1])
    assert grown.rows is given.rows
    np.testing.assert_array_equal(grown.weights, np.full(3, 1 / 3))


# Plain text


@pytest.mark.parametrize("name", RESULTS)
def test_plain_representations_are_one_short_line(name):
    text = repr(RESULTS[name]())
    if name in {"closed form", "modelled depth", "limit", "chain at rest", "invariant", "budget"}:
        # Few numbers, and those are what they are for.
        return
    assert "\n" not in text
    assert "array(" not in text
    assert len(text) <= 160


def test_plain_representations_tell():
    assert repr(RESULTS["depth curve"]()) == (
        "DepthCurve(D1, D2, D3: signs hold at 1 of 2, certified; depth 1 to 2)"
    )
    assert repr(RESULTS["empty curve"]()) == (
        f"ResponseCurve(web, chat as {EVIL} grows: signs hold at 0 of 0, certified; k=3, l none)"
    )
    assert repr(RESULTS["leaves"]()) == "Leaves(3 UNEXPANDED, depth 2 to 3)"
    assert repr(RESULTS["ledger"]()) == "Ledger(2 holds; seed=0)"
    assert repr(finding()) == "Finding('one': holds; it is)"
    assert repr(RESULTS["convergence"]()) == (
        "ParetoConvergence(2 datasets, 100 to 200 leaves, 3 samples of each)"
    )
    curve = RESULTS["response curve"]()
    undecided = replace(curve.elasticities[0], holds=None, signs=(None, 1), certified=False)
    shown = repr(replace(curve, elasticities=(undecided,)))
    assert "grows: signs hold at 0 of 1, undecided at 1, certified at 0; k=" in shown


# HTML


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_html_is_well_formed_without_colours_or_scripts(name):
    page = RESULTS[name]()._repr_html_()
    tags = Balanced(page).tags
    assert "script" not in tags
    assert not re.search(r"#[0-9a-f]{3}|rgb|color:|background", page)


def test_everything_is_escaped():
    about = dict.fromkeys(("id", "claim", "where", "reason", "grounds", "witness", "short"), EVIL)
    evil = finding(**about, figures={EVIL: EVIL}, theorems=(EVIL,))
    for shown in (mixture(), evil, Ledger((evil,), seed=0)):
        page = Balanced(shown._repr_html_())
        assert "script" not in page.tags
        assert EVIL in page.text


def test_a_finding_names_its_theorems_where_it_has_some():
    assert "machine-checked" not in finding()._repr_html_()
    text = Balanced(finding(theorems=("One.two", "One.three"))._repr_html_()).text
    assert "machine-checked" in text
    assert "One.two, One.three" in text


@given(TREES, st.integers(1, 5))
def test_small_trees_are_drawn_whole(tree, depth):
    tree = tree.prune(depth)
    page = tree._repr_html_()
    svg = ElementTree.fromstring(
        re.search(r"<svg.*</svg>", page)[0].replace(' xmlns="http://www.w3.org/2000/svg"', "")
    )
    marks = svg.findall("g")
    leaves = tree.leaves()
    assert [mark.find("text").text for mark in marks] == [f"{p:.3g}" for p in leaves.probability]
    assert [mark.find("title").text.split()[0] for mark in marks] == [leaf.kind.name for leaf in leaves]
    assert len(svg.findall("path")) == tree.n_nodes - 1
    assert sorted(text.text for text in svg.findall("text")) == sorted(
        str(symbol) for symbol in tree.symbols[1:].tolist() if symbol >= 0
    )
    # Each leaf has a row of its own, from the top down.
    tops = [float(mark.find("text").get("y")) for mark in marks]
    assert np.all(np.diff(tops) > 10)
    assert max(tops) < float(svg.get("height"))


def test_unexpanded_lines_are_dotted():
    page = read_model(coin, depth=3, max_nodes=10)._repr_html_()
    assert page.count("stroke-dasharray") == page.count("UNEXPANDED") == 3


def test_large_trees_are_summarised_by_level():
    rng = np.random.default_rng(1)
    tree = TokenTree.from_sequences(rng.integers(0, 4, (200, 6)), alphabet_size=4)
    page = Balanced(tree._repr_html_())
    assert "svg" not in page.tags
    assert page.rows() == 1 + tree.depth + 1
    deepest = page.text[-4:]
    assert deepest == [str(tree.depth), *[f"{np.diff(tree.offsets)[-1]:,}"] * 2, "1"]


@pytest.mark.parametrize(
    "huge",
    [
        lambda: TokenTree.from_sequences(np.random.default_rng(2).integers(0, 2, (100, 500))),
        lambda: HuffmanCode.from_weights(np.arange(1, 10**6 + 1)),
        lambda: HuffmanCode.from_weights([2.0**-i for i in range(1000)]),
        lambda: Mixture(
            np.ones((2000, 2), np.int64), [1] * 2000, names=["x" * 10_000 + str(i) for i in range(2000)]
        ),
        lambda: Mixture(np.ones((2, 2**22), np.int64), [1, 2]),
        lambda: Ledger(tuple(finding(id=str(i), claim="c" * 10_000) for i in range(10_000)), seed=0),
    ],
)
def test_huge_objects_have_small_pages(huge):
    page = huge()._repr_html_()
    assert len(page) < 100_000
    assert Balanced(page).rows() <= 102


def test_long_tables_show_their_first_and_last_rows_and_count_the_rest():
    page = Balanced(Mixture(np.ones((50, 2), np.int64), range(1, 51))._repr_html_())
    names = [text for text in page.text if re.fullmatch(r"D\d+", text)]
    assert names == [*(f"D{i}" for i in range(1, 20)), "D50"]
    assert "… 30 more …" in page.text


def test_rates_of_very_large_mixtures_are_left_out():
    small = Balanced(mixture()._repr_html_()).text
    assert "normalised rate" in small
    assert f"{mixture().rates()[0]:.6g}" in small
    assert "rate" not in Balanced(Mixture(np.ones((2, 2**22), np.int64), [1, 2])._repr_html_()).text


def test_codes_show_their_codewords():
    text = Balanced(HuffmanCode([1, 2, 2])._repr_html_()).text
    assert text[-9:] == ["0", "1", "0", "1", "2", "10", "2", "2", "11"]


# Tables


def test_leaves_as_a_table():
    for tree in (TokenTree.from_leaves({"": 1, "0": 2, "01": 3}), read_model(coin, depth=3, max_nodes=10)):
        for pruned in (tree, tree.prune(1)):
            frame = pruned.leaves().to_frame()
            rows = [tuple(row) for row in frame.itertuples(index=False)]
            assert rows == [
                (leaf.prefix, leaf.depth, leaf.kind.name, leaf.weight, leaf.probability)
                for leaf in pruned.leaves()
            ]


def test_a_mixture_as_a_table():
    given = mixture()
    frame = given.to_frame(base=math.e, per="token")
    assert tuple(frame.index) == given.names
    np.testing.assert_array_equal(frame["size"], given.sizes)
    np.testing.assert_array_equal(frame["weight"], given.weights)
    np.testing.assert_array_equal(frame["leaves"], given.leaf_counts)
    np.testing.assert_array_equal(frame["rate"], given.rates(math.e, per="token"))
    np.testing.assert_array_equal(frame["normalized_rate"], given.normalized_rates(math.e, per="token"))


def test_curves_as_tables():
    import pandas as pd

    curve = RESULTS["response curve"]()
    frame = curve.to_frame()
    np.testing.assert_array_equal(frame.index, curve.l)
    np.testing.assert_array_equal(frame[["rate_pretrain", "rate_align", "rate_perturb"]], curve.rates)
    for name in ("dgamma_pretrain", "dgamma_align", "dgamma_perturb", "ratio", "holds", "certified"):
        assert frame[name].tolist() == [getattr(found, name) for found in curve.elasticities]
    undecided = replace(curve.elasticities[0], holds=None, signs=(None, 1), certified=False)
    frame = replace(curve, elasticities=(undecided, curve.elasticities[1])).to_frame()
    assert frame["holds"].iloc[0] is pd.NA
    assert not frame["certified"].iloc[0]
    assert RESULTS["empty curve"]().to_frame().empty

    curve = RESULTS["depth curve"]()
    frame = curve.to_frame()
    assert frame.index.tolist() == [1, 2]
    np.testing.assert_array_equal(frame["leaves"], curve.leaves)
    np.testing.assert_array_equal(frame[["rate_D1", "rate_D2", "rate_D3"]], curve.rates)
    np.testing.assert_array_equal(
        frame[["normalized_rate_D1", "normalized_rate_D2", "normalized_rate_D3"]], curve.normalized_rates
    )
    assert tuple(frame["holds"]) == curve.holds


def test_the_ledger_as_a_table():
    frame = RESULTS["ledger"]().to_frame()
    assert frame.index.tolist() == ["one", "two"]
    row = frame.loc["two"].tolist()
    assert row == ["1 = 1.", "nowhere", "holds", "proof", "it is", "It is.", "", "proof"]


# Graphs


@given(TREES, st.integers(1, 5))
def test_graphs_have_the_trees_paths_and_weights(tree, depth):
    import networkx as nx

    tree = tree.prune(depth)
    graph = tree.to_networkx()
    assert nx.is_arborescence(graph)
    assert nx.single_source_shortest_path_length(graph, 0) == dict(graph.nodes(data="depth"))
    assert "symbol" not in graph.nodes[0]
    for node in graph:
        below = list(graph.successors(node))
        about = graph.nodes[node]
        assert (about["kind"] == "inner") == bool(below)
        if below:
            assert about["weight"] == sum(graph.nodes[child]["weight"] for child in below)
    for leaf, node in zip(tree.leaves(), tree.leaves().node.tolist(), strict=True):
        path = [graph.nodes[step]["symbol"] for step in nx.shortest_path(graph, 0, node)[1:]]
        assert tuple(symbol for symbol in path if symbol >= 0) == leaf.prefix
        assert graph.nodes[node]["kind"] == leaf.kind.name.lower()
        assert graph.nodes[node]["weight"] == leaf.weight


def test_graphs_know_what_was_not_expanded():
    graph = read_model(coin, depth=3, max_nodes=10).to_networkx()
    assert [about["symbol"] for _, about in graph.nodes(data=True) if about["kind"] == "unexpanded"] == [
        -2
    ] * 3


def test_drawings_label_lines_and_leaves():
    source = TokenTree.from_sequences(["0", "01", "01", "11"]).to_graphviz("ab".__getitem__).source
    edges = re.findall(r"(\d+) -> (\d+) \[label=(\w+|\"\") style=(\w+)\]", source)
    assert [label for *_, label, _ in edges] == ["a", "b", '""', "b", "b", '""', '""']
    assert re.findall(r"label=([\d.]+) shape=(\w+)", source) == [
        ("0.25", "ellipse"),
        ("0.5", "ellipse"),
        ("0.25", "ellipse"),
    ]
    assert read_model(coin, depth=3, max_nodes=10).to_graphviz().source.count("dotted") == 3
    strange = TokenTree.from_sequences(["01"]).to_graphviz(['<"\\', "<b>"].__getitem__).source
    assert r'"<\"\\"' in strange
    assert 'label="<b>"' in strange


def test_drawings_have_a_largest_size():
    tree = TokenTree.from_sequences(["0", "1"])
    with pytest.raises(ValueError, match=r"tree has 5 nodes: at most max_nodes = 4 are drawn; prune it"):
        tree.to_graphviz(max_nodes=4)


# What is not installed


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("pandas", "pandas", lambda: mixture().to_frame()),
        ("pandas", "pandas", lambda: RESULTS["leaves"]().to_frame()),
        ("pandas", "pandas", lambda: RESULTS["ledger"]().to_frame()),
        ("pandas", "pandas", lambda: RESULTS["response curve"]().to_frame()),
        ("pandas", "pandas", lambda: RESULTS["depth curve"]().to_frame()),
        ("pandas", "pandas", lambda: RESULTS["model's rates"]().to_frame()),
        ("networkx", "graph", lambda: RESULTS["pruned tree"]().to_networkx()),
        ("graphviz", "graph", lambda: RESULTS["pruned tree"]().to_graphviz()),
    ],
)
def test_missing_packages_are_named_in_one_line(monkeypatch, package, extra, call):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError, match=rf"^to_\w+ needs {package}: pip install {package} \(extra '{extra}'\)$"
    ):
        call()


def test_importing_the_package_leaves_optional_packages_alone():
    code = (
        "import sys, tokentree, tokentree.trees, tokentree.claims; "
        "sys.exit(bool({'pandas', 'networkx', 'graphviz'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
