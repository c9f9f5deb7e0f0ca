"""A saved state is taken only for what could have become of the state it is restored into."""

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from farzi.errors import FarziError
from farzi.states import check_like, read_state, restoring, write_state
from farzi.tensorfile import write_tensors

OWN: dict[str, Any] = {
    "weights": {"a": torch.ones(2, 3), "b": torch.arange(4)},
    "slots": (torch.zeros(5), torch.zeros(5)),
    "step": 3,
    "rate": 0.5,
    "name": "x",
    "done": False,
    "best": None,
    "history": [],
}
STATE = {
    **OWN,
    "slots": list(OWN["slots"]),
    "best": 0.25,
    "history": [{"step": 1}],
    "rate": 2.0,
    "done": True,
}

ODD: list[Any] = [None, "word", [], {}, 7, 0.25, math.nan, math.inf, True, torch.zeros(2), [1, 2]]


def places(state: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    for key, one in state.items() if isinstance(state, dict) else enumerate(state):
        yield (*path, key)
        if isinstance(one, dict | list | tuple):
            yield from places(one, *path, key)


def at(state: Any, path: tuple[Any, ...]) -> Any:
    return at(state[path[0]], path[1:]) if path else state


FIXED = [path for path in places(STATE) if path[0] not in ("best", "history")]
"""What is the same at each moment, apart from its values."""


def test_a_later_state_is_one():
    check_like(STATE, OWN)


@pytest.mark.parametrize("path", FIXED, ids=lambda path: ".".join(map(str, path)))
def test_a_state_with_anything_else_in_a_place_is_refused(path: tuple[Any, ...]):
    own = at(OWN, path)
    tensors = [own[None], own.reshape(-1)[:-1], own.double(), own * math.nan] if torch.is_tensor(own) else []
    for odd in [*ODD, *tensors]:
        plain = type(odd) is type(own) and not isinstance(own, dict | list | tuple | torch.Tensor)
        if plain and (not isinstance(own, float) or math.isfinite(odd)):
            continue  # another value of the same type
        state = copy.deepcopy(STATE)
        at(state, path[:-1])[path[-1]] = odd
        with pytest.raises(ValueError, match=str(path[-1])):
            check_like(state, OWN)
    state = copy.deepcopy(STATE)
    del at(state, path[:-1])[path[-1]]
    with pytest.raises(ValueError, match=r"lacks|parts"):
        check_like(state, OWN)


def test_a_state_with_more_is_refused():
    with pytest.raises(ValueError, match=r"^weights has c$"):
        check_like({**STATE, "weights": {**OWN["weights"], "c": 1}}, OWN)


@pytest.mark.parametrize(
    "error", [KeyError("norms"), ValueError("one\ntwo"), RuntimeError("shapes"), IndexError()]
)
def test_what_does_not_fit_is_one_line_that_names_the_file(error: Exception):
    with pytest.raises(FarziError) as caught, restoring(Path("there/x.safetensors"), "delete it"):
        raise error
    line = str(caught.value)
    assert line.startswith("there/x.safetensors: damaged, or of another version of Farzi (")
    assert line.endswith("); delete it")
    assert "\n" not in line


def test_a_lack_of_memory_is_no_damage():
    with pytest.raises(RuntimeError, match="allocate"), restoring(Path("x"), "delete it"):
        raise RuntimeError("can't allocate memory")


@pytest.mark.parametrize("values", ["", "[" * 100_000, '{"x": {"tensor:": "none"}}', '{"x": {"tensor:": 5}}'])
def test_values_that_are_no_state_are_one_line(tmp_path: Path, values: str):
    path = tmp_path / "state"
    write_tensors(path, "f", {"x": torch.zeros(1)}, {"values": values})
    with pytest.raises(FarziError, match=r"^\S+: damaged, or of another version of Farzi \(.*\); delete it$"):
        read_state(path, "f", "delete it", "cpu")
    write_state(path, "f", STATE)
    check_like(read_state(path, "f", "delete it", "cpu"), OWN)
