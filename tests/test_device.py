"""All of a training lies on one device.

The meta device, whose tensors have shapes and no numbers, stands in for a GPU. Every operation is watched:
none may take tensors of two devices, as on a GPU, but for numbers (0-d tensors) and what brings one over.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor
from torch.fx.experimental import _config
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from farzi.cli import app
from farzi.data import Dataset
from farzi.distillation import plan_run
from farzi.distillation.build import first_summary, outer_loop
from farzi.distillation.checkpoint import Checkpoint
from farzi.distillation.clipping import RunningClip
from farzi.distillation.reference import Training, train_reference
from farzi.recipe import Recipe, StudentSettings
from farzi.models import STUDENTS
from farzi.summary import SummaryTensors
from farzi.training import EventTraining, NextEvent, make_model, train_on_events, train_on_summary
from farzi.unroll import Adam, unroll
from research.studies.vary import varied

META, aten = torch.device("meta"), torch.ops.aten
NAMES = list(STUDENTS)


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.ndim]
        devices = {leaf.device for leaf in given}
        assert len(devices) < 2 or func in (aten._to_copy.default, aten.copy_.default), (func, devices)
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    """Which positions are padding are numbers, which meta tensors do not have: none is, here."""
    config: Any = _config
    with config.patch(meta_nonzero_assume_all_nonzero=True), OneDevice():
        yield


def everything(student: torch.nn.Module) -> set[torch.device]:
    return {value.device for value in [*student.parameters(), *student.buffers()]}


def summary_of(recipe: Recipe, tiny: Dataset) -> SummaryTensors:
    return first_summary(recipe, tiny).to(META)


@pytest.mark.parametrize("name", NAMES)
def test_trainings_stay_on_their_device(tiny: Dataset, recipe: Recipe, name: str):
    settings = StudentSettings.model_validate({"name": name, "hidden": 8})
    training = EventTraining(steps=2, every=1, batch=4)
    trained = [
        train_on_events(tiny.train, settings, 41, 5, 0, training, lambda student: 0.0, META),
        train_on_summary(summary_of(recipe, tiny), settings, recipe.inner, 0),
        train_on_summary(
            summary_of(varied(recipe, {"summary.targets": "own", "summary.start": "random"}), tiny),
            settings,
            varied(recipe, {"inner.batch": 2, "inner.cooldown": 0.5, "inner.optimizer": "adamw"}).inner,
            0,
        ),
    ]
    for one in trained:
        assert everything(one.student) == {META}


CASES: dict[str, dict[str, Any]] = {
    "whole": {},
    "batches": {"inner.batch": 2},
    "cooldown": {"inner.cooldown": 0.5},
    "rates": {"inner.rate_range": 3.0},
    "own targets": {"summary.targets": "own", "summary.start": "random", "inner.batch": 2},
    "several runs": {"outer.runs": 2},
    "several students": {"inner.students": ("gru4rec",)},
    "pretrained": {"inner.weights": "pretrained"},
    "mixed": {"inner.weights": "mixed"},
    "trajectories": {"outer.objective": "trajectories"},
    "gradients": {"outer.objective": "gradients"},
}


@pytest.mark.parametrize("case", CASES)
def test_an_outer_step_stays_on_its_device(tiny: Dataset, recipe: Recipe, case: str):
    recipe = varied(recipe, CASES[case])
    weights = make_model(recipe.student, 41, 5, 0)
    theta = NextEvent(weights).parameters_of(weights)
    outer = outer_loop(recipe, tiny, summary_of(recipe, tiny), RunningClip(), [[theta, theta]])
    run = outer.as_run()
    data = {name: part.requires_grad_() for name, part in run["data"].items()}
    end = unroll(
        run["loss"], run["theta0"], run["view"](data), run["optimizer"], run["batches"], run["memory"]
    )
    for bar in torch.autograd.grad(_outer(case, run["outer"], end), list(data.values())):
        assert bar.device == META


def _outer(case: str, outer: Any, end: dict[str, Tensor]) -> Tensor:
    """The outer loss; that of gradients compares numbers, which meta tensors do not have."""
    if case == "gradients":
        return torch.stack([leaf.sum() for leaf in end.values()]).sum()
    return outer(end)


def test_tensors_as_hyper_parameters_follow_the_parameters():
    rates = torch.linspace(0.1, 0.2, 3, dtype=torch.float64)
    theta, data = torch.zeros(2, device=META), torch.zeros(2, device=META, requires_grad=True)
    end = unroll(lambda tree, data, batch: (tree - data).square().sum(), theta, data, Adam(rates), [None] * 3)
    assert end.device == META


class Judge:
    """Measures students that have no numbers: notes where they are."""

    def __init__(self) -> None:
        self.seen: set[torch.device] = set()

    def score(self, student: Any, held: Any) -> float:
        self.seen.add(student.output_table.device)
        return 0.0

    def told(self, score: float) -> str:
        return ""

    def evaluate(self, student: Any, held: Any) -> Any:
        self.score(student, held)
        return self

    def means(self) -> dict[str, float]:
        return {}


def test_the_full_data_training_is_on_its_device(
    tiny: Dataset, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
):
    judge = Judge()
    monkeypatch.setattr("farzi.distillation.reference.kind_of", lambda dataset, seen: judge)
    training = EventTraining(steps=2, every=1, batch=4)
    found = train_reference(Training(recipe.student, 5, 0, "keep", 1, True, training), tiny, META)
    assert judge.seen == {META}
    assert {value.device for theta in found.trajectory for value in theta.values()} == {META}


@pytest.mark.parametrize("case", ["whole", "own targets"])
def test_a_plan_is_measured_on_its_device(
    tiny: Dataset, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, case: str
):
    judge = Judge()
    monkeypatch.setattr("farzi.distillation.plan.kind_of", lambda dataset, seen: judge)
    monkeypatch.setattr("farzi.distillation.runs.Pool.put", lambda pool, point: None)  # asks what is finite
    planned = plan_run(varied(recipe, CASES[case]), tiny, device=META)
    assert judge.seen == {META}
    assert planned.seconds_real > 0


def test_a_checkpoint_goes_to_another_device():
    there = Checkpoint({"outer/latents": torch.zeros(2)}, {"step": 1}).to(META)
    assert there.part("outer")["latents"].device == META
    assert there.values == {"step": 1}


def test_a_student_has_the_same_shapes_on_every_device():
    """First weights are drawn on the CPU; the meta device at least has their shapes."""
    settings = StudentSettings(hidden=8)
    here, there = make_model(settings, 41, 5, 3), make_model(settings, 41, 5, 3, META)
    assert [value.shape for value in here.parameters()] == [value.shape for value in there.parameters()]
    assert everything(there) == {META}


@pytest.mark.parametrize(
    ("device", "said"), [("gpu", '"gpu" is no device'), ("cuda:x", "is no device"), ("cuda:99", "GPU")]
)
def test_a_device_that_is_not_there_is_refused_in_one_line(tmp_path: Path, device: str, said: str):
    done = CliRunner().invoke(
        app, ["distill", "--out", str(tmp_path / "s"), "--device", device], prog_name="farzi"
    )
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.output.splitlines()) == 1
    assert not (tmp_path / "s").exists()
