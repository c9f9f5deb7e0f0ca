"""A recipe's metagradient by the paper's Algorithm 1: its listing, and whole runs with it."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from farzi.data import Log
from farzi.distillation import OuterLoop, Progress, StepReport, check_recipe, distill, initialise, plan_run
from farzi.distillation.check import check_parts
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.unroll import Algorithm1
from tests.distillation.recording import RecordingClip


class Heard(Progress):
    def __init__(self, interrupt_at: int | None = None) -> None:
        self.messages: list[str] = []
        self.interrupt_at = interrupt_at

    def message(self, text: str) -> None:
        self.messages.append(text)

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        if number == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)


def by_algorithm_1(recipe: Recipe, **changes: Any) -> Recipe:
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    return recipe.changed({"outer.adjoint": {"type": "algorithm1"}, **dotted})


def begun(recipe: Recipe, tiny: Log) -> tuple[OuterLoop, RecordingClip]:
    loop, clip = OuterLoop(recipe, tiny, initialise(recipe, tiny)), RecordingClip()
    loop.clip = clip
    return loop, clip


def outcome(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("summary.safetensors", "history.jsonl")}


def listing(run: dict) -> torch.Tensor:
    """Algorithm 1 in float64, with the states that a forward run has kept in the place of recovered ones."""
    names = list(run["theta0"])
    leaves = {name: leaf.double().requires_grad_() for name, leaf in run["data"].items()}
    shapes = [run["theta0"][name].shape for name in names]

    def tree(theta: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = theta.split([shape.numel() for shape in shapes])
        return {name: part.view(shape) for name, part, shape in zip(names, parts, shapes)}

    def gradient(theta: torch.Tensor, batch: object) -> torch.Tensor:
        return torch.autograd.grad(
            run["loss"](tree(theta), run["view"](leaves), batch), theta, create_graph=True
        )[0]

    adam, (age, slots) = run["optimizer"], run["state"]
    mean, square = (slot.double() for slot in slots)
    theta = torch.cat([run["theta0"][name].double().reshape(-1) for name in names])
    met = []
    for t, batch in enumerate(run["batches"], age + 1):
        theta = theta.detach().requires_grad_()
        g = gradient(theta, batch)
        mean = adam.beta1 * mean + (1 - adam.beta1) * g.detach()
        square = adam.beta2 * square + (1 - adam.beta2) * g.detach() ** 2
        met.append((t, theta, g, mean, square))
        root = square.sqrt() / (1 - adam.beta2**t) ** 0.5 + adam.epsilon
        theta = theta.detach() - adam.learning_rate / (1 - adam.beta1**t) * mean / root
    theta.requires_grad_()
    (d_theta,) = torch.autograd.grad(run["outer"](tree(theta)), theta)
    dm, bars = torch.zeros_like(theta), [torch.zeros_like(leaf) for leaf in leaves.values()]
    for t, at, g, mean, square in reversed(met):
        scale = (1 - adam.beta2**t) ** 0.5
        rate, epsilon = adam.learning_rate * scale / (1 - adam.beta1**t), adam.epsilon * scale
        beta, root = (1 - adam.beta2) / (1 - adam.beta1), square.sqrt()
        through = torch.where(root > 0, beta * mean * g.detach() / (root * (root + epsilon) ** 2), 0.0)
        dm = dm + rate * (through - 1 / (root + epsilon)) * d_theta
        products = torch.autograd.grad((g * dm).sum(), [at, *leaves.values()])
        d_theta = d_theta + (1 - adam.beta1) * products[0]
        bars = [bar + (1 - adam.beta1) * more for bar, more in zip(bars, products[1:])]
        dm = adam.beta1 * dm
    return torch.cat([bar.reshape(-1) for bar in bars])


@pytest.mark.parametrize("pool", [0, 3])
def test_it_is_the_papers_listing_and_not_the_exact_one(tiny: Log, recipe: Recipe, pool: int):
    changes = {"outer__pool": pool, "inner__steps": 12, "outer__window": 6}
    recipe = by_algorithm_1(recipe, **changes, inner__optimizer__epsilon=1e-3)
    loop, clip = begun(recipe, tiny)
    expected = listing(loop.as_run())
    loop.take_step(0.03)
    found = clip.seen[0].double()
    assert (found - expected).norm() < 1e-3 * expected.norm()
    exact, exact_clip = begun(recipe.changed({"outer.adjoint": {"type": "exact"}}), tiny)
    exact.take_step(0.03)
    right = exact_clip.seen[0].double()
    assert (found - right).norm() > 1e-2 * right.norm()


def test_a_run_measures_it_instead_of_refusing_it(tiny: Log, recipe: Recipe, tmp_path: Path):
    recipe = by_algorithm_1(recipe, inner__steps=12, outer__window=6)
    heard = Heard()
    summary = distill(recipe, tmp_path / "whole", dataset=tiny, progress=heard)
    cosine = summary.run["precision"]["cosine"]
    assert cosine < 0.999
    line = f"the metagradient of Algorithm1 has a cosine of {cosine:.3g} with the exact one"
    assert line in heard.messages
    with pytest.raises(KeyboardInterrupt):
        distill(recipe, tmp_path / "cut", dataset=tiny, progress=Heard(interrupt_at=5))
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_check_and_plan_are_of_it(tiny: Log, recipe: Recipe):
    recipe = by_algorithm_1(recipe, inner__steps=12, outer__window=6)
    assert check_recipe(recipe, dataset=tiny, directions=1).precision.cosine < 0.999
    planned = plan_run(recipe, tiny)
    assert planned.used == Algorithm1(torch.float64)
    assert [row.name for row in planned.window.rows if row.memory == planned.used] == [
        "Algorithm1(dtype=torch.float64)"
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"inner__optimizer": {"type": "sgd"}}, "runs Adam backwards and no other optimizer, got SGD"),
        ({"inner__optimizer__weight_decay": 0.1}, "runs Adam backwards without weight decay"),
        ({"inner__optimizer__beta1": 0.0}, "divides by beta1, which is 0"),
    ],
)
def test_what_it_cannot_run_backwards_is_refused(recipe: Recipe, changes: dict[str, Any], line: str):
    with pytest.raises(FarziError, match=rf"^outer\.adjoint\.type algorithm1: .*{line}"):
        check_parts(by_algorithm_1(recipe, **changes))
