"""What the parts of the check have in common: their sizes, their rows, and what they find wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from farzi.recipe import Recipe
from farzi.unroll import Compiled, Eager, Execution, cuda_graphs, interpreter

Row = dict[str, Any]
"""A row of a part's table, by column: texts, numbers, truth values; None where a figure is missing."""


@dataclass(frozen=True)
class Setting:
    """Where, and how large.

    Attributes:
        device: what is checked.
        quick: tiny sizes, and nothing is compiled: seconds on one core of a CPU.
    """

    device: torch.device
    quick: bool

    @property
    def executions(self) -> dict[str, Execution]:
        """The ways to take a step that this device has."""
        found: dict[str, Execution] = {"eager": Eager(), "graph": Compiled(compiler=interpreter)}
        if not self.quick:
            found["compiled"] = Compiled()
        if self.device.type == "cuda":
            found["CUDA graphs"] = Compiled(compiler=cuda_graphs)
        return found

    @property
    def left_out(self) -> str:
        """The executions that are not measured, and why."""
        compiled = "compiled steps (compiling takes longer than a quick check); " if self.quick else ""
        graphs = "" if self.device.type == "cuda" else "CUDA graphs (they need CUDA)"
        return (compiled + graphs).removesuffix("; ")

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass
class Found:
    """What a part found.

    Attributes:
        rows: its table.
        wrong: what must not be, in words; empty if all is well.
        notes: sentences below the table.
    """

    rows: list[Row]
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One part of the check: its heading, and the function that makes it."""

    title: str
    run: Callable[[Setting], Found]


TINY = Recipe().changed(
    {
        "student": {"type": "sasrec", "hidden": 8},
        "teach": {"max_steps": 10, "validate_every": 5, "grid": {"learning_rate": [0.003]}},
        "summary": {"sequences": 6, "length": 5, "parametrization": {"type": "low_rank", "dim": 4}},
        "init": {"type": "teacher", "teachers": 1, "sequences": "sampled"},
        "inner": {"steps": 6, "batch": 4},
        "outer": {"steps": 6, "batch": 16, "window": 2, "burn_in": 1, "pool": 2},
        "select": {"every": 3, "students": 1},
        "compare": {"seeds": 2, "controls": [], "references": ["initial"], "equal_bytes": False},
    }
)
"""A run of a second."""
