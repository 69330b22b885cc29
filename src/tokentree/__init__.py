"""Token trees, joint compression and the elasticity theorem of language models, decided exactly.

A wing per idea, each resting on those before it here: `information`, `trees`, `symbolic`; `codes`, `adapters`
(readers of language models); `mixtures` (joint compression); `theorem` (Theorem 4.2), `pareto`, `springs`,
`alignment`, `models`, `training` (runs of real models); `claims` (the ledger), `plotting`, `explorer`,
`strategies`. Every wing is loaded on first use, and so are the names exported here; ``__init__.pyi`` lists
which wing each comes from.
"""

import importlib
import os
import sys

import lazy_loader

from ._lib import signals

if signals.is_command():
    # Before anything else is imported, which takes longest.
    signals.take_over()

__version__ = "0.1.0"

_load, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)

# A star import would load every wing, with packages that only some of them need.
_wings = {entry.name.partition(".")[0] for entry in os.scandir(os.path.dirname(__file__))}
__all__ = sorted(set(_names) - _wings)


def __getattr__(name: str) -> object:
    if name in _names:
        return _load(name)
    where = [] if name.startswith("_") else _wings_with(name)
    rest = f": it is in {' and '.join(where)}" if where else ""
    if where and sys._getframe(1).f_code.co_name == "_handle_fromlist":
        # Of an AttributeError, ``from tokentree import name`` would not show the message.
        raise ImportError(f"{__name__} has no {name}{rest}", name=__name__)
    raise AttributeError(f"{__name__} has no {name}{rest}", name=name, obj=sys.modules[__name__])


def _wings_with(name: str) -> list[str]:
    """The wings that export a name, of those whose optional packages are installed."""
    found = []
    for wing in sorted(_wings.intersection(_names)):
        try:
            module = importlib.import_module(f"{__name__}.{wing}")
        except ImportError:
            continue
        if name in module.__all__:
            found.append(module.__name__)
    return found
