"""Signals: a command that is told to end does so with the shell's exit code, and all of its files or none."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tokentree import cli
from tokentree._lib import signals
from tokentree._lib.archives import probe, replacing

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SCRIPT = "import sys\nfrom tokentree.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"

COMMANDS = {
    "verify": ["verify", "--json", "ledger.json", "--markdown", "ledger.md"],
    "measure": ["measure", "a", "b", "c", "--depth", "16", "--json", "found.json", "--figures", "out"],
    "figures": ["figures", "--out", "out"],
}
INPUTS = {"a", "b", "c", "tokentree"}


@pytest.fixture(autouse=True)
def heeded():
    """Where a shell has started the tests with SIGINT ignored, what they start would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(folder, arguments, module=True):
    """The command, as ``python -m tokentree`` or as pip's script of that name."""
    for name, source in zip("abc", ("typing", "argparse", "ast"), strict=True):
        if not (folder / name).exists():
            (folder / name).write_bytes(Path(sys.modules[source].__file__).read_bytes())
    (folder / "tokentree").write_text(SCRIPT)
    program = ["-m", "tokentree"] if module else [str(folder / "tokentree")]
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parent.parent), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def in_control(process):
    """Wait until the library's first lines have run, before which Python itself starts."""
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = re.search(r"SigCgt:\s*([0-9a-f]+)", status)
        if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.001)


def written(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in INPUTS
    }


def ended(process, by=signal.SIGINT):
    shown, said = process.communicate(timeout=100)
    said = re.sub(r"^drawn: .*\n", "", said, flags=re.MULTILINE)
    assert (process.returncode, said) == (128 + by, ""), said
    return shown


@linux
@pytest.mark.parametrize(("by", "module"), [("SIGINT", True), ("SIGINT", False), ("SIGTERM", True)])
def test_a_signal_during_the_imports(tmp_path, by, module):
    process = start(tmp_path, COMMANDS["measure"], module)
    in_control(process)
    process.send_signal(getattr(signal, by))
    assert ended(process, getattr(signal, by)) == ""
    assert written(tmp_path) == {}


@linux
def test_an_interrupt_during_the_work(tmp_path):
    os.mkfifo(tmp_path / "a")
    process = start(tmp_path, COMMANDS["measure"])
    # Opened once the command opens it too.
    with open(tmp_path / "a", "w") as data:
        data.write("some data")
        data.flush()
        process.send_signal(signal.SIGINT)
    # Closed first: a signal that comes just before the command waits for more does not wake it.
    assert ended(process) == ""
    assert written(tmp_path) == {}


@linux
@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "n"),
    # Fifty of the others take a quarter of an hour.
    [("measure", 50), ("verify", 12), ("figures", 6)],
)
def test_random_moments(tmp_path, capsys, command, n):
    folder = tmp_path / "whole"
    folder.mkdir()
    process = start(folder, COMMANDS[command])
    in_control(process)
    began = time.monotonic()
    process.communicate()
    took = time.monotonic() - began
    assert process.returncode == 0
    whole = written(folder)

    def interrupted(nth, moment):
        folder = tmp_path / str(nth)
        folder.mkdir()
        process = start(folder, COMMANDS[command], module=nth % 2 == 0)
        in_control(process)
        time.sleep(moment * took)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait()
        if process.returncode == 0 and time.monotonic() - sent < 0.1 * took:
            # Faster than the first run: over, or Python itself is ending. So an earlier moment.
            process.communicate()
            shutil.rmtree(folder)
            return interrupted(nth, 0.8 * moment)
        ended(process)
        found = written(folder)
        assert found in ({}, whole), found.keys()
        return "all files" if found else "no file"

    # The last of them still in time, for a process that is over takes no signal.
    moments = 0.95 * np.random.default_rng(13).random(n)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(interrupted, range(n), moments))
    counts = {each: found.count(each) for each in sorted(set(found))}
    with capsys.disabled():
        print(f"\n{command}, {took:.1f} s: {counts}", end="")
    assert counts["no file"] >= 0.8 * n


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(folder):
    with replacing(folder / "one", folder / "two") as (one, two):
        one.write(b"new one")
        two.write(b"new two")


OLD = {"one": b"old one", "two": b"old two"}
NEW = {"one": b"new one", "two": b"new two"}


def test_an_interrupt_at_any_line_leaves_all_files_old_or_all_new(tmp_path, monkeypatch):
    lines = 0

    def traced(frame, event, argument):
        nonlocal lines
        if not frame.f_code.co_filename.endswith(("archives.py", "signals.py", "contextlib.py")):
            return None
        if event == "line":
            lines += 1
            if lines == at:
                signal.raise_signal(signal.SIGINT)
        return traced

    monkeypatch.setattr(os, "fsync", lambda number: None)
    found, at = [], 0
    tracer = sys.gettrace()
    while True:
        at, lines = at + 1, 0
        for name, content in OLD.items():
            (tmp_path / name).write_bytes(content)
        try:
            sys.settrace(traced)
            write(tmp_path)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(tracer)
        if lines < at:
            break
        found.append(contents(tmp_path))
        assert found[-1] in (OLD, NEW), at
    assert found.count(OLD) > 20
    assert found.count(NEW) > 5
    assert not any(map(os.path.exists, signals.unfinished))
    signals.unfinished.clear()


def test_an_error_in_the_block_leaves_all_files_old(tmp_path):
    for name, content in OLD.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TypeError), replacing(tmp_path / "one", tmp_path / "two") as (one, _):
        one.write("text")
    assert contents(tmp_path) == OLD


def test_postponed_signals_are_handled_in_order_and_only_in_the_main_thread():
    came = []
    before = {n: signal.signal(n, lambda n, _: came.append(n)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        with signals.postponed():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert came == []
        assert came == [signal.SIGTERM, signal.SIGINT]
        signal.raise_signal(signal.SIGINT)
        assert came[2:] == [signal.SIGINT]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

    def elsewhere():
        with signals.postponed():
            came.append("thread")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert came[-1] == "thread"


STOP = "os.kill(os.getpid(), signal.SIGINT)"
DROPPED = f"""
import os, signal, sys
from tokentree import claims, cli
from tokentree._lib import archives, signals

class Last:
    def __del__(self):
        {STOP}

def caught_and_dropped():
    try: {STOP}
    except: pass

def reported_and_forgotten():
    Last()

def turned_into_another_error():
    try: {STOP}
    except: raise ImportError("core failed to import")

def twice():
    try: {STOP}
    finally: {STOP}

def not_at_all(): pass

for drop in caught_and_dropped, reported_and_forgotten, turned_into_another_error, twice, not_at_all:
    def verify(*_):
        with archives.replacing("part"):
            drop()
            return claims.Ledger((), 0)

    claims.verify = verify
    child = os.fork()
    if not child:
        sys.exit(cli.main(["verify", "--no-progress", "--json", "ledger.json"]))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(drop.__name__, code, *sorted(os.listdir()), file=sys.stderr)
"""


@linux
def test_an_interrupt_is_not_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "SCRIPT", DROPPED)
    process = start(tmp_path, [], module=False)
    _, said = process.communicate(timeout=100)
    found = [line.split() for line in said.splitlines()]
    assert [code for _, code, *_ in found] == ["130", "130", "130", "130", "0"], said
    assert [{*files} - INPUTS for _, _, *files in found] == [set()] * 4 + [{"ledger.json", "part"}]


def test_nothing_is_taken_over_where_the_package_is_imported():
    assert signal.getsignal(signal.SIGTERM) is not signals._stop
    assert sys.excepthook is not signals._uncaught


@pytest.mark.parametrize(
    ("argv", "orig", "expected"),
    [
        (["/bin/tokentree", "verify"], ["python", "/bin/tokentree", "verify"], True),
        (["-m", "verify"], ["python", "-X", "dev", "-m", "tokentree", "verify"], True),
        (["-m"], ["python", "-mtokentree"], True),
        (["-c", "tokentree"], ["python", "-c", "import tokentree", "tokentree"], False),
        (["-m", "tokentree"], ["python", "-m", "pytest", "tokentree"], False),
        (["/bin/pytest"], ["python", "/bin/pytest"], False),
        ([""], ["python"], False),
        ([], [], False),
    ],
)
def test_only_the_command_is_taken_over(monkeypatch, argv, orig, expected):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig)
    assert signals.is_command() is expected


def test_a_probe_leaves_nothing(tmp_path):
    (tmp_path / "one").write_bytes(b"old")
    probe(tmp_path / "one", tmp_path / "two")
    assert contents(tmp_path) == {"one": b"old"}
    with pytest.raises(IsADirectoryError):
        probe(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        probe(tmp_path / "nowhere" / "file")
    assert caught.value.filename == str(tmp_path / "nowhere" / "file")
