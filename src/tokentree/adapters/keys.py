"""How transformers stores keys and values: those of one text, reused for texts with the same beginning.

Storing the keys of every node, using internals of transformers, made reading trees of a model of 135 million
parameters only 1.6 to 2.3 times as fast (depth 4 to 16, prompts of 5 and 211 tokens).

`CausalLM` tests on the model what this module assumes about a release of transformers, and does without reuse
if the test fails.
"""

import inspect
from typing import Any

from .asking import Prefix


class Kept:
    """Keys and values of the text fed last, in transformers' own cache."""

    def __init__(self, name: str, token_bytes: int) -> None:
        self.token_bytes = token_bytes
        self._name = name
        """Name of the cache argument in the model's forward."""
        self.text: Prefix = ()
        self._layers: list[tuple[Any, Any]] = []

    def options(self, past: int, rows: int) -> dict[str, Any]:
        """Arguments for the model, for this many rows that begin with `past` tokens of the text."""
        from transformers import DynamicCache

        # Without a config, it keeps all keys even if a window slides over them; the mask hides those outside.
        cache = DynamicCache()
        for i, pair in enumerate(self._layers if past else ()):
            cache.update(*(states[:, :, :past].expand(rows, -1, -1, -1) for states in pair), i)
        return {"use_cache": True, self._name: cache}

    def keep(self, text: Prefix, options: dict[str, Any]) -> None:
        """Adopt the cache of a model that was called with these options for this one text."""
        self.text = text
        self._layers = [(layer.keys, layer.values) for layer in options[self._name].layers]


def kept_of(model: Any, output: Any) -> Kept | None:
    """Storage for one text, given the model's `output` for one token; None if reuse could be wrong."""
    from transformers import cache_utils

    # Found by its type: its name in the output varies.
    found: Any = next((value for value in output.values() if isinstance(value, cache_utils.Cache)), None)
    plain = cache_utils.DynamicLayer, cache_utils.DynamicSlidingWindowLayer
    if type(found) is not cache_utils.DynamicCache or any(type(layer) not in plain for layer in found.layers):
        return None
    # Keys are kept as they were first rotated; these kinds rotate all of them again in a longer text.
    if any(kind == "longrope" or "dynamic" in kind for m in model.modules() for kind in rotary_kinds(m)):
        return None
    size = sum(states.nbytes for layer in found.layers for states in (layer.keys, layer.values))
    return Kept(_cache_name(model), size)


def rotary_kinds(module: Any) -> list[str]:
    """The module's own ways of scaling rotary embeddings: one or, if layers differ, several."""
    kinds = getattr(module, "rope_type", None)
    return [str(kind) for kind in (kinds.values() if isinstance(kinds, dict) else [kinds])]


def _cache_name(model: Any) -> str:
    """Name of the cache argument of forward: `cache` from transformers 5.24 on, `past_key_values` before.

    Wrappers of a model, such as adapters and compilers, pass on arguments that they do not name.
    """
    for module in model.modules():
        parameters = inspect.signature(module.forward).parameters
        for name in ("cache", "past_key_values"):
            if name in parameters:
                return name
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    raise TypeError(f"forward of {type(model).__name__} takes neither `cache` nor `past_key_values`")
