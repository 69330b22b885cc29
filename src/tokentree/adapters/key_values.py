"""Keys and values that a transformer has computed, kept for prefixes that extend one another."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Int


def _rotary_kinds(module: Any) -> list[str]:
    """How the module itself scales rotary embeddings: in one way or, where layers differ, in several."""
    kinds = getattr(module, "rope_type", None)
    return [str(kind) for kind in (kinds.values() if isinstance(kinds, dict) else [kinds])]


def _store(model: Any, output: Any, cache_bytes: int, vocabulary_size: int) -> "_KeyValueStore | None":
    """A store for what the model keeps of one token; None where reuse has no room or could be wrong."""
    from transformers import cache_utils

    # By its type: the output has it under one name or another.
    kept: Any = next((value for value in output.values() if isinstance(value, cache_utils.Cache)), None)
    if type(kept) is not cache_utils.DynamicCache:
        return None
    # Where a window slides over the keys, the mask hides those outside it. They need not be dropped.
    plain = cache_utils.DynamicLayer, cache_utils.DynamicSlidingWindowLayer
    if any(type(layer) not in plain for layer in kept.layers):
        return None
    # Keys are kept as rotated when they were new; these kinds rotate all of them anew in a longer text.
    kinds = [kind for module in model.modules() for kind in _rotary_kinds(module)]
    if any(kind == "longrope" or "dynamic" in kind for kind in kinds):
        return None
    tensors = [tensor for layer in kept.layers for tensor in (layer.keys, layer.values)]
    capacity = cache_bytes // sum(tensor.nbytes for tensor in tensors)
    return _KeyValueStore(tensors, capacity, vocabulary_size) if capacity else None


class _KeyValueStore:
    """Keys and values of the tokens fed so far, in a slot for each node of their tree.

    A node is kept only while all nodes above it are, so a walk from the root finds whatever is there. Slots
    are freed by the time of last use and, used at the same time, deepest first. No node is used without those
    above it, so this keeps the rule.
    """

    def __init__(self, tensors: list[Any], capacity: int, vocabulary_size: int) -> None:
        """`tensors`: keys and values of one token, shape (1, heads, 1, dimension), layer after layer."""
        self.capacity = capacity
        self.pools = [tensor.new_empty((0, tensor.shape[1], tensor.shape[3])) for tensor in tensors]
        """The slots, shape (slots, heads, dimension), in the order of `tensors`."""
        self._vocabulary_size = vocabulary_size
        self._children: dict[int, int] = {}
        """Slot of a node, by its edge: (slot of parent + 1) * vocabulary_size + token; -1 is the root."""
        self._free: list[int] = []
        self._edges, self._depths, self._used = np.zeros((3, 0), dtype=np.int64)
        """For each slot: its edge, or -1 when free; its depth; and when it was last used."""
        self._time = 0

    def tick(self) -> None:
        """From here on, slots used so far may be freed."""
        self._time += 1

    def path(self, prefix: tuple[int, ...], stem: Sequence[int] = ()) -> list[int]:
        """Slots down `prefix` as far as they are here; `stem` are the first of them, where known."""
        slots = list(stem)
        slot = slots[-1] if slots else -1
        for token in prefix[len(stem) :]:
            slot = self._children.get((slot + 1) * self._vocabulary_size + token, -1)
            if slot < 0:
                break
            slots.append(slot)
        self._used[slots[len(stem) :]] = self._time
        return slots

    def reserve(
        self, prefixes: list[tuple[int, ...]], paths: list[list[int]]
    ) -> Int[np.ndarray, "batch length"] | None:
        """Slots for all tokens of prefixes that begin with `paths`; None if there is no room."""
        past = len(paths[0])
        wanted = sum(len(prefix) - past for prefix in prefixes)
        if len(self._free) < wanted:
            self._make_room(wanted)
        if len(self._free) < wanted:
            return None
        slots = np.empty((len(prefixes), len(prefixes[0])), dtype=np.int64)
        for row, (prefix, path) in enumerate(zip(prefixes, paths, strict=True)):
            slots[row, :past] = path
            slot = path[-1] if path else -1
            for depth, token in enumerate(prefix[past:], past):
                edge = (slot + 1) * self._vocabulary_size + token
                # Siblings feed a missing parent once each, into one slot.
                if edge not in self._children:
                    self._children[edge] = self._free.pop()
                slot = self._children[edge]
                slots[row, depth] = slot
                self._edges[slot], self._depths[slot], self._used[slot] = edge, depth, self._time
        return slots

    def _make_room(self, wanted: int) -> None:
        """Add slots or, when all are there, free the half used least recently; none used since the tick."""
        size = len(self._edges)
        more = min(self.capacity, max(2 * size, size + wanted, 256)) - size
        if more > 0:
            for i, pool in enumerate(self.pools):
                self.pools[i] = pool.new_empty((size + more, *pool.shape[1:]))
                self.pools[i][:size] = pool
            self._edges = np.pad(self._edges, (0, more), constant_values=-1)
            self._depths, self._used = np.pad(self._depths, (0, more)), np.pad(self._used, (0, more))
            self._free.extend(range(size, size + more))
        if len(self._free) >= wanted:
            return
        idle = np.flatnonzero((self._edges >= 0) & (self._used < self._time))
        idle = idle[np.lexsort((-self._depths[idle], self._used[idle]))]
        freed = idle[: max(wanted - len(self._free), self.capacity // 2)]
        for edge in self._edges[freed].tolist():
            del self._children[edge]
        self._edges[freed] = -1
        self._free.extend(freed.tolist())


def _cache(pools: list[Any], slots: Int[np.ndarray, "batch length"], past: int) -> Any:
    """A transformers cache that holds the first `past` slots of each row, and writes into the others."""
    import torch
    from transformers import DynamicCache

    index = torch.from_numpy(slots).to(pools[0].device)
    # One index serves all layers of a kind.
    rows = cache(lambda heads, to: index.to(to)[:, None] * heads + torch.arange(heads, device=to)[:, None])
    filled = DynamicCache()
    filled.layers = [_layer()(*pair, rows, past) for pair in zip(pools[::2], pools[1::2], strict=True)]
    return filled


@cache
def _layer() -> Any:
    """The class of one layer of the cache, which can only be written down where transformers is."""
    from transformers.cache_utils import DynamicLayer

    class SlotLayer(DynamicLayer):  # type: ignore[misc]  # an untyped base
        """Gathers keys and values when their layer's turn comes, so no two layers' are copied at once."""

        def __init__(self, keys: Any, values: Any, rows: Any, past: int) -> None:
            super().__init__()
            self.pools = keys, values
            self.rows = rows
            self.past = self.length = past
            self.is_initialized = True

        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            self.length = self.past + key_states.shape[2]
            return self.through(self.pools[0], key_states), self.through(self.pools[1], value_states)

        def through(self, pool: Any, states: Any) -> Any:
            """All keys or values of the layer, contiguous as the parent's, once the new ones are kept."""
            rows = self.rows(pool.shape[1], pool.device)
            flat = pool.view(-1, pool.shape[2])
            flat[rows[:, :, self.past :]] = states
            if not self.past:
                return states.contiguous()
            return flat.index_select(0, rows.flatten()).view(*rows.shape, -1)

        def get_seq_length(self, *args: Any) -> int:
            return self.length

    return SlotLayer
