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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from farzi.unroll.torch_private import version

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
    """The reads that decide whether a graph is out of date: all but those of large tensors that it lacks.

    What has changed since is left out: for instance a counter that the loss itself increments.

    Args:
        reads: taken before the graph was traced.
        held: the tensors that it holds.
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
                self._note(f"the length of {name}", _length, value, None, len(value))
                if len(value) < LONG:
                    self._entries(name, value, list(value) if isinstance(value, dict) else range(len(value)))
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
                self._todo.append((type(value), name))

    def _open_function(self, function: types.FunctionType, name: str) -> None:
        used = set(_names(function.__code__))
        self.names |= used
        for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self._note(f"{name}.{free}", _content, cell, None, cell.cell_contents)
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


def _length(holder: Any, key: Any) -> int:
    return len(holder)


def _content(cell: types.CellType, key: Any) -> Any:
    return cell.cell_contents
