"""Graphs, made once and used again while nothing that they depend on has changed.

The cache belongs to the process, not to a run: an outer loop makes thousands of short runs with the same
loss. It holds losses by weak references, and drops the graphs of one that is gone.

A traced graph holds as constants what the loss reads besides its arguments: closures, defaults, globals,
attributes, a module's buffers. Before a graph is used again these places are compared with what they held
when it was traced: tensors by identity, numbers, strings and flags by value, containers by identity and
length. A tensor that changed in place needs no new graph, since the graph holds the tensor itself, not a
copy. Small tensors are compared by version as well: `float(tensor)` turns them into numbers.

The search for these places follows functions, bound methods, partials, modules, lists, tuples, dicts, NumPy
arrays and other objects. Of an object it looks at the attributes whose names occur in the code that it has
met. It does not see what is read through PyTorch's, NumPy's or the standard library's own state, elements of
long arrays, or names put together at run time.
"""

import contextlib
import functools
import operator
import sys
import types
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor, nn

from farzi.unroll.compile.graph import UntraceableError
from farzi.unroll.torch_private import is_fake, version

KEPT = 64
"""Graphs in the cache; the least recently used one is dropped first."""
KINDS = 16
"""Kinds of one loss (batches, shapes) that get graphs of their own; any more run eagerly."""
REMADE = 8
"""How often a graph is made anew since something that it had read changed; then the loss runs eagerly."""
SMALL = 16
"""Elements up to which a tensor may be read as numbers."""
LONG = 1000
"""Entries from which on a container is compared by identity and length only."""
MOST = 20_000
"""The most objects visited."""

_OTHERS = {"torch", "numpy", *sys.stdlib_module_names}
_SPECIAL = frozenset({"__call__", "__getitem__", "__iter__", "__len__", "__wrapped__"})
_IMPLICIT = _SPECIAL | {"forward", "backward", "jvp", "vmap", "training"}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
_CODE = (types.FunctionType, types.ModuleType, type, property, staticmethod, classmethod)


class Read(NamedTuple):
    """One place, and what it held."""

    name: str  # for messages
    get: Callable[[Any, Any], Any]  # get(holder, key) reads the place
    holder: Any
    key: Any
    value: Any
    version: int | None  # of a small tensor

    def same(self) -> bool:
        """Whether the place still holds the same."""
        try:
            now = self.get(self.holder, self.key)
        except (LookupError, AttributeError, ValueError):
            return False
        if now is self.value:
            return self.version is None or version(now) == self.version
        return type(now) is type(self.value) and _is_plain(now) and now == self.value

    def put_back(self) -> bool:
        """Put back the value if a tensor without contents, left by tracing, has taken its place."""
        with contextlib.suppress(LookupError, AttributeError, ValueError):
            if is_fake(self.get(self.holder, self.key)):
                if isinstance(self.holder, dict | list):
                    self.holder[self.key] = self.value
                else:
                    setattr(self.holder, self.key, self.value)
                return True
        return False


def reads_of(loss: Any) -> list[Read]:
    """All that a function reads besides its arguments, as far as it can be seen."""
    names = _IMPLICIT
    while True:
        search = _Search(names)
        search.visit(loss, getattr(loss, "__name__", type(loss).__name__))
        if search.names <= names:
            return search.reads
        names |= search.names


def relevant(reads: Sequence[Read], held: Sequence[Tensor]) -> list[Read]:
    """The reads that decide whether a graph which holds some tensors is out of date.

    All but those of large tensors that it lacks, and of what tracing it has changed: a counter of the loss.
    """
    ids = {id(tensor) for tensor in held}

    def counts(read: Read) -> bool:
        return not isinstance(read.value, Tensor) or read.version is not None or id(read.value) in ids

    return [read for read in reads if counts(read) and read.same()]


class _Search:
    """One walk through what a function reaches."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted  # names of attributes to look at
        self.names = set[str]()  # names that occur in the visited code
        self.reads: list[Read] = []
        self._seen: dict[int, Any] = {}  # holds the objects, so that no id is used twice
        self._todo: list[tuple[Any, str]] = []

    def visit(self, root: Any, name: str) -> None:
        """Look at an object and all that it reaches."""
        self._todo.append((root, name))
        while self._todo and len(self._seen) < MOST:
            value, name = self._todo.pop()
            if id(value) not in self._seen and not _is_plain(value) and not isinstance(value, Tensor):
                self._seen[id(value)] = value
                self._open(value, name)

    def _note(self, name: str, get: Callable[[Any, Any], Any], holder: Any, key: Any, part: Any) -> None:
        """A part that is compared, unless it is code, and visited."""
        if not isinstance(part, _CODE):
            small = isinstance(part, Tensor) and part.numel() <= SMALL and not isinstance(part, nn.Parameter)
            self.reads.append(Read(name, get, holder, key, part, version(part) if small else None))
        self._todo.append((part, name))

    def _entries(self, name: str, holder: Any, keys: Any) -> None:
        for key in keys:
            place = f"{name}.{key}" if isinstance(key, str) else f"{name}[{key!r}]"
            self._note(place, operator.getitem, holder, key, holder[key])

    def _open(self, value: Any, name: str) -> None:
        """Note the parts of a value."""
        match value:
            case types.FunctionType():
                if _is_ours(value):
                    self._open_function(value, name)
            case types.MethodType():
                self._todo += [(value.__func__, name), (value.__self__, name)]
            case functools.partial():
                self._todo += [(part, name) for part in (value.func, value.args, value.keywords)]
            case property():
                self._todo.append((value.fget, name))
            case staticmethod() | classmethod():
                self._todo.append((value.__func__, name))
            case dict() | list() | tuple():
                self._note(f"the length of {name}", lambda holder, key: len(holder), value, None, len(value))
                if len(value) < LONG:
                    self._entries(name, value, list(value) if isinstance(value, dict) else range(len(value)))
            case numpy.ndarray() if value.size < LONG and value.dtype != object:
                self._note(
                    f"an element of {name}",
                    lambda holder, key: holder.tobytes(),
                    value,
                    None,
                    value.tobytes(),
                )
            case types.ModuleType() | type():
                for part in value.__mro__ if isinstance(value, type) else (value,):
                    if _is_ours(part):
                        self._entries(name, vars(part), self.wanted & vars(part).keys())
            case _ if isinstance(own := getattr(value, "__dict__", None), Mapping):
                keys = self.wanted & own.keys()
                if isinstance(value, nn.Module):
                    self._todo += [(own[kind], name) for kind in ("_parameters", "_buffers", "_modules")]
                    if not _is_ours(type(value)):  # one of PyTorch's, whose code is not visited
                        keys |= {key for key, part in own.items() if _is_plain(part)}
                self._entries(name, own, keys)
                self._open_slots(value, name)
            case _:
                self._open_slots(value, name)

    def _open_slots(self, value: Any, name: str) -> None:
        """Note what an object of a user's class holds in slots, and visit its class."""
        slots = {slot for part in type(value).__mro__ for slot in getattr(part, "__slots__", ())}
        for slot in self.wanted & slots if _is_ours(type(value)) else ():
            if hasattr(value, slot):
                self._note(f"{name}.{slot}", getattr, value, slot, getattr(value, slot))
        self._todo.append((type(value), name))

    def _open_function(self, function: types.FunctionType, name: str) -> None:
        used = set(_names(function.__code__))
        self.names |= used
        for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self._note(f"{name}.{free}", getattr, cell, "cell_contents", cell.cell_contents)
            except ValueError:  # not filled yet
                continue
        self._todo += [(function.__defaults__, name), (function.__kwdefaults__, name)]
        self._entries(name, function.__globals__, used & function.__globals__.keys())


def _names(code: types.CodeType) -> Iterator[str]:
    """Names of globals and attributes in a piece of code, and strings that may be such names."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
        elif isinstance(constant, str) and constant.isidentifier():
            yield constant


def _is_ours(value: Any) -> bool:
    """Whether a function, class or module is neither PyTorch's, NumPy's nor the standard library's."""
    name = value.__name__ if isinstance(value, types.ModuleType) else value.__module__
    return isinstance(name, str) and name.partition(".")[0] not in _OTHERS


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(map(_is_plain, value)))


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
        device = inputs[0].device.type
        autocast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
        kind = (owner, what, *map(id, parts), autocast, torch.get_default_dtype())
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
            try:
                entry.graph, held = make()
            finally:
                stored = [read.name for read in reads if read.put_back()]
            if stored:
                entry.graph = None
                raise UntraceableError(f"the loss stores tensors in {stored[0]}")
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
