"""Causal language models of Hugging Face transformers, for `read_model`."""

import inspect
import warnings
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.frames import optional
from ..trees import flattened
from .asking import Prefix, checked_ids, checked_prefixes, checked_text


class CausalLM:
    """Next-token log-probabilities of a transformers causal language model.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A model with a language modelling head, as ``AutoModelForCausalLM`` loads it, in evaluation mode. It
        is neither changed nor moved, and may be on CPU or CUDA.
    tokenizer : transformers.PreTrainedTokenizerBase, optional
        The model's tokenizer, which lets prompts be text and turns ids into text.
    bos : int, optional
        Token put before every prefix. Without it an empty prefix is an error, because these models have no
        distribution of their first token. Not needed if the prompt begins with it, as many tokenizers write
        it.
    eos : int or iterable of int, optional
        Tokens that end a sequence; ``()`` for none. By default those of ``model.generation_config``, else of
        ``model.config``.
    cache_bytes : int, default 1 GiB
        Memory for keys and values of the prefixes of one forward pass, on the model's device: more prefixes
        take more passes, and a prefix that does not fit is fed whole. 0 switches reuse off.

    Attributes
    ----------
    eos : frozenset of int
        Tokens that end a sequence.
    alphabet_size : int
        Width of the model's logits.
    rounding : float
        Largest total variation between two answers to the same question that rounding explains: 0.05 in 16
        bits and for quantized models, else 0.001.
    needs_start : str
        Why an empty prefix is an error; an empty text if there is a `bos`.

    Raises
    ------
    ValueError
        If the model is not a causal language model, or reads in both directions as BERT does without
        ``is_decoder=True``; if it is in training mode; if `bos` or `eos` lies outside its vocabulary; when
        called, if a prefix is empty and there is no `bos`, is longer than the model's config allows, or holds
        a token outside the vocabulary.
    TypeError
        If a token is not an integer, or if text is used without a tokenizer.
    ImportError
        If torch or transformers is missing.

    Warns
    -----
    UserWarning
        If answers depend on the batch, or reuse fails or changes answers in a trial of some pairs of tokens:
        prefixes are then fed one by one, or whole, which is equally correct but slower.

    Notes
    -----
    Prefixes are grouped by length and never padded. The common beginning of a group, such as the prompt, is
    fed once; its keys and values are kept, in transformers' own cache, until a prefix begins differently.
    Models with another kind of cache (state-space and hybrid models), or with rotary embeddings that change
    with the length of the text (``dynamic``, ``longrope``), are fed whole prefixes.

    Batching and reuse change the rounding, in the model's own dtype: a log-probability changes by 1e-6 to
    1e-5 in float32, and by 0.01 in float16. ``model.float()`` and ``model.double()`` reduce this.

    An optimiser step, ``load_state_dict``, ``model.to`` and the like discard the keys and values. Writes
    through ``.data`` and a switched adapter go unnoticed: make a new `CausalLM` after those.

    Examples
    --------
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> config = GPT2Config(vocab_size=8, n_positions=16, n_embd=4, n_layer=1, n_head=1)
    >>> model = CausalLM(GPT2LMHeadModel(config).eval(), eos=7)
    >>> log_p = model([(1, 2), (1, 2, 3), (4,)])
    >>> log_p.shape, bool(abs(np.exp(log_p).sum(axis=1) - 1).max() < 1e-12)
    ((3, 8), True)
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        bos: int | None = None,
        eos: int | Iterable[int] | None = None,
        cache_bytes: int = 2**30,
    ) -> None:
        for library in ("torch", "transformers"):
            optional(library, "transformers", "reading a transformers model")
        config = getattr(model, "config", None)
        if config is None or not getattr(model, "can_generate", bool)() or config.is_encoder_decoder:
            raise ValueError(
                f"model is a {type(model).__name__}: must be a causal language model of transformers "
                "with its head, as AutoModelForCausalLM loads it"
            )
        self._model, self._tokenizer = model, tokenizer
        self._config = config.get_text_config(decoder=True)
        self._keeps_logits = "logits_to_keep" in inspect.signature(model.forward).parameters
        # A model made by `quantize_dynamic` scales all activations that are fed together alike.
        quantized = "torch.ao.nn.quantized.dynamic"
        self._one_by_one = any(type(module).__module__.startswith(quantized) for module in model.modules())
        coarse = self._one_by_one or getattr(config, "quantization_config", None) is not None
        # Batching and reuse change answers in 16 bits by a few hundredths.
        self.rounding = 0.05 if coarse or model.dtype.itemsize < 4 else 1e-3
        kinds = [(module, str(getattr(module, "rope_type", ""))) for module in model.modules()]
        self._rescaled = [module for module, kind in kinds if "dynamic" in kind]
        self._cache_bytes = checks.integer("cache_bytes", cache_bytes, 0)
        # Keys are kept as they were first rotated; these kinds rotate all of them again in a longer text.
        if self._rescaled or any("longrope" in kind for _, kind in kinds):
            self._cache_bytes = 0
        self._layers: list[tuple[Any, Any]] = []
        """Keys and values of the text fed last. Those of every node would at most double the speed."""
        self._weights: tuple[Any, ...] = ()
        self._per_token = 0
        """How many numbers are kept per token, 0 without reuse."""
        self._refresh()
        self._start = () if bos is None else (self._token("bos", bos),)
        self.eos = self._ends(eos)
        self._try()

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Log-softmax of the model's logits after each prefix, in float64; NaN where the logits are NaN.

        One forward pass per prefix length, and one for the common beginning of a length if it is new. Repeats
        are computed once.
        """
        self._refresh()
        prefixes = checked_prefixes(prefixes)
        if not prefixes:
            return np.empty((0, self.alphabet_size))
        flattened("prefixes", prefixes, self.alphabet_size)
        rows = [self._start + prefix for prefix in prefixes]
        for i, row in enumerate(rows):
            self._check_length(len(row), f"prefixes[{i}]")
        found: dict[Prefix, Any] = {}
        # Shorter ones first: the longer ones may begin with them.
        for _, same in groupby(sorted(dict.fromkeys(rows), key=len), len):
            group = list(same)
            found.update(zip(group, self._answer(group), strict=True))
        return np.array([found[row] for row in rows])

    def along(self, sequence: Prefix, start: int, stop: int) -> Float[np.ndarray, "positions vocabulary"]:
        """Log-probabilities after ``sequence[:start]`` to ``sequence[:stop - 1]``, in one forward pass."""
        if self._one_by_one:
            return np.concatenate([self([sequence[:i]]) for i in range(start, stop)])
        self._refresh()
        row = self._start + tuple(sequence[: stop - 1])
        flattened("sequence", [row], self.alphabet_size)
        self._check_length(len(self._start) + start, f"sequence[:{start}]")
        self._check_length(len(row), f"sequence[:{stop - 1}]")
        return _log_softmax(self._output([row], last=stop - start).logits[0, start - stop :])

    def encode(self, text: str) -> list[int]:
        """Ids of a text, with the tokenizer's special tokens unless `bos` is put before it."""
        ids = self._tokens("a text prompt").encode(checked_text(text), add_special_tokens=not self._start)
        return [int(token) for token in ids]

    def text(self, ids: int | Iterable[int]) -> str:
        """Text of one or several ids, special tokens included."""
        tokenizer = self._tokens("text")
        ids = checked_ids(ids)
        # Some tokenizers leave out the space before the first word.
        before = tokenizer.encode("a", add_special_tokens=False)
        return str(tokenizer.decode(before + ids)[len(tokenizer.decode(before)) :])

    def _tokens(self, wanted: str) -> Any:
        if self._tokenizer is None:
            raise TypeError(
                f"{wanted} needs the model's tokenizer: CausalLM(model, AutoTokenizer.from_pretrained(...))"
            )
        return self._tokenizer

    def _answer(self, group: list[Prefix]) -> Float[np.ndarray, "batch vocabulary"]:
        """Answers for distinct prefixes of equal length."""
        if self._one_by_one:
            return np.concatenate([self._forward([prefix]) for prefix in group])
        length, size = len(group[0]), self._per_token * self._model.dtype.itemsize
        rows = self._cache_bytes // (length * size) if size else 0
        if not rows:
            return self._forward(group)
        # The common beginning is fed once, not per prefix, and at least one token of each prefix is fed.
        shared = min(_common(min(group), max(group)), length - 1)
        if len(group) > 1 and _common(self._text, group[0]) < shared:
            self._answer([group[0][:shared]])
        past = min(_common(self._text, group[0]), shared)
        return np.concatenate([self._reusing(group[i : i + rows], past) for i in range(0, len(group), rows)])

    def _forward(self, prefixes: list[Prefix]) -> Float[np.ndarray, "batch vocabulary"]:
        """Answers for prefixes of equal length, fed whole."""
        for module in self._rescaled:
            _restore_frequencies(module)
        return _log_softmax(self._output(prefixes, last=1).logits[:, -1])

    def _reusing(self, prefixes: list[Prefix], past: int) -> Float[np.ndarray, "batch vocabulary"]:
        """Answers for prefixes that begin with `past` tokens of the kept text; one alone is kept next."""
        from transformers import DynamicCache

        # Without a config, it keeps all keys even if a window slides over them; the mask hides those outside.
        cache = DynamicCache()
        for i, pair in enumerate(self._layers if past else ()):
            cache.update(*(states[:, :, :past].expand(len(prefixes), -1, -1, -1) for states in pair), i)
        output = self._output(prefixes, past, last=1, use_cache=True, **{self._cache_name: cache})
        if len(prefixes) == 1:
            self._text = prefixes[0]
            self._layers = [(layer.keys, layer.values) for layer in cache.layers]
        return _log_softmax(output.logits[:, -1])

    def _output(self, prefixes: Sequence[Prefix], past: int = 0, last: int = 0, **options: Any) -> Any:
        """The model's output for prefixes of equal length without their first `past` tokens.

        It has the `last` positions of the (B, L, V) logits, or all if the model cannot leave out the rest.
        """
        import torch

        device = self._model.device
        ids = torch.tensor([prefix[past:] for prefix in prefixes], device=device)
        # Without a mask, models warn of prefixes that begin or end with the padding token.
        mask = torch.ones((len(prefixes), len(prefixes[0])), dtype=torch.int64, device=device)
        options = {"use_cache": False, **options}
        if last and self._keeps_logits:
            options["logits_to_keep"] = last
        # As a decoder, XLNet accepts no mask for more than one prefix, and needs none.
        options["attention_mask"] = None if getattr(self._config, "model_type", None) == "xlnet" else mask
        with torch.inference_mode():
            return self._model(input_ids=ids, return_dict=True, **options)

    def _refresh(self) -> None:
        """Refuse training mode, and start afresh if the weights have changed since the last call."""
        if self._model.training:
            raise ValueError(
                "model is in training mode, where dropout changes its answers from call to call: "
                "call model.eval()"
            )
        weights = tuple(
            (id(p), None if p.is_inference() else p._version, p.dtype, p.device)
            for p in self._model.parameters()
        )
        if weights == self._weights:
            return
        # One token determines what configurations only suggest.
        self.alphabet_size: int = self._output([(0,)]).logits.shape[-1]
        self._weights, self._text, self._layers = weights, (), []

    def _try(self) -> None:
        """Refuse a model that looks ahead, and switch off batching or reuse that changes its answers."""
        name = type(self._model).__name__
        tokens = sorted({(2 * i + 1) * self.alphabet_size // 8 for i in range(4)})
        pairs: list[Prefix] = [(a, b) for a in tokens for b in tokens]
        if self._limit() < 3 or (logits := self._output(pairs).logits).shape[:2] != (len(pairs), 2):
            return
        first, both = np.exp(_log_softmax(logits)).swapaxes(0, 1)
        first = first.reshape(len(tokens), len(tokens), -1)
        # The answers of an untrained model hardly differ between tokens, and rounding is then as small.
        slack = self.rounding * max(self.rounding, _apart(first, first[:1]))
        if (ahead := _apart(first, first[:, :1])) > slack:
            raise ValueError(
                f"model is a {name}: its answer after one token depends on the next one, by up to "
                f"{ahead:.2g} in total variation: it reads in both directions, and is no causal language "
                "model. Load it as a decoder if it was trained as one, with is_decoder=True (BERT, RoBERTa, "
                "ELECTRA and their kin), causal=True (XLM) or attn_type='uni' (XLNet)"
            )
        if not self._one_by_one and (apart := _apart(both[-1], np.exp(self._forward(pairs[-1:])))) > slack:
            self._one_by_one = True
            warnings.warn(
                f"answers of {name} depend on the batch, by {apart:.2g} in total variation: each prefix is "
                "fed whole and by itself, which is slow",
                stacklevel=3,
            )
        if self._one_by_one or not self._cache_bytes:
            return
        # If padding takes no position, what follows it is shifted in a whole prefix.
        padding = getattr(self._config, "pad_token_id", None)
        padding = padding if isinstance(padding, int) and 0 <= padding < self.alphabet_size else tokens[0]
        longer: list[Prefix] = [(a, padding, b) for a, b in pairs]
        # Whatever another release of transformers changes, answers stay correct.
        try:
            self._per_token = self._kept_per_token()
            families = [self._answer([prefix for prefix in longer if prefix[0] == a]) for a in tokens]
            apart = _apart(np.exp(self._forward(longer)), np.exp(np.concatenate(families)))
            wrong = f"reuse changes answers of {name} by {apart:.2g} in total variation"
        except Exception as error:
            apart, wrong = np.inf, f"reuse fails in {name}, with {type(error).__name__}: {error}"
        if apart > slack:
            self._per_token = 0
            warnings.warn(
                f"{wrong}: no keys and values are reused, and prefixes are fed whole, which is slow. "
                "cache_bytes=0 chooses this without a warning",
                stacklevel=3,
            )

    def _kept_per_token(self) -> int:
        """How many numbers the model's cache keeps per token; 0 for another cache than of keys and values."""
        from transformers import cache_utils

        # Wrappers of a model, such as adapters and compilers, pass on arguments that they do not name.
        named = (inspect.signature(module.forward).parameters for module in self._model.modules())
        # It is called `cache` from transformers 5.24 on.
        names = "cache", "past_key_values"
        self._cache_name = next((name for own in named for name in names if name in own), names[0])
        output = self._output([(0,)], use_cache=True)
        # Found by its type: its name in the output varies.
        found: Any = next((value for value in output.values() if isinstance(value, cache_utils.Cache)), None)
        plain = {cache_utils.DynamicLayer, cache_utils.DynamicSlidingWindowLayer}
        if (
            type(found) is not cache_utils.DynamicCache
            or not {type(layer) for layer in found.layers} <= plain
        ):
            return 0
        return sum(layer.keys.numel() + layer.values.numel() for layer in found.layers)

    @property
    def needs_start(self) -> str:
        """Why an empty prefix is an error, and what to write; empty with a `bos`."""
        if self._start:
            return ""
        bos = getattr(self._config, "bos_token_id", None)
        return (
            "the model needs a token to start from; write CausalLM(model, bos=ID), or "
            f"read_model(..., prompt=[ID]) (config.bos_token_id is {bos})"
        )

    def _check_length(self, length: int, where: str) -> None:
        if not length:
            raise ValueError(f"{where} is empty: {self.needs_start}")
        if length > (limit := self._limit()):
            raise ValueError(
                f"{where} has {length} tokens{', bos included' if self._start else ''}: the model "
                f"takes at most {limit}, by its config; raise that if the model takes more"
            )

    def _limit(self) -> float:
        """The largest number of tokens that the model accepts."""
        names = "max_position_embeddings", "max_target_positions", "max_seq_len"
        limits = [getattr(self._config, name, None) for name in names]
        # XLNet accepts any number, and writes this as -1.
        return np.inf if self._rescaled else next((n for n in limits if isinstance(n, int) and n > 0), np.inf)

    def _ends(self, eos: int | Iterable[int] | None) -> frozenset[int]:
        name = "eos"
        for source in ("generation_config", "config"):
            if eos is None:
                eos = getattr(getattr(self._model, source, None), "eos_token_id", None)
                name = f"eos = model.{source}.eos_token_id"
        tokens = () if eos is None else eos if isinstance(eos, Iterable) else (eos,)
        return frozenset(self._token(name, token) for token in tokens)

    def _token(self, name: str, value: int) -> int:
        token = checks.integer(name, value, 0)
        if token >= self.alphabet_size:
            hint = "; eos=() means none" if name.startswith("eos") else ""
            raise ValueError(
                f"{name} = {token}: must lie in the vocabulary 0..{self.alphabet_size - 1}{hint}"
            )
        return token


def _common(a: Prefix, b: Prefix) -> int:
    """Length of the common beginning of both."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _restore_frequencies(module: Any) -> None:
    """Undo the effect of a longer text on dynamic rotary embeddings, which persists for shorter ones."""
    for name in [*vars(module), *module._buffers]:
        if name.endswith("original_inv_freq"):
            current = name.replace("original_", "")
            setattr(module, current, getattr(module, name).to(getattr(module, current).device))
        elif name.endswith("max_seq_len_cached"):
            setattr(module, name, module.original_max_seq_len)


def _log_softmax(logits: Any) -> Float[np.ndarray, "*batch vocabulary"]:
    answers: Float[np.ndarray, "*batch vocabulary"] = logits.double().log_softmax(-1).cpu().numpy()
    return answers


def _apart(p: Float[np.ndarray, "..."], q: Float[np.ndarray, "..."]) -> float:
    """The largest total variation between corresponding rows."""
    return float(np.abs(p - q).sum(axis=-1).max() / 2)
