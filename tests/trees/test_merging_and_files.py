"""Larger than memory, and more than one machine: ranges of a file, merging, pickles, and Dask."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tokentree
from tokentree.trees import LeafKind, TokenTree, bands, checked_trees, joint_tree, merge, runs

ALPHABETS = st.sampled_from(["bits", "bytes"])


def symbols_of(data, alphabet):
    return [int(b) for byte in data for b in f"{byte:08b}"] if alphabet == "bits" else list(data)


def leaf_counts(tree):
    return {(leaf.prefix, leaf.kind): leaf.weight for leaf in tree.leaves()}


def block_counts(data, block, alphabet, start=0, stop=None):
    """The blocks that begin in a range of bytes, one at a time."""
    symbols, a_byte = symbols_of(data, alphabet), 8 if alphabet == "bits" else 1
    counts = Counter()
    for at in range(0, len(symbols) + 1, block):
        ends = at + block > len(symbols)
        reached = stop is None or at < stop * a_byte or (ends and stop >= len(data))
        if at >= start * a_byte and reached:
            counts[tuple(symbols[at : at + block]), LeafKind.EOS if ends else LeafKind.CUT] += 1
    return dict(counts)


def in_batches(patch, size):
    patch.setattr(runs, "batch_bytes", lambda width: size)


# Blocks


@given(
    st.binary(min_size=1, max_size=40) | st.text("ab", min_size=1, max_size=300).map(str.encode),
    st.one_of(st.integers(1, 90), st.integers(54, 66)),
    ALPHABETS,
    st.integers(1, 50),
)
def test_blocks_are_counted_one_at_a_time(data, block, alphabet, size):
    with pytest.MonkeyPatch.context() as patch:
        in_batches(patch, size)
        tree = TokenTree.from_bytes(data, block, alphabet)
    assert leaf_counts(tree) == block_counts(data, block, alphabet)
    assert tree == TokenTree.from_bytes(data, block, alphabet)


@pytest.mark.parametrize("width", [1, 5, 8, 12, 20, 24, 25, 32, 57, 58, 59, 64, 100])
def test_blocks_of_every_width_are_those_of_the_matrix(width):
    rng = np.random.default_rng(width)
    motifs = rng.integers(0, 256, (300, 25), dtype=np.uint8)
    data = motifs[rng.integers(0, 300, 20_000)].tobytes()
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    n = len(bits) // width
    expected = TokenTree.from_sequences(bits[: n * width].reshape(n, width), alphabet_size=2, depth=width)
    last = TokenTree.from_sequences(bits[None, n * width :], depth=width)
    found = TokenTree.from_bytes(data, width)
    # By nodes, not in compact form, in which the tree that is tested was made.
    assert found == joint_tree({"blocks": expected, "rest": last})[0]


# Ranges


@given(st.binary(min_size=1, max_size=60), st.integers(1, 70), ALPHABETS, st.data())
def test_ranges_that_split_a_file_merge_into_its_tree(tmp_path_factory, data, block, alphabet, more):
    path = tmp_path_factory.getbasetemp() / "split"
    path.write_bytes(data)
    cuts = more.draw(st.lists(st.integers(0, len(data)), max_size=4))
    parts = []
    with pytest.MonkeyPatch.context() as patch:
        in_batches(patch, more.draw(st.integers(1, 70)))
        for start, stop in pairwise([0, *sorted({*cuts} - {0, len(data)}), len(data)]):
            expected = block_counts(data, block, alphabet, start, stop)
            if expected:
                parts.append(TokenTree.from_file(path, block, alphabet, start=start, stop=stop))
                assert leaf_counts(parts[-1]) == expected
                if stop == len(data):
                    assert parts[-1] == TokenTree.from_file(path, block, alphabet, start=start)
                    assert parts[-1] == TokenTree.from_file(path, block, alphabet, start=start, stop=stop + 9)
            else:
                with pytest.raises(ValueError, match=f"no block begins in bytes {start} to {stop} of the"):
                    TokenTree.from_file(path, block, alphabet, start=start, stop=stop)
    assert merge(parts) == TokenTree.from_bytes(data, block, alphabet)


def test_a_range_reads_no_further_than_its_last_block(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)))
    read = []
    tree = TokenTree.from_file(tmp_path / "file", 12, progress=read.append, start=100, stop=200)
    # Blocks 67 to 133 begin there, at bit 804 to bit 1,596.
    assert tree.total_weight == 134 - 67
    assert sum(read) == 1608 // 8 - 804 // 8


@pytest.mark.parametrize(
    ("start", "stop", "message"),
    [
        (-1, None, "start = -1: must be an integer >= 0"),
        (0, -1, "stop = -1: must be an integer >= 0"),
        (0, 0, "no block begins in bytes 0 to 0 of the 5 of file"),
        (4, 3, "no block begins in bytes 4 to 3 of the 5 of file"),
        (6, None, "no block begins in bytes 6 to None of the 5 of file"),
    ],
)
def test_ranges_without_a_block(tmp_path, start, stop, message):
    (tmp_path / "file").write_bytes(b"12345")
    with pytest.raises(ValueError, match=message):
        TokenTree.from_file(tmp_path / "file", 8, start=start, stop=stop)


def test_an_empty_file_has_no_ranges(tmp_path):
    (tmp_path / "empty").touch()
    for start, stop in [(0, None), (0, 1), (1, None), (1, 2)]:
        with pytest.raises(ValueError, match=r"empty' is empty: a dataset needs at least one byte"):
            TokenTree.from_file(tmp_path / "empty", 8, start=start, stop=stop)


def test_a_range_ends_where_the_file_did_when_it_was_opened(tmp_path, monkeypatch):
    in_batches(monkeypatch, 1)
    path = tmp_path / "log"
    path.write_bytes(b"a" * 100)

    def appended(_):
        path.write_bytes(b"a" * 200)

    tree = TokenTree.from_file(path, 8, progress=appended, start=0, stop=100)
    assert leaf_counts(tree) == block_counts(b"a" * 100, 8, "bits")


@pytest.mark.parametrize(("stop", "lost"), [(60_000, 30_000), (100_000, 70_000)])
def test_a_file_that_is_cut_short_meanwhile_is_no_range(tmp_path, monkeypatch, stop, lost):
    # More than Python reads ahead.
    in_batches(monkeypatch, 10_000)
    path = tmp_path / "file"
    path.write_bytes(b"a" * 100_000)
    with pytest.raises(OSError, match=f"file' lost the last {lost} bytes of the range while it was read"):
        TokenTree.from_file(path, 8, progress=lambda _: os.truncate(path, 30_000), start=0, stop=stop)


def test_a_pipe_is_read_from_start_to_end(tmp_path):
    data = b"abracadabra" * 1000
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen([sys.executable, "-c", f"open('pipe', 'wb').write({data!r})"], cwd=tmp_path):
        tree = TokenTree.from_file(tmp_path / "pipe", 24)
    assert tree == TokenTree.from_bytes(data, 24)


# Merging and sending


@st.composite
def counted(draw):
    """Arguments of trees that may be merged: rows and counts of each, and the depth that all are cut at."""
    q = draw(st.sampled_from([1, 2, 3, 200]))
    longest = draw(st.sampled_from([0, 3, 9, 40, 70]))
    row = st.lists(st.integers(0, q - 1), max_size=longest)
    tree = st.lists(st.tuples(row, st.integers(1, 2**40)), min_size=1, max_size=6)
    return q, draw(st.lists(tree, min_size=1, max_size=4)), draw(st.none() | st.integers(1, longest + 2))


@given(counted(), st.integers(1, 40), st.integers(1, 5))
def test_merging_in_compact_form_is_merging_nodes(arguments, depth, slice_):
    q, parts, cap = arguments
    trees = [
        TokenTree.from_sequences([row for row, _ in part], [n for _, n in part], alphabet_size=q, depth=cap)
        for part in parts
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_SLICE", slice_)
        for each in (trees, [tree.prune(depth) for tree in trees]):
            merged = merge(each)
            assert merged == joint_tree(checked_trees(each))[0]
            assert merged.n_leaves == len(merged.leaves())


def test_merging_lays_no_nodes_out(monkeypatch):
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 2, (4, 1000, 40))
    monkeypatch.setattr(bands.Bands, "nodes", None)
    assert merge([TokenTree.from_sequences(part) for part in rows]).total_weight == 4000


@given(counted(), st.integers(1, 72))
def test_pickles_are_the_tree(arguments, depth):
    q, (part, *_), cap = arguments
    rows = [row for row, _ in part]
    for weights in ([n for _, n in part], [n / 3 for _, n in part]):
        tree = TokenTree.from_sequences(rows, weights, alphabet_size=q, depth=cap)
        for each in (tree, tree.prune(depth)):
            again = pickle.loads(pickle.dumps(each))
            assert again == each
            assert (again.is_cut, again.n_leaves) == (each.is_cut, each.n_leaves)


def test_a_pickle_takes_a_few_bytes_a_leaf_and_what_is_pruned_stays_home():
    tree = TokenTree.from_bytes(np.random.default_rng(6).bytes(1 << 18), 16)
    size = len(pickle.dumps(tree))
    # 55,000 or more of the 2**16 blocks occur, each a step and a count of a byte; the nodes would take 13.
    assert tree.n_leaves > 55_000
    assert size < 2.5 * tree.n_leaves
    assert len(pickle.dumps(tree.prune(8))) < size / 50


# Memory


@pytest.mark.slow
def test_memory_is_bounded_whatever_the_size_of_the_file(tmp_path):
    """Random bytes: nearly every one of 2**24 blocks occurs, which is the most there can be."""
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells a process the peak of its own memory")
    rng = np.random.default_rng(7)
    with open(tmp_path / "large", "wb") as file:
        for _ in range(16):
            file.write(rng.bytes(1 << 24))
    program = """if True:
        from pathlib import Path
        from tokentree import TokenTree
        peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
        tree = TokenTree.from_file("large", depth=24)
        counted = peak()
        print(counted, tree.n_leaves, tree.weights.sum() // 25, peak())
    """
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    counted, n_leaves, _, laid_out = map(int, done.stdout.split())
    assert n_leaves > 0.99 * 2**24
    assert counted < 640 << 20
    assert laid_out < 1 << 30


# Dask


def killed_once(work, marker):
    """`work`, but the process that does it first is killed before it is done."""

    def done(*arguments):
        with contextlib.suppress(FileExistsError):
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*arguments)

    return done


def on_dask(count, add, path, cuts):
    """Count ranges of a file on two worker processes, and merge four trees at a time."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        before = {info["pid"] for info in client.run(lambda: {"pid": os.getpid()}).values()}
        trees = client.map(count, [path] * (len(cuts) - 1), cuts[:-1], cuts[1:])
        while len(trees) > 1:
            trees = [client.submit(add, trees[i : i + 4]) for i in range(0, len(trees), 4)]
        tree = trees[0].result(timeout=120)
        client.wait_for_workers(2)
        after = {info["pid"] for info in client.run(lambda: {"pid": os.getpid()}).values()}
    return tree, len(before - after)


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["nobody", "one that counts", "one that merges"])
def test_workers_of_dask_give_the_same_tree(tmp_path, killed):
    path = tmp_path / "text"
    text = b"".join(page.read_bytes() for page in sorted(Path(tokentree.__file__).parent.rglob("*.py")))
    path.write_bytes(text)
    cuts = np.linspace(0, len(text), 17).astype(int).tolist()

    def count(path, start, stop):
        return TokenTree.from_file(path, 24, start=start, stop=stop)

    add = merge
    if killed == "one that counts":
        count = killed_once(count, tmp_path / "killed")
    if killed == "one that merges":
        add = killed_once(merge, tmp_path / "killed")
    tree, lost = on_dask(count, add, path, cuts)
    assert lost == (killed != "nobody")
    assert tree == TokenTree.from_bytes(text, 24)
