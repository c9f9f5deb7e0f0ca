"""The check of a recipe's first metagradient, and the short form that begins every run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi.data import Log
from farzi.distillation import OuterLoop, Progress, check, check_recipe, distill, initialise
from farzi.distillation.check import short_check
from farzi.distillation.refine import RunningClip
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.recipe import variants as v
from farzi.unroll import Precision

from .states import assert_same_state


class Warned(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


class RecordingClip(RunningClip):
    norm = 0.0

    def __call__(self, gradient: Any) -> Any:
        self.norm = float(gradient.norm())
        return super().__call__(gradient)


def begun(recipe: Recipe, tiny: Log) -> OuterLoop:
    return OuterLoop(recipe, tiny, initialise(recipe, tiny))


BAD = Precision(torch.float32, "cpu", 0.5, 1.0, ("float32 products in bf16",))


@pytest.fixture
def _imprecise(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the machine's float32 products were wrong."""
    monkeypatch.setattr(check, "compare_precision", lambda **_: BAD)


@pytest.mark.usefixtures("_generators_untouched")
@pytest.mark.parametrize("pool", [0, 3])
def test_a_recipe_with_a_tame_inner_loop_is_sound_and_its_step_is_the_first_one(
    tiny: Log, recipe: Recipe, pool: int
):
    changes = {"outer.pool": pool, "inner.optimizer.epsilon": 1e-3, "outer.learning_rate": 0.01}
    recipe = recipe.changed(changes)
    found = check_recipe(recipe, dataset=tiny, directions=2)
    assert found.sound, found.verdict
    assert len(found.differences) == 2
    assert found.steps == recipe.outer.window
    loop = begun(recipe, tiny)
    loop.clip = clip = RecordingClip()
    report = loop.take_step(0.01)
    assert found.loss == pytest.approx(report.loss, rel=1e-5)
    assert found.norm == pytest.approx(clip.norm, rel=1e-4)


def test_plain_adam_with_every_step_differentiated_is_rough(tiny: Log, recipe: Recipe):
    recipe = recipe.changed(
        {
            "inner.optimizer": v.Adam(epsilon=1e-8, learning_rate=0.1),
            "inner.steps": 8,
            "outer.window": 8,
            "outer.burn_in": 0,
            "outer.pool": 0,
        }
    )
    found = check_recipe(recipe, dataset=tiny)
    assert not found.smooth
    assert not found.sound
    assert {remedy.setting for remedy in found.remedies} == {
        "epsilon",
        "learning_rate",
        "window",
        "outer_step",
    }
    assert "leave the first steps out" in found.verdict[2]


def test_bfloat16_is_worse_than_float32_and_float64_is_exact(tiny: Log, recipe: Recipe):
    cosines = [
        check_recipe(recipe, dataset=tiny, dtype=dtype, directions=1).precision.cosine
        for dtype in (torch.bfloat16, torch.float32, torch.float64)
    ]
    assert cosines[0] < 0.999 < cosines[1] < 1.0000001
    assert cosines[2] == pytest.approx(1, abs=1e-12)


def test_a_contradiction_is_refused(tiny: Log, recipe: Recipe):
    with pytest.raises(FarziError, match=r"^init\.type teacher: gives soft labels, which need summary"):
        check_recipe(recipe.changed({"init": "teacher"}), dataset=tiny)


def test_an_optimizer_that_mixes_numbers_may_have_replicas(tiny: Log, recipe: Recipe):
    several = recipe.changed({"outer.replicas": 2, "inner": {"optimizer": "muon", "cooldown": 0}})
    loop = OuterLoop(several, tiny, initialise(several, tiny))
    assert np.isfinite(loop.take_step(0.03).norm)


@pytest.mark.usefixtures("_generators_untouched")
@pytest.mark.parametrize("pool", [0, 3])
def test_the_short_form_changes_nothing(tiny: Log, recipe: Recipe, pool: int):
    recipe = recipe.changed({"outer.pool": pool})
    looked, other = begun(recipe, tiny), begun(recipe, tiny)
    values = short_check(looked, False, Progress())
    assert values["cosine"] > 0.999
    assert [looked.take_step(0.03) for _ in range(3)] == [other.take_step(0.03) for _ in range(3)]
    assert_same_state(looked.state_dict(), other.state_dict())


def test_a_run_says_how_precise_it_is(tiny: Log, recipe: Recipe, tmp_path: Path):
    folder = distill(recipe, tmp_path, dataset=tiny)
    written = json.loads((tmp_path / "run.json").read_text())["precision"]
    assert folder.run["precision"] == written
    assert written["dtype"] == "float32"
    assert written["modes"] == []
    assert 0.999 < written["cosine"] < 1.001


@pytest.mark.usefixtures("_imprecise")
def test_a_bad_precision_is_refused(tiny: Log, recipe: Recipe, tmp_path: Path):
    with pytest.raises(FarziError) as caught:
        distill(recipe, tmp_path / "out", dataset=tiny)
    line = str(caught.value)
    assert line.startswith(
        "the metagradient is not precise: in float32 with float32 products in bf16 its cosine with float64 "
        "is 0.5, less than 0.99; switch that off"
    )
    assert line.endswith("; unchecked=True starts all the same")
    assert "\n" not in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["trainings"]  # for the next attempt


@pytest.mark.usefixtures("_imprecise")
def test_unless_told_otherwise(tiny: Log, recipe: Recipe, tmp_path: Path):
    heard = Warned()
    folder = distill(recipe, tmp_path, dataset=tiny, unchecked=True, progress=heard)
    assert heard.warnings[0].startswith("the metagradient is not precise: ")
    assert folder.run["precision"]["cosine"] == 0.5


def test_what_the_process_switched_on_is_written_down(tiny: Log, recipe: Recipe):
    outer = begun(recipe, tiny)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert short_check(outer, True, Progress())["modes"] == ["float32 products in bf16"]
    finally:
        torch.set_float32_matmul_precision(before)


def test_float32_where_the_run_is_too_rough_for_it_is_refused(tiny: Log, recipe: Recipe):
    optimizer = v.Adam(epsilon=1e-12, learning_rate=1.0)
    outer = begun(
        recipe.changed(
            {"inner.optimizer": optimizer, "inner.steps": 20, "outer.window": 20, "outer.pool": 0}
        ),
        tiny,
    )
    with pytest.raises(FarziError, match="make the run smoother"):
        short_check(outer, False, Progress())


def test_an_endless_metagradient_is_left_to_the_outer_loop(tiny: Log, recipe: Recipe):
    recipe = recipe.changed({"inner.optimizer.learning_rate": 1e20})
    outer = begun(recipe, tiny)
    assert short_check(outer, False, Progress())["cosine"] is None


# Full-data models that are not the student

PRETRAINED = {"outer.weights": "pretrained"}
TRAJECTORIES = "research.distillers.trajectories:TrajectoryMatching"


@pytest.mark.parametrize(
    "changes", [PRETRAINED, {"outer.objective": TRAJECTORIES}], ids=["weights", "objective"]
)
@pytest.mark.parametrize(
    ("path", "value"), [("teach.model", {"type": "sasrec", "hidden": 6}), ("teach.length", 7)]
)
def test_weights_of_full_data_models_that_runs_start_from_must_be_the_students(
    tiny: Log, recipe: Recipe, tmp_path: Path, changes: Any, path: str, value: Any
):
    refused = recipe.changed({**changes, path: value})
    with pytest.raises(FarziError) as error:
        distill(refused, tmp_path / "out", dataset=tiny)
    assert str(error.value).startswith(f"{path}: ")
    assert "must then be the student" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
    same = {"teach.model": recipe.student, "teach.length": recipe.summary.length}
    check.check_parts(recipe.changed({**changes, **same}))
    check.check_parts(recipe.changed({path: value}))


def test_teachers_read_whole_synthetic_sequences(recipe: Recipe):
    assert [recipe.changed({"teach.length": length}).full_length for length in (4, 9, None)] == [5, 9, 5]


@pytest.mark.parametrize("student", [{"type": "sasrec", "hidden": 8}, {"type": "fmlprec", "hidden": 8}])
def test_longer_histories_than_a_model_can_read_are_refused(recipe: Recipe, student: Any):
    longer = recipe.changed({"student": student, "inner.history": 9})
    with pytest.raises(FarziError, match=r"^inner\.history: this model reads 4 events at most, ") as error:
        check.check_parts(longer)
    assert "\n" not in str(error.value)
    check.check_parts(longer.changed({"inner.history": 4}))
    for able in ({"type": "gru4rec", "hidden": 8}, {"type": "sasrec", "hidden": 8, "positions": "rotary"}):
        check.check_parts(longer.changed({"student": able}))
