"""Graphs, made once and used again while nothing that they depend on has changed.

The cache belongs to this module, not to a run and not to the `Compiled` value: an outer loop makes thousands
of short runs with the same loss, and equal values share their graphs. It holds losses by weak references. The
graphs of a loss that is gone are dropped when the next graph is made.
"""

import types
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from farzi.unroll.compile.graph import UntraceableError
from farzi.unroll.compile.reached import Read, reads_of, relevant

KEPT = 64
"""Graphs in the cache; the least recently used one is dropped first."""
KINDS = 16
"""Kinds of one loss (batches, shapes) that get graphs of their own; any more run eagerly."""
REMADE = 8
"""How often a graph is made anew since something that it had read changed; then the loss runs eagerly."""


class ExecutionWarning(UserWarning):
    """A loss runs otherwise than its execution says; the results are the same."""


@dataclass
class _Entry:
    graph: Any  # None: run eagerly
    loss: tuple[Callable[[], Any], ...]  # weak references
    reads: list[Read] = field(default_factory=list)
    remade: int = 0

    def alive(self) -> bool:
        return all(part() is not None for part in self.loss)


class Graphs:
    """A cache of graphs."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[Hashable, ...], _Entry] = OrderedDict()

    def get(
        self,
        owner: Hashable,
        what: Hashable,
        loss: Any,
        subject: Hashable,
        inputs: Sequence[Tensor],
        make: Callable[[], tuple[Any, Sequence[Tensor]]],
    ) -> Any:
        """The graph of one part of a step, made if it is missing or out of date; None: run eagerly.

        A graph belongs to an execution (`owner`), a part of a step (`what`), a loss (recognised by identity;
        None for an update), whatever else it depends on (`subject`), and the shapes of its inputs. `make`
        returns it with the tensors that it holds; it may raise `UntraceableError`.
        """
        parts = (loss.__self__, loss.__func__) if isinstance(loss, types.MethodType) else (loss,)
        shapes = tuple((t.shape, t.stride(), t.dtype, t.device) for t in inputs)
        kind = (owner, what, *map(id, parts))
        key = (*kind, subject, shapes)
        try:
            entry = self._entries.get(key)
        except TypeError:
            return None  # a batch that can't be compared with others
        changed = None
        if entry is not None and entry.alive():
            self._entries.move_to_end(key)
            changed = next((read.name for read in entry.reads if not read.same()), None)
            if changed is None:
                return entry.graph
        self._drop_dead()
        entry = _Entry(None, tuple(map(_weak, parts)), remade=entry.remade + 1 if entry and changed else 0)
        kinds = sum(other[: len(kind)] == kind for other in self._entries) if loss is not None else 0
        try:
            if kinds >= KINDS and not changed:
                raise UntraceableError(
                    f"the loss came in more than {KINDS} kinds; give what changes in a batch as tensors"
                )
            if entry.remade > REMADE:
                raise UntraceableError(
                    f"{changed}, which the loss reads, has changed {REMADE} times; pass it in data or batches"
                )
            reads = [] if loss is None else reads_of(loss)
            entry.graph, held = make()
            entry.reads = relevant(reads, held)
        except UntraceableError as error:
            if kinds <= KINDS:
                warnings.warn(f"not compiled, run eagerly: {error}", ExecutionWarning, stacklevel=2)
        self._entries[key] = entry
        if len(self._entries) > KEPT:
            self._entries.popitem(last=False)
        return entry.graph

    def of(self, owner: Hashable) -> list[tuple[Hashable, Any]]:
        """Which parts of a step have graphs by an execution, and the graphs."""
        return [(key[1], entry.graph) for key, entry in self._entries.items() if key[0] == owner]

    def clear(self) -> None:
        """Drop all graphs."""
        self._entries.clear()

    def _drop_dead(self) -> None:
        for key in [key for key, entry in self._entries.items() if not entry.alive()]:
            del self._entries[key]


def _weak(value: Any) -> Callable[[], Any]:
    """A reference that doesn't keep a loss alive; one that does where there is no other."""
    try:
        return weakref.ref(value) if value is not None else lambda: ()
    except TypeError:
        return lambda: value


GRAPHS = Graphs()
"""All graphs of the process."""
