"""How the command ends on a signal: quietly, with the shell's exit code, and without partial files.

The first signal raises KeyboardInterrupt, so that open resources are closed on the way out. A second one, or
an interrupt that Python would report and ignore, ends the process at once. The module imports nothing heavy,
so that an interrupt during imports works too.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, NoReturn

unfinished: set[str] = set()
"""Temporary files being written, to be removed unless they are renamed."""

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

_taken_over = False

_told = 0


def code() -> int:
    """Exit code of an interrupted command by shell convention: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (_told or signal.SIGINT)


def check() -> None:
    """Raise again an interrupt that other code has caught and dropped."""
    if _told:
        raise KeyboardInterrupt


def is_command() -> bool:
    """Whether this process, now importing the package, is ``tokentree`` or ``python -m tokentree``."""
    if not 0 < len(sys.argv) <= len(sys.orig_argv):
        return False
    # Python has removed its own options from `argv`, and the module's name if one was given.
    program = os.path.basename(sys.orig_argv[-len(sys.argv)]).removeprefix("-m")
    return program.removesuffix(".exe") == __name__.partition(".")[0]


def take_over() -> None:
    """From now on signals end the process as described above, except those it was started to ignore."""
    global _taken_over
    _taken_over = True
    sys.excepthook, sys.unraisablehook = _uncaught, _unraisable
    for number in _ENDING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)


def leave(code: int) -> None:
    """End the process with this code, if its signals were taken over."""
    if _taken_over:
        # Python would release the signals first, and then take its time.
        atexit._run_exitfuncs()
        os._exit(code)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Defer signals that arrive inside the block to its end."""
    came: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                if callable(handler := signal.getsignal(number)):
                    handlers[number] = handler
                    signal.signal(number, lambda *signalled: came.append(signalled))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in came:
            handlers[number](number, frame)


def _stop(number: int, frame: FrameType | None) -> None:
    global _told
    if _told:
        _end()
    _told = number
    raise KeyboardInterrupt


def _end() -> NoReturn:
    for part in list(unfinished):
        with contextlib.suppress(OSError):
            os.unlink(part)
    with contextlib.suppress(OSError):
        if os.isatty(2):
            # A progress bar may have hidden the cursor.
            os.write(2, b"\x1b[?25h\n")
    os._exit(code())


def _uncaught(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    # Extension modules turn an interrupt during their import into an ImportError.
    if _told:
        _end()
    sys.__excepthook__(kind, error, where)


def _unraisable(lost: Any) -> None:
    if not _told:
        sys.__unraisablehook__(lost)
    elif issubclass(lost.exc_type, KeyboardInterrupt):
        _end()
