"""The engine as a book: how many files a step goes through, and how long they are."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from farzi import unroll as package
from farzi.unroll import AdamW, Compiled, Eager, Exact, Execution, interpreter, unroll

ROOT = Path(package.__file__).parent


def loss(theta: Tensor, data: Tensor, batch: Tensor) -> Tensor:
    return ((data[batch] @ theta) ** 2).mean()


def entered(execution: Execution) -> set[str]:
    """The files of the engine in which a function is called during an outer step."""
    files: set[str] = set()

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(ROOT)):
            files.add(Path(frame.f_code.co_filename).relative_to(ROOT).as_posix())

    data, batches = torch.randn(5, 3, requires_grad=True), torch.tensor([[0, 1], [2, 3], [1, 4]])
    for _ in range(2):  # in the second step all graphs are there
        files.clear()
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            end = unroll(
                loss, torch.randn(3), data, AdamW(0.1), batches, adjoint=Exact(), execution=execution
            )
            end.sum().backward()
        finally:
            sys.setprofile(before)
    return files


@pytest.mark.parametrize("execution", [Eager(), Compiled(compiler=interpreter)], ids=["eager", "graph"])
def test_an_outer_step_goes_through_ten_files_at_most(execution: Execution) -> None:
    files = entered(execution)
    assert {"run.py", "adjoint.py", "memory/tape.py"} <= files
    assert len(files) <= 10, sorted(files)
    if isinstance(execution, Eager):
        assert not any(name.startswith(("compile/", "diagnostics/")) for name in files)


def test_no_file_is_longer_than_400_lines() -> None:
    assert [path.name for path in ROOT.rglob("*.py") if len(path.read_text().splitlines()) > 400] == []
