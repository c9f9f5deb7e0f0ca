"""The contestants: each a small class that turns a `Problem` into X̄.

A contestant is named by a call, as in `autograd(loss="chunked")` or `engine(memory=Window(last=20))`. Names
in the arguments are those of `farzi.unroll`.
"""

import ast
import importlib
import importlib.util
from typing import Any, NamedTuple, Protocol

from benchmarks.metagradient.problem import Array, Problem


class Contestant(Protocol):
    """What a contestant can do."""

    def prepare(self, problem: Problem) -> None:
        """Read the problem and do what is done once, however often `run` is called."""
        ...

    def run(self) -> Array:
        """X̄, (sequences, length, V), forward and backward; for plain training θT, (P,), forward only."""
        ...


class Entry(NamedTuple):
    """Where a contestant's class is, and the package that it needs."""

    module: str
    name: str
    package: str


CONTESTANTS = {
    "training": Entry("training", "Training", "torch"),
    "training_by_engine": Entry("engine", "EngineTraining", "farzi"),
    "engine": Entry("engine", "Engine", "farzi"),
    "autograd": Entry("autograd", "Autograd", "torch"),
    "higher": Entry("with_higher", "Higher", "higher"),
    "torchopt": Entry("with_torchopt", "TorchOpt", "torchopt"),
    "bergson": Entry("with_bergson", "Bergson", "bergson"),
    "jax": Entry("with_jax", "Jax", "jax"),
}


class NotInstalled(Exception):
    """A peer's package is not there."""


def make(spec: str) -> Contestant:
    """The contestant that `spec`, a call, names.

    Raises:
        NotInstalled: the package that it needs is not installed.
        ValueError: it is no call of a contestant.
    """
    call = ast.parse(spec, mode="eval").body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in CONTESTANTS):
        raise ValueError(f"{spec!r} is no call of one of {', '.join(CONTESTANTS)}")
    entry = CONTESTANTS[call.func.id]
    if importlib.util.find_spec(entry.package) is None:
        raise NotInstalled(entry.package)
    module = importlib.import_module(f"{__name__}.{entry.module}")
    return getattr(module, entry.name)(**_keywords(call))


def package(spec: str) -> str:
    """The package that a contestant needs."""
    return CONTESTANTS[spec.partition("(")[0]].package


def _keywords(call: ast.Call) -> dict[str, Any]:
    return {str(keyword.arg): _value(keyword.value) for keyword in call.keywords}


def _value(node: ast.expr) -> Any:
    """A literal, or a call of a name of `farzi.unroll`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        from farzi import unroll

        return getattr(unroll, node.func.id)(*map(_value, node.args), **_keywords(node))
    return ast.literal_eval(node)
