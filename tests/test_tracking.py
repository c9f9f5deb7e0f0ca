"""Trackers of a run's figures, and its journal."""

import csv
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

import farzi
from farzi.cli import app
from farzi.data import Log
from farzi.distillation import distill
from farzi.errors import FarziError
from farzi.progress import Progress, StepReport
from farzi.recipe import Recipe
from farzi.tracking import JOURNAL, TRACKERS, CSVTracker, make_trackers

Rows = list[tuple[int, dict[str, float]]]


class Kept:
    """A tracker of somebody's own."""

    def __init__(self) -> None:
        self.rows: Rows = []
        self.closed = 0

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.rows.append((step, dict(values)))

    def close(self) -> None:
        self.closed += 1


class Lines(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def steps_of(rows: Rows, name: str) -> list[int]:
    return [step for step, values in rows if name in values]


@pytest.fixture
def kept(tiny: Log, recipe: Recipe, tmp_path: Path) -> Kept:
    tracker = Kept()
    distill(recipe, tmp_path / "kept", dataset=tiny, report_to=tracker)
    return tracker


def test_a_tracker_gets_each_figure_at_its_step(kept: Kept, tmp_path: Path):
    assert kept.closed == 1
    assert steps_of(kept.rows, "real_loss") == list(range(1, 9))
    history = [json.loads(line) for line in (tmp_path / "kept" / "history.jsonl").read_text().splitlines()]
    validations = {step: values for step, values in kept.rows if "validation/HR@10" in values}
    assert list(validations) == [line["outer_step"] for line in history]
    for line in history:
        ours = validations[line["outer_step"]]
        for name, value in line["validation"].items():
            assert ours[f"validation/{name}"] == value
        for name, value in line["relative_to_full"].items():
            assert ours.get(f"of_full_data/{name}") == value
    stages = [name for _, values in kept.rows for name in values if name.startswith("seconds/")]
    assert stages == [f"seconds/{stage}" for stage in ("teach", "initialise", "refine", "select")]


def test_csv_and_tensorboard_hold_the_same(kept: Kept, tiny: Log, recipe: Recipe, tmp_path: Path):
    pytest.importorskip("tensorboard", reason="needs the package tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    distill(recipe, tmp_path / "run", dataset=tiny, report_to=["csv", "tensorboard"])
    with open(tmp_path / "run" / "tracking" / "metrics.csv", newline="") as file:
        rows = [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(file)]
    events = EventAccumulator(str(tmp_path / "run" / "tracking"))
    events.Reload()
    for step, values in kept.rows:
        for name, value in values.items():
            if not name.startswith("seconds"):
                assert (step, name, value) in rows
                assert any(
                    one.step == step and one.value == pytest.approx(value, rel=1e-6)
                    for one in events.Scalars(name)
                )
    assert len(rows) == sum(len(values) for _, values in kept.rows)
    assert events.Tags()["tensors"] == ["recipe/text_summary"]


def test_a_resumed_run_goes_on_in_the_same_file(tmp_path: Path):
    path = tmp_path / "a" / "metrics.csv"
    first = CSVTracker(path)
    for step in range(5):
        first.log({"loss": step / 3, 'a "name", with commas': float("inf")}, step)
    second = CSVTracker(path)
    second.log({"loss": 30.0}, 3)  # the state saved was that of step 2
    second.log({"loss": 40.0}, 4)
    rows = list(csv.reader(path.read_text().splitlines()))
    assert [(row[0], float(row[2])) for row in rows[1:] if row[1] == "loss"] == [
        *((str(step), step / 3) for step in range(3)),
        ("3", 30.0),
        ("4", 40.0),
    ]
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FarziError, match="not written by a tracker"):
        CSVTracker(tmp_path / "mine.csv")


def fake_mlflow(active: bool) -> tuple[ModuleType, Rows, list[Any]]:
    """With the rules of the real one for names and requests."""
    module, rows, calls = ModuleType("mlflow"), [], []
    current = [object()] if active else []

    def start_run(run_name: str | None = None) -> object:
        calls.append(("start", run_name))
        current.append(object())
        return current[0]

    def log_params(params: dict[str, Any]) -> None:
        assert len(params) <= 100
        calls.extend(("param", name) for name in params)

    def log_metrics(values: dict[str, float], step: int) -> None:
        assert current
        for name in values:
            assert all(one.isalnum() or one in "_-. /" for one in name), name
        rows.append((step, values))

    module.__dict__.update(
        active_run=lambda: current[0] if current else None,
        start_run=start_run,
        log_params=log_params,
        log_metrics=log_metrics,
        end_run=lambda: calls.append("end"),
    )
    return module, rows, calls


def fake_wandb(active: bool) -> tuple[ModuleType, Rows, list[Any]]:
    module, rows, calls = ModuleType("wandb"), [], []

    def log(values: dict[str, float], step: int) -> None:
        assert not rows or step >= rows[-1][0]  # it drops what goes back
        rows.append((step, values))

    run = SimpleNamespace(log=log, finish=lambda: calls.append("end"))

    def init(project: str, name: str, config: dict[str, Any]) -> object:
        calls.append(("start", name))
        calls.extend(("param", setting) for setting in config)
        return run

    module.__dict__.update(run=run if active else None, init=init)
    return module, rows, calls


@pytest.mark.parametrize(("name", "fake"), [("mlflow", fake_mlflow), ("wandb", fake_wandb)])
@pytest.mark.parametrize("active", [False, True])
def test_services_get_the_figures_and_the_recipe(
    name: str,
    fake: Callable[[bool], Any],
    active: bool,
    kept: Kept,
    tiny: Log,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    module, rows, calls = fake(active)
    monkeypatch.setitem(sys.modules, name, module)
    distill(recipe, tmp_path / "run", dataset=tiny, report_to=name)
    assert len(rows) == len(kept.rows)
    for (step, ours), (expected, values) in zip(rows, kept.rows):
        assert step == expected
        wanted = {key.replace("@", "_at_") if name == "mlflow" else key for key in values}
        assert set(ours) == wanted
    if active:  # a run of the user's own is neither begun nor ended
        assert calls == []
    else:
        assert calls[0] == ("start", "run")
        assert calls[-1] == "end"
        assert ("param", "inner.optimizer.learning_rate") in calls


@pytest.mark.parametrize("name", ["mlflow", "wandb", "tensorboard"])
def test_a_package_that_is_missing_is_told_at_once(
    name: str, tiny: Log, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FarziError, match=rf"pip install 'farzi\[{name}\]'"):
        distill(recipe, tmp_path / "run", dataset=tiny, report_to=name)
    assert not (tmp_path / "run").exists()


def test_what_is_no_tracker_is_refused(cyclic_log: Log, tmp_path: Path):
    with pytest.raises(FarziError, match='"tensorbord" is none of'):
        farzi.distill(cyclic_log, out=tmp_path / "run", report_to="tensorbord")
    with pytest.raises(FarziError, match="a int is none of"):
        farzi.distill(cyclic_log, out=tmp_path / "run", report_to=[3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(FarziError, match="give out="):
        farzi.distill(cyclic_log, report_to="csv")


def test_a_tracker_that_fails_ends_no_run(tiny: Log, recipe: Recipe, tmp_path: Path):
    class Failing(Kept):
        def log(self, values: Mapping[str, float], step: int) -> None:
            super().log(values, step)
            if step == 3:
                raise ConnectionError("no network\nhere")

    failing, other, lines = Failing(), Kept(), Lines()
    distill(recipe, tmp_path / "run", dataset=tiny, report_to=[failing, other], progress=lines)
    assert failing.rows[-1][0] == 3
    assert steps_of(other.rows, "real_loss")[-1] == 8
    (line,) = lines.warnings
    assert "Failing" in line
    assert "no network here" in line


def test_the_front_door_reports_too(cyclic_log: Log, recipe: Recipe):
    tracker = Kept()
    farzi.distill(cyclic_log, recipe, report_to=tracker, progress=Progress())
    assert steps_of(tracker.rows, "real_loss") == list(range(1, 9))


def test_the_command_has_the_option(tmp_path: Path):
    log = "".join(
        f"u{user},i{(user + step) % 8},{9 * user + step}\n" for user in range(12) for step in range(9)
    )
    (tmp_path / "log.csv").write_text("user,item,time\n" + log)
    quick = "student.hidden=8 teach.max_steps=5 outer.steps=2 outer.batch=4 outer.window=2 outer.burn_in=1 "
    quick += "inner.steps=6 inner.batch=2 summary.sequences=3 summary.length=4 select.students=1"
    words = [
        "distill",
        str(tmp_path / "log.csv"),
        "--out",
        str(tmp_path / "run"),
        "--report-to",
        "csv",
        "--preset",
        "plain",
    ]
    done = CliRunner().invoke(app, [*words, *(word for one in quick.split() for word in ("--set", one))])
    assert done.exit_code == 0, done.output
    assert "\n2,real_loss," in (tmp_path / "run" / "tracking" / "metrics.csv").read_text()
    from farzi.cli.distill import distill as command

    choice = next(one for one in command.params if one.name == "report_to")
    assert tuple(choice.type.choices) == TRACKERS  # pyright: ignore[reportAttributeAccessIssue]


def test_trackers_are_made_from_names_and_objects():
    one = Kept()
    assert make_trackers(one, None, {}) == [one]
    assert make_trackers(None, None, {}) == []


def test_the_journal_is_there_while_the_run_is(tiny: Log, recipe: Recipe, tmp_path: Path):
    seen: list[dict[str, Any]] = []
    path = tmp_path / "run" / JOURNAL

    class Watching(Kept):
        def log(self, values: Mapping[str, float], step: int) -> None:
            super().log(values, step)
            seen[:] = map(json.loads, path.read_text().splitlines()[1:])

    path.parent.mkdir()
    path.write_text("of a run that was killed\n")
    distill(recipe, tmp_path / "run", dataset=tiny, report_to=Watching())
    assert not path.exists()
    assert [one["number"] for one in seen if one["kind"] == "step"] == list(range(1, 9))
    assert {"message", "stage", "step", "validation"} <= {one["kind"] for one in seen}
    report = StepReport(1.0, 2.0, "real_loss")
    assert set(report._asdict()) < set(next(one for one in seen if one["kind"] == "step"))
