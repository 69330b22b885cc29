"""The ledger's plain formulas as TeX: a terminal shows "gamma_p' < 0", a page the typeset formula."""

import re

_GREEK = "alpha|beta|gamma|delta|epsilon|eta|theta|lambda|sigma|tau|Delta|Gamma|Omega|Phi|Theta"
_NUMBER = r"\d+(?:[.,]\d+)*(?:e-?\d+)?"
_INDEX = r"_(?:\{[^}]*\}|<?[A-Za-z0-9]+)"
# Single letters, except the words "a" and "I", and "A", which begins sentences; and powers of words.
_NAME = (
    rf"(?:d(?={_GREEK}|[A-Z](?![a-z])|[a-z]_))?(?:(?:{_GREEK})(?![a-z])|[A-Z][a-z]+(?=\^)|[B-HJ-Zb-z]|A(?=_))"
    rf"(?:'?{_INDEX})?(?:'|\*(?![\w*])|\^\{{[^}}]*\}})?"
)
_INSIDE = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))*"
_CALL = rf"(?:d?KL|Cov|[EHP](?:{_INDEX})?)(?:\({_INSIDE}\)|\[[^\]]*\])|KL_[a-z]|TV|<\w+, \w+>"
_FUNCTION = r"(?:sum|log2|log|max|min|ceil)(?:_[a-z])?"
_ATOM = rf"(?:{_CALL}|{_FUNCTION}(?![A-Za-z])|{_NUMBER}[a-z]?|{_NAME})(?![A-Za-z0-9_']|-[a-z]{{2}})"
_SIGN = r"<=|>=|<<|>>|->|\|\||<(?!\w+, )|[-+/=>|()\[\]^]| \. "
_RUN = re.compile(rf"(?<![\w.'/`-])(?:(?:[-(\[|] ?)*{_ATOM}|-> (?=\d))(?:\s?(?:{_SIGN}|{_ATOM}))*")

_TEX = {
    **{"<=": r"\le", ">=": r"\ge", "<<": r"\ll", ">>": r"\gg", "->": r"\to", " . ": r" \cdot "},
    **{"||": r"\,\Vert\,", " | ": r" \mid ", "*": "^*", "log2": r"\log_2"},
    **{name: f"\\{name}" for name in ("sum", "log", "max", "min")},
    **{name: rf"\mathrm{{{name}}}" for name in ("ceil", "KL", "TV", "Cov")},
}
_TOKEN = re.compile(
    rf"(?P<inner><(?P<one>\w+), (?P<other>\w+)>)|(?P<index>{_INDEX})|\^(?P<power>-?\w+)"
    rf"|(?P<word>log2|[A-Za-z]+(?: (?!{_FUNCTION}\b|{_GREEK}|d?KL)[a-z]{{3,}})*)"
    rf"|(?P<times>(?<=\d) (?=\d))|(?P<sign>{_SIGN}| \| |.)"
)


def as_tex(text: str) -> str:
    r"""Text with its formulas as TeX between dollar signs.

    Examples
    --------
    >>> print(as_tex("The signs gamma_p' < 0 < gamma_a' hold for l << 1, by a proof (Section 4.2)."))
    The signs $\gamma_{p}' < 0 < \gamma_{a}'$ hold for $l \ll 1$, by a proof (Section 4.2).
    """
    return _RUN.sub(lambda run: _marked(run[0]), text)


def _marked(run: str) -> str:
    """A run of symbols with its formula marked, without unmatched brackets and dangling signs."""
    start, stop = 0, len(run.rstrip(" (["))
    while (stray := _stray(run, start, stop)) is not None:
        start, stop = (stray + 1, stop) if run[stray] in "([" else (start, stray)
    formula = re.sub(r"(?:\s+(?:<=|>=|<<|>>|->|[-+/=<>^(\[]))+$|\s+$", "", run[start:stop])
    start += len(formula) - len(formula.lstrip())
    formula = formula.strip()
    number = re.fullmatch(rf"[-(\[]*{_NUMBER}[a-z]?[)\]]*", formula)
    if number or re.fullmatch(rf"{_FUNCTION}|", formula):
        return run
    return f"{run[:start]}${_tex(formula)}${run[start + len(formula) :]}"


def _stray(run: str, start: int, stop: int) -> int | None:
    """Position of an unmatched bracket, the last opening one or the first closing one."""
    opened: list[int] = []
    for i in range(start, stop):
        if run[i] in "([":
            opened.append(i)
        elif run[i] in ")]":
            if not opened or run[opened[-1]] + run[i] not in ("()", "[]"):
                return i
            opened.pop()
    return opened[-1] if opened else None


def _tex(formula: str) -> str:
    pieces: list[str] = []
    opened = False
    for token in _TOKEN.finditer(formula):
        if token["inner"]:
            pieces.append(rf"\langle {_tex(token['one'])}, {_tex(token['other'])} \rangle")
        elif token["index"]:
            pieces.append(f"_{{{_tex(token['index'][1:].strip('{}'))}}}")
        elif token["power"]:
            pieces.append(f"^{{{_tex(token['power'])}}}")
        elif token["times"]:
            pieces.append(r" \cdot ")
        elif token["word"]:
            pieces.append(_word(token["word"]))
        elif token["sign"] == "|":
            opened = not opened
            pieces.append(r"\lvert " if opened else r"\rvert ")
        else:
            pieces.append(_TEX.get(token["sign"], token["sign"]))
    return "".join(pieces).strip()


def _word(word: str) -> str:
    if word in _TEX:
        return _TEX[word]
    if word.startswith("d") and (rest := _word(word[1:])).startswith("\\") and not rest.startswith(r"\text"):
        return f"d{rest}"
    if re.fullmatch(_GREEK, word):
        return f"\\{word}"
    return word if len(word) < 3 else rf"\text{{{word}}}"
