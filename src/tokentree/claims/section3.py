"""Section 3 of the paper: token trees, the compression protocol, and the definition of rates."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from ..codes import BlockCodec, HuffmanCode, ideal_code_length
from ..information import entropy
from ..mixtures import Mixture
from ..models import modelled_depth
from ..theorem import published_form
from ..trees import EOS, TokenTree, merge
from .evidence import (
    LETTERS_DEPTH,
    Evidence,
    apart,
    first_ones,
    letter_windows,
    python_text,
)
from .experiments import growing_transformers, real_model
from .ledger import Figure, Finding, Verdict
from .witness import witness

_ROUNDING, _EXACT = 1e-9, 1e-12
"""Differences that a finding allows, in bits or relative to the compared values."""


def theorem_3_4(evidence: Evidence) -> Finding:
    """Theorem 3.4 as an equality."""
    figures: dict[str, Figure] = {}
    for corpus in evidence.corpora:
        p = corpus.trees[0].leaf_probabilities
        figures[f"{corpus.name}: ceil(H)"] = ideal_code_length(corpus.trees[0], length=corpus.trees[0].depth)
        figures[f"{corpus.name}: Huffman length L"] = float(HuffmanCode.from_weights(p).expected_length(p))
    topics = b"".join(path.read_bytes() for path in python_text()["topics"])
    codec = BlockCodec(evidence.corpora[0].trees[1])
    bits = np.unpackbits(np.frombuffer(topics, dtype=np.uint8))
    figures["text align: bits per block that the codec writes"] = codec.code_length(bits) / (
        len(bits) // codec.depth + 1
    )
    figures["text align: ceil(H)"] = ideal_code_length(codec.tree, length=codec.depth)
    gaps = []
    for weights in ([1, 1, 1], [7, 1, 1]):
        p = np.divide(weights, sum(weights))
        gaps.append(HuffmanCode.from_weights(weights).expected_length(p) - np.ceil(entropy(p)))
    fails = gaps[0] < 0 < gaps[1]
    return Finding(
        "theorem-3.4",
        "E[L(x)] = ceil(|x| / d) ceil(H(pruned leaves)).",
        "Theorem 3.4",
        Verdict.FAILS if fails else Verdict.UNDECIDED,
        "The expected Huffman length per block lies in [H, H + 1), on either side of ceil(H): counts 1, 1, "
        "1 need 5/3 bits where ceil(H) = 2, and counts 7, 1, 1 need 11/9 bits where ceil(H) = 1.",
        "exact computation (two counterexamples)",
        figures,
        witness("theorem-3.4"),
        short="L = 5/3 < 2, and L = 11/9 > 1",
    )


def theorem_3_4_plain(evidence: Evidence) -> Finding:
    """Theorem 3.4 as the review prints it, without a ceiling on the bracket."""
    figures: dict[str, Figure] = {}
    ideal = within = True
    for corpus in evidence.corpora:
        for depth in (4, 8, corpus.trees[0].depth):
            tree = corpus.trees[0].prune(depth)
            p = tree.leaf_probabilities
            h, length = float(entropy(p)), float(HuffmanCode.from_weights(p).expected_length(p))
            ideal &= abs(_ideal_length(tree) - h) < _ROUNDING
            within &= h <= length + _ROUNDING and length < h + 1
            figures[f"{corpus.name}, d = {depth}: Huffman length L - H"] = length - h
    figures["ideal lengths, token by token, have the mean H to 10^-9"] = ideal
    return Finding(
        "theorem-3.4/plain-bracket",
        "E[L(x)] = ceil(|x| / d) [-sum p log p], p being the masses of the pruned tree's leaves.",
        "Theorem 3.4",
        Verdict.UNDER_A_CONDITION if ideal and within else Verdict.FAILS,
        "As the review prints it, only |x| / d is rounded up. If every block is distributed as the leaves, "
        "this is the expected length of the ideal code, with -log2 p bits for a leaf. Huffman's code, which "
        "the protocol uses, needs L bits per block with H <= L < H + 1, and L = H exactly if every p is a "
        "power of 1/2.",
        "proof (Shannon 1948, Huffman 1952); measured on the first block of 6 pruned trees",
        figures,
        witness("theorem-3.4/plain-bracket"),
        short="the ideal code; Huffman in [H, H + 1)",
        charitable="An equality for the ideal code; for Huffman's, a lower bound within one bit per block.",
        theorems=(
            "CodeLength.entropy_le_huffman",
            "CodeLength.huffman_lt_entropy",
            "CodeLength.huffman_eq_entropy",
        ),
    )


def _ideal_length(tree: TokenTree) -> float:
    """Mean of -log2 p(token | preceding tokens) over the paths of the tree."""
    bits = 0.0
    for depth in range(1, tree.depth + 1):
        here, up = tree.level(depth), tree.parents[tree.level(depth)]
        before = tree.weights[tree.level(depth - 1)][up]
        bits -= float(tree.weights[here] @ np.log2(tree.weights[here] / before))
    return bits / tree.total_weight


def theorem_3_4_within_a_bit(evidence: Evidence) -> Finding:
    """Theorem 3.4 as an estimate."""
    figures: dict[str, Figure] = {}
    for corpus in evidence.corpora:
        for depth in (4, 8, corpus.trees[0].depth):
            p = corpus.trees[0].prune(depth).leaf_probabilities
            length = float(HuffmanCode.from_weights(p).expected_length(p))
            figures[f"{corpus.name}, d = {depth}: L - ceil(H)"] = length - float(np.ceil(entropy(p)))
    return Finding(
        "theorem-3.4/within-a-bit",
        "E[L(x)] equals ceil(|x| / d) ceil(H(pruned leaves)) to within one bit per block.",
        "Theorem 3.4",
        Verdict.UNDER_A_CONDITION if all(abs(float(gap)) < 1 for gap in figures.values()) else Verdict.FAILS,
        "If every block is distributed as the leaves of the pruned tree, L and ceil(H) both lie in [H, H + "
        "1). Later blocks of a response need not be so distributed: the tree of 0011 has one leaf at depth "
        "2 and H = 0, but the blocks 11 and end-of-sequence are not in it.",
        "proof; measured on the first block of 6 pruned trees",
        figures,
        witness("theorem-3.4/within-a-bit"),
        short="when blocks are distributed as the leaves",
        theorems=("CodeLength.printed_length",),
    )


def mixture_formula(evidence: Evidence) -> Finding:
    """Section 3.2: weights of the joint tree, by actually merging the trees."""
    figures: dict[str, Figure] = {}
    equal = True
    for corpus in evidence.corpora:
        joint = merge(corpus.trees)
        paths = [leaf.prefix for tree in corpus.trees for leaf in tree.leaves()]
        counts = np.concatenate([tree.leaves().weight for tree in corpus.trees])
        equal &= joint == TokenTree.from_sequences(paths, counts, depth=joint.depth)
        mixture = Mixture.from_trees(corpus.trees)
        equal &= bool(np.array_equal(mixture.rows.values.sum(axis=0), joint.leaves().weight))
        figures[f"{corpus.name}: nodes compared"] = joint.n_nodes
        figures[f"{corpus.name}: responses"] = joint.total_weight
    return Finding(
        "mixture-formula",
        "The joint tree's weights are p^D = sum p^{D_i} |D_i| / sum |D_i|.",
        "Section 3.2",
        Verdict.HOLDS if equal else Verdict.FAILS,
        "A node's weight counts responses, and the counts of separate datasets add.",
        "proof; at every node, the same integers as in the tree counted from all responses together",
        figures,
        witness("mixture-formula"),
        short="equal integers at every node of the merged trees",
        theorems=("TokenTree.merge_all", "TokenTree.merge_weight", "TokenTree.merged_is_joint"),
    )


def printed_rate(evidence: Evidence) -> Finding:
    """Section 3.2: the compression rate as printed."""
    figures: dict[str, Figure] = {}
    between = moved = True
    for corpus in evidence.corpora:
        mixture = Mixture(corpus.counts, [1000, 1, 1])
        grown = mixture.perturb(2, 1)
        change = (grown.rates() - mixture.rates())[1]
        printed = entropy(grown.distributions[1]) - entropy(mixture.distributions[1])
        moved &= bool(change != 0) and float(printed) == 0
        figures[f"{corpus.name}: change of the alignment rate, |D_t| doubled"] = float(change)
        figures[f"{corpus.name}: change of the printed formula"] = float(printed)
        for part in range(3):
            h, rate_ = float(entropy(mixture.distributions[part])), float(mixture.rates()[part])
            highest = h - float(np.log2(mixture.weights[part]))
            between &= h - _ROUNDING <= rate_ <= highest + _ROUNDING
        figures[f"{corpus.name}: H(p_a), rate and H(p_a) + log(1 / w_a) at 1000 : 1 : 1"] = (
            f"{entropy(mixture.distributions[1]):.4f}, {mixture.rates()[1]:.4f}, "
            f"{entropy(mixture.distributions[1]) - np.log2(mixture.weights[1]):.4f}"
        )
    verdict = Verdict.UNDECIDED
    if moved:
        verdict = Verdict.UNDER_A_CONDITION if between else Verdict.FAILS
    return Finding(
        "rate-as-printed",
        "The compression rate of D_i is Theta(-sum p_i log p_i / d).",
        "Section 3.2",
        verdict,
        "H(p_i) <= gamma_i <= H(p_i) + log(1 / w_i) per block, where w_i is the share of D_i in the data. "
        "So, for responses of the order of d tokens, it holds while the shares w_i and the entropies H(p_i) "
        "stay bounded away from 0, but not uniformly in the sizes: as w_i falls, the rate can grow without "
        "bound. As the review prints it, the formula contains no other dataset, so no perturbation could "
        "change it, although Theorem 4.2 is about just such changes. The rate under the joint code is the "
        "cross-entropy -sum p_i log q, which another transcription of the paper prints.",
        "proof (q >= w_i p_i, and Gibbs' inequality); measured on both corpora; exact counterexample to a "
        "bound uniform in the sizes in the witness",
        figures,
        witness("rate-as-printed"),
        short="at fixed shares; it loses the response to sizes",
        charitable="With p_D under the logarithm, as another transcription has it, it is the rate itself, "
        "the cross-entropy.",
        theorems=("Rates.rate_split", "Rates.gibbs"),
    )


def _slopes(mixture: Mixture, weights: Float[np.ndarray, "leaves"]) -> Float[np.ndarray, "datasets"]:
    """Derivatives of -sum weights p_i log q with respect to n_t, in nats."""
    p, q = mixture.distributions, mixture.joint
    excess = np.divide(p[-1] - q, q, out=np.zeros_like(q), where=q > 0)
    return np.asarray(-(p * weights) @ excess / mixture.total_size)


def rate_per_response(evidence: Evidence) -> Finding:
    """Section 3.2: the rate as the review defines it, the mean of L / |x| over responses."""
    figures: dict[str, Figure] = {}
    breaks = exact = True
    for corpus in evidence.corpora:
        rows, tokens = first_ones(corpus)
        mixture = published_form(apart(*rows), 1000, 0.01)
        lengths = np.tile(tokens, 3)
        block, response = (_slopes(mixture, weights) for weights in (np.ones(lengths.size), 1 / lengths))
        left = float(mixture.sizes @ response)
        expected = float((mixture.joint - mixture.distributions[2]) @ (1 / lengths))
        exact &= abs(left - expected) < _ROUNDING * abs(expected)
        breaks &= abs(left) > 1e-6 * float(mixture.sizes @ np.abs(response))
        for name, slopes in (("E[L]", block), ("E[L / |x|]", response)):
            figures[f"{corpus.name}, published form, {name}: ratio -gamma_a' / (k gamma_p')"] = float(
                -slopes[1] / (1000 * slopes[0])
            )
        figures[f"{corpus.name}, E[L / |x|]: sum n_i gamma_i' over its largest term"] = left / float(
            np.abs(mixture.sizes * response).max()
        )
    figures["sum n_i gamma_i' is E_q[1 / |x|] - E_t[1 / |x|] to 10^-9"] = exact
    return Finding(
        "rate-per-response",
        "gamma_i = E[L / |x|], each response's bits divided by its own length, changes in inverse "
        "proportion to |D_i|.",
        "Section 3.2, with Theorem 4.2",
        Verdict.FAILS if breaks and exact else Verdict.UNDECIDED,
        "sum n_i gamma_i' = E_q[1 / |x|] - E_t[1 / |x|], in nats: 0 only where 1 / |x| has the same mean "
        "under the perturbation and under the mixture. In the published form with disjoint parts of lengths "
        "1, 1, 2 both rates rise at k = 1000, l = 0.01, and with lengths 2, 1, 1 the ratio is 0.006 instead "
        "of 1.02.",
        "proof (the sum equals that of (q - p_t) / |x|, since sum n_i p_i = T q); exact counterexamples in "
        "the witness; measured on both corpora with responses that end at their first 1, k = 1000, l = 0.01",
        figures,
        witness("rate-per-response"),
        short="lengths 1, 1, 2: both rates rise",
        charitable="E[L / |x|] obeys the law for the code that minimises it, with q proportional to p / "
        "|x|; for the tree's own code, E[L] per block and E[L] / E|x| per token do.",
    )


def rate(evidence: Evidence) -> Finding:
    """Section 3.2: the corrected compression rate."""
    figures: dict[str, Figure] = {}
    between = True
    for corpus in evidence.corpora:
        mixture = Mixture.from_trees(corpus.trees)
        for i, name in enumerate(("pretrain", "align", "perturb")):
            step = float(mixture.sizes[i]) / 100
            grown = mixture.perturb(i, step)
            slope = (grown.potential() - mixture.potential()) / step
            before, after = float(mixture.rates()[i]), float(grown.rates()[i])
            between &= after < slope < before
            figures[f"{corpus.name} {name}: rate, and the slope of T H(q) over the next 1 %"] = (
                f"{before:.6f}, {slope:.6f}"
            )
    return Finding(
        "rate-as-it-must-be",
        "The rate of D_i under the joint code is -sum p_i log q, the slope of T H(q) in |D_i|.",
        "Section 3.2, corrected",
        Verdict.HOLDS if between else Verdict.FAILS,
        "The ideal code for q spends -log q on a leaf. The joint length T H(q) is concave in the sizes, so "
        "its slope over a step lies between the rates at the two ends of the step, as the figures show.",
        "proof; measured on both corpora",
        figures,
        witness("rate-as-it-must-be"),
        short="-sum p_i log q, the slope of T H(q)",
        theorems=("RateDerivatives.potential_derivative", "Rates.euler_rates", "Rates.finite_changes_gaps"),
    )


def rate_per_token(evidence: Evidence) -> Finding:
    """Section 3.2: the rate per token, with sizes in tokens."""
    figures: dict[str, Figure] = {}
    worst = missed = 0.0
    for corpus in evidence.corpora:
        rows, tokens = first_ones(corpus)
        means = rows @ tokens / rows.sum(axis=1)
        mixture = Mixture(rows, [1000, 1, 1])
        # Derivatives of bits per token with respect to numbers of tokens.
        response = mixture.response() / np.outer(means, means)
        sizes = mixture.sizes * means
        worst = max(worst, float(np.max(np.abs(sizes @ response) / (sizes @ np.abs(response)))))
        total = float(sizes @ (mixture.rates() / means))
        missed = max(missed, abs(total / float(mixture.potential()) - 1))
        figures[f"{corpus.name}: tokens per response, pretrain, align, perturb"] = ", ".join(
            f"{mean:.4f}" for mean in means
        )
        figures[f"{corpus.name}: bits per token"] = ", ".join(
            f"{bits:.4f}" for bits in mixture.rates() / means
        )
    figures["sum of tokens times changes is 0 to 10^-12 of its terms"] = worst < _EXACT
    figures["sum of tokens times rates is the joint length to 10^-12"] = missed < _EXACT
    return Finding(
        "rate-per-token",
        "E[L] / E|x|, bits per token, obeys the law of inverse proportion with |D_i| in tokens.",
        "Sections 3.2 and 4.2, corrected",
        Verdict.HOLDS if worst < _EXACT and missed < _EXACT else Verdict.FAILS,
        "Size and rate are rescaled by the same E_i|x|, which does not depend on the sizes: N_i = n_i "
        "E_i|x| tokens at gamma_i / E_i|x| bits each. So sum N_i dGamma_i = 0 exactly, the response stays "
        "symmetric, and the ratio of Theorem 4.2 is unchanged. Section 4.2 counts tokens and needs this "
        "reading.",
        "proof (the conservation law, rescaled); measured on both corpora with responses that end at their "
        "first 1",
        figures,
        witness("rate-per-token"),
        short="exact, with |D_i| in tokens",
        theorems=("Response.balance", "Response.reciprocity", "Rates.euler_rates"),
    )


def definition_3_1(evidence: Evidence) -> Finding:
    """Definition 3.1: a token tree is well defined."""
    figures: dict[str, Figure] = {}
    adds_up = True
    for corpus in evidence.corpora:
        for tree in corpus.trees:
            for depth in range(tree.depth):
                inner = tree.symbols[tree.level(depth)] != EOS
                children = np.zeros(inner.size, dtype=np.int64)
                np.add.at(children, tree.parents[tree.level(depth + 1)], tree.weights[tree.level(depth + 1)])
                adds_up &= bool(np.array_equal(children, np.where(inner, tree.weights[tree.level(depth)], 0)))
        figures[f"{corpus.name}: nodes checked"] = sum(tree.n_nodes for tree in corpus.trees)
    return Finding(
        "definition-3.1",
        "In a token tree the weight of every node is the sum of its children's.",
        "Definition 3.1",
        Verdict.HOLDS if adds_up else Verdict.FAILS,
        "Every response through a node continues through exactly one child, or ends there, which is a child "
        "too.",
        "proof; equal integers at every node of 6 trees",
        figures,
        witness("definition-3.1"),
        short="equal integers at every node of 6 trees",
        theorems=("TokenTree.weights_add_up_data", "TokenTree.weights_add_up"),
    )


def definition_3_3(evidence: Evidence) -> Finding:
    """Definition 3.3: whether the protocol is lossless."""
    figures: dict[str, Figure] = {}
    lossless = True
    rng = np.random.default_rng(evidence.seed)
    for corpus in evidence.corpora:
        codec = BlockCodec(corpus.trees[0])
        leaves = codec.tree.leaves()
        seen = leaves.symbols[leaves.depth == codec.depth].ravel()
        for name, response in (("every seen block once", seen), ("coin flips", rng.integers(0, 2, 2**12))):
            bits = codec.encode(response)
            lossless &= bool(np.array_equal(codec.decode(bits), response))
            figures[f"{corpus.name}: bits per symbol, {name}"] = len(bits) / len(response)
    return Finding(
        "definition-3.3",
        "Pruning to depth d and Huffman-coding the leaves compresses without loss.",
        "Definition 3.3",
        Verdict.UNDER_A_CONDITION if lossless else Verdict.FAILS,
        "As printed, for responses whose blocks are all leaves of the tree. A block that does not occur in "
        "the data has no codeword; the library's codec gives every token one, and is lossless for all "
        "responses.",
        "proof (a prefix code decodes uniquely); round trips of seen blocks and of coin flips",
        figures,
        witness("definition-3.3"),
        short="if every block was seen",
    )


ORDERS = range(1, 9)
"""Orders of the n-gram models on which Assumption 3.2 is measured."""

N_GRAM_LETTERS = 2**11
"""Number of letters to which they are fitted."""


def assumption_3_2(evidence: Evidence) -> Finding:
    """Assumption 3.2: n-gram models of growing order, and transformers of growing size."""
    del evidence
    windows = letter_windows(2 * N_GRAM_LETTERS)
    fitted, new = windows[: N_GRAM_LETTERS - LETTERS_DEPTH + 1], windows[N_GRAM_LETTERS:]
    grown = _n_gram_depths(fitted, fitted, "witten-bell")
    fallen = _n_gram_depths(fitted, fitted, "kneser-ney")
    unseen = _n_gram_depths(fitted, new, "witten-bell")
    figures: dict[str, Figure] = {
        f"n-gram models of order 1 to {ORDERS[-1]}, {name}: depth within 1 bit": _listed(found)
        for name, found in (
            ("Witten-Bell, on the text they were fitted to", grown),
            ("Kneser-Ney, on the same", fallen),
            ("Witten-Bell, on the text that follows", unseen),
        )
    }
    measured = growing_transformers()
    sizes = sorted({row.parameters for row in measured})
    trained = {
        bits: [sum(row.kl_bits <= bits for row in measured if row.parameters == size) for size in sizes]
        for bits in (0.1, 1.0)
    }
    for bits, found in trained.items():
        figures[f"transformers of {_listed(sizes)} parameters: depth within {bits:g} bits"] = _listed(found)
    kept = [row for row in real_model() if row.assumption == "3.2"]
    deepest, most = (max(getattr(row, name) for row in kept) for name in ("depth", "parameters"))
    for case, name in ("fitted", "the text these were fitted to"), ("following", "the text that follows"):
        rows = [row for row in kept if row.case == case]
        last = [f"{row.distance:.3g}" for row in rows if row.depth == deepest]
        within = [
            sum(row.distance <= 1 and row.subject == subject for row in rows)
            for subject in dict.fromkeys(row.subject for row in rows)
        ]
        figures[
            f"n-gram models of order 1 to {len(last) - 1} in SmolLM2's tokens, then SmolLM2 itself, "
            f"{most:,} parameters, on {name}"
        ] = f"depth within 1 bit {_listed(within)}; KL at depth {deepest} {', '.join(last)} bits"
    grows = all(found == sorted(found) and found[0] < found[-1] for found in (grown, trained[1.0]))
    not_always = any(found != sorted(found) for found in (fallen, unseen, trained[0.1]))
    return Finding(
        "assumption-3.2",
        "The depth to which a model knows the token tree grows with the model's size.",
        "Assumption 3.2",
        Verdict.UNDER_A_CONDITION if grows and not_always else Verdict.UNDECIDED,
        "Taken as the largest depth at which the model is within a tolerance of the data's tree, in bits of "
        "KL per block, it grows on the data to which the models were fitted, if the tolerance is large "
        "enough. With other smoothing, a small tolerance or new text it also falls: a larger model can be "
        "farther away. So is a trained model of 135 million parameters, which was fitted to other text and "
        "starts each window afresh.",
        f"on the cases tried: {len(fitted):,} windows of {LETTERS_DEPTH} letters of Python's help; the "
        "transformers as kept in growing_transformers.csv, made by notebooks/growing_transformers.py; "
        "SmolLM2 as kept in real_model.csv, made by notebooks/real_model.py; exact counterexample in the "
        "witness",
        figures,
        witness("assumption-3.2"),
        short="on the data it was fitted to",
    )


def _n_gram_depths(
    fitted: Int[np.ndarray, "windows depth"],
    data: Int[np.ndarray, "others depth"],
    smoothing: Literal["witten-bell", "kneser-ney"],
) -> list[int]:
    """Depth to which the model of each order knows the data's tree."""
    from ..adapters import read_along
    from ..models import NGramModel

    tree = TokenTree.from_sequences(data, alphabet_size=27)
    models = (NGramModel.fit(fitted, order, 27, smoothing, end=False) for order in ORDERS)
    along = (
        read_along(model, tree, batch_size=4096, progress=False, keep_on_interrupt=False) for model in models
    )
    return [modelled_depth(each, tree, tolerance=1.0).depth for each in along]


def _listed(numbers: list[int]) -> str:
    return ", ".join(f"{number:,}" for number in numbers)
