"""The metagradient that a recipe asks for: exact, or by Algorithm 1 of the paper."""

from pathlib import Path

import pytest
import torch

from farzi.data import Dataset
from farzi.distillation import Outer, Progress, check_recipe, distill, plan_run
from farzi.distillation.build import first_summary, outer_loop
from farzi.distillation.contradictions import refuse_contradictions
from farzi.errors import FarziError
from farzi.recipe import InnerSettings, Recipe
from farzi.unroll import Algorithm1

from .test_outer import RecordingClip
from .test_resume import ctrl_c, outcome

pytestmark = pytest.mark.usefixtures("_short_reference")


class Heard(Progress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def by_algorithm_1(recipe: Recipe, **inner: object) -> Recipe:
    settings = {**recipe.inner.model_dump(), "gradient": "algorithm-1", **inner}
    return recipe.model_copy(update={"inner": InnerSettings.model_validate(settings)})


def begun(recipe: Recipe, tiny: Dataset) -> tuple[Outer, RecordingClip]:
    clip = RecordingClip()
    return outer_loop(recipe, tiny, first_summary(recipe, tiny), clip, []), clip


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
def test_it_is_the_papers_listing_and_not_the_exact_one(tiny: Dataset, recipe: Recipe, pool: int):
    recipe = by_algorithm_1(recipe, pool=pool, steps=12, window=6, epsilon=1e-3)
    outer, clip = begun(recipe, tiny)
    expected = listing(outer.as_run())
    outer.take_step(0.03)
    found = clip.seen[0].double()
    assert (found - expected).norm() < 1e-3 * expected.norm()
    exact, exact_clip = begun(by_algorithm_1(recipe, gradient="exact"), tiny)
    exact.take_step(0.03)
    right = exact_clip.seen[0].double()
    assert (found - right).norm() > 1e-2 * right.norm()


def test_a_run_measures_it_instead_of_refusing_it(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    recipe = by_algorithm_1(recipe, steps=12, window=6)
    heard = Heard()
    folder = distill(recipe, tmp_path / "whole", dataset=tiny, progress=heard)
    cosine = folder.run["precision"]["cosine"]
    assert cosine < 0.999
    told = f"the metagradient of algorithm-1 has a cosine of {cosine:.3g} with the exact one"
    assert told in heard.messages
    with pytest.raises(KeyboardInterrupt):
        distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(5))
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_check_and_plan_are_of_it(tiny: Dataset, recipe: Recipe):
    recipe = by_algorithm_1(recipe, steps=12, window=6)
    assert check_recipe(recipe, dataset=tiny, directions=1).precision.cosine < 0.999
    planned = plan_run(recipe, tiny)
    assert planned.used == Algorithm1(torch.float64)
    assert [row.name for row in planned.window.rows if row.memory == planned.used] == [
        "Algorithm1(dtype=torch.float64)"
    ]


@pytest.mark.parametrize(
    ("inner", "line"),
    [
        ({"optimizer": "sgd"}, r"--gradient algorithm-1 runs Adam backwards, not sgd"),
        ({"weight_decay": 0.1}, r"--gradient algorithm-1 runs Adam backwards without --weight-decay"),
        ({"beta1": 0.0}, r"--gradient algorithm-1 divides by --beta1, which is 0"),
    ],
)
def test_what_it_cannot_run_backwards_is_refused(recipe: Recipe, inner: dict[str, object], line: str):
    with pytest.raises(FarziError, match=f"^{line}"):
        refuse_contradictions(by_algorithm_1(recipe, **inner))
