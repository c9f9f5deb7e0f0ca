"""All contestants of the benchmark compute the same metagradient; rows and reports say what was measured."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.metagradient.contestants import NotInstalled, make
from benchmarks.metagradient.driver import Settings, rows
from benchmarks.metagradient.problem import Array, Problem, Sizes
from benchmarks.metagradient.report import exponent, report, sweeps
from farzi.unroll import StoreGradients

TINY = Sizes(steps=3, sequences=4, length=8, vocabulary=60, hidden=8, heads=2, real=6)
OURS = ("engine()", "engine(memory=StoreGradients())", "engine(memory=SquareRoot())", "engine(loss='plain')")
PEERS = ("higher()", "torchopt()", "bergson()", "bergson(save_mode='all')", "jax()", "jax(chunks=3)")


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    """TorchOpt, and with it bergson, makes 1 − βᵗ in PyTorch's default precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem.make(TINY).cast("float64")


def answer(contestant: str, problem: Problem) -> Array:
    found = make(contestant)
    found.prepare(problem)
    once, again = found.run(), found.run()
    np.testing.assert_array_equal(once, again)
    return once


def relative_error(found: Array, true: Array) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


@pytest.mark.parametrize("contestant", [*OURS, "autograd(loss='chunked')"])
def test_ours_agree_with_autograd(contestant: str, problem: Problem) -> None:
    assert relative_error(answer(contestant, problem), answer("autograd()", problem)) < 1e-11


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("contestant", PEERS)
def test_peers_agree_with_autograd(contestant: str, problem: Problem) -> None:
    try:
        found = answer(contestant, problem)
    except NotInstalled as missing:
        pytest.skip(f"{missing} is not installed")
    assert relative_error(found, answer("autograd()", problem)) < 1e-11


@pytest.mark.long  # it compiles
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_both_plain_trainings_end_alike(problem: Problem) -> None:
    assert relative_error(answer("training()", problem), answer("training_by_engine()", problem)) < 1e-12


def test_arguments_are_values_of_unroll() -> None:
    assert vars(make("engine(memory=StoreGradients())"))["options"] == {"memory": StoreGradients()}


@pytest.mark.parametrize("spec", ["engine", "somebody()", "print('x')", "engine.run()"])
def test_other_names_are_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="no call of one of"):
        make(spec)


def test_a_problem_survives_its_file(problem: Problem, tmp_path) -> None:
    problem.save(tmp_path / "problem.npz")
    again = Problem.load(tmp_path / "problem.npz", "float64")
    assert again.sizes == problem.sizes
    np.testing.assert_array_equal(again.events, problem.events)
    assert again.theta0.keys() == problem.theta0.keys()


def test_rows_from_processes() -> None:
    settings = Settings(turns=1, threads=1, limit_gib=8, timeout=300, reference="autograd()")
    good, bad = rows(["engine()", "autograd(loss='none')"], [TINY], settings)
    assert good["status"] == "ok"
    assert good["error"] < 1e-2
    assert good["added_bytes"][0] < good["process_bytes"]
    assert (bad["status"], bad["reason"]) == ("failed", "KeyError: 'none'")


def made_up(contestant: str, steps: int, seconds: float) -> dict[str, Any]:
    """A row of a run that takes that long and adds a MiB a step."""
    figures = {"first_seconds": seconds + 5, "seconds": [seconds], "added_bytes": [steps * 2**20]}
    about = {"commit": "c", "date": "d", "machine": "m", "command": "x", "version": "1"}
    size = vars(TINY) | {"steps": steps, "parameters": 9, "turn": 0, "process_bytes": 2**30, "error": 0.5}
    row = vars(Settings()) | {"contestant": contestant, "status": "ok"}
    return row | size | figures | about


def test_report() -> None:
    found = [made_up("training()", t, 0.1 * t) for t in (5, 10, 20)]
    found += [made_up("engine()", t, 0.3 * t) for t in (5, 10, 20)]
    found += [made_up("autograd()", 5, 1) | {"status": "out of memory", "reason": ""}]
    text = report(found)
    assert "| `engine()` | 6.00 | 3.00 | 5.0 | 20.0 | 0.0 | 1024 | 5.0e-01 |" in text
    assert "- `autograd()`, 16 GiB: T = 5 does not" in text
    assert f"| `engine()` | 1.00 | 1.00 | {2**20 / 4 / 9:.2f} |" in text
    (sweep,) = sweeps(found)
    assert sweep.over == "steps"
    assert sweep.mebibytes["engine()"] == [(5, 5), (10, 10), (20, 20)]


def test_exponent() -> None:
    assert exponent([(x, 7 * x**1.5) for x in (1, 2, 4, 8)]) == pytest.approx(1.5)
