"""How the command ends when it is told to: quietly, with the shell's exit code, and with no half of a file.

The first signal raises KeyboardInterrupt, so that what is open is closed on the way out. A second one, or an
interrupt that Python would report and forget, ends the process at once. Imports nothing heavy: a person may
not wait for that either.
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
"""Files that are being written, and are nothing until they have their name."""

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

_taken_over = False

_told = 0


def code() -> int:
    """Exit code of an interrupted command, as shells count: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (_told or signal.SIGINT)


def check() -> None:
    """Raise the interrupt again that somebody else's code has caught and dropped."""
    if _told:
        raise KeyboardInterrupt


def is_command() -> bool:
    """Whether this process, now importing the package, is ``tokentree`` or ``python -m tokentree``."""
    if not 0 < len(sys.argv) <= len(sys.orig_argv):
        return False
    # Python has taken its own options off `argv`, and the module's name where it was given one.
    program = os.path.basename(sys.orig_argv[-len(sys.argv)]).removeprefix("-m")
    return program.removesuffix(".exe") == __name__.partition(".")[0]


def take_over() -> None:
    """From now on signals end the process as the module says, but for those it was started to ignore."""
    global _taken_over
    _taken_over = True
    sys.excepthook, sys.unraisablehook = _uncaught, _unraisable
    for number in _ENDING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)


def leave(code: int) -> None:
    """End the process with this code, if it was taken over."""
    if _taken_over:
        # Python would let go of the signals first, and then take its time.
        atexit._run_exitfuncs()
        os._exit(code)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Handle signals that arrive inside the block at its end."""
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
            # A progress bar has hidden the cursor.
            os.write(2, b"\x1b[?25h\n")
    os._exit(code())


def _uncaught(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    # Extension modules turn an interrupt of their import into an ImportError.
    if _told:
        _end()
    sys.__excepthook__(kind, error, where)


def _unraisable(lost: Any) -> None:
    if not _told:
        sys.__unraisablehook__(lost)
    elif issubclass(lost.exc_type, KeyboardInterrupt):
        _end()
