"""The paper's reverse pass: right where it can be, and shown to fail where it fails."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from farzi.models import SASRec
from farzi.unroll import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Memory,
    Momentum,
    OnHost,
    Optimizer,
    Place,
    Replay,
    RMSprop,
    SquareRoot,
    Store,
    Window,
    train,
    unroll,
    unroll_with_state,
)
from farzi.unroll import (
    Algorithm1 as Invert,
)
from farzi.unroll.memory.tape import HERE

from .problems import PROBLEMS, Problem, SoftLoss, fresh, gradient, mixture, named, network, relative_error

RATE, EPSILON = 0.01, 1e-3


def metagradient(
    problem: Problem, memory: Memory, steps: int, optimizer: Optimizer | None = None
) -> dict[str, Tensor]:
    """The gradients of theta0 and data, in float64."""
    theta0, data = fresh(problem.theta0), fresh(problem.data)
    optimizer = Adam(RATE, epsilon=EPSILON) if optimizer is None else optimizer
    problem.outer(unroll(problem.loss, theta0, data, optimizer, problem.batches(steps), memory)).backward()
    trees = {"theta0": theta0, "data": data}
    return {
        title: torch.cat([gradient(leaf).double().flatten() for _, leaf in named(tree)])
        for title, tree in trees.items()
    }


def cosine(a: Tensor, b: Tensor) -> float:
    """Of the angle between two metagradients; NaN where one has overflowed."""
    return F.cosine_similarity(a, b, dim=0).item()


def algorithm_1(problem: Problem, steps: int) -> tuple[Tensor, Tensor]:
    """dθ and dX of a bare theta0 and bare data, line by line, with the states of the way forward."""
    beta1, beta2 = 0.9, 0.999
    theta, data, batches = fresh(problem.theta0), fresh(problem.data), problem.batches(steps)
    m = v = torch.zeros_like(theta)
    seen = []
    for t, batch in enumerate(batches, start=1):
        g = torch.autograd.grad(problem.loss(theta, data, batch), theta, create_graph=True)[0]
        m, v = beta1 * m + (1 - beta1) * g.detach(), beta2 * v + (1 - beta2) * g.detach() ** 2
        seen.append((theta, g, m, v))
        theta = theta.detach() - RATE * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + EPSILON)
        theta.requires_grad_()
    (d_theta,) = torch.autograd.grad(problem.outer(theta), theta)
    d_data, d_m = torch.zeros_like(data), torch.zeros_like(d_theta)
    for t in range(steps, 0, -1):
        theta, g, m, v = seen[t - 1]
        alpha = RATE * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
        eps, beta = EPSILON * (1 - beta2**t) ** 0.5, (1 - beta2) / (1 - beta1)
        root = v.sqrt()
        d_m = d_m + alpha * (beta * m * g.detach() / (root * (root + eps) ** 2) - 1 / (root + eps)) * d_theta
        for_theta, for_data = torch.autograd.grad(g, [theta, data], (1 - beta1) * d_m)
        d_theta, d_data, d_m = d_theta + for_theta, d_data + for_data, beta1 * d_m
    return d_theta, d_data


@pytest.mark.parametrize("steps", [1, 2, 5, 20, 50])
def test_it_is_algorithm_1(steps: int) -> None:
    problem = mixture().to(torch.float64)
    found, (d_theta, d_data) = metagradient(problem, Invert(), steps), algorithm_1(problem, steps)
    assert relative_error(found["theta0"], d_theta) < 1e-9
    assert relative_error(found["data"], d_data.flatten()) < 1e-9


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
@pytest.mark.parametrize("name", PROBLEMS)
def test_states_are_recovered_in_float64(name: str, steps: int) -> None:
    problem = PROBLEMS[name]().to(torch.float64)
    stored, recovered = Beside(Store()), Beside(Invert())
    for memory in (stored, recovered):
        metagradient(problem, memory, steps)
    assert len(stored.popped) == len(recovered.popped) == steps
    for right, found in zip(stored.popped, recovered.popped, strict=True):
        assert right.state.step == found.state.step
        for a, b in zip((found.theta, *found.state.slots), (right.theta, *right.state.slots), strict=True):
            assert (a - b).norm() <= 1e-9 * (1e-3 + b.norm())


class Beside(Memory):
    """A strategy, and the steps that its tape gave back."""

    def __init__(self, memory: Memory) -> None:
        self.memory, self.popped = memory, []

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Any:
        tape = self.memory.tape(steps, replay, place)
        pop = tape.pop

        def popped(index: int) -> Any:
            self.popped.append(pop(index))
            return self.popped[-1]

        tape.pop = popped  # type: ignore[method-assign]
        return tape

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Any:
        return self.memory.cost(steps, parameters, slots, intermediates)


@pytest.mark.parametrize("name", PROBLEMS)
def test_one_step_is_exact(name: str) -> None:
    problem = PROBLEMS[name]().to(torch.float64)
    found, right = metagradient(problem, Invert(), 1), metagradient(problem, Store(), 1)
    assert all(relative_error(found[key], right[key]) < 1e-12 for key in right)


@pytest.mark.parametrize("steps", [5, 20, 50, 100])
@pytest.mark.parametrize("problem", [network, mixture])
def test_its_direction_is_near_the_true_one_and_no_more(problem: Callable[[], Problem], steps: int) -> None:
    """Float64: what is missing is the path through v. Cosines of 0.78 to 0.99."""
    wide = problem().to(torch.float64)
    found = cosine(metagradient(wide, Invert(), steps)["data"], metagradient(wide, Store(), steps)["data"])
    assert 0.75 < found < 0.99


def student() -> Problem:
    """A student whose embeddings are learnt from soft events that some items hardly take part in."""
    torch.manual_seed(3)
    vocabulary, sequences, length = 100, 20, 10
    module = SoftLoss(SASRec(vocabulary=vocabulary, length=length, hidden=16, layers=1, heads=1))
    logits = torch.randn(sequences, length, vocabulary)
    logits[..., 0] = -torch.inf  # padding
    real = F.one_hot(torch.randint(1, vocabulary, (64, length)), vocabulary)
    return Problem(
        loss=lambda theta, events, rows: functional_call(module, theta, (events[rows],)),
        theta0={name: value.detach().clone() for name, value in module.named_parameters()},
        data=logits.softmax(-1),
        outer=lambda theta: functional_call(module, theta, (real.to(theta["student.embedding"].dtype),)),
        rows=sequences,
        per_batch=4,
    )


@pytest.mark.parametrize("epsilon", [1e-5, 1e-8])
def test_in_float32_it_is_useless_after_fifty_steps(epsilon: float) -> None:
    narrow, adam = student(), Adam(RATE, epsilon=epsilon)
    right = metagradient(narrow.to(torch.float64), Store(), 50, adam)["data"]
    assert cosine(metagradient(narrow, Store(), 50, adam)["data"], right) > 0.9999
    assert cosine(metagradient(narrow, Invert(torch.float64), 50, adam)["data"], right) > 0.7
    found = metagradient(narrow, Invert(), 50, adam)["data"]
    assert not cosine(found, right) > 0.6, "NaN counts as failed"
    if epsilon == 1e-8:
        assert not found.norm() < 100 * right.norm()


@pytest.mark.parametrize("steps", [1, 12])
def test_a_precision_of_its_own(steps: int) -> None:
    """Parameters and state in float64, the loss in float32, at the same numbers forward and back."""
    problem, seen = network(), []

    def loss(theta: dict[str, Tensor], data: Any, batch: Any) -> Tensor:
        seen.append(torch.cat([leaf.detach().flatten() for leaf in theta.values()]))
        return problem.loss(theta, data, batch)

    theta0, data = fresh(problem.theta0), fresh(problem.data)
    batches = problem.batches(steps)
    end, state = unroll_with_state(loss, theta0, data, Adam(RATE), batches, Invert(torch.float64))
    problem.outer(end).backward()
    tensors = [*end.values(), *state.slots, *(gradient(leaf) for leaf in (*theta0.values(), *data.values()))]
    assert {tensor.dtype for tensor in (*tensors, *seen)} == {torch.float32}
    forward, back = seen[:steps], seen[steps:]
    back = [back[0], *back[1::2]]  # every step but the last is first recovered, then reversed
    assert all(torch.equal(a, b) for a, b in zip(forward, reversed(back), strict=True))
    plain = train(problem.loss, problem.theta0, problem.data, Adam(RATE), batches)
    for key, leaf in plain.theta.items():
        assert relative_error(end[key], leaf) < 1e-5
    for a, b in zip(state.slots, plain.state.slots, strict=True):
        assert relative_error(a, b) < 1e-5


def test_its_own_precision_is_the_more_precise() -> None:
    """Where float32 throughout has lost the first steps, float64 states recover them."""
    problem = network()
    adam = Adam(RATE, epsilon=1e-8)
    right = metagradient(problem.to(torch.float64), Invert(), 5, adam)["data"]
    wide = metagradient(problem, Invert(torch.float64), 5, adam)["data"]
    narrow = metagradient(problem, Invert(), 5, adam)["data"]
    assert relative_error(wide, right) < 1e-3
    assert relative_error(narrow, right) > 0.1


@pytest.mark.parametrize("memory", [OnHost(Invert()), Window(last=9, memory=Invert())], ids=repr)
def test_inside_other_strategies(memory: Memory) -> None:
    problem = network().to(torch.float64)
    found, right = metagradient(problem, memory, 9), metagradient(problem, Invert(), 9)
    assert all(torch.equal(found[key], right[key]) for key in right)


def test_started_anew_at_checkpoints() -> None:
    problem = network().to(torch.float64)
    found, right = metagradient(problem, SquareRoot(Invert()), 9), metagradient(problem, Invert(), 9)
    assert all(relative_error(found[key], right[key]) < 1e-9 for key in right)


def test_schedules_and_states_to_go_on_from() -> None:
    """As many steps in a window of the whole, and after a plain run to its beginning."""
    problem = network().to(torch.float64)
    adam = Adam(torch.linspace(0.01, 0.02, 9).double(), beta1=torch.linspace(0.8, 0.9, 9).double())
    batches = problem.batches(9)
    whole, rest = fresh(problem.data), fresh(problem.data)
    problem.outer(unroll(problem.loss, problem.theta0, whole, adam, batches, Window(4, Invert()))).backward()
    start, state = train(problem.loss, problem.theta0, rest, adam, batches[:5])
    problem.outer(unroll(problem.loss, start, rest, adam, batches[5:], Invert(), state=state)).backward()
    assert all(torch.equal(gradient(whole[key]), gradient(rest[key])) for key in whole)


def test_gradients_that_are_zero() -> None:
    """There v = 0 and m g = 0: no 0 / 0."""
    theta0, data = torch.ones(2, requires_grad=True), torch.tensor([0.0, 1.0], requires_grad=True)
    unroll(lambda th, d, b: (th * d).sum(), theta0, data, Adam(RATE), range(2), Invert()).sum().backward()
    assert gradient(data).isfinite().all()
    assert gradient(data)[0].item() == pytest.approx(-2 * RATE / 1e-8, rel=1e-3)


def untouched(*arguments: Any) -> Tensor:
    raise AssertionError("trained before it was refused")


@pytest.mark.parametrize("other", [SGD, Momentum, AdamW, Adagrad, RMSprop])
def test_other_optimizers_are_refused_before_training(other: type[Optimizer]) -> None:
    words = rf"runs Adam backwards and no other optimizer, got {other.__name__}$"
    for memory in (Invert(), Window(3, Invert()), OnHost(Invert()), SquareRoot(Invert())):
        with pytest.raises(TypeError, match=words):
            unroll(untouched, torch.ones(2), {}, other(), range(5), memory)


@pytest.mark.parametrize(
    ("adam", "words"),
    [
        (Adam(weight_decay=0.1), "without weight decay"),
        (Adam(weight_decay=torch.tensor([0.0, 0.1, 0.0])), "without weight decay"),
        (Adam(beta1=0.0), "divides by beta1, which is 0"),
        (Adam(beta2=torch.tensor([0.9, 0.0, 0.9])), "divides by beta2, which is 0"),
        (
            Adam(torch.tensor(0.1, requires_grad=True)),
            "no gradient of hyper-parameters, but learning_rate",
        ),
    ],
)
def test_hyper_parameters_that_it_does_not_take(adam: Adam, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        unroll(untouched, torch.ones(2), {}, adam, range(3), Invert())


def test_a_precision_of_integers_is_refused() -> None:
    with pytest.raises(TypeError, match="must be floating point"):
        Invert(torch.int64)
