"""All of a training lies on one device.

The meta device, whose tensors have shapes and no numbers, stands in for a GPU. Every operation is watched:
none may take tensors of two devices, as on a GPU, but for numbers (0-d tensors) and what brings one over.
"""

from collections.abc import Iterator
from importlib import import_module
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
from farzi.data import Log
from farzi.distillation import OuterLoop, initialise
from farzi.distillation.checkpoint import load_checkpoint, save_checkpoint
from farzi.distillation.teach import FullTraining, train_on_full_data
from farzi.event_training import train_on_events
from farzi.recipe import Recipe, Teach
from farzi.recipe import variants as v
from farzi.summary import SummaryTensors
from farzi.training import NextEvent, make_model, train_on_summary
from farzi.unroll import Adam, unroll

META, aten = torch.device("meta"), torch.ops.aten
STUDENTS = [v.SASRec, v.GRU4Rec, v.FMLPRec, v.Transformer, v.GRU, v.LSTM]


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


def summary_of(recipe: Recipe, tiny: Log) -> SummaryTensors:
    return initialise(recipe, tiny).to(META)


LABELS = {"summary.parametrization.label_decoder": True, "init": "random"}


@pytest.mark.parametrize("variant", STUDENTS, ids=lambda variant: variant.tag())
def test_trainings_stay_on_their_device(tiny: Log, recipe: Recipe, variant: Any):
    student = variant(hidden=8)
    teach = Teach(max_steps=2, validate_every=1, batch=4)
    trained = [
        train_on_events(tiny.train, student, 41, 5, 0, teach, lambda student: 0.0, META),
        train_on_summary(summary_of(recipe, tiny), student, recipe.inner, 0),
        train_on_summary(
            summary_of(recipe.changed(LABELS), tiny),
            student,
            recipe.changed({"inner.batch": 2, "inner.cooldown": 0.5, "inner.optimizer": "adamw"}).inner,
            0,
        ),
    ]
    for one in trained:
        assert everything(one.model) == {META}


TRAJECTORIES = "research.distillers.trajectories:TrajectoryMatching"
GRADIENTS = "research.distillers.gradients:GradientMatching"
CASES: dict[str, dict[str, Any]] = {
    "whole": {},
    "batches": {"inner.batch": 2},
    "cooldown": {"inner.cooldown": 0.5},
    "rates": {"outer.rate_range": 3.0},
    "label decoder": {**LABELS, "inner.batch": 2},
    "replicas": {"outer.replicas": 2},
    "several students": {"outer.students": ({"type": "gru4rec", "hidden": 8},)},
    "pretrained": {"outer.weights": "pretrained"},
    "mixed": {"outer.weights": {"type": "pretrained", "share": 0.5}},
    "trajectories": {"outer.objective": {"type": TRAJECTORIES, "trajectories": 1}},
    "gradients": {"outer.objective": GRADIENTS},
}


@pytest.mark.parametrize("case", CASES)
def test_an_outer_step_stays_on_its_device(tiny: Log, recipe: Recipe, case: str):
    recipe = recipe.changed(CASES[case])
    weights = make_model(recipe.student, 41, 5, 0)
    theta = NextEvent(weights).parameters_of(weights)
    run = OuterLoop(recipe, tiny, summary_of(recipe, tiny), [[theta, theta]]).as_run()
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

    def score_text(self, score: float) -> str:
        return ""

    def evaluate(self, student: Any, held: Any) -> Any:
        self.score(student, held)
        return self

    def means(self) -> dict[str, float]:
        return {}


def test_the_full_data_training_is_on_its_device(tiny: Log, recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    judge = Judge()
    stage = import_module("farzi.distillation.teach")  # the package has a function of this name
    monkeypatch.setattr(stage, "task_of", lambda dataset, seen: judge)
    teach = Teach(max_steps=2, validate_every=1, batch=4)
    training = FullTraining(recipe.student, teach, 5, 0, "keep", record=1, record_first=True)
    found = train_on_full_data(training, tiny, META)
    assert judge.seen == {META}
    assert {value.device for theta in found.trajectory for value in theta.values()} == {META}


def test_a_checkpoint_goes_to_another_device(tmp_path: Path):
    save_checkpoint({"step": 1, "parts": {"latents": torch.zeros(2)}}, tmp_path)
    there = load_checkpoint(tmp_path, META)
    assert there is not None
    assert there["parts"]["latents"].device == META
    assert there["step"] == 1


def test_a_student_has_the_same_shapes_on_every_device():
    """First weights are drawn on the CPU; the meta device at least has their shapes."""
    student = v.SASRec(hidden=8)
    here, there = make_model(student, 41, 5, 3), make_model(student, 41, 5, 3, META)
    assert [value.shape for value in here.parameters()] == [value.shape for value in there.parameters()]
    assert everything(there) == {META}


@pytest.mark.parametrize(
    ("device", "said"),
    [("gpu", '"gpu" is no device'), ("cuda:x", "is no device"), ("cuda:99", "is no device")],
)
def test_a_device_that_is_not_there_is_refused_in_one_line(tmp_path: Path, device: str, said: str):
    done = CliRunner().invoke(
        app, ["distill", "--out", str(tmp_path / "s"), "--device", device], prog_name="farzi"
    )
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.output.splitlines()) == 1
    assert not (tmp_path / "s").exists()
