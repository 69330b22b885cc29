"""What comes from outside is taken or refused with a documented error: no crash, no hang, no blown-up memory.

Every input follows from its target's name and a number. A failure names both; ``TARGETS[name](rng(name,
number), folder)`` repeats it. The hook would refuse junk first.
"""

import contextlib
import io
import itertools
import json
import math
import re
import signal
import struct
import sys
import warnings
import zipfile
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.exceptions import ComplexWarning
from tests.toys import coin

from tokentree import (
    BlockCodec,
    HuffmanCode,
    cli as command,
    cross_entropy,
    elasticity,
    entropy,
    huffman_lengths,
    kl_divergence,
    leaf_distributions,
    merge,
    published_form,
    response_curve,
)
from tokentree._lib.archives import digest
from tokentree.adapters import (
    CompletionsServer,
    ReadError,
    Recording,
    answers,
    posting,
    read_along,
    read_model,
)
from tokentree.mixtures import Mixture
from tokentree.models import NGramModel
from tokentree.trees import REST, TokenTree, files

pytestmark = pytest.mark.usefixtures("unchecked")

REFUSED = ValueError, TypeError

NUMBERS = [
    0, 1, 2, 3, 7, -1, -2, 2**7, 2**8, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**53 + 1, 2**63 - 1, -(2**63),
    2**63, 2**64 - 1, 2**64, 10**30, 10**400, 0.5, 0.1, -0.0, 1e-9, 1e-300, 5e-324, 1e300, 1.8e308,
    math.nan, math.inf, -math.inf,
]  # fmt: skip
OBJECTS = [
    None, True, False, "", "0", "01", "2", "é", "a\x00", b"0", (), [], {}, [[]], [1], [[1, 2], [3]], {"a": 1},
    Fraction(1, 3), Fraction(-1), Fraction(2**300), Fraction(1, 2**300), 1j, object(), np.float16(0.5),
    np.float32(math.nan), np.int8(-1), np.uint64(2**64 - 1), np.longdouble(0.5), np.datetime64("2020"),
    np.array(0.5), np.zeros(0), np.zeros((0, 3)), np.zeros((2, 2, 2)), np.array([None, 1]),
    [0.5, 0.5], [1, 2, 3], range(3), iter([0.5, 0.5]),
]  # fmt: skip
DTYPES = [
    "i1",
    "u1",
    "i4",
    "i8",
    ">i8",
    "u8",
    "f2",
    "f4",
    "f8",
    ">f8",
    "g",
    "c16",
    "?",
    "O",
    "U3",
    "S2",
    "M8[s]",
]


def pick(rng, items):
    return items[int(rng.integers(len(items)))]


def junk(rng):
    return pick(rng, NUMBERS) if rng.random() < 0.6 else pick(rng, OBJECTS)


def maybe(rng, value, chance=0.08):
    """`value`, or now and then something else."""
    return junk(rng) if rng.random() < chance else value


def poisoned(rng, values):
    """An array-like with some of its entries, its type or its shape changed."""
    array = np.array(values)
    for _ in range(pick(rng, [0, 0, 1, 1, 2])):
        kind = rng.integers(8)
        if kind == 0:
            return junk(rng)
        if kind == 1 and array.size:
            entries = array.astype(object)
            entries.flat[int(rng.integers(array.size))] = junk(rng)
            return entries if rng.random() < 0.5 else entries.tolist()
        if not array.ndim:
            return array
        with np.errstate(all="ignore"), contextlib.suppress(OverflowError, ComplexWarning, *REFUSED):
            if kind in (2, 3, 7) and array.size:
                array.flat[int(rng.integers(array.size))] = pick(rng, NUMBERS)
            elif kind == 4:
                array = array.astype(pick(rng, DTYPES))
            elif kind == 5:
                array = array[..., : int(rng.integers(array.shape[-1] + 1))]
            else:
                array = pick(
                    rng, [np.atleast_2d, np.transpose, np.ravel, lambda a: a[None], lambda a: a[::-1]]
                )(array)
    return array if rng.random() < 0.5 else array.tolist()


# Bytes


def damaged(rng, raw, other=b""):
    """`raw` with bits flipped, numbers written over, and pieces cut out, doubled, put in or exchanged."""
    data = bytearray(raw)
    for _ in range(1 + rng.integers(3)):
        at = int(rng.integers(len(data) + 1))
        end = min(len(data), at + int(2 ** rng.integers(9)))
        kind = rng.integers(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1 and at < len(data):
            data[at] = int(rng.integers(256))
        elif kind == 2:
            width = pick(rng, ["<b", "<h", "<i", "<q"])
            number = pick(rng, [0, 1, -1, 2 ** (8 * struct.calcsize(width) - 1) - 1, 127, 65])
            data[at : at + struct.calcsize(width)] = struct.pack(width, number)
        elif kind == 3:
            del data[at:end]
        elif kind == 4:
            data[at:at] = data[at:end]
        elif kind == 5:
            data[at:at] = rng.bytes(end - at)
        elif kind == 6:
            del data[at:]
        elif other:
            start = int(rng.integers(len(other)))
            data[at:end] = other[start : start + end - at]
    return bytes(data)


HEADERS = [
    (rb"\((\d+),\)", b"(%d,)"), (rb"\(\)", b"(%d,)"), (rb"<i8", b"<f8"), (rb"<i8", b"|O"), (rb"<i4", b"<i8"),
    (rb"'<f8'", b"[('a', '<f8')]"), (rb"'<f8'", b"('<f8', (2,))"), (rb"False", b"True"), (rb"\{", b"{" * 99),
    (rb"\(", b"(0, %d, "), (rb"\(", b"(-1, "), (rb"<", b">"), (rb"i", b"S"), (rb"f8", b"f2"),
    (rb"\x01\x00", b"\x02\x00"),
    (rb"\(", b"-" * 5000 + b"("),
]  # fmt: skip


def rezipped(rng, raw, other):
    """The archive `raw` with a member changed, and a right CRC."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = [[name, archive.read(name)] for name in archive.namelist()]
    for _ in range(1 + rng.integers(2)):
        place = int(rng.integers(len(members)))
        kind = rng.integers(7)
        if kind <= 1:
            members[place][1] = damaged(rng, members[place][1], other)
        elif kind <= 3:
            old, new = pick(rng, HEADERS)
            if b"%d" in new:
                new %= max(0, int(pick(rng, NUMBERS[:20])))
            header, body = members[place][1][:128], members[place][1][128:]
            header = re.sub(old, lambda _, new=new: new, header)
            size = struct.pack("<H", max(0, len(header) - 10))
            members[place][1] = header[:8] + size + header[10:] + body
        elif kind == 4 and len(members) > 1:
            del members[place]
        elif kind == 5:
            members[place][0] = pick(
                rng, ["x.npy", "eos", "prefixes.npy", "../up.npy", "", "version.npy", "é.npy"]
            )
        else:
            swap = int(rng.integers(len(members)))
            members[place][1], members[swap][1] = members[swap][1], members[place][1]
    packing = pick(rng, [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    return zipped(members, packing if rng.random() < 0.2 else zipfile.ZIP_DEFLATED)


def zipped(members, packing):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for i, (name, data) in enumerate(members):
            # zipfile warns of a name that is there already.
            with (
                contextlib.nullcontext()
                if name not in archive.namelist()
                else pytest.warns(UserWarning, match="Duplicate name")
            ):
                archive.writestr(name or str(i), data)
    return file.getvalue()


def changed(rng, raw):
    """The archive `raw` with the values of its arrays changed, and right checksums."""
    with np.load(io.BytesIO(raw)) as archive:
        arrays = dict(archive)
    for _ in range(1 + rng.integers(2)):
        name = pick(rng, sorted(arrays))
        if rng.random() < 0.7 and arrays[name].size and arrays[name].dtype.kind in "iuf":
            array = arrays[name].copy()
            with np.errstate(all="ignore"), contextlib.suppress(OverflowError, ValueError):
                value = array.flat[int(rng.integers(array.size))] + pick(rng, [-1, 1, 1])
                array.flat[int(rng.integers(array.size))] = (
                    value if rng.random() < 0.5 else pick(rng, NUMBERS)
                )
            arrays[name] = array
        else:
            try:
                arrays[name] = np.asarray(poisoned(rng, arrays[name]))
            except ValueError:
                continue
    arrays = {name: np.zeros(1) if array.dtype.hasobject else array for name, array in arrays.items()}
    if "sha256" in arrays:
        arrays["sha256"] = np.array(sealed(arrays))
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def hostile(rng, files):
    """One of the files, changed in one of the ways above."""
    raw, other = pick(rng, files), pick(rng, files)
    if not zipfile.is_zipfile(io.BytesIO(raw)):
        return damaged(rng, raw, other)
    return pick(rng, [damaged, rezipped, lambda rng, raw, _: changed(rng, raw)])(rng, raw, other)


# What was taken must be right


def assert_proper(tree):
    """The invariants of a tree, a node at a time in plain Python."""
    symbols, parents, weights, offsets = (
        array.tolist() for array in (tree.symbols, tree.parents, tree.weights, tree.offsets)
    )
    assert (symbols[0], parents[0], offsets[:2], offsets[-1]) == (0, 0, [0, 1], len(symbols))
    assert len(symbols) == len(parents) == len(weights)
    assert 0 < weights[0] < math.inf
    assert min(weights) >= 0
    sums, last = {}, None
    for depth, (first, end) in enumerate(itertools.pairwise(offsets)):
        assert first < end
        for i in range(first, end):
            assert REST <= symbols[i] < tree.alphabet_size
            if depth:
                parent = offsets[depth - 1] + parents[i]
                assert offsets[depth - 1] <= parent < first
                assert parent == 0 or symbols[parent] >= 0
                assert last is None or last < (depth, parents[i], symbols[i])
                last = depth, parents[i], symbols[i]
                sums.setdefault(parent, []).append(weights[i])
    for i in range(offsets[-2]):
        assert (i in sums) == (symbols[i] >= 0)
    for i, parts in sums.items():
        if isinstance(weights[i], int):
            assert sum(parts) == weights[i]
        else:
            assert abs(math.fsum(parts) - weights[i]) <= 1.0001e-9 * weights[i]


def use(tree):
    """Ask a tree for everything; a right tree answers, or says why not."""
    assert_proper(tree)
    if tree.n_nodes < 500:
        assert len(repr(tree)) < 1000
        assert len(tree.leaves()) == tree.n_leaves
        assert_proper(tree.prune(1))
        # Documented to fail: where some symbols are known and others are not; where counts reach 2**63.
        for again in (tree.binarize, lambda: merge([tree, tree])):
            with contextlib.suppress(ValueError):
                assert_proper(again())


def is_distribution(rows, slack):
    with np.errstate(under="ignore"):
        return bool((np.exp(rows, dtype=np.float64).sum(axis=1) <= 1 + slack).all())


# Targets: each takes an input's generator and an empty file's path, and says whether the input was taken


TREES = {
    "counts": lambda: TokenTree.from_sequences(["00", "01", "1", "01", ""]),
    "masses": lambda: TokenTree.from_leaves({(0,): 0.5, (2, 1): 0.25, (2, 2, 2): 0.25}, 3),
    "wide": lambda: TokenTree.from_sequences([[69_999, 3], [3], [3]], [2**40, 1, 2], alphabet_size=70_000),
    "deep": lambda: TokenTree.from_sequences([[0] * 70]),
    "bytes": lambda: TokenTree.from_bytes(b"abracadabra", 2, "bytes"),
    "unexpanded": lambda: read_model(coin, 4, max_nodes=10, progress=False),
}
CACHE = {}


class Part:
    """A coin of which one side is not known."""

    partial, eos = True, frozenset({3})

    def __call__(self, prefixes):
        return np.full((len(prefixes), 2), [-0.7, -np.inf])


def valid_files(kind, folder):
    if kind not in CACHE:
        found = []
        if kind == "tree":
            for build in TREES.values():
                build().save(folder / "valid")
                found.append((folder / "valid").read_bytes())
        else:
            for name, model in (("whole", coin), ("part", Part())):
                with Recording(folder / name, model) as kept:
                    kept([(), (0,), (1, 1)])
                found.append((folder / name).read_bytes())
                (folder / name).unlink()
        CACHE[kind] = found
    return CACHE[kind]


@contextlib.contextmanager
def opened(module, raw):
    """What `module` opens holds these bytes: a file system takes longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "open", lambda path, mode: io.BytesIO(raw), raising=False)
        yield


def tree_file(rng, folder):
    raw = hostile(rng, valid_files("tree", folder))
    try:
        with opened(files, raw):
            tree = TokenTree.load("file")
    except ValueError as error:
        return refusal(error, "path = 'file' is not an intact file written by TokenTree.save: ")
    use(tree)
    return True


def model_file(rng, folder):
    path = folder / "damaged"
    path.write_bytes(hostile(rng, valid_files("model", folder)))
    try:
        with Recording(path) as model:
            rows = model([(), (0,)])
            assert rows.shape[0] == 2
            with contextlib.suppress(ReadError):
                use(read_model(model, 2, max_nodes=200, progress=False))
    except (ValueError, OSError) as error:
        return refusal(error, "path = ")
    return True


def refusal(error, start):
    assert str(error).startswith(start)
    assert "\n" not in str(error)
    return False


ANSWERS = [
    {"choices": [{"text": "ab", "finish_reason": "stop", "logprobs": {
        "tokens": ["a", "b"], "token_logprobs": [-0.5, None], "text_offset": [0, 1],
        "top_logprobs": [{"a": -0.5, "b": -1.5}, None]}}]},
    {"choices": [{"message": {"content": "ab"}, "logprobs": {"content": [
        {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [
            {"token": "a", "logprob": -0.5, "bytes": [97]},
            {"token": "é", "logprob": -3, "bytes": [195, 169]}]},
        {"token": "b", "id": 7, "logprob": -9999.0, "top_logprobs": []}]}}, {"text": "", "logprobs": None}]},
    {"choices": [{"logprobs": {"content": [
        {"token": "a", "id": 5, "logprob": -0.7, "top_logprobs": [{"token": "b", "id": 6, "logprob": -1.4}]},
        {"token": "token_id:12", "logprob": -1e-3, "top_logprobs": [
            {"token": "x", "id": 12, "logprob": -1e-3}]}]}}]},
    {"response": "a", "done": True, "logprobs": [
        {"token": "a", "logprob": -0.7, "bytes": [97], "top_logprobs": [
            {"token": "a", "logprob": -0.7, "bytes": [97]}, {"token": "é", "logprob": -3}]}]},
    {"error": {"message": "no"}},
]  # fmt: skip
SCALARS = [
    *NUMBERS,
    None,
    True,
    "",
    "a",
    "token_id:5",
    "bytes:\\xff",
    "token_id:" + "9" * 30,
    "\ud800",
    -0.5,
    -5.0,
]


def mutated(rng, value):
    """A JSON value with one place in it changed."""
    if isinstance(value, dict | list) and value and rng.random() < 0.9:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = pick(rng, keys)
        held = value.copy()
        kind = rng.random()
        if kind < 0.75:
            held[key] = mutated(rng, held[key])
        elif kind < 0.85:
            del held[key]
        elif isinstance(held, list):
            held.insert(key, pick(rng, held) if rng.random() < 0.7 else pick(rng, SCALARS))
        else:
            held[pick(rng, ["token", "id", "prob", "logprob", "tokens", "content", "a", ""])] = held.pop(key)
        return held
    return (
        pick(rng, SCALARS) if rng.random() < 0.8 else pick(rng, [[], {}, [None], [[]], {"a": {}}, [1, "a"]])
    )


def answer(rng, folder):
    held = pick(rng, ANSWERS)
    for _ in range(pick(rng, [1, 1, 1, 2, 3])):
        held = mutated(rng, held)
    try:
        found = answers.read(json.dumps(held, default=str).encode(), "it")
    except ValueError as error:
        return refusal(error, "it")
    assert sum(map(math.exp, found.values())) <= 1 + 1e-9
    assert all(logprob <= 0 for logprob in found.values())
    return True


def server(rng, folder):
    def send(self, method, url, content):
        if rng.random() < 0.1:
            return 500, {}, b"no answer"
        if not url.endswith("/v1/completions"):
            return 404, {}, b""
        return 200, {}, json.dumps(mutated(rng, ANSWERS[0])).encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posting._Post, "_send", send)
        try:
            model = CompletionsServer(
                "http://localhost", top=maybe(rng, 2), body=maybe(rng, {}), eos=maybe(rng, ())
            )
            use(read_model(model, 3, prompt=maybe(rng, "a"), max_nodes=50, progress=False))
        except ReadError as error:
            use(error.tree)
        except (*REFUSED, OSError):
            return False
    return True


def reply(rng, folder):
    """Bytes that a server sends."""
    text = json.dumps(pick(rng, ANSWERS)).encode()
    text = (
        damaged(rng, text, json.dumps(ANSWERS).encode())
        if rng.random() < 0.9
        else b"[" * int(rng.integers(10**5))
    )
    try:
        answers.read(text, "it")
    except ValueError:
        return False
    return True


def model_arrays(rng, folder):
    """A model that answers with junk now and then."""
    chance = pick(rng, [0.02, 0.3])

    def model(prefixes):
        if rng.random() < chance / 4:
            raise pick(rng, [RuntimeError, MemoryError, KeyError])("broken")
        rows = np.log(rng.dirichlet(np.ones(3), len(prefixes)))
        return poisoned(rng, rows) if rng.random() < chance else rows

    model.partial = rng.random() < 0.3
    model.eos = [2] if rng.random() < 0.3 else []
    model.rounding = 2
    options = {"eos": maybe(rng, None), "batch_size": maybe(rng, 2), "prompt": maybe(rng, ())}
    options |= {"renormalize": rng.random() < 0.3, "progress": False}
    try:
        if rng.random() < 0.3:
            data = TokenTree.from_sequences([[0, 1], [1]], alphabet_size=3)
            use(read_along(model, data, **options))
        else:
            limits = {"min_probability": maybe(rng, 0.0), "top_k": maybe(rng, None)}
            # Not much more than 50 nodes: a depth or a budget of 2**63 is a right wish, and endless.
            use(read_model(model, pick(rng, [1, 3, 3, 0, 2.5, None]), max_nodes=50, **options, **limits))
    except ReadError as error:
        use(error.tree)
    except REFUSED:
        return False
    return True


SEQUENCES = [["00", "01", "1"], [[0, 1], [1], []], [(2, 1), (0,)], ["", ""], [[0, 1, 1], [1, 0, 1]], [b"ab"]]
SMALL = [0, 1, 2, 3, 70_000, 2**31, 2**31 + 1, -1, 2.5, None, "2", True, np.int8(3), np.uint64(2)]


def sequences(rng, folder):
    rows = pick(rng, SEQUENCES)
    rows = poisoned(rng, rows) if len({*map(len, rows)}) == 1 and rng.random() < 0.5 else list(rows)
    if isinstance(rows, list) and rows and rng.random() < 0.3:
        rows[int(rng.integers(len(rows)))] = junk(rng)
    q, depth = (
        pick(rng, SMALL) if rng.random() < 0.2 else pick(rng, good) for good in ([2, 3, 256], [None, 1, 2])
    )
    try:
        if rng.random() < 0.3:
            keys = [row if rng.random() < 0.95 else None for row in ["0", "01", "10", "11"]]
            keys = keys if rng.random() < 0.5 else [(1, 0), (0,), maybe(rng, (1, 1))]
            tree = TokenTree.from_leaves(maybe(rng, {key: maybe(rng, 0.25) for key in keys}), q, depth)
        else:
            counted = rng.integers(1, 4, len(rows)) if isinstance(rows, list) else None
            weights = pick(rng, [None, lambda: poisoned(rng, counted), lambda: poisoned(rng, rng.random(2))])
            tree = TokenTree.from_sequences(rows, weights and weights(), alphabet_size=q, depth=depth)
        use(tree)
        tree.prune(pick(rng, SMALL))
        tree.weight(maybe(rng, "0", 0.5))
    except REFUSED:
        return False
    return True


def trees(rng, folder):
    held = [
        pick(rng, [*TREES.values(), lambda: TokenTree.from_sequences(["0"], [2**62])])() for _ in range(2)
    ]
    held = [tree.prune(1) if rng.random() < 0.3 else tree for tree in held]
    held = maybe(rng, [maybe(rng, tree, 0.05) for tree in held], 0.05)
    try:
        if rng.random() < 0.5:
            use(merge(held))
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", r"trees\[\d\] has unexpanded mass where another tree has")
                rows = leaf_distributions(held, maybe(rng, pick(rng, [None, 1, 2, 3])))
            assert np.abs(rows.sum(axis=1) - 1).max() < 1e-9
        Mixture.from_trees(held, depth=maybe(rng, None))
    except REFUSED:
        return False
    return True


def mixture(rng, folder):
    rows = rng.integers(0, 4, (3, 4)) if rng.random() < 0.5 else rng.dirichlet(np.ones(4), 3)
    try:
        if rng.random() < 0.3:
            found = published_form(
                poisoned(rng, rows), maybe(rng, 100, 0.3), maybe(rng, 0.25, 0.3), depth=maybe(rng, 2)
            )
        else:
            sizes = poisoned(rng, [5, 1, 2] if rng.random() < 0.5 else [0.5, 1e9, 3.0])
            found = Mixture(poisoned(rng, rows), sizes, names=maybe(rng, None), depth=maybe(rng, None))
        for rates in (found.rates(), found.rates(code="huffman")):
            assert ((rates > -1e-9) & (rates < 1e4)).all()
        assert np.isfinite(found.response()).all()
        assert (found.overlap() >= 0).all()
        assert repr(elasticity(found))
        other = found.perturb(maybe(rng, 2), maybe(rng, 0.5, 0.3))
        assert np.isfinite(other.rates()).all()
        assert np.isfinite(response_curve(found, poisoned(rng, [0.1, 1.0, 10.0])).rates).all()
    except REFUSED:
        return False
    return True


def numbers(rng, folder):
    p, q = (poisoned(rng, rng.dirichlet(np.ones(4), 2)) for _ in range(2))
    base = maybe(rng, 2)
    try:
        bits = entropy(p, base=base)
        assert ((bits >= 0) & (bits < math.inf)).all()
        nats = cross_entropy(p, q, base=base), kl_divergence(p, q, base=base)
        assert all((found >= 0).all() for found in nats)
    except REFUSED:
        return False
    return True


def codes(rng, folder):
    weights = rng.integers(0, 9, 6) if rng.random() < 0.5 else rng.random(6)
    try:
        lengths = huffman_lengths(poisoned(rng, weights))
        for row in lengths.reshape(-1, lengths.shape[-1]):
            assert sum(Fraction(1, 2 ** int(n)) for n in row) == 1
        code = HuffmanCode(poisoned(rng, lengths))
        bits = code.encode(poisoned(rng, rng.integers(0, len(lengths), 5)))
        message = code.decode(poisoned(rng, bits), pick(rng, [None, None, 5, -1, 2.5]))
        assert ((message >= 0) & (message < len(code.lengths))).all()
    except REFUSED:
        return False
    return True


def blocks(rng, folder):
    codec = BlockCodec(pick(rng, list(TREES.values())[:5])().prune(2), 2)
    bits = codec.encode([0, 1, 0]) if rng.random() < 0.8 else rng.integers(0, 2, 40)
    try:
        codec.decode(poisoned(rng, bits))
        codec.encode(maybe(rng, poisoned(rng, [0, 1, 0, 0])))
    except REFUSED:
        return False
    return True


def ngrams(rng, folder):
    rows = maybe(rng, pick(rng, SEQUENCES))
    try:
        model = NGramModel.fit(
            poisoned(rng, rows) if rng.random() < 0.2 and rows == SEQUENCES[4] else rows,
            pick(rng, SMALL) if rng.random() < 0.1 else pick(rng, [1, 2, 3, 9]),
            # Not 2**31: a model over that many tokens answers with rows of 16 GiB.
            pick(rng, [*SMALL[:4], *SMALL[6:]]) if rng.random() < 0.1 else pick(rng, [2, 3, 3, 256]),
            maybe(rng, pick(rng, ["witten-bell", "kneser-ney"])),
            begin=rng.random() < 0.5,
            end=rng.random() < 0.5,
        )
        found = model([maybe(rng, (0,)), maybe(rng, (1, 0, 1))])
    except REFUSED:
        return False
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-12)
    return True


def arguments(rng, folder):
    """The command line, over files of any bytes."""
    texts = [b"", b"\x00", b"abracadabra" * 9, b"\xff" * 30, bytes(range(256))]
    names = []
    for role in ("pretrain", "align", "perturb"):
        path = folder / role
        text = pick(rng, texts)
        path.write_bytes(damaged(rng, text, texts[2]) if rng.random() < 0.7 else text)
        names.append(maybe(rng, str(path), 0.03))
    names = [name if isinstance(name, str) else str(folder / "missing") for name in names]
    depth = pick(rng, ["1", "3", "8", "16", "0", "-1", "x", "64", str(10**30)])
    held = ["measure", *names, "--depth", depth, "--alphabet", pick(rng, ["bits", "bytes"]), "--no-progress"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = command.main(held)
        except SystemExit as stop:
            code = stop.code
    assert code in (0, 1, 2)
    assert "Traceback" not in said.getvalue()
    return code != 2


# As many inputs as take about as long
QUICK = {
    tree_file: 300, model_file: 300, answer: 300, server: 50, reply: 130, model_arrays: 130, sequences: 300,
    trees: 100, mixture: 70, numbers: 170, codes: 170, blocks: 50, ngrams: 100, arguments: 10,
}  # fmt: skip
SLOW = {
    tree_file: 20_000, model_file: 20_000, answer: 18_000, server: 2_000, reply: 8_000, model_arrays: 5_000,
    sequences: 10_000, trees: 2_000, mixture: 2_000, numbers: 6_000, codes: 3_000, blocks: 1_000,
    ngrams: 2_000, arguments: 300,
}  # fmt: skip
TARGETS = {target.__name__: target for target in QUICK}


class Hang(BaseException):
    """Raised by the alarm; no handler of errors takes it for one."""


def ring(signum, frame):
    raise Hang


def rng(name, number):
    return np.random.default_rng([*name.encode(), number])


def attack(name, inputs, folder):
    """Try inputs of these numbers, and count those that were taken."""
    taken = 0
    before = peak()
    if hasattr(signal, "SIGALRM"):
        old = signal.signal(signal.SIGALRM, ring)
    try:
        for number in inputs:
            if hasattr(signal, "SIGALRM"):
                signal.alarm(60)
            try:
                taken += TARGETS[name](rng(name, number), folder)
            except BaseException as error:
                raise AssertionError(f"input {number} of {name}: {type(error).__name__}: {error}") from error
    finally:
        if hasattr(signal, "SIGALRM"):
            signal.alarm(0)
            signal.signal(signal.SIGALRM, old)
    # The largest input has some kilobytes, and no compression undoes more than 1032 to 1.
    assert peak() - before < 128 * 2**20, name
    return taken


def peak():
    """Largest memory of this process, in bytes where Linux counts it."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.filterwarnings("ignore:eos =")
@pytest.mark.parametrize("name", TARGETS)
def test_some_inputs(tmp_path, name):
    count = QUICK[TARGETS[name]]
    # A target that takes all or nothing tries nothing.
    assert 0 < attack(name, range(count), tmp_path) < count


def any_arrays(*names):
    """Arrays of all types and shapes, under the names that a file may hold."""
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    scalars = hnp.scalar_dtypes() | st.sampled_from(
        [np.dtype(name) for name in ("i1", "i4", "i8", "f4", "f8")]
    )
    arrays = hnp.arrays(scalars, shapes)
    return st.dictionaries(st.sampled_from(names), arrays)


@given(any_arrays("alphabet_size", "offsets", "symbols", "parents", "weights"), st.sampled_from([1, 2, 300]))
def test_any_arrays_under_the_names_of_a_tree(arrays, q):
    parts = {"format": np.array("tokentree.TokenTree"), "version": np.array(1), "alphabet_size": np.array(q)}
    written = io.BytesIO()
    np.savez(written, **(parts | arrays), sha256=np.array(sealed(parts | arrays)))
    with contextlib.suppress(ValueError), opened(files, written.getvalue()):
        use(TokenTree.load("file"))


def sealed(arrays):
    try:
        return digest(arrays)
    except ValueError:
        # Dates have no buffer; no file of ours has any.
        return ""


@pytest.mark.filterwarnings("ignore:eos =")
@pytest.mark.slow
def test_a_hundred_thousand_inputs(tmp_path, capsys):
    tried = sum(QUICK.values())
    for name, target in TARGETS.items():
        inputs = range(QUICK[target], QUICK[target] + SLOW[target])
        taken = attack(name, inputs, tmp_path)
        tried += len(inputs)
        with capsys.disabled():
            print(f"\n{name}: {len(inputs)} inputs, {taken} taken", end="")
    assert tried >= 10**5
