"""A call gives the same digits whatever the program around it has set, and leaves that as it was."""

import asyncio
import hashlib
import logging
import multiprocessing
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import farzi
from farzi.data import Log
from farzi.distillation import Progress
from farzi.recipe import Recipe
from farzi.summary import Summary
from farzi.surroundings import undisturbed

CHANGES = {
    "summary.sequences": 3,
    "summary.length": 5,
    "init": "random",
    "inner.steps": 6,
    "outer.window": 2,
    "outer.burn_in": 1,
    "outer.steps": 2,
    "select.every": 2,
    "teach.max_steps": 4,
    "teach.validate_every": 2,
}


def digits(log: Log, recipe: Recipe, folder: Path) -> str:
    """A distillation, trainings, figures and recommendations, as one checksum."""
    summary = farzi.distill(log, recipe.changed(CHANGES), progress=Progress())
    summary.save(folder)
    summary = Summary.load(folder)
    models = [farzi.train(summary, steps=3), farzi.train(log, recipe.changed(CHANGES))]
    models[0].save(folder / "model.safetensors")
    models[0] = farzi.Model.load(folder / "model.safetensors")
    digest = hashlib.sha256()
    for model in models:
        digest.update(str(dict(farzi.evaluate(model, log))).encode())
        digest.update(model.recommend([["i3", "i4"]], 3).write_csv().encode())
        for value in model.network.state_dict().values():
            assert value.dtype == torch.float32
            digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture
def plain(tiny: Log, recipe: Recipe, tmp_path: Path) -> str:
    return digits(tiny, recipe, tmp_path)


@contextmanager
def default_type(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
        assert torch.get_default_device().type == device
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def warnings_as_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


AROUND: dict[str, Callable[[], object]] = {
    "nothing": nullcontext,
    "float64": lambda: default_type(torch.float64),
    "bfloat16": lambda: default_type(torch.bfloat16),
    "device": lambda: default_device("meta"),
    "with device": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": deterministic,
    "warnings": warnings_as_errors,
    "numpy raises": lambda: np.errstate(all="raise"),
}


@pytest.mark.parametrize("around", AROUND)
def test_digits_do_not_depend_on_what_is_around(
    around: str, plain: str, tiny: Log, recipe: Recipe, tmp_path: Path
):
    torch.manual_seed(7)
    before, settings = torch.get_rng_state(), process_settings()
    with AROUND[around]():  # pyright: ignore[reportGeneralTypeIssues]
        assert digits(tiny, recipe, tmp_path) == plain
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_equal(process_settings(), settings)


def process_settings() -> dict[str, Any]:
    """What belongs to the whole process, which a library may not change."""
    return {
        "random": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
        "threads": torch.get_num_threads(),
        "threads between": torch.get_num_interop_threads(),
        "products": torch.get_float32_matmul_precision(),
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "handlers": list(logging.root.handlers),
    }


def test_two_threads_and_a_coroutine_give_the_same(plain: str, tiny: Log, recipe: Recipe, tmp_path: Path):
    made: list[str] = []

    def run(name: str) -> None:
        made.append(digits(tiny, recipe, tmp_path / name))

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def task() -> None:
        run("c")

    asyncio.run(task())
    assert made == [plain] * 3


def test_tasks_in_threads_of_an_event_loop_give_the_same(
    plain: str, tiny: Log, recipe: Recipe, tmp_path: Path
):
    """As a web service calls it: the loop goes on meanwhile."""

    async def tasks() -> tuple[list[str], int]:
        both = asyncio.gather(*(asyncio.to_thread(digits, tiny, recipe, tmp_path / name) for name in "ab"))
        turns = 0
        while not both.done():
            await asyncio.sleep(0)
            turns += 1
        return await both, turns

    made, turns = asyncio.run(tasks())
    assert made == [plain] * 2
    assert turns > 1


@pytest.mark.long
def test_a_spawned_process_gives_the_same(tiny: Log, recipe: Recipe):
    """As in a data loader's or a server's workers; arguments and results are pickled."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        summary = pool.submit(farzi.distill, tiny, recipe.changed(CHANGES), progress=Progress()).result()
        model = pool.submit(farzi.train, summary, steps=3).result()
    here = farzi.train(farzi.distill(tiny, recipe.changed(CHANGES), progress=Progress()), steps=3)
    for name, value in here.network.state_dict().items():
        assert torch.equal(value, model.network.state_dict()[name])


def test_what_was_set_comes_back_after_an_error():
    with default_type(torch.float64), torch.no_grad():
        with suppress(KeyError), undisturbed():
            assert torch.get_default_dtype() == torch.float32
            assert torch.is_grad_enabled()
            raise KeyError
        assert torch.get_default_dtype() == torch.float64
        assert not torch.is_grad_enabled()


def test_a_recommendation_does_not_wait_for_a_training():
    with undisturbed():
        done = threading.Event()

        def other() -> None:
            with undisturbed(training=False):
                done.set()

        threading.Thread(target=other, daemon=True).start()
        assert done.wait(60)
