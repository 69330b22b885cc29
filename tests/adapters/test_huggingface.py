"""Readers of transformers models against plain forward passes of one whole prefix at a time."""

import inspect
import logging
import subprocess
import sys
import warnings
from contextlib import nullcontext
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import log_softmax

from tokentree.adapters import CausalLM, Recording, read_along, read_model
from tokentree.trees import TokenTree

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

V = 50
PADDING = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
# Weights this large make every token of the context count, so that no error of the cache is too small to see.
LLAMA = {
    "vocab_size": V,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    **PADDING,
}
GPT2 = {
    "vocab_size": V,
    "n_positions": 64,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "initializer_range": 0.2,
    **PADDING,
}
CONFIGS = {
    "gpt2": lambda: transformers.GPT2Config(**GPT2),
    # Two heads of keys for four of queries, and positions by rotation.
    "llama": lambda: transformers.LlamaConfig(**LLAMA, num_key_value_heads=2),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**LLAMA),
    # Takes keys that are contiguous only.
    "gpt_neox_japanese": lambda: transformers.GPTNeoXJapaneseConfig(
        **{name: value for name, value in LLAMA.items() if name != "intermediate_size"}
    ),
    # Positions from the mask.
    "opt": lambda: transformers.OPTConfig(
        **{
            name: value
            for name, value in LLAMA.items()
            if name not in ("intermediate_size", "initializer_range")
        },
        ffn_dim=48,
        word_embed_proj_dim=32,
        init_std=0.2,
    ),
    # Positions from the mask, as a bias of the attention.
    "bloom": lambda: transformers.BloomConfig(
        vocab_size=V, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2, **PADDING
    ),
    # Keys and values of different widths.
    "deepseek": lambda: transformers.DeepseekV3Config(
        **LLAMA,
        num_key_value_heads=4,
        q_lora_rank=8,
        kv_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=12,
        # No experts: torch has none in float64.
        first_k_dense_replace=2,
    ),
    # A prompt longer than the window; then layers with and without one.
    "mistral": lambda: transformers.MistralConfig(**LLAMA, num_key_value_heads=2, sliding_window=3),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **LLAMA,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=3,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "mamba": lambda: transformers.MambaConfig(
        vocab_size=V, hidden_size=16, state_size=4, num_hidden_layers=2, initializer_range=0.2, **PADDING
    ),
    # Layers with a convolution in the place of attention.
    "lfm2": lambda: transformers.Lfm2Config(
        **LLAMA, num_key_value_heads=2, layer_types=["conv", "full_attention"]
    ),
    # Frequencies change with the length beyond 64, and stay so for what is shorter.
    "dynamic": lambda: transformers.LlamaConfig(
        **LLAMA,
        num_key_value_heads=2,
        rope_parameters={"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0},
    ),
    "longrope": lambda: transformers.LlamaConfig(
        **LLAMA,
        num_key_value_heads=2,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10_000.0,
            "factor": 16.0,
            "short_factor": [1.0] * 4,
            "long_factor": [1.0, 2.0, 4.0, 8.0],
            "original_max_position_embeddings": 4,
        },
    ),
}
WHOLE = {"mamba", "lfm2", "dynamic", "longrope"}
"""What is fed whole prefixes: it keeps more or other than keys and values, or changes them later."""
FLOAT32 = {"bloom"}
"""What takes the softmax of its attention in float32 whatever its dtype."""


def build(name, dtype=torch.float64, **changes):
    torch.manual_seed(0)
    config = CONFIGS[name]()
    config.update(changes)
    return transformers.AutoModelForCausalLM.from_config(config).eval().to(dtype)


shared = cache(build)


def plain(model, prefix):
    """Log-probabilities after one prefix, from all of it."""
    with torch.no_grad():
        logits = model(torch.tensor([prefix]), use_cache=False).logits[0, -1]
    return log_softmax(logits.double().numpy())


@cache
def expected(name, prefix, dtype=torch.float64):
    return plain(shared(name, dtype), prefix)


class Fed:
    """The tokens that go through a model while this is open."""

    def __init__(self, model):
        self.model, self.tokens = model, 0

    def __enter__(self):
        self.handle = self.model.register_forward_pre_hook(self.count, with_kwargs=True)
        return self

    def count(self, _, args, kwargs):
        self.tokens += kwargs["input_ids"].numel()

    def __exit__(self, *_):
        self.handle.remove()


def bytes_a_token(model):
    with torch.no_grad():
        output = model(torch.tensor([[0]]), use_cache=True)
    (kept,) = (value for value in output.values() if isinstance(value, transformers.DynamicCache))
    return sum(tensor.nbytes for layer in kept.layers for tensor in (layer.keys, layer.values))


def prefixes_of_a_tree(rng, prompt=(), size=30, longest=7):
    """Prefixes of all lengths that share their beginnings, some of them twice, in any order."""
    drawn = [prompt + tuple(rng.integers(0, 3, rng.integers(1, longest + 1)).tolist()) for _ in range(size)]
    return drawn


def ask(model, prefixes, batch_size):
    batches = [prefixes[i : i + batch_size] for i in range(0, len(prefixes), batch_size)]
    return np.concatenate([model(batch) for batch in batches])


def sweep():
    """Every batch size and room for every architecture; all but some are slow."""
    for name in CONFIGS:
        for batch_size in (1, 3, 64):
            for tokens_kept in (0, 25, None):
                quick = name in ("gpt2", "llama") or (batch_size, tokens_kept) in ((3, 25), (64, None))
                yield pytest.param(name, batch_size, tokens_kept, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("name", "batch_size", "tokens_kept"), list(sweep()))
def test_answers_are_those_of_plain_forward_passes(name, batch_size, tokens_kept):
    rng = np.random.default_rng(7)
    prompt = tuple(rng.integers(0, V, 12).tolist())
    prefixes = prefixes_of_a_tree(rng) + prefixes_of_a_tree(rng, prompt)
    rng.shuffle(prefixes)
    for dtype in (torch.float64, torch.float32):
        model = shared(name, dtype)
        room = 2**30 if tokens_kept is None else tokens_kept * (1 if name in WHOLE else bytes_a_token(model))
        found = ask(CausalLM(model, cache_bytes=room), prefixes, batch_size)
        correct = np.array([expected(name, prefix, dtype) for prefix in prefixes])
        assert found.dtype == np.float64
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=0, atol=1e-12)
        if dtype is torch.float64 and name not in FLOAT32:
            np.testing.assert_allclose(found, correct, rtol=0, atol=1e-12)
        else:
            np.testing.assert_allclose(np.exp(found), np.exp(correct), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_token_of_the_context_counts(name):
    # Otherwise the comparison above could not see a wrong cache.
    start = expected(name, (5, 6, 7, 8))
    for other in [(9, 6, 7, 8), (5, 9, 7, 8), (5, 6, 9, 8), (5, 6, 7, 9)]:
        assert np.abs(start - expected(name, other)).max() > 1e-3


TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=8).map(tuple)


@settings(max_examples=15)
@given(
    batches=st.lists(st.lists(TOKENS, min_size=1, max_size=6), min_size=1, max_size=8),
    tokens_kept=st.integers(1, 40),
)
def test_what_is_reused_and_what_was_dropped_never_shows(batches, tokens_kept):
    model = shared("gpt2")
    room = tokens_kept * bytes_a_token(model)
    reader = CausalLM(model, cache_bytes=room)
    used = []
    handle = model.register_forward_hook(lambda module, args, output: used.append(bytes_used(output)))
    for batch in batches:
        found = reader(batch)
        correct = np.array([expected("gpt2", prefix) for prefix in batch])
        np.testing.assert_allclose(found, correct, rtol=0, atol=1e-12)
    handle.remove()
    # Plain passes, as the expected answers take, leave none.
    assert max(used, default=0) <= room


def bytes_used(output):
    """Bytes of the keys and values that a forward pass leaves."""
    kept = [value for value in output.values() if isinstance(value, transformers.DynamicCache)]
    return sum(
        states.nbytes for cache in kept for layer in cache.layers for states in (layer.keys, layer.values)
    )


@pytest.mark.parametrize("name", sorted(CONFIGS.keys() - WHOLE))
def test_of_a_tree_read_level_by_level_the_prompt_is_fed_once(name):
    model = shared(name)
    prompt = tuple(range(3, 33))
    levels = [
        [prompt],
        [(*prompt, a) for a in range(1, 5)],
        [(*prompt, a, b) for a in range(1, 5) for b in range(1, 5)],
    ]
    reader = CausalLM(model)
    with Fed(model) as fed:
        for level in levels:
            ask(reader, level, 5)
        assert fed.tokens == len(prompt) + 4 + 2 * 16
        # One family at a time: its parent once, and each of it.
        ask(reader, levels[2], 4)
    assert fed.tokens == len(prompt) + 4 + 2 * 16 + 4 * (1 + 4)


def test_a_prompt_survives_questions_about_longer_texts():
    model = shared("llama")
    prompt = tuple(range(20))
    reader = CausalLM(model)
    reader([prompt])
    with Fed(model) as fed:
        reader([(*prompt, 1, 2, 3)])
        reader([(*prompt, 4), (*prompt, 5)])
    assert fed.tokens == 3 + 2


@pytest.mark.parametrize("name", [*sorted(WHOLE), "gpt2"])
def test_without_reuse_whole_prefixes_are_fed(name):
    model = shared(name)
    reader = CausalLM(model, cache_bytes=0 if name == "gpt2" else 2**30)
    with Fed(model) as fed:
        reader([(1, 2, 3)])
        reader([(1, 2, 3, 4), (1, 2, 3, 5)])
    assert fed.tokens == 3 + 4 + 4


def test_within_a_batch_nothing_is_fed_twice():
    model = shared("llama")
    prompt = tuple(range(20))
    for batch in (
        [(*prompt, 1, 2), (*prompt, 1, 3), prompt, (*prompt, 1, 2), (*prompt, 1)],
        [(*prompt, 1, 2), (*prompt, 1, 3)],
    ):
        reader = CausalLM(model)
        with Fed(model) as fed:
            reader(batch)
        assert fed.tokens == len(prompt) + 1 + 2


def test_what_there_is_no_room_for_is_not_fed_ahead():
    model = shared("gpt2")
    reader = CausalLM(model, cache_bytes=10 * bytes_a_token(model))
    prompt = tuple(range(20))
    with Fed(model) as fed:
        reader([(*prompt, 1), (*prompt, 2)])
    assert fed.tokens == 2 * 21


def test_an_interrupted_forward_pass_leaves_nothing_behind():
    model = build("gpt2")
    reader = CausalLM(model)
    reader([(3, 4)])

    def interrupt(*_):
        raise KeyboardInterrupt

    # The first layer has kept its keys and values by then, the second has not.
    handle = model.transformer.h[1].register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        reader([(3, 4, 5), (3, 4, 6)])
    handle.remove()
    found = reader([(3, 4, 5, 7), (3, 4, 6, 7)])
    correct = [plain(model, (3, 4, 5, 7)), plain(model, (3, 4, 6, 7))]
    np.testing.assert_allclose(found, correct, rtol=0, atol=1e-12)


def step(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.tensor([[1, 2, 3]]), labels=torch.tensor([[1, 2, 3]])).loss.backward()
    optimizer.step()


def load(model):
    torch.manual_seed(1)
    model.load_state_dict({name: torch.randn_like(value) for name, value in model.state_dict().items()})


@pytest.mark.parametrize("change", [step, load, lambda model: model.float()])
def test_changed_weights_are_noticed(change):
    model = build("gpt2")
    reader = CausalLM(model)
    reader([(3, 4, 5)])
    change(model)
    found = reader([(3, 4, 5)])[0]
    tolerance = 1e-12 if model.dtype is torch.float64 else 1e-6
    np.testing.assert_allclose(np.exp(found), np.exp(plain(model, (3, 4, 5))), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rows_are_normalized_in_float64_whatever_the_dtype(dtype):
    model = build("llama", dtype)
    # One token, so that the plain pass is the same computation to the last bit.
    found = CausalLM(model)([(3,)])
    assert abs(np.exp(found[0]).sum() - 1) <= 1e-14
    np.testing.assert_allclose(found[0], plain(model, (3,)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("room", [0, 2**30])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_leaves_of_a_tree_are_products_of_probabilities(name, batch_size, room):
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        reader = CausalLM(shared(name, dtype), bos=1, cache_bytes=room)
        tree = read_model(reader, 4, batch_size=batch_size, max_nodes=3000, progress=False)
        assert tree.total_weight == pytest.approx(1, abs=1e-12)
        for leaf in list(tree.leaves())[::97]:
            tokens = list(leaf.prefix) + [2] * (leaf.kind.name == "EOS")
            if leaf.kind.name in ("EOS", "CUT"):
                rows = [expected(name, (1, *tokens[:i]), dtype)[token] for i, token in enumerate(tokens)]
                assert leaf.probability == pytest.approx(np.exp(sum(rows)), abs=tolerance)


def test_only_the_last_logits_are_computed():
    model = build("llama")
    shapes = []
    model.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.logits.shape)))
    reader = CausalLM(model)
    shapes.clear()
    reader([(3, 4, 5), (6, 7, 8)])
    assert shapes == [(2, 1, V)]


def test_layers_of_the_cache_grow_one_after_another():
    # As the cache of transformers does, should a model ask between two layers.
    model = build("gpt2")
    reader = CausalLM(model)
    reader([(3, 4, 5)])
    lengths = []
    model.transformer.h[1].register_forward_pre_hook(
        lambda block, args: lengths.extend(args[1].get_seq_length(layer) for layer in range(2))
    )
    reader([(3, 4, 5, 6)])
    assert lengths == [4, 3]


def test_nan_logits_stay_nan():
    model = build("gpt2")
    with torch.no_grad():
        model.lm_head.weight[3] = np.nan
    assert np.isnan(CausalLM(model)([(5,)])).all()


def test_no_prefixes_get_no_answers():
    assert CausalLM(shared("gpt2"))([]).shape == (0, V)


def test_bos_stands_before_every_prefix():
    reader = CausalLM(shared("gpt2"), bos=1)
    correct = [expected("gpt2", (1, *prefix)) for prefix in [(), (4,), (1, 4)]]
    np.testing.assert_allclose(reader([(), (4,), (1, 4)]), correct, rtol=0, atol=1e-12)


def test_an_empty_prefix_needs_bos(tmp_path):
    model = CausalLM(shared("gpt2"))
    rule = r"is empty: .* CausalLM\(model, bos=ID\), or read_model\(..., prompt=\[ID\]\) .*bos_token_id is 1"
    with pytest.raises(ValueError, match=rf"^prefixes\[1\] {rule}"):
        model([(3,), ()])
    with pytest.raises(ValueError, match=f"^prompt {rule}"):
        read_model(model, depth=2)
    with pytest.raises(ValueError, match=f"^prompt {rule}"), Recording(tmp_path / "answers", model) as kept:
        read_model(kept, depth=2)
    assert not CausalLM(shared("gpt2"), bos=1).needs_start


def test_a_model_without_its_wrapper_is_told_to_be_wrapped(unchecked, tmp_path):
    message = r"^model is a GPT2LMHeadModel: wrap it, adapters.CausalLM\(model, tokenizer\)$"
    for read in (lambda model: read_model(model, depth=2), lambda model: Recording(tmp_path / "file", model)):
        with pytest.raises(TypeError, match=message):
            read(shared("gpt2"))


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_prefixes_longer_than_the_model_takes_are_refused(name):
    model = shared(name)
    assert np.isfinite(CausalLM(model)([(3,) * 64])).all()
    with pytest.raises(ValueError, match=r"prefixes\[1\] has 65 tokens: the model takes at most 64"):
        CausalLM(model)([(3,), (3,) * 65])
    with pytest.raises(ValueError, match=r"prefixes\[0\] has 65 tokens, bos included"):
        CausalLM(model, bos=1)([(3,) * 64])


def mpt():
    return transformers.MptConfig(vocab_size=V, d_model=32, n_heads=4, n_layers=1, max_seq_len=64)


def xlnet(attn_type="uni", std=0.2):
    return transformers.XLNetConfig(
        vocab_size=V, d_model=32, n_head=4, d_inner=48, n_layer=2, attn_type=attn_type, initializer_range=std
    )


def from_config(config, dtype=torch.float64):
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config).eval().to(dtype)


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        (mpt, 64),
        (CONFIGS["dynamic"], None),
        (xlnet, None),
    ],
)
def test_the_limit_is_what_the_model_takes(config, limit):
    model = from_config(config(), torch.float32)
    prefix = tuple(np.random.default_rng(0).integers(1, V, limit or 150).tolist())
    found, correct = CausalLM(model)([prefix])[0], plain(model, prefix)
    np.testing.assert_allclose(np.exp(found), np.exp(correct), rtol=0, atol=1e-6)
    if limit:
        with pytest.raises(
            ValueError, match=rf"prefixes\[0\] has {limit + 1} tokens: .* {limit}, by its config"
        ):
            CausalLM(model)([(*prefix, 1)])


def test_a_longer_text_leaves_no_trace():
    rng = np.random.default_rng(0)
    reader = CausalLM(build("dynamic"))
    for length in (70, 64, 65, 3, 90, 66, 64):
        prefix = tuple(rng.integers(0, V, length).tolist())
        correct = plain(build("dynamic"), prefix)
        np.testing.assert_allclose(reader([prefix])[0], correct, rtol=0, atol=1e-12)


def either_way(kind, causal, std):
    if kind == "XLNet":
        return xlnet("uni" if causal else "bi", std)
    if kind == "XLM":
        sizes = {"vocab_size": V, "emb_dim": 32, "n_layers": 2, "n_heads": 4}
        return transformers.XLMConfig(**sizes, causal=causal, init_std=std, embed_init_std=std)
    config = getattr(transformers, f"{kind}Config")
    return config(**{**LLAMA, "initializer_range": std}, is_decoder=causal)


# Both as it is before any training, when all tokens seem alike, and as it may be after.
@pytest.mark.parametrize("std", [0.02, 0.2])
@pytest.mark.parametrize("kind", ["Bert", "Roberta", "XLMRoberta", "Electra", "RoFormer", "XLM", "XLNet"])
def test_a_model_that_looks_ahead_is_refused(kind, std):
    looks_ahead = from_config(either_way(kind, False, std), torch.float32)
    with pytest.raises(ValueError, match=rf"model is a {kind}\w+: its answer .* is_decoder=True"):
        CausalLM(looks_ahead, eos=())
    model = from_config(either_way(kind, True, std), torch.float32)
    prefixes = [(3, 4), (3, 4, 5)]
    correct = [plain(model, prefix) for prefix in prefixes]
    # In these, padding takes no position, which what is kept does not know.
    moves = pytest.warns(UserWarning, match="reuse changes answers") if "Roberta" in kind else nullcontext()
    with moves:
        reader = CausalLM(model, eos=())
    np.testing.assert_allclose(reader(prefixes), correct, rtol=0, atol=1e-4)
    correct = [plain(model, (3, 0, 4))]
    np.testing.assert_allclose(reader([(3, 0, 4)]), correct, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "llama", "opt"])
def test_answers_of_a_dynamically_quantized_model_do_not_depend_on_the_batch(name):
    quantize = pytest.importorskip("torch.ao.quantization").quantize_dynamic
    with warnings.catch_warnings():
        # That there will be another way to quantize.
        warnings.simplefilter("ignore")
        model = quantize(build(name, torch.float32), {torch.nn.Linear}, dtype=torch.qint8)
        reader = CausalLM(model, bos=1)
        assert reader.rounding == 0.05
        prompt = (5, 6, 7, 8)
        options = {"prompt": prompt, "max_nodes": 500, "progress": False}
        trees = [read_model(reader, 3, batch_size=batch_size, **options) for batch_size in (1, 64)]
        with torch.no_grad():
            # The last token's alone, for the scale is that of all logits that are asked for.
            output = model(torch.tensor([(1, *prompt)]), use_cache=False, logits_to_keep=1)
    assert trees[0] == trees[1]
    correct = output.logits[0, -1].double().softmax(-1)[3].item()
    assert trees[0].weight([3]) == pytest.approx(correct, rel=1e-12)


@pytest.mark.parametrize("token", [V, -1])
def test_tokens_outside_the_vocabulary_are_refused(token):
    with pytest.raises(ValueError, match=rf"prefixes\[1\]\[2\] = {token}: .*0..49"):
        CausalLM(shared("gpt2"))([(3,), (3, 4, token)])


def test_tokens_must_be_integers(unchecked):
    with pytest.raises(TypeError, match=r"prefixes\[0\]\[1\] = 0.5: must be an integer"):
        CausalLM(shared("gpt2"))([(3, 0.5)])


@pytest.mark.parametrize(
    ("given", "generation", "config", "eos"),
    [
        (None, 3, 4, {3}),
        (None, [3, 5], 4, {3, 5}),
        (None, None, 4, {4}),
        (None, None, None, set()),
        ((), 3, 4, set()),
        (6, 3, 4, {6}),
        ([6, 7], 3, 4, {6, 7}),
    ],
)
def test_eos_is_that_of_the_model_unless_given(given, generation, config, eos):
    model = build("gpt2", eos_token_id=config)
    model.generation_config.eos_token_id = generation
    assert CausalLM(model, eos=given).eos == eos


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eos": [2, V]}, r"eos = 50: must lie in the vocabulary 0\.\.49; eos=\(\)"),
        ({"eos": -1}, "eos = -1: must be an integer >= 0"),
        ({}, r"eos = model.generation_config.eos_token_id = 77: .*0\.\.49; eos=\(\)"),
        ({"bos": V, "eos": ()}, r"bos = 50: must lie in the vocabulary 0\.\.49$"),
        ({"cache_bytes": -1, "eos": ()}, "cache_bytes = -1: must be an integer >= 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    model = build("gpt2")
    model.generation_config.eos_token_id = 77
    with pytest.raises(ValueError, match=message):
        CausalLM(model, **arguments)


def test_training_mode_is_refused_and_left_alone():
    model = build("gpt2").train()
    with pytest.raises(ValueError, match=r"training mode.*call model.eval\(\)"):
        CausalLM(model)
    assert model.training
    reader = CausalLM(model.eval())
    model.train()
    with pytest.raises(ValueError, match="training mode"):
        reader([(3,)])


def test_what_is_no_causal_language_model_is_refused():
    headless = transformers.GPT2Model(CONFIGS["gpt2"]())
    t5 = transformers.T5ForConditionalGeneration(
        transformers.T5Config(vocab_size=V, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    )
    for model in (headless, t5, torch.nn.Linear(2, 2), "gpt2"):
        with pytest.raises(ValueError, match=f"model is a {type(model).__name__}: must be a causal"):
            CausalLM(model)


class Renamed(transformers.GPT2LMHeadModel):
    """GPT-2 whose forward names the cache as it likes, whatever this release of transformers calls it."""

    def __init__(self, config):
        super().__init__(config)
        parent = inspect.signature(transformers.GPT2LMHeadModel.forward).parameters
        (self.theirs,) = {"cache", "past_key_values"} & parent.keys()

    def named(self, kept, input_ids, attention_mask, options):
        return super().forward(input_ids, attention_mask=attention_mask, **{self.theirs: kept}, **options)


class TakesCache(Renamed):
    def forward(self, input_ids=None, attention_mask=None, cache=None, use_cache=None, return_dict=None):
        return self.named(cache, input_ids, attention_mask, {"use_cache": use_cache})


class TakesPastKeyValues(Renamed):
    def forward(self, input_ids=None, past_key_values=None, attention_mask=None, **options):
        return self.named(past_key_values, input_ids, attention_mask, options)


class TakesAnotherName(Renamed):
    def forward(self, input_ids=None, attention_mask=None, memory=None, use_cache=None, return_dict=None):
        return self.named(memory, input_ids, attention_mask, {"use_cache": use_cache})


class HandsOn(torch.nn.Module):
    """As adapters and compilers do: what the wrapped model takes, it takes without naming it."""

    def __init__(self, model):
        super().__init__()
        self.inner = model
        for name in ("config", "generation_config", "device", "dtype", "can_generate"):
            setattr(self, name, getattr(model, name))

    def forward(self, *args, **options):
        return self.inner(*args, **options)


def like_gpt2(kind):
    if kind is HandsOn:
        return HandsOn(build("gpt2")).eval()
    model = kind(CONFIGS["gpt2"]()).eval().double()
    model.load_state_dict(shared("gpt2").state_dict())
    return model


class Sums(Renamed):
    """What else is in the batch shows in its answers."""

    def forward(self, input_ids=None, attention_mask=None, cache=None, use_cache=None, return_dict=None):
        output = self.named(None, input_ids, attention_mask, {"use_cache": use_cache})
        output.logits = output.logits * (1 + len(input_ids) / 100)
        return output


class Forgets(Renamed):
    """Takes a cache, and does not use it."""

    def forward(self, input_ids=None, attention_mask=None, cache=None, use_cache=None, return_dict=None):
        return self.named(None, input_ids, None, {"use_cache": use_cache})


class Breaks(Renamed):
    """Takes a cache, and breaks on it."""

    def forward(self, input_ids=None, attention_mask=None, cache=None, use_cache=None, return_dict=None):
        if cache is not None:
            raise RuntimeError("view size is not compatible")
        return self.named(None, input_ids, attention_mask, {"use_cache": use_cache})


TWO_LEVELS = [[(3, 4)], [(3, 4, 5), (3, 4, 6)]]


@pytest.mark.parametrize("kind", [TakesCache, TakesPastKeyValues, HandsOn])
def test_the_cache_is_passed_under_the_name_that_the_model_takes(kind):
    model = like_gpt2(kind)
    reader = CausalLM(model)
    with Fed(model) as fed:
        found = np.concatenate([reader(level) for level in TWO_LEVELS])
    assert fed.tokens == 2 + 1 + 1
    correct = [expected("gpt2", prefix) for level in TWO_LEVELS for prefix in level]
    np.testing.assert_allclose(found, correct, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (TakesAnotherName, "reuse fails in TakesAnotherName, with TypeError: .*unexpected keyword argument"),
        (Forgets, "reuse changes answers of Forgets by .* in total variation"),
        (Breaks, "reuse fails in Breaks, with RuntimeError: view size is not compatible"),
    ],
)
def test_a_cache_that_does_not_work_is_not_reused_and_the_reader_says_so(kind, why):
    model = like_gpt2(kind)
    with pytest.warns(UserWarning, match=f"{why}.*: no keys and values are reused"):
        reader = CausalLM(model)
    with Fed(model) as fed:
        found = np.concatenate([reader(level) for level in TWO_LEVELS])
    assert fed.tokens == 2 + 3 + 3
    correct = [expected("gpt2", prefix) for level in TWO_LEVELS for prefix in level]
    np.testing.assert_allclose(found, correct, rtol=0, atol=1e-12)
    CausalLM(model, cache_bytes=0)


def test_answers_that_depend_on_the_batch_are_asked_for_one_by_one():
    model = like_gpt2(Sums)
    with pytest.warns(UserWarning, match="answers of Sums depend on the batch, by .*: each prefix"):
        reader = CausalLM(model)
    prefixes = [(3, 4), (3, 4, 5), (3, 4, 6)]
    correct = [plain(model, prefix) for prefix in prefixes]
    np.testing.assert_allclose(reader(prefixes), correct, rtol=0, atol=1e-12)


def test_a_release_that_keeps_things_otherwise_is_told_of(monkeypatch):
    model = build("gpt2")
    monkeypatch.delattr(transformers.cache_utils, "DynamicSlidingWindowLayer")
    with pytest.warns(UserWarning, match="AttributeError: .*: no keys and values are reused"):
        reader = CausalLM(model)
    np.testing.assert_allclose(reader([(3, 4)])[0], plain(model, (3, 4)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bos", [None, 1])
@pytest.mark.parametrize("name", ["gpt2", "llama", "mamba"])
def test_a_document_takes_one_pass(name, bos):
    model = shared(name)
    reader = CausalLM(model, bos=bos)
    document = tuple(np.random.default_rng(0).integers(0, V, 40).tolist())
    found = reader.along(document, 5, 41)
    start = () if bos is None else (bos,)
    correct = [expected(name, (*start, *document[:i])) for i in range(5, 41)]
    np.testing.assert_allclose(found, correct, rtol=0, atol=1e-12)
    data = TokenTree.from_sequences([document], alphabet_size=V, depth=40)
    with Fed(model) as fed:
        tree = read_along(reader, data, prompt=(7,), eos=())
    # The first question twice, and at the end; then the whole document.
    assert fed.tokens <= 3 * (1 + len(start)) + 40 + len(start)
    whole = (*start, 7, *document)
    exact = sum(expected(name, whole[:i])[whole[i]] for i in range(1 + len(start), len(whole)))
    assert tree.log_weight(document) == pytest.approx(exact, rel=1e-9)
    with pytest.raises(ValueError, match=r"sequence\[:64\] has 65 tokens|takes at most"):
        CausalLM(shared("gpt2"), bos=1).along((3,) * 64, 1, 65)


@cache
def tokenizer():
    """Bytes as tokens, and two that are special."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    names = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    held = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, []))
    held.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    held.decoder = decoders.ByteLevel()
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=held, **special)


def test_prompts_are_text_and_ids_become_text():
    model = from_config(transformers.GPT2Config(**{**GPT2, "vocab_size": 258}))
    reader = CausalLM(model, tokenizer(), eos=1)
    ids = reader.encode("To be")
    assert reader.text(ids) == "To be"
    assert reader.text([*ids, 1]) == "To be</s>"
    assert reader.text(ids[2]) == " "
    options = {"max_nodes": 2000, "top_k": 3, "progress": False}
    tree = read_model(reader, 2, prompt="To be", **options)
    assert tree == read_model(reader, 2, prompt=ids, **options)
    bare = CausalLM(model, eos=1)
    for call in (lambda: bare.text(3), lambda: read_model(bare, 2, prompt="To be")):
        with pytest.raises(TypeError, match="needs the model's tokenizer: CausalLM"):
            call()


def test_transformers_has_nothing_to_warn_of():
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    # It warns once, and another test may have heard it.
    transformers.utils.logging.warning_once.cache_clear()
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    try:
        # Token 0 is the padding token here.
        CausalLM(build("gpt2"))([(0, 3, 0), (0,), (3, 0)])
    finally:
        logger.removeHandler(handler)
    assert [record.getMessage() for record in records] == []


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_a_missing_library_names_the_extra(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        ImportError, match=rf"^reading a .* needs {missing}: pip install {missing} \(extra 'transformers'\)$"
    ):
        CausalLM(shared("gpt2"))


def test_torch_is_imported_only_when_asked_for():
    code = "import sys, tokentree.adapters.huggingface as _; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
