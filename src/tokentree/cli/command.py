"""The command ``tokentree``: decide the paper's claims, measure your own data or runs, draw, explore.

Exit codes: 0 if every verdict was reached, whatever it is; 1 if one is undecided; 2 if the input cannot be
used, as standard error explains; 130 if interrupted; 141 if standard output is closed before its end. Outputs
are checked before any work. Files are written all together or not at all, before anything is printed.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout

from .._lib import signals
from . import inputs, outputs
from .console import say
from .parser import parser

_CLOSED_PIPE = 141
"""Exit code that shells report for a program ended by SIGPIPE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command-line arguments. Default: those of the process.

    Returns
    -------
    int
        Exit code; see the module.
    """
    with contextlib.ExitStack() as streams:
        # Python sets a standard stream to None if it was closed at start-up.
        if sys.stdout is None:
            streams.enter_context(redirect_stdout(streams.enter_context(open(os.devnull, "w"))))
        if sys.stderr is None:
            streams.enter_context(redirect_stderr(streams.enter_context(open(os.devnull, "w"))))
        streams.callback(_drain)
        code = _run(arguments)
    signals.leave(code)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    options = argparse.Namespace(command="")
    try:
        signals.check()
        options = parser().parse_args(arguments)
        options.files = [inputs.files(path, called) for called, path in inputs.given(options).items()]
        outputs.check(options)
        code = _COMMANDS[options.command](options)
        sys.stdout.flush()
        signals.check()
    except BrokenPipeError:
        return _CLOSED_PIPE
    except (OSError, ValueError) as error:
        say(f"tokentree {options.command}: {error}")
        return 2
    except KeyboardInterrupt:
        return signals.code()
    return code


def _drain() -> None:
    """Discard unprintable output, about which Python would complain at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError), open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), stream.fileno())


def _verify(options: argparse.Namespace) -> int:
    from .verify import verify

    return verify(options)


def _measure(options: argparse.Namespace) -> int:
    from .measure import measure

    return measure(options)


def _runs(options: argparse.Namespace) -> int:
    from .runs import runs

    return runs(options)


def _figures(options: argparse.Namespace) -> int:
    from . import figures
    from .writing import draw, write

    write({}, draw(options.out, figures.gallery(options.seed), sys.stderr.isatty(), options.format))
    return 0


def _explore(options: argparse.Namespace) -> int:
    from ..explorer import write_explorer

    write_explorer(options.out)
    say(f"written: {options.out}")
    return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "verify": _verify,
    "measure": _measure,
    "runs": _runs,
    "figures": _figures,
    "explore": _explore,
}
"""Each command imports its modules when it runs."""
