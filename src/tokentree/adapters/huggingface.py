"""Causal language models of Hugging Face transformers, for `read_model`.

A tree is read one token at a time, so almost all of a prefix has been fed to the model before: as the prompt,
or as the prefix that it extends. Attention needs only the keys and values of such tokens. They are kept, one
slot for each token fed after each prefix, and prefixes share the slots of what they have in common. A call
feeds the model what is missing, most often one token for each prefix.
"""

import inspect
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from .._lib import checks
from ..trees import flattened
from .key_values import _cache, _rotary_kinds, _store


class CausalLM:
    """Next-token log-probabilities of a transformers causal language model.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With a language modelling head, as ``AutoModelForCausalLM`` loads it, and in evaluation mode. It stays
        as it is and where it is, on CPU or CUDA.
    bos : int, optional
        Token to put before every prefix. Without it prefixes go to the model as they are, and an empty one is
        an error: these models have no distribution of their first token. Not needed when the prompt has it,
        as many tokenizers write it there.
    eos : int or iterable of int, optional
        Tokens that end a sequence; ``()`` for none. By default those of ``model.generation_config``, else of
        ``model.config``.
    cache_bytes : int, default 1 GiB
        Room for keys and values, on the model's device. When it is full, those used least recently go, and
        are computed again when needed. 0 switches reuse off. Not counted: an index of about 200 bytes a
        token, and what a forward pass itself takes.

    Attributes
    ----------
    eos : frozenset of int
        Tokens that end a sequence.
    vocabulary_size : int
        Width of the model's logits.
    rounding : float
        Total variation between two answers to one question that rounding explains: 0.05 in 16 bits and for
        quantized models, else 0.001.

    Raises
    ------
    ValueError
        If the model is not a causal language model, or reads in both directions as BERT does without
        ``is_decoder=True``; if it is in training mode; or if `bos` or `eos` lies outside its vocabulary.
    ImportError
        If torch or transformers is missing.

    Notes
    -----
    Prefixes are grouped by length and never padded. Keys and values are reused in attention of the usual
    kinds, sliding windows included, for which they are kept beyond the window. Models that keep something
    else, state-space and hybrid ones among them, are fed whole prefixes each time. So are those whose rotary
    embeddings change with the length of the text (``dynamic``, ``longrope``), and those whose ``forward``
    takes no cache as ``cache`` (transformers from 5.24 on) or ``past_key_values``, and any that a cache makes
    answer otherwise in the trial below; of both it warns. Where padding takes no position, as in RoBERTa,
    prefixes with the padding token are fed whole.

    A trial of 16 pairs of tokens comes first: the answer after one must not depend on the next, and answers
    must be the same alone, in a batch and with reuse. Models that fail in a batch, and all that
    ``quantize_dynamic`` made, whose scales are those of the batch, are fed one whole prefix at a time: right
    for any `batch_size`, and slow.

    Batching and reuse change the rounding, in the model's own dtype: from 1e-6 to 1e-5 in a log-probability
    in float32, and 0.01 in float16. ``model.float()`` and ``model.double()`` are there for this.

    An optimiser step, ``load_state_dict``, ``model.to`` and the like make the keys and values start anew.
    Writes through ``.data`` and a switched adapter go unnoticed: take a new `CausalLM` after those.

    Examples
    --------
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> config = GPT2Config(vocab_size=8, n_positions=16, n_embd=4, n_layer=1, n_head=1)
    >>> model = CausalLM(GPT2LMHeadModel(config).eval(), eos=7)
    >>> model.eos, model.vocabulary_size
    (frozenset({7}), 8)
    >>> log_p = model([(1, 2), (1, 2, 3), (4,)])
    >>> log_p.shape, bool(abs(np.exp(log_p).sum(axis=1) - 1).max() < 1e-12)
    ((3, 8), True)
    """

    def __init__(
        self,
        model: Any,
        *,
        bos: int | None = None,
        eos: int | Iterable[int] | None = None,
        cache_bytes: int = 2**30,
    ) -> None:
        try:
            import torch
            import transformers  # noqa: F401 (is it there at all?)
        except ImportError as error:
            raise ImportError(
                "reading a transformers model needs torch and transformers: "
                "pip install 'tokentree[transformers]'"
            ) from error
        config = getattr(model, "config", None)
        can_generate = getattr(model, "can_generate", bool)
        if config is None or not can_generate() or config.is_encoder_decoder:
            raise ValueError(
                f"model is a {type(model).__name__}: must be a causal language model of transformers "
                "with its head, as AutoModelForCausalLM loads it"
            )
        self._model = model
        self._config = config.get_text_config(decoder=True)
        self._cache_bytes = checks.integer("cache_bytes", cache_bytes, 0)
        # Of the (B, L, V) logits the last position is enough, where the architecture can leave out the rest.
        last_only = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._last_only: dict[str, int] = {"logits_to_keep": 1} if last_only else {}
        self._cache_name = _cache_name(model)
        kinds = [type(module).__module__ for module in model.modules()]
        # Its scale is that of all activations that are fed together.
        self._one_by_one = any(kind.startswith("torch.ao.nn.quantized.dynamic") for kind in kinds)
        if self._one_by_one:
            self._cache_bytes = 0
        quantized = self._one_by_one or getattr(config, "quantization_config", None) is not None
        # Batching and reuse move answers in 16 bits by some hundredths.
        self.rounding = 0.05 if quantized or model.dtype.itemsize < 4 else 1e-3
        self._rescaled = [m for m in model.modules() if any("dynamic" in kind for kind in _rotary_kinds(m))]
        # Where padding takes no position, the first ones in the table are not for other tokens.
        self._unused_positions = max(
            (
                module.padding_idx + 1
                for name, module in model.named_modules()
                if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
            ),
            default=0,
        )
        self._skipped: frozenset[int] = frozenset()
        self._weights: tuple[Any, ...] = ()
        self._refresh()
        self._start = () if bos is None else (self._token("bos", bos),)
        self.eos = self._ends(eos)
        with torch.inference_mode():
            self._probe()

    def __call__(self, prefixes: Sequence[tuple[int, ...]], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Log-probabilities, in nats, of the token after each prefix.

        Parameters
        ----------
        prefixes : sequence of B tuples of int
            Of any lengths; repeats are computed once.

        Returns
        -------
        float64 array, shape (B, vocabulary_size)
            Log-softmax, taken in float64, of the model's logits; NaN where these are.

        Raises
        ------
        ValueError
            If a prefix is empty and there is no `bos`, is longer than the model's config allows, or holds a
            token outside the vocabulary; or if the model is in training mode.
        TypeError
            If a token is not an integer.

        Notes
        -----
        One forward pass for each length of prefix and each length that is reused; one more for what all
        prefixes of a length have in common, where that is new.
        """
        import torch

        self._refresh()
        if not len(prefixes):
            return np.empty((0, self.vocabulary_size))
        _, lengths = flattened("prefixes", prefixes, self.vocabulary_size)
        self._check_lengths(lengths + len(self._start))
        rows = [self._start + tuple(prefix) for prefix in prefixes]
        index = {row: i for i, row in enumerate(dict.fromkeys(rows))}
        groups: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        for row in index:
            groups[len(row)].append(row)
        answers = np.empty((len(index), self.vocabulary_size))
        try:
            with torch.inference_mode():
                # Shorter ones first: what they leave in the store serves the longer ones.
                for length in sorted(groups):
                    answers[[index[row] for row in groups[length]]] = self._answer(groups[length])
        except BaseException:
            # Slots may have been reserved and not filled, so the next call starts anew.
            self._weights = ()
            raise
        return answers if len(index) == len(rows) else answers[[index[row] for row in rows]]

    def _answer(self, group: list[tuple[int, ...]]) -> Float[np.ndarray, "batch vocabulary"]:
        """Answers for distinct prefixes of equal length."""
        store = self._store
        if self._one_by_one:
            return np.concatenate([self._forward([prefix]) for prefix in group])
        if store is None:
            return self._forward(group)
        skipped = self._skipped
        if skipped and (whole := [prefix for prefix in group if not skipped.isdisjoint(prefix)]):
            found = dict(zip(whole, self._forward(whole), strict=True))
            if rest := [prefix for prefix in group if prefix not in found]:
                found.update(zip(rest, self._answer(rest), strict=True))
            return np.stack([found[prefix] for prefix in group])
        store.tick()
        common: tuple[int, ...] = ()
        if len(group) > 1:
            low, high = min(group), max(group)
            common = low[: next(i for i, (a, b) in enumerate(zip(low, high, strict=True)) if a != b)]
        stem = store.path(common)
        if len(stem) < len(common) <= store.capacity:
            self._forward([common], [stem])
            stem = store.path(common)
        paths = [store.path(prefix[:-1], stem) for prefix in group]
        by_past: dict[int, list[int]] = defaultdict(list)
        for i, path in enumerate(paths):
            by_past[len(path)].append(i)
        answers = np.empty((len(group), self.vocabulary_size))
        for members in by_past.values():
            answers[members] = self._forward([group[i] for i in members], [paths[i] for i in members])
        return answers

    def _forward(
        self, prefixes: list[tuple[int, ...]], paths: list[list[int]] | None = None
    ) -> Float[np.ndarray, "batch vocabulary"]:
        """Answers for prefixes of equal length; `paths` are the slots of their first tokens, equally many."""
        past = 0
        options: dict[str, Any] = {"use_cache": False}
        if self._store is not None and paths is not None:
            slots = self._store.reserve(prefixes, paths)
            if slots is not None:
                past = len(paths[0])
                filled = _cache(self._store.pools, slots, past)
                options = {"use_cache": True, self._cache_name: filled}
        for module in self._rescaled:
            _restore_frequencies(module)
        output = self._output(prefixes, past, **options, **self._last_only)
        return _log_softmax(output.logits[:, -1])

    def _output(self, prefixes: Sequence[tuple[int, ...]], past: int = 0, **options: Any) -> Any:
        """What the model makes of prefixes of equal length, fed without their first `past` tokens."""
        import torch

        device = self._model.device
        ids = torch.tensor([prefix[past:] for prefix in prefixes], device=device)
        # Without a mask, models warn of prefixes that begin or end with the padding token.
        mask = torch.ones((len(prefixes), len(prefixes[0])), dtype=torch.int64, device=device)
        if getattr(self._config, "model_type", None) == "xlnet":
            # As a decoder it takes no mask of more than one prefix, and needs none.
            mask = None
        return self._model(input_ids=ids, attention_mask=mask, return_dict=True, **options)

    def _refresh(self) -> None:
        """Refuse training mode, and start anew if the weights are not those of the last call."""
        import torch

        model = self._model
        if model.training:
            raise ValueError(
                "model is in training mode, where dropout changes its answers from call to call: "
                "call model.eval()"
            )
        weights = tuple(
            (id(p), None if p.is_inference() else p._version, p.dtype, p.device) for p in model.parameters()
        )
        if weights == self._weights:
            return
        # One token tells for certain what configurations only hint at: the vocabulary and the kind of cache.
        with torch.inference_mode():
            output = self._output([(0,)], use_cache=True)
        self.vocabulary_size: int = output.logits.shape[-1]
        self._store = _store(model, output, self._cache_bytes, self.vocabulary_size)
        self._weights = weights

    def _probe(self) -> None:
        """Refuse a model that looks ahead, and do without what would show in its answers.

        Some pairs of tokens tell for certain what configurations only hint at.
        """
        name = type(self._model).__name__
        if self._store and not self._cache_name:
            self._forgo_reuse(f"forward of {name} takes neither `cache` nor `past_key_values`")
        tokens = sorted({(2 * i + 1) * self.vocabulary_size // 8 for i in range(4)})
        pairs: list[tuple[int, ...]] = [(a, b) for a in tokens for b in tokens]
        if self._limit()[0] < 2:
            return
        logits = self._output(pairs, use_cache=False).logits
        if logits.shape[:2] != (len(pairs), 2):
            return
        first, both = np.exp(_log_softmax(logits)).swapaxes(0, 1)
        first = first.reshape(len(tokens), len(tokens), -1)
        # An untrained model tells its tokens apart by little, and rounding is as little then.
        slack = self.rounding * max(self.rounding, _apart(first, first[:1]))
        if (ahead := _apart(first, first[:, :1])) > slack:
            raise ValueError(
                f"model is a {name} whose answer after one token depends on the next one, by up to "
                f"{ahead:.2g} in total variation: it reads in both directions, and is no causal language "
                "model. Load it as a decoder if it was trained as one, with is_decoder=True (BERT, RoBERTa, "
                "ELECTRA and their kin), causal=True (XLM) or attn_type='uni' (XLNet)"
            )
        if not self._one_by_one and (apart := _apart(both[-1], np.exp(self._forward(pairs[-1:])))) > slack:
            self._one_by_one, self._cache_bytes, self._store = True, 0, None
            warnings.warn(
                f"answers of {name} depend on the batch, by {apart:.2g} in total variation: each prefix is "
                "fed whole and by itself, which is slow",
                stacklevel=3,
            )
        if self._store is None:
            return
        # What is kept of these is not for later.
        untouched = deepcopy(self._store)
        try:
            self._answer([(a,) for a in tokens])
            apart = _apart(both, np.exp(self._answer(pairs)))
            skips = self._skips_padding(tokens, slack)
        except Exception as error:
            self._forgo_reuse(f"{name} fails on what is kept, with {type(error).__name__}: {error}")
            return
        self._store = untouched
        if apart > slack:
            self._forgo_reuse(f"what is kept changes answers of {name} by {apart:.2g} in total variation")
        elif skips:
            self._skipped = frozenset([self._config.pad_token_id])

    def _skips_padding(self, tokens: list[int], slack: float) -> bool:
        """Whether padding takes no position in a whole prefix, which moves what comes after it."""
        padding = getattr(self._config, "pad_token_id", None)
        others = [token for token in tokens if token != padding]
        if not (isinstance(padding, int) and 0 <= padding < self.vocabulary_size and others):
            return False
        prefix = (others[0], padding, others[-1])
        if self._limit()[0] < len(prefix):
            return False
        self._answer([prefix[:2]])
        return _apart(np.exp(self._answer([prefix])), np.exp(self._forward([prefix]))) > slack

    def _forgo_reuse(self, reason: str) -> None:
        self._cache_bytes, self._store = 0, None
        warnings.warn(
            f"{reason}: no keys and values are reused, and prefixes are fed whole, which is slow. "
            "cache_bytes=0 says that this is meant",
            stacklevel=4,
        )

    def _check_lengths(self, lengths: Int[np.ndarray, "batch"]) -> None:
        if not lengths.min():
            bos = getattr(self._config, "bos_token_id", None)
            raise ValueError(
                f"prefixes[{lengths.argmin()}] is empty: the model needs a token to start from. Begin the "
                f"prompt with one, or pass bos= to put it before every prefix (config.bos_token_id is {bos})"
            )
        limit, source = self._limit()
        if lengths.max() > limit:
            i = int(np.argmax(lengths > limit))
            raise ValueError(
                f"prefixes[{i}] has {lengths[i]} tokens{', bos included' if self._start else ''}: the model "
                f"takes at most {limit} ({source})"
            )

    def _limit(self) -> tuple[float, str]:
        """How many tokens the model takes at most, and what says so."""
        names = "max_position_embeddings", "max_target_positions", "max_seq_len"
        limits = [(getattr(self._config, name, None), name) for name in names]
        # XLNet takes any number, and writes it as -1.
        limit, name = next(((n, name) for n, name in limits if isinstance(n, int) and n > 0), (0, ""))
        if not limit or self._rescaled:
            return np.inf, ""
        if unused := self._unused_positions:
            return limit - unused, f"config.{name} is {limit}, and {unused} of them are for padding"
        rope = getattr(self._config, "rope_parameters", None) or {}
        if rope.get("rope_type") == "yarn":
            stretched = (rope.get("factor") or 1) * rope.get("original_max_position_embeddings", limit)
            limit = max(limit, int(stretched))
        return limit, f"config.{name}; raise it if the model takes more"

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
        if token >= self.vocabulary_size:
            hint = "; eos=() is for none" if name.startswith("eos") else ""
            raise ValueError(
                f"{name} = {token}: must lie in the vocabulary 0..{self.vocabulary_size - 1}{hint}"
            )
        return token


def _cache_name(model: Any) -> str:
    """What the model's forward calls the cache; empty where it takes none that is known.

    `cache` from transformers 5.24 on, and `past_key_values` before and in code of the model's own. What wraps
    a model, as adapters and compilers do, hands on what it does not name.
    """
    for module in model.modules():
        parameters = inspect.signature(module.forward).parameters
        for name in ("cache", "past_key_values"):
            if name in parameters:
                return name
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return ""


def _restore_frequencies(module: Any) -> None:
    """Undo what a longer text did to dynamic rotary embeddings, which stay so for shorter ones."""
    for name in [*vars(module), *module._buffers]:
        if name.endswith("original_inv_freq"):
            current = name.replace("original_", "")
            setattr(module, current, getattr(module, name).to(getattr(module, current).device))
        elif name.endswith("max_seq_len_cached"):
            setattr(module, name, module.original_max_seq_len)


def _log_softmax(logits: Any) -> Float[np.ndarray, "*batch vocabulary"]:
    import torch

    answers: Float[np.ndarray, "*batch vocabulary"] = (
        torch.log_softmax(logits, dim=-1, dtype=torch.float64).cpu().numpy()
    )
    return answers


def _apart(p: Float[np.ndarray, "..."], q: Float[np.ndarray, "..."]) -> float:
    """The largest total variation between rows of the two."""
    return float(np.abs(p - q).sum(axis=-1).max() / 2)
