"""The search: the recipe's own setting first, the same seeds, kills, copies, and what Optuna is told."""

import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from farzi.errors import FarziError
from farzi.evaluation import metric_of
from farzi.files import locked
from farzi.recipe import presets
from farzi.tuning import Objective, load_space
from farzi.tuning.objectives import PARTS
from farzi.tuning.search import JOURNAL, Search, _spans

optuna = pytest.importorskip("optuna")

SPACE = {"student.hidden": {"type": "int", "min": 8, "max": 128, "scale": "log"}}


class Fake:
    """A measure in place of a training: best at a width of 32, with users that are hard in every trial."""

    def __init__(self, fails: Any = None) -> None:
        self.asked, self.fails = list[tuple[int, int]](), fails

    def __call__(self, recipe: Any, drawn: Any, seed: int) -> np.ndarray:
        self.asked.append((recipe.student.hidden, seed))
        if self.fails is not None:
            self.fails(len(self.asked))
        base = np.linspace(0.1, 0.5, 40)
        return base - abs(np.log2(recipe.student.hidden / 32)) / 50 + seed % 7 * 1e-3


def search(folder: Path, measure: Any, trials: int = 12, seeds: int = 3) -> Search:
    space = load_space(SPACE, presets.LOG)
    goal = Objective(space, metric_of("nDCG@10"), seeds, measure)
    return Search(folder, goal, space, {"space": space.facts()}, trials, None, "maximize")


def ignore() -> None:
    pass


def test_every_trial_has_the_same_seeds_and_the_recipes_own_setting_is_first(tmp_path: Path):
    measure = Fake()
    mine = search(tmp_path, measure)
    mine.work(ignore)
    rows = mine.rows(mine.study())
    assert (rows[0].default, rows[0].settings) == (True, {"student.hidden": 64})
    assert len(rows) == 12
    assert [row.number for row in rows] == list(range(12))
    seeds = [seed for _, seed in measure.asked]
    assert set(seeds) == set(seeds[:3])
    best = max(rows, key=lambda row: row.figure or 0)
    assert abs(np.log2(best.settings["student.hidden"] / 32)) < 0.5
    lines = (tmp_path / "trials.ndjson").read_text().splitlines()
    assert [json.loads(line)["figure"] for line in lines] == [row.figure for row in rows]


def test_trials_that_are_clearly_worse_are_stopped_after_their_first_seed(tmp_path: Path):
    mine = search(tmp_path, Fake(), trials=20)
    mine.work(ignore)
    trials = mine.study().trials
    stopped = [one for one in trials if one.user_attrs.get("stopped")]
    assert stopped
    assert {len(one.intermediate_values) for one in stopped} <= {PARTS, 2 * PARTS}
    assert mine.study().best_trial.number not in {one.number for one in stopped}


def test_the_same_search_again_is_the_same(tmp_path: Path):
    first, second = (search(tmp_path / name, Fake(), trials=11, seeds=1) for name in "ab")
    for one in (first, second):
        one.work(ignore)
    rows = [[replace(row, seconds=0) for row in one.rows(one.study())] for one in (first, second)]
    assert rows[0] == rows[1]


def test_an_interrupted_search_goes_on_and_retries_what_was_running(tmp_path: Path):
    def interrupt(count: int) -> None:
        if count == 8:
            raise KeyboardInterrupt

    first = search(tmp_path, Fake(interrupt))
    with pytest.raises(KeyboardInterrupt):
        first.work(ignore)
    running = [one for one in first.study().trials if one.state.name == "RUNNING"]
    assert len(running) == 1
    with open(tmp_path / JOURNAL, "ab") as journal:
        journal.write(b'{"op_code": 6, "wor')  # a write that was cut off
    again = search(tmp_path, Fake())
    again.work(ignore)
    rows = again.rows(again.study())
    assert len(rows) == 12
    assert all(row.figure is not None for row in rows)
    assert running[0].params in [row.settings for row in rows]
    assert running[0].number not in [row.number for row in rows]


def test_a_trial_of_another_process_is_left_alone(tmp_path: Path):
    mine = search(tmp_path, Fake())
    study = mine.study()
    trial = study.ask()
    mine.space.suggest(trial)

    held, done = threading.Event(), threading.Event()

    def hold() -> None:  # a lock belongs to its thread
        with locked(tmp_path / f"trial-{trial.number}"):
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    mine.work(ignore)
    assert study.trials[trial.number].state.name == "RUNNING"
    done.set()
    thread.join()
    assert sum(row.state == "complete" or row.state == "stopped" for row in mine.rows(study)) == 11


def test_settings_that_fail_are_told_and_do_not_end_the_search(tmp_path: Path):
    def fail(count: int) -> None:
        if count in (4, 5):
            raise FarziError("too wide")

    mine = search(tmp_path, Fake(fail), trials=6)
    mine.work(ignore)
    failed = [row for row in mine.rows(mine.study()) if row.state == "failed"]
    assert {row.error for row in failed} == {"too wide"}

    def fail_first(count: int) -> None:
        raise FarziError("no such thing")

    with pytest.raises(FarziError, match="no such thing"):
        search(tmp_path / "own", Fake(fail_first)).work(ignore)


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path):
    search(tmp_path, Fake(), trials=1).work(ignore)
    other = replace(search(tmp_path, Fake()), facts={"space": [], "metric": "HR@10"})
    with pytest.raises(FarziError, match="another space and metric"):
        other.work(ignore)
    (tmp_path / JOURNAL).write_bytes(b"no journal\n\n")
    with pytest.raises(FarziError, match="damaged"):
        search(tmp_path, Fake()).work(ignore)


def test_a_setting_that_was_tried_is_not_trained_again(tmp_path: Path):
    measure = Fake()
    mine = search(tmp_path, measure, trials=1000)
    space = load_space({"student.hidden": {"choices": [16, 64]}}, presets.LOG)
    goal = Objective(space, metric_of("nDCG@10"), 3, measure)
    mine = replace(mine, space=space, objective=goal, facts={})
    mine.work(ignore)
    assert len(mine.rows(mine.study())) < 40  # both settings were tried
    assert {width for width, _ in measure.asked} == {16, 64}
    assert len(measure.asked) <= 6


def test_a_trial_during_which_the_clock_was_set_back_takes_no_time():
    begin = datetime(2026, 3, 1, 12)
    trials = [
        SimpleNamespace(datetime_start=begin, datetime_complete=end, user_attrs={})
        for end in (begin + timedelta(seconds=5), begin - timedelta(hours=1))
    ]
    assert [end - start for start, end in _spans(trials)] == [5.0, 0.0]
