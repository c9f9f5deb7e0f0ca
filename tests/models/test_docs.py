"""The example of a student of one's own, as docs/students.md has it."""

import re
from pathlib import Path
from typing import Any


def test_a_model_of_ones_own_runs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "students.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    assert names["events"].grad.isfinite().all()
    assert names["events"].grad.any()
    assert names["items"].shape == (1, 5)
