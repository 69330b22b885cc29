"""Files that are written completely or not at all, with arrays that are checked before they are used."""

import contextlib
import errno
import hashlib
import math
import operator
import os
import secrets
import stat
from collections.abc import Collection, Iterator, Mapping
from io import BufferedIOBase, BytesIO
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo, is_zipfile

import numpy as np
import numpy.typing as npt
from jaxtyping import Shaped

from . import signals

_HEADER = ("format", "version", "sha256")

_RATIO = 1032
"""Largest compression ratio of deflate: two bits of code for 258 bytes."""

_SHORT = 4096
"""Largest number of bytes of an entry of the header."""

_CHUNK = 1 << 20


@contextlib.contextmanager
def replacing(*paths: str | os.PathLike[str]) -> Iterator[list[BufferedIOBase]]:
    """Files open for writing that together replace `paths` once the block ends without an error.

    Every path holds its old file or the complete new one, even after an interrupt, a kill or a power cut;
    after an error in the block all hold the old. Links are followed and permissions kept. A pipe or a device
    is written last.
    """
    parts = [_Part(os.fspath(path)) for path in paths]
    try:
        yield [part.open() for part in parts]
        for part in parts:
            part.settle()
        signals.check()
        with signals.postponed():
            for part in parts:
                part.replace()
    finally:
        for part in parts:
            part.discard()
    if os.name == "posix":
        for folder in {os.path.dirname(part.target) for part in parts if part.stream is None}:
            _sync(folder)
    for part in parts:
        if part.stream is not None:
            with open(part.path, "wb") as file:
                file.write(part.stream.getvalue())


def probe(*paths: str | os.PathLike[str]) -> None:
    """Raise the OSError that `replacing` would raise, and leave the files unchanged."""
    for path in paths:
        part = _Part(os.fspath(path))
        try:
            part.open()
        finally:
            part.discard()


class _Part:
    """A file to be: its bytes are written beside its final place."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.target = os.path.realpath(path)
        self.name = f"{self.target}.{secrets.token_hex(8)}.part"
        self.file: BufferedIOBase | None = None
        self.stream: BytesIO | None = None

    def open(self) -> BufferedIOBase:
        try:
            mode = os.stat(self.path).st_mode
        except FileNotFoundError:
            mode = None
        if mode is not None and (stat.S_ISDIR(mode) or not os.access(self.path, os.W_OK)):
            number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EACCES
            raise OSError(number, os.strerror(number), self.path)
        if mode is not None and not stat.S_ISREG(mode):
            self.stream = BytesIO()
            return self.stream
        signals.unfinished.add(self.name)
        try:
            # Beside the target, so that replacing it is atomic; opened plainly, so that the umask applies.
            self.file = open(self.name, "xb")  # noqa: SIM115 - closed by settle or discard
            if mode is not None:
                os.chmod(self.name, stat.S_IMODE(mode))
        except OSError as error:
            error.filename = self.path
            raise
        return self.file

    def settle(self) -> None:
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()

    def replace(self) -> None:
        if self.file is not None:
            os.replace(self.name, self.target)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            if self.file is not None:
                self.file.close()
        with contextlib.suppress(OSError):
            os.unlink(self.name)
        signals.unfinished.discard(self.name)


def _sync(folder: str) -> None:
    """Sync directories, so that new names are on disk; some file systems do not guarantee it."""
    with contextlib.suppress(OSError):
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def save_arrays(path: str | os.PathLike[str], form: str, version: int, **arrays: npt.ArrayLike) -> None:
    """Write a compressed .npz archive with its format, version and digest, as `replacing` writes."""
    # First in the directory, since damage can hide later entries: a damaged file still shows its format.
    header = {"format": np.array(form), "version": np.array(version), "sha256": np.array("")}
    contents: dict[str, Any] = header | {name: np.asarray(array) for name, array in arrays.items()}
    contents["sha256"] = np.array(digest(contents))
    with replacing(path) as (file,):
        np.savez_compressed(file, **contents)


def digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 over the names, types, shapes and bytes of all arrays except the digest itself."""
    sha = hashlib.sha256()
    for name in sorted(arrays.keys() - {"sha256"}):
        array = arrays[name]
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


@contextlib.contextmanager
def intact(path: str | os.PathLike[str], form: str) -> Iterator[None]:
    """Turn every error in the block into one that says which `save` writes such files."""
    try:
        yield
    except MemoryError:
        raise
    # Damaged bytes make zipfile, zlib and NumPy raise a dozen kinds of error, including OSError.
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"path = {os.fspath(path)!r} is not an intact file written by {_kind(form)}.save: {reason}"
        ) from error


def _kind(form: str) -> str:
    """The class whose files have this format."""
    return form.rpartition(".")[2]


def load_arrays(
    file: BufferedIOBase, form: str, version: int, known: Collection[str]
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Read an archive written by `save_arrays`.

    Nothing in the file is executed, and no array is made larger than the file could fill: together arrays
    take at most 1032 times the size of the file. Damage raises a dozen kinds of error.
    """
    if not is_zipfile(file):
        file.seek(0)
        raise ValueError(_no_archive(file.read(8)))
    with ZipFile(file) as archive:
        members = _members(archive, file.seek(0, os.SEEK_END))
        header = {name: _member(archive, members, name) for name in _HEADER}
        if str(header["format"]) != form:
            found = str(header["format"])
            loads = f": {_kind(found)}.load reads it" if found.startswith("tokentree.") else ""
            raise ValueError(f"its format is {found}{loads}")
        if operator.index(header["version"]) != version:
            raise ValueError(f"its version is {header['version']!s}, and this library reads {version}")
        if others := members.keys() - {*known, *header}:
            raise ValueError(f"it has an array {min(others)!r}; known are {', '.join(known)}")
        arrays = {name: _member(archive, members, name) for name in known}
    if digest(header | arrays) != str(header["sha256"]):
        raise ValueError("its arrays are not those that were written: their SHA-256 differs")
    return arrays


def _no_archive(head: bytes) -> str:
    """What a file is that is no archive, from its first bytes."""
    if not head:
        return "it is empty"
    if head.startswith(b"PK"):
        return "it is an archive whose end is missing"
    return f"it is no .npz archive, but begins with {head!r}"


def _members(archive: ZipFile, room: int) -> dict[str, ZipInfo]:
    """The arrays of an archive of `room` bytes, by name, none larger than its bytes could fill."""
    members: dict[str, ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise ValueError(f"it has two arrays {name!r}")
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"its array {name!r} is compressed in a way that NumPy does not write")
        # Parts may not overlap: their sizes sum to less than the file's.
        room -= member.compress_size
        if room < 0 or member.file_size > _RATIO * member.compress_size:
            raise ValueError(f"its array {name!r} is said to be larger than the file can hold")
        members[name] = member
    return members


def _member(archive: ZipFile, members: Mapping[str, ZipInfo], name: str) -> Shaped[np.ndarray, "..."]:
    if name not in members:
        raise ValueError(f"it has no array {name!r}")
    if name in _HEADER and members[name].file_size > _SHORT:
        raise ValueError(f"its array {name!r} is too long")
    with archive.open(members[name]) as stream:
        return _array(stream, members[name].file_size)


def _array(stream: BufferedIOBase | IO[bytes], size: int) -> Shaped[np.ndarray, "..."]:
    """The array of an .npy stream, which must fill `size` bytes exactly."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    number = np.lib.format.read_magic(stream)
    if number not in readers:
        raise ValueError(f"it is written in version {number} of NumPy's format")
    try:
        shape, by_columns, dtype = readers[number](stream)
    except MemoryError:
        # Python's parser raises these for a header of many brackets.
        raise ValueError("it has no header of an array") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded")
    left = size - stream.tell()
    # An axis of length 0 must not let the others be of any length.
    cells = math.prod(n or 1 for n in shape)
    if (
        min(shape, default=0) < 0
        or math.prod(shape) * dtype.itemsize != left
        or not 0 < cells * dtype.itemsize <= _RATIO * size
    ):
        raise ValueError(f"its {left} bytes are not an array of shape {shape} and dtype {dtype}")
    data = np.empty(left, dtype=np.uint8)
    # In pieces, so that memory grows as bytes arrive. Reading to the end makes zipfile check the CRC.
    for start in range(0, left, _CHUNK):
        piece = stream.read(min(_CHUNK, left - start))
        data[start : start + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
        if len(piece) < min(_CHUNK, left - start):
            raise ValueError(f"it ends after {start + len(piece)} of {left} bytes")
    array = data.view(dtype)
    return array.reshape(shape[::-1]).T if by_columns else array.reshape(shape)
