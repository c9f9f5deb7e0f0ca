"""What a loss reads besides its arguments: closures, defaults, globals, attributes, a module's buffers.

A traced graph holds what it read as constants. Before a graph is used again these places are compared with
what they held when it was traced: tensors by identity, numbers, strings and flags by value, containers by
identity and length. A tensor that changed in place needs no new graph, since the graph holds the tensor
itself, not a copy. Small tensors are compared by version as well: `float(tensor)` turns them into numbers.

The search follows functions, bound methods, partials, modules, lists, tuples, dicts and objects with a
`__dict__`. Of an object it looks at the attributes whose names occur in the code that it has met. It does not
see what is read through PyTorch's, NumPy's or the standard library's own state, elements of NumPy arrays,
slots, or names put together at run time.
"""

import functools
import operator
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from farzi.unroll.torch_private import version

SMALL = 16
"""Elements up to which a tensor may be read as numbers."""
LONG = 1000
"""Entries from which on a container is compared by identity and length only."""
MOST = 20_000
"""Places looked at."""

_OTHERS = {"torch", "numpy", *sys.stdlib_module_names}
_IMPLICIT = {
    "forward", "backward", "jvp", "vmap", "training",
    "__call__", "__getitem__", "__iter__", "__len__", "__wrapped__",
}  # fmt: skip
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)


@dataclass(frozen=True)
class Read:
    """One place, and what it held.

    Attributes:
        name: of the place, for messages.
        get: get(holder, key) reads it.
        holder: object that it is a part of.
        key: which part.
        value: what it held.
        version: of a tensor, where changes in place count.
    """

    name: str
    get: Callable[[Any, Any], Any]
    holder: Any
    key: Any
    value: Any
    version: int | None = None

    def same(self) -> bool:
        """Whether the place holds the same still."""
        try:
            now = self.get(self.holder, self.key)
        except (LookupError, AttributeError, ValueError):
            return False
        if now is self.value:
            return self.version is None or version(now) == self.version
        return type(now) is type(self.value) and _is_plain(now) and now == self.value


def reads_of(loss: Any) -> list[Read]:
    """All that a function reads besides its arguments, as far as it can be seen."""
    names = set(_IMPLICIT)
    while True:
        search = _Search(frozenset(names))
        search.visit(loss, getattr(loss, "__name__", type(loss).__name__))
        if search.names <= names:
            return search.reads
        names |= search.names


def relevant(reads: Sequence[Read], held: Sequence[Tensor]) -> list[Read]:
    """The reads by which a graph can go out of date: those of the tensors it holds, and those of no tensors.

    What changed already is left out: a counter, say, that the loss itself moves on.

    Args:
        reads: taken before the graph was traced.
        held: the tensors that it holds.
    """
    ids = {id(tensor) for tensor in held}

    def counts(read: Read) -> bool:
        return not isinstance(read.value, Tensor) or read.version is not None or id(read.value) in ids

    return [read for read in reads if counts(read) and read.same()]


class _Search:
    """One walk through what a function reaches.

    Attributes:
        wanted: names of attributes to look at.
        names: names that occur in the code met.
        reads: the places found.
    """

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted, self.names = wanted, set[str]()
        self.reads: list[Read] = []
        self._seen: dict[int, Any] = {}  # holds them, so that no id is used twice

    def visit(self, root: Any, name: str) -> None:
        """Look at an object and all that it reaches."""
        todo = [(root, name)]
        while todo and len(self._seen) < MOST:
            value, where = todo.pop()
            if id(value) in self._seen or _is_plain(value) or isinstance(value, Tensor):
                continue
            self._seen[id(value)] = value
            for get, holder, key, part in self._parts(value):
                place = f"{where}.{key}" if isinstance(key, str) else f"{where}[{key!r}]"
                if get is not None:
                    self._note(Read(place, get, holder, key, part))
                todo.append((part, place))

    def _note(self, read: Read) -> None:
        value = read.value
        if isinstance(value, Tensor) and value.numel() <= SMALL and not isinstance(value, nn.Parameter):
            read = Read(read.name, read.get, read.holder, read.key, value, version(value))
        self.reads.append(read)

    def _parts(self, value: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
        """How to read each part of a value (None: it is not compared), its holder, its key, and the part."""
        match value:
            case types.FunctionType():
                if _is_ours(value):
                    yield from self._of_function(value)
            case types.MethodType():
                yield None, value, "__func__", value.__func__
                yield None, value, "self", value.__self__
            case functools.partial():
                for key in ("func", "args", "keywords"):
                    yield None, value, key, getattr(value, key)
            case dict() | list() | tuple():
                yield _length, value, "length", len(value)
                if len(value) < LONG:
                    entries = value.items() if isinstance(value, dict) else enumerate(value)
                    yield from ((operator.getitem, value, key, part) for key, part in list(entries))
            case types.ModuleType():
                if _is_ours(value):
                    yield from self._named(vars(value))
            case type():
                yield from self._of_class(value)
            case property() | staticmethod() | classmethod():
                inner = value.fget if isinstance(value, property) else value.__func__
                yield None, value, "function", inner
            case _ if hasattr(value, "__dict__"):
                yield from self._of_object(value)

    def _of_function(self, function: types.FunctionType) -> Iterator[tuple[Any, Any, Any, Any]]:
        code = function.__code__
        used = set(_names(code))
        self.names |= used
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                yield _content, cell, name, cell.cell_contents
            except ValueError:  # not filled yet
                continue
        for holder in (function.__defaults__, function.__kwdefaults__):
            if holder:
                yield None, function, "defaults", holder
        for name in used & function.__globals__.keys():
            part = function.__globals__[name]
            code_ = isinstance(part, types.FunctionType | types.ModuleType | type)
            yield None if code_ else operator.getitem, function.__globals__, name, part

    def _of_object(self, value: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
        own = vars(value)
        if isinstance(value, nn.Module):
            for kind in ("_parameters", "_buffers", "_modules"):
                yield None, own, kind, own[kind]
            if not _is_ours(type(value)):  # one of PyTorch's: its code is not looked into
                plain = {key: part for key, part in own.items() if _is_plain(part)}
                yield from ((operator.getitem, own, key, part) for key, part in plain.items())
        yield from self._named(own)
        yield None, value, "class", type(value)

    def _of_class(self, value: type) -> Iterator[tuple[Any, Any, Any, Any]]:
        for base in value.__mro__:
            if _is_ours(base):
                yield from self._named(vars(base))

    def _named(self, parts: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
        """The wanted entries of an object's, a class's or a module's dict."""
        for key in self.wanted & parts.keys():
            code = isinstance(parts[key], types.FunctionType | types.ModuleType | type | property)
            yield None if code else operator.getitem, parts, key, parts[key]


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


def _length(holder: Any, key: Any) -> int:
    return len(holder)


def _content(cell: types.CellType, key: Any) -> Any:
    return cell.cell_contents
