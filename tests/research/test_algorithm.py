"""The two metagradients of a recipe's first step: exact against autograd; Algorithm 1 is another one."""

import torch

from farzi.distillation import OuterLoop, initialise
from farzi.summary import SummaryTensors
from farzi.unroll import Exact
from research.studies import Bench
from research.studies.algorithm import AlgorithmOne, metagradient
from research.studies.study import Repeat


def test_the_exact_one_is_that_of_the_unrolled_loop(small, tmp_path):
    recipe = small.changed({"inner.steps": 3, "outer.window": 3, "outer.burn_in": 0, "outer.pool": 0})
    dataset = Bench(tmp_path).data(recipe.data)
    start = initialise(recipe, dataset)
    run = OuterLoop(recipe, dataset, start).as_run()
    found = metagradient(run, Exact(), torch.float64)

    data = {name: value.detach().double().requires_grad_() for name, value in run["data"].items()}
    events = SummaryTensors(data["latents"], data["decoder"], start.temperature).soft_inputs()
    theta = {name: value.detach().double().requires_grad_() for name, value in run["theta0"].items()}
    m = {name: torch.zeros_like(value) for name, value in theta.items()}
    v = {name: torch.zeros_like(value) for name, value in theta.items()}
    adam = recipe.inner.optimizer
    for t in (1, 2, 3):  # plain Adam, unrolled
        loss = run["loss"](theta, events, None)
        grads = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
        for (name, value), g in zip(list(theta.items()), grads, strict=True):
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g**2
            # √ has no derivative at 0: a coordinate without a gradient moves nowhere
            root = torch.where(v[name] > 0, v[name], 1.0).sqrt() * (v[name] > 0) / (1 - 0.999**t) ** 0.5
            theta[name] = value - adam.learning_rate * (m[name] / (1 - 0.9**t)) / (root + adam.epsilon)
    bars = torch.autograd.grad(run["outer"](theta), list(data.values()))
    expected = torch.cat([bar.reshape(-1) for bar in bars])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-10)


def test_algorithm_1_agrees_through_one_step_and_not_through_many(small, tmp_path):
    one = AlgorithmOne(small, 1)(Bench(tmp_path), Repeat(0, 0))
    many = AlgorithmOne(small, 6)(Bench(tmp_path), Repeat(0, 0))
    assert many["cosine in float64"] < one["cosine in float64"] <= 1 + 1e-9
    assert set(one) == {"cosine", "length ratio", "cosine in float64", "length ratio in float64"}
