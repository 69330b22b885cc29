"""Saved files: what they carry, that a kill leaves them whole, and that a hostile one takes no memory."""

import hashlib
import io
import os
import pickle
import re
import struct
import subprocess
import sys
import textwrap
import tracemalloc
import zipfile
import zlib
from functools import cache

import numpy as np
import pytest

from tokentree._lib.archives import digest
from tokentree.trees import TokenTree, files

posix = pytest.mark.skipif(os.name != "posix", reason="kills and forks")
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory")


def save_tree(path):
    TokenTree.from_sequences(["00", "01", "1", "01"]).save(path)


SAVED = {
    "tree": (save_tree, TokenTree.load, "tokentree.TokenTree"),
}
each = pytest.mark.parametrize(("save", "load", "form"), SAVED.values(), ids=SAVED)


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, changed, packing=zipfile.ZIP_DEFLATED):
    """The archive with other members, each with its right CRC."""
    held = members(path) | changed
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in held.items():
            if data is not None:
                archive.writestr(name, data)


def npy(array, shape=None):
    """An .npy file, with another shape in its header if one is given."""
    array = np.asarray(array)
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header | ({} if shape is None else {"shape": shape}))
    return file.getvalue() + array.tobytes()


# What a file carries


@each
def test_format_version_and_digest_can_be_checked_with_numpy_alone(tmp_path, save, load, form):
    save(tmp_path / "file")
    with np.load(tmp_path / "file") as archive:
        arrays = dict(archive)
    assert (arrays["format"].item(), arrays["version"].item()) == (form, 1)
    said = arrays.pop("sha256").item()
    text = b"".join(
        f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes()
        for name, array in sorted(arrays.items())
    )
    assert said == hashlib.sha256(text).hexdigest()


@each
def test_every_changed_array_is_found_out_though_its_crc_is_right(tmp_path, save, load, form):
    save(tmp_path / "file")
    for name, data in members(tmp_path / "file").items():
        save(tmp_path / "file")
        rewrite(tmp_path / "file", {name: data[:-1] + bytes([data[-1] ^ 1])})
        with pytest.raises(ValueError, match=r"SHA-256 differs|its format is|its version is"):
            load(tmp_path / "file")
        save(tmp_path / "file")
        rewrite(tmp_path / "file", {name: None})
        with pytest.raises(ValueError, match=r"it has no array|SHA-256 differs"):
            load(tmp_path / "file")


@pytest.mark.parametrize("step", [25, pytest.param(1, marks=pytest.mark.slow)])
@each
def test_a_flipped_bit_is_found_out_or_means_nothing(
    tmp_path, monkeypatch, unchecked, save, load, form, step
):
    save(tmp_path / "file")
    raw, whole = (tmp_path / "file").read_bytes(), members(tmp_path / "file")
    # Without a file system, and unchecked, it takes seconds and not minutes.
    damaged = bytearray(raw)
    monkeypatch.setattr(files, "open", lambda path, mode: io.BytesIO(damaged), raising=False)
    taken = 0
    for place in range(0, 8 * len(raw), step):
        damaged[place // 8] ^= 1 << place % 8
        try:
            load("file")
        except ValueError:
            pass
        else:
            # Dates, attributes and such: the arrays are those that were written.
            assert members(io.BytesIO(damaged)) == whole
            taken += 1
        damaged[place // 8] ^= 1 << place % 8
    assert 0 < taken < 4 * len(raw) / step


def test_entries_that_damage_hides_are_missed(tmp_path):
    # The directory's second entry is said to have a comment, long enough to hold all entries after it.
    save_tree(tmp_path / "file")
    raw = bytearray((tmp_path / "file").read_bytes())
    whole = len(members(tmp_path / "file"))
    for name in (b"format.npy", b"version.npy", b"sha256.npy", b"symbols.npy", b"parents.npy"):
        hiding = raw.copy()
        entry = hiding.rindex(b"PK\x01\x02", 0, hiding.rindex(name))
        hiding[entry + 33] ^= 1 << 3
        (tmp_path / "file").write_bytes(hiding)
        assert len(members(tmp_path / "file")) < whole
        with pytest.raises(ValueError, match=r"it has no array|SHA-256 differs"):
            TokenTree.load(tmp_path / "file")


def test_an_array_that_says_it_is_shorter_is_damaged(tmp_path):
    # zipfile checks a CRC only once it has read to the end, and NumPy reads no more than the header says.
    save_tree(tmp_path / "file")
    raw = npy(np.array([0, 1]), shape=(1,))
    rewrite(tmp_path / "file", {"offsets.npy": raw})
    with np.load(tmp_path / "file") as archive:
        assert archive["offsets"].tolist() == [0]
    with pytest.raises(
        ValueError, match=re.escape("its 16 bytes are not an array of shape (1,) and dtype int64")
    ):
        TokenTree.load(tmp_path / "file")


def test_formats_are_told_apart(tmp_path):
    save_tree(tmp_path / "tree")
    rewrite(tmp_path / "tree", {"version.npy": npy(2), "news.npy": npy(0)})
    with pytest.raises(ValueError, match="its version is 2, and this library reads 1"):
        TokenTree.load(tmp_path / "tree")
    rewrite(tmp_path / "tree", {"format.npy": npy("another")})
    with pytest.raises(ValueError, match="its format is another"):
        TokenTree.load(tmp_path / "tree")


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@each
def test_nothing_in_a_file_is_executed(tmp_path, save, load, form):
    mark = tmp_path / "executed"
    with pytest.raises(FileNotFoundError):
        os.rmdir(mark)
    pickle.loads(pickle.dumps(Trap(str(mark))))
    os.rmdir(mark)

    trap = np.array([Trap(str(mark))], dtype=object)
    file = io.BytesIO()
    np.save(file, trap, allow_pickle=True)
    save(tmp_path / "file")
    for name in members(tmp_path / "file"):
        for content in (file.getvalue(), pickle.dumps(trap)):
            save(tmp_path / "file")
            rewrite(tmp_path / "file", {name: content})
            with pytest.raises(ValueError, match=r"Python objects, which are never loaded|magic string"):
                load(tmp_path / "file")
    for content in (file.getvalue(), pickle.dumps(trap)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ValueError, match=r"Python objects, which are never loaded|it is no .npz archive"):
            load(tmp_path / "file")
    assert not mark.exists()


# A kill in mid-write


@posix
@each
def test_bytes_are_on_disk_before_the_name_is(tmp_path, monkeypatch, save, load, form):
    done = []
    fsync, replace = os.fsync, os.replace

    def synced(number):
        done.append("directory" if os.path.isdir(f"/dev/fd/{number}") else os.fstat(number).st_size)
        fsync(number)

    def replaced(old, new):
        done.append(os.path.getsize(old))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    save(tmp_path / "file")
    size = (tmp_path / "file").stat().st_size
    assert done == [size, size, "directory"]


KILLS = """
    import os, random, signal, sys, time
    import numpy as np
    from tokentree.trees import TokenTree, tree

    path, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = np.random.default_rng(seed)
    trees = [TokenTree.from_sequences(rng.integers(0, 2, (3000, 24))) for _ in range(2)]
    for tree in trees:
        tree.symbols
    began = time.monotonic()
    trees[0].save(path)
    once = time.monotonic() - began

    found = [0, 0]
    for kill in range(kills):
        child = os.fork()
        if not child:
            turn = kill
            while True:
                turn += 1
                trees[turn % 2].save(path)
        time.sleep(rng.uniform(0, 4 * once))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        found[trees.index(TokenTree.load(path))] += 1
    print(*found)
"""


def killed(folder, kills, seed):
    script = [sys.executable, "-c", textwrap.dedent(KILLS), str(folder / "tree"), str(kills), str(seed)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    first, second = map(int, done.stdout.split())
    assert first + second == kills
    assert min(first, second) > 0
    # Every kill falls into a write, but for those between two of them.
    parts = [name for name in os.listdir(folder) if name != "tree"]
    assert all(re.fullmatch(r"tree\.[0-9a-f]{16}\.part", name) for name in parts)
    return len(parts)


@posix
def test_twenty_kills_leave_a_whole_tree(tmp_path):
    assert killed(tmp_path, 20, 1) > 5


@posix
@pytest.mark.slow
def test_three_hundred_kills_leave_a_whole_tree(tmp_path, capsys):
    parts = killed(tmp_path, 300, 2)
    with capsys.disabled():
        print(f"\n300 kills, {parts} of them in mid-write", end="")
    assert parts > 100


# Memory


def liar(raw, name, size):
    """The archive `raw` whose directory says that a member has `size` bytes."""
    directory = raw.index(b"PK\x01\x02")
    entry = raw.rindex(b"PK\x01\x02", 0, raw.index(name, directory))
    return raw[: entry + 24] + struct.pack("<I", size) + raw[entry + 28 :]


def zipped(packing=zipfile.ZIP_DEFLATED, **contents):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, data in contents.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def overlapping(kernel, count):
    """Members that all end in the same compressed bytes, as a bomb of D. Fifield's kind has them."""
    names = [f"{i:04d}.npy".encode() for i in range(count)]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(kernel) + packer.flush()
    crc = zlib.crc32(kernel)
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, crc, len(data), len(kernel), 8, 0)
    local = [b"PK\x03\x04" + fields + name for name in names]
    # Each local header is followed by all the later ones, which its own extra field would hold.
    body = b"".join(local) + data
    directory = b"".join(
        b"PK\x01\x02" + b"\x14\0" + fields + struct.pack("<HHHII", 0, 0, 0, 0, 38 * i) + name
        for i, name in enumerate(names)
    )
    tail = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + tail


HUGE = (10**12,)


def no_bytes():
    return zipped(probabilities=npy(np.zeros(0), (0, 2**40)), prefixes=npy(np.zeros((0, 0), int)))


def no_size():
    return zipped(probabilities=npy([1.0]), eos=npy(np.zeros(2, "S1"), HUGE).replace(b"|S1", b"|S0"))


def packed(packing):
    return zipped(packing, probabilities=npy(np.zeros(2**27, np.int8)))


def names_too_long():
    tree = {name: npy(np.array(value)) for name, value in {"alphabet_size": 2, "offsets": [0, 1, 3]}.items()}
    return zipped(format=npy(np.array("a" * 10**6)), version=npy(1), sha256=npy("0"), **tree)


MAKERS = {
    # What a header or the directory says, without the bytes.
    "shape": lambda: zipped(probabilities=npy(np.zeros(2), HUGE)),
    "no bytes": no_bytes,
    "no size": no_size,
    "negative": lambda: zipped(probabilities=npy(np.zeros(2), (-(2**40), -(2**40)))),
    "lone": lambda: npy(np.zeros(2), HUGE),
    "directory": lambda: liar(
        zipped(probabilities=npy(np.zeros(2), (2**28,))), b"probabilities", 2**31 + 128
    ),
    # More than Deflate can pack, in other ways of packing.
    "bzip2": lambda: packed(zipfile.ZIP_BZIP2),
    "lzma": lambda: packed(zipfile.ZIP_LZMA),
    # The same bytes many times.
    "overlap": lambda: overlapping(npy(np.zeros(10**6)), 100),
    # Entries that are said to be names.
    "format": names_too_long,
}


@cache
def bomb(name):
    return MAKERS[name]()


@pytest.mark.parametrize("name", MAKERS)
def test_small_files_that_say_they_are_large_take_little_memory(tmp_path, name):
    (tmp_path / "bomb").write_bytes(bomb(name))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="path = ") as caught:
            TokenTree.load(tmp_path / "bomb")
        assert "Unable to allocate" not in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < 2**20 + 20 * len(bomb(name))
    finally:
        tracemalloc.stop()


LIMITED = """
    import resource, sys
    from tokentree.trees import TokenTree, tree

    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26,) * 2)
    for path in sys.argv[1:]:
        try:
            TokenTree.load(path)
        except ValueError:
            continue
        raise AssertionError(path)
    try:
        bytearray(2**28)
    except MemoryError:
        print("limited")
"""


@linux
def test_they_are_refused_where_there_is_no_memory_to_spare(tmp_path):
    for name in MAKERS:
        (tmp_path / name).write_bytes(bomb(name))
    script = [sys.executable, "-c", textwrap.dedent(LIMITED), *(str(tmp_path / name) for name in MAKERS)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "limited\n"), done.stderr


def peak_of(load, path):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="path = "):
            load(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_largest_ratio_is_the_bound(tmp_path):
    n = 2 * 10**6
    parts = {"symbols": np.zeros(n, np.int8), "parents": np.zeros(n, np.int32), "weights": np.zeros(n)}
    parts |= {"alphabet_size": np.array(2), "offsets": np.array([0, 1, n])}
    parts |= {"format": np.array("tokentree.TokenTree"), "version": np.array(1)}
    np.savez_compressed(tmp_path / "zeros.npz", **parts, sha256=np.array(digest(parts)))
    size = (tmp_path / "zeros.npz").stat().st_size
    # The arrays are as large as their bytes can make them, and checking takes at most as much again.
    assert 13 * n > 900 * size
    assert 13 * n < peak_of(TokenTree.load, tmp_path / "zeros.npz") < 2 * 1032 * size


def test_want_of_memory_is_no_damage(tmp_path, monkeypatch):
    save_tree(tmp_path / "file")

    def full(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(MemoryError):
        TokenTree.load(tmp_path / "file")


# A tree whose weights wrap around


def test_counts_that_add_up_modulo_two_to_the_64_do_not_add_up(tmp_path):
    top = 2**62
    five = TokenTree.from_sequences([[i] for i in range(5)], alphabet_size=5).prune(1)
    weights = np.full(five.n_nodes, top)
    assert weights[five.level(1)].sum() == top
    parts = {name: getattr(five, name) for name in ("symbols", "parents", "offsets")} | {"weights": weights}
    parts |= {"alphabet_size": np.array(5), "format": np.array("tokentree.TokenTree"), "version": np.array(1)}
    np.savez(tmp_path / "tree.npz", **parts, sha256=np.array(digest(parts)))
    with pytest.raises(ValueError, match="weights at depth 1 do not add up"):
        TokenTree.load(tmp_path / "tree.npz")
