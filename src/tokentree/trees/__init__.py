"""Token trees (Definition 3.1): counted, pruned, merged, drawn, and written to disk."""

from .joined import Joined as Joined, by_depth as by_depth, refuse_open as refuse_open
from .leaves import Leaf, Leaves
from .merging import (
    checked_tree as checked_tree,
    checked_trees as checked_trees,
    joint_leaves as joint_leaves,
    joint_tree as joint_tree,
    leaf_distributions,
    merge,
    node_name as node_name,
    one_after_another as one_after_another,
    pruned as pruned,
    unlisted as unlisted,
)
from .picture import node_rows as node_rows
from .responses import flattened as flattened
from .runs import run_starts as run_starts
from .tokens import EOS, REST, LeafKind, Nodes as Nodes
from .tree import TokenTree, tree_of_levels as tree_of_levels

__all__ = ["EOS", "REST", "Leaf", "LeafKind", "Leaves", "TokenTree", "leaf_distributions", "merge"]
__dir__ = __all__.copy
