"""Token trees, joint compression and the elasticity theorem of language models, decided exactly.

A wing per idea, each resting on those before it here: `information`, `trees`, `symbolic`; `codes`, `adapters`
(readers of language models); `mixtures` (joint compression); `theorem` (Theorem 4.2), `pareto`, `springs`,
`alignment`, `models`, `training` (runs of real models); `claims` (the ledger), `plotting`, `explorer`,
`strategies`. Every wing is loaded on first use, and so are the names exported here; ``__init__.pyi`` lists
which wing each comes from.
"""

import os

import lazy_loader

from ._lib import signals

if signals.is_command():
    # Before anything else is imported, which takes longest.
    signals.take_over()

__version__ = "0.1.0"

__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)

# A star import would load every wing, with packages that only some of them need.
_wings = {entry.name.partition(".")[0] for entry in os.scandir(os.path.dirname(__file__))}
__all__ = sorted(set(_names) - _wings)
