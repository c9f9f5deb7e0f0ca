"""States of outer loops, run pools and runs, compared bit for bit."""

from typing import Any

from torch import Tensor, equal

from farzi.states import flatten, unflatten


def assert_same_state(ours: dict[str, Any], theirs: dict[str, Any], *apart_from: str) -> None:
    """All tensors and values are the same, in the same order.

    Args:
        ours: of `state_dict()`.
        theirs: of `state_dict()`.
        apart_from: beginnings of the tensors' paths, and names of values, that may differ.
    """
    tensors, others = tensors_of(ours), tensors_of(theirs)
    assert list(tensors) == list(others)
    for path, value in tensors.items():
        if not path.startswith(apart_from):
            assert equal(value, others[path]), path
    values, rest = (
        {name: value for name, value in flatten(state)[1].items() if name not in apart_from}
        for state in (ours, theirs)
    )
    assert values == rest


def tensors_of(state: dict[str, Any]) -> dict[str, Tensor]:
    """Its tensors by path."""
    return flatten(state)[0]


def cloned(state: dict[str, Any]) -> dict[str, Any]:
    """The same with tensors of its own."""
    tensors, values = flatten(state)
    return unflatten({path: value.clone() for path, value in tensors.items()}, values)
