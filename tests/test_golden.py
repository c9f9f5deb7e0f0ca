"""Small fixed recipes end in the same summaries as they did before: figures do not change unnoticed.

tests/golden/summaries.safetensors holds what each of these runs ended in, on one thread of an x86 processor:
those with full-data models since these are trained by epochs, the others since before recipes were nested.
There it is the same bit for bit; other processors round differently. A change that is meant to change figures
writes that file again and says so in its commit.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from farzi.data import load_data
from farzi.distillation import Cache, Progress
from farzi.distillation.run import Run
from farzi.recipe import Recipe, presets

EXPECTED = load_file(Path(__file__).parent / "golden" / "summaries.safetensors")

SMALL: dict[str, Any] = {
    "summary.sequences": 6,
    "summary.length": 8,
    "summary.parametrization": {"type": "low_rank", "dim": 4, "label_decoder": False},
    "init": "transitions",
    "inner.steps": 12,
    "inner.optimizer": {"type": "adam", "learning_rate": 0.02},
    "inner.cooldown": 0.0,
    "inner.batch": None,
    "outer.window": 4,
    "outer.burn_in": 2,
    "outer.pool": 2,
    "outer.execution": "eager",
    "outer.steps": 4,
    "outer.batch": 16,
    "outer.learning_rate": 0.03,
    "outer.probe": None,
    "select.every": 2,
    "teach.max_steps": 10,
    "teach.validate_every": 5,
}
LABELS = {"summary.parametrization": {"type": "low_rank", "dim": 4, "label_decoder": True}}
TRAJECTORIES = "research.distillers.trajectories:TrajectoryMatching"
CASES: dict[str, dict[str, Any]] = {
    "low_rank": {},
    "full_logits": {"summary.parametrization": {"type": "full_logits", "dim": 4}},
    "tucker": {
        "summary.parametrization": {
            "type": "tucker",
            "dim": 4,
            "label_decoder": False,
            "sequence_rank": 3,
            "position_rank": 4,
        }
    },
    "gradients": {"outer.objective": "research.distillers.gradients:GradientMatching"},
    "trajectories": {"outer.objective": {"type": TRAJECTORIES, "trajectories": 2, "ahead": 1}},
    "algorithm1": {"outer.adjoint": "algorithm1"},
    "teacher": LABELS | {"init": {"type": "teacher", "teachers": 3}},
    "adamw_cooldown": {
        "inner.optimizer": {"type": "adamw", "weight_decay": 0.1},
        "inner.cooldown": 0.25,
        "inner.batch": 3,
    },
    "replicas": {"outer.replicas": 2},
    "pretrained": {"outer.weights": "pretrained"},
    "text_teacher": LABELS | {"init": {"type": "teacher", "teachers": 1, "cluster_by": "embeddings"}},
    "graph": {"outer.execution": "graph", "inner.batch": 3},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log and a text, walks around rings with jumps."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    rows = ["user,item,time"]
    for user in range(60):
        at = int(rng.integers(40))
        for time in range(int(rng.integers(8, 20))):
            rows.append(f"u{user},i{at},{time}")
            at = (at + (1 if rng.random() < 0.85 else int(rng.integers(40)))) % 40
    (folder / "log.csv").write_text("\n".join(rows) + "\n")
    lines, at = [], 0
    for _ in range(500):
        line = []
        for _ in range(int(rng.integers(4, 12))):
            line.append(f"w{at}")
            at = (at + (1 if rng.random() < 0.8 else int(rng.integers(60)))) % 60
        lines.append(" ".join(line) + " .")
    (folder / "text.txt").write_text("\n".join(lines) + "\n")
    return folder


def recipe_of(case: str, data: Path) -> Recipe:
    of_text: dict[str, Any] = {
        "data": {"type": "text", "source": str(data / "text.txt"), "tokens": "words", "lines": "sentences"},
        "student": {"type": "transformer", "tied": False, "hidden": 8},
    }
    of_log: dict[str, Any] = {
        "data.source": str(data / "log.csv"),
        "data.user": "user",
        "data.item": "item",
        "data.time": "time",
        "data.unseen": "keep",
        "student.hidden": 8,
    }
    return presets.PLAIN.changed({**SMALL, **(of_text if "text" in case else of_log), **CASES[case]})


@pytest.mark.parametrize("case", CASES)
def test_a_fixed_recipe_ends_in_the_same_summary(case: str, data: Path):
    recipe = recipe_of(case, data)
    run = Run.begin(recipe, load_data(recipe.data), Cache(), Progress())
    while not run.done:
        run.advance()
        if run.validation_due:
            run.validate()
    parts = run.loop.summary.parts
    assert {f"{case}/{name}" for name in parts} == {name for name in EXPECTED if name.startswith(f"{case}/")}
    for name, part in parts.items():
        expected = EXPECTED[f"{case}/{name}"]
        if not torch.equal(part, expected):
            torch.testing.assert_close(part, expected, rtol=1e-3, atol=1e-4)


def test_the_cases_differ():
    ends = [EXPECTED[f"{case}/latents"] for case in CASES]
    for k, one in enumerate(ends):
        assert not any(torch.equal(one, other) for other in ends[:k])
