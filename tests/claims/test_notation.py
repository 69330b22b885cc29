"""Plain formulas as TeX: formulas whole, and prose left alone."""

import re
from typing import Any

import pytest

from tokentree.claims import BY_ID
from tokentree.claims.notation import as_tex


@pytest.mark.parametrize(
    ("plain", "tex"),
    [
        ("L >= H(p); Huffman's has H <= L", r"$L \ge H(p)$; Huffman's has $H \le L$"),
        ("-(1 - 2l) / ((k + 3l)(k + 1 + l))", "$-(1 - 2l) / ((k + 3l)(k + 1 + l))$"),
        ("by proof (q >= w_i p_i, and more)", r"by proof ($q \ge w_{i} p_{i}$, and more)"),
        ("bits of -log2 p (Witten 1987)", r"bits of $-\log_2 p$ (Witten 1987)"),
        ("lies in [H, H + 1), on either side", "lies in [$H$, $H + 1$), on either side"),
        ("|D_t| = 4 10^5 is large", r"$\lvert D_{t}\rvert  = 4 \cdot 10^{5}$ is large"),
        ("<g_a, g_t> < -l <g_t, g_t>", r"$\langle g_{a}, g_{t} \rangle < -l \langle g_{t}, g_{t} \rangle$"),
        (
            "KL(model || D_i) and P(S | D_L)",
            r"$\mathrm{KL}(\text{model} \,\Vert\, D_{i})$ and $P(S \mid D_{L})$",
        ),
        ("E[L / |x|] per sum", r"$E[L / \lvert x\rvert ]$ per sum"),
        ("sum_i n_i dgamma_i = -lambda dOmega", r"$\sum_{i} n_{i} d\gamma_{i} = -\lambda d\Omega$"),
    ],
)
def test_formulas_are_set(plain: str, tex: str) -> None:
    assert as_tex(plain) == tex


@pytest.mark.parametrize(
    "prose",
    [
        "Section 4.2, Table 1 (Shannon 1948) on 6 trees of 2,037 windows, 0.1 % of them, to 7e-15 bits",
        "a p-value, the log-loss, any f-divergence; do not sum SmolLM2-135M-Instruct's own_runs.csv",
    ],
)
def test_prose_is_left_alone(prose: str) -> None:
    assert as_tex(prose) == prose


@pytest.mark.slow
def test_nothing_but_notation_changes(decide: Any) -> None:
    """Take the dollars, commands and braces away, and the words are those of the claims."""
    for claim in BY_ID.values():
        finding = decide(claim)
        for text in (finding.claim, finding.short):
            outside = as_tex(text).split("$")[::2]
            assert len(as_tex(text).split("$")) % 2
            rest = text
            for words in filter(None, outside):
                assert words in rest
                rest = rest.partition(words)[2]
            assert not re.search(r"[<>]=|[A-Za-z]_|<<|\|\|", " ".join(outside)), text
