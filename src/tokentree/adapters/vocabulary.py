"""The tokens of a server as symbols of a tree."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from .answers import Token, _expect


class Vocabulary(Sequence[Token]):
    """Tokens in the order in which they were first seen; a token's place is its symbol in the tree.

    Give the same one to several readers, and their trees speak of the same symbols. That holds as far as
    their answers name tokens the same way: by ids of one tokenizer, or by bytes, or by text.

    Parameters
    ----------
    tokens : iterable of Token, optional
        Seen beforehand.

    Examples
    --------
    >>> vocabulary = Vocabulary()
    >>> vocabulary.add(Token("a")), vocabulary.add(Token("b")), vocabulary.add(Token("a"))
    (0, 1, 0)
    >>> vocabulary[1].text
    'b'
    """

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._tokens: list[Token] = []
        self._symbols: dict[Token, int] = {}
        for token in tokens:
            self.add(token)

    def add(self, token: Token) -> int:
        """The symbol of `token`, a new one if it was not seen before."""
        symbol = self._symbols.setdefault(token, len(self._tokens))
        if symbol == len(self._tokens):
            self._tokens.append(token)
        return symbol

    def _packed(self, size: int) -> Shaped[np.ndarray, "size"]:
        """The first tokens, each as JSON."""
        return np.array(
            [
                json.dumps([token.text, None if token.raw is None else token.raw.hex(), token.id]).encode()
                for token in self[:size]
            ]
        )

    @staticmethod
    def _unpacked(packed: Shaped[np.ndarray, "size"]) -> "Vocabulary":
        """The tokens of `_packed`."""
        vocabulary = Vocabulary()
        for i, item in enumerate(packed):
            text, raw, number = json.loads(item)
            for value, kind in ((text, str), (raw, str), (number, int)):
                if value is not None:
                    _expect(value, kind, f"vocabulary[{i}]")
            if vocabulary.add(Token(text, None if raw is None else bytes.fromhex(raw), number)) != i:
                raise ValueError(f"vocabulary[{i}] = {item!r}: stands there twice")
        return vocabulary

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, i: Any) -> Any:
        return self._tokens[i]

    def __contains__(self, token: object) -> bool:
        return token in self._symbols
