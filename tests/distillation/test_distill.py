"""Whole runs: what they learn, what they tell, what they refuse, and how they end."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi.data import Dataset, Holdout, pad_left
from farzi.distillation import (
    Progress,
    Reference,
    References,
    StepReport,
    Training,
    Validation,
    distill,
    train_reference,
    validate,
)
from farzi.distillation.build import first_summary
from farzi.distillation.state import Run
from farzi.errors import FarziError
from farzi.evaluation import evaluate
from farzi.recipe import InnerSettings, OuterSettings, Recipe, StudentSettings, SummarySettings
from farzi.models import SequenceModel
from farzi.summary import Summary, RandomInitializer, Size, SummaryTensors
from farzi.training import EventTraining, NextEvent, train_on_events, train_on_summary

JUDGED = ("nDCG@100", "HR@100")
METRICS = ("HR@10", "HR@100", "nDCG@10", "nDCG@100", "MRR", "AUC")

MakeDataset = Callable[[list[list[int]], int], Dataset]

pytestmark = pytest.mark.usefixtures("_short_reference")


class Heard(Progress):
    """Keeps all that a run tells."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self.steps: list[tuple[int, float, StepReport]] = []
        self.validations: list[tuple[int, Validation, bool]] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        self.steps.append((number, fraction, report))

    def validation(self, number: int, result: Validation, best: bool) -> None:
        self.validations.append((number, result, best))


def change(recipe: Recipe, group: str, **values: Any) -> Recipe:
    return recipe.model_copy(update={group: getattr(recipe, group).model_copy(update=values)})


def refusal(recipe: Recipe, out: Path, dataset: Dataset) -> str:
    with pytest.raises(FarziError) as caught:
        distill(recipe, out, dataset=dataset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_learns_what_comes_next(make_dataset: MakeDataset, tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = [[(begin + k) % 20 + 1 for k in range(length)] for begin, length in rng.integers(4, 15, (60, 2))]
    ring = make_dataset(rows, 20)  # what comes next is the next item, around a ring of 20
    recipe = Recipe(
        student=StudentSettings(hidden=16),
        summary=SummarySettings(sequences=8, length=6, dim=6, start="random"),
        inner=InnerSettings(steps=15, window=5, skip=4, pool=2, learning_rate=0.03),
        outer=OuterSettings(steps=30, batch=32, validate_every=15, validate_students=1, learning_rate=0.2),
    )
    folder = distill(recipe, tmp_path, dataset=ring)
    windows = torch.from_numpy(pad_left(ring.test.histories, 6))

    def real_loss(summary: SummaryTensors) -> float:
        """Of students that training and distillation have not met."""
        students = [train_on_summary(summary, recipe.student, recipe.inner, seed).student for seed in (7, 8)]
        with torch.no_grad():
            return float(np.mean([float(NextEvent(student)(windows)) for student in students]))

    start = RandomInitializer()(Size(8, 6, 6, 21), ring.train, np.random.default_rng([0, 0]))
    assert real_loss(start) > 2.9  # ln 20 is 3.0
    assert real_loss(folder.summary) < 2.6
    losses = [line["real_loss"] for line in folder.history[1:]]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.usefixtures("_generators_untouched")
def test_progress_and_history_tell_the_same(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    heard = Heard()
    folder = distill(recipe, tmp_path, dataset=tiny, progress=heard)
    assert [number for number, _, _ in heard.steps] == list(range(1, 9))
    assert [fraction for _, fraction, _ in heard.steps] == [k / 8 for k in range(1, 9)]
    assert [line["outer_step"] for line in folder.history] == [0, 3, 6, 8]
    assert [number for number, _, _ in heard.validations] == [0, 3, 6, 8]
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == folder.history
    assert folder.history[0]["real_loss"] is None
    assert folder.history[0]["metagradient_norm"] is None
    for line, (_, result, best), steps in zip(folder.history, heard.validations, (0, 3, 3, 2), strict=True):
        met = [
            report
            for number, _, report in heard.steps
            if line["outer_step"] - steps < number <= line["outer_step"]
        ]
        assert len(met) == steps
        assert line["validation"] == result.figures
        assert line["relative_to_full"] == result.relative
        assert line["best"] == best
        assert line["steps_without_metagradient"] == 0
        if met:
            norms = sorted(report.norm for report in met)
            assert line["real_loss"] == pytest.approx(np.mean([report.loss for report in met]))
            assert line["metagradient_norm"]["min"] == norms[0]
            assert line["metagradient_norm"]["median"] == pytest.approx(np.median(norms))
            assert line["metagradient_norm"]["max"] == norms[-1]
    assert folder.run["outer_steps"] == 8
    assert folder.run["seconds"] > 0
    assert set(folder.run["validation_full"]) == set(folder.history[0]["validation"])


def test_the_best_summary_is_the_one_kept(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    # steps this large make each summary worse than the first
    folder = distill(change(recipe, "outer", learning_rate=300.0), tmp_path, dataset=tiny)
    scores = [np.mean([line["relative_to_full"][name] for name in JUDGED]) for line in folder.history]
    best = [line for line in folder.history if line["best"]][-1]
    assert scores[folder.history.index(best)] == max(scores)
    again = validate(folder.summary, tiny, recipe, folder.run["validation_full"])
    assert again.figures == best["validation"]


def scored(score: float, noise: np.ndarray) -> Validation:
    """A validation of that score, to which each unit adds its noise less the mean noise."""
    relative = {"HR@100": score}
    return Validation(relative, relative, score - (noise - noise.mean()) / (len(noise) - 1))


def test_a_summary_takes_the_starts_place_where_it_is_clear_of_it(
    tiny: Dataset, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(0)
    noise, more = rng.normal(size=(2, 400))  # standard errors of 0.05
    told = [
        scored(1.0, 0 * noise),
        scored(1.08, noise),  # better by less than the interval's 0.1
        scored(1.12, noise),  # by more
        scored(1.11, 0 * noise),  # clear of the start, but not the best
    ]
    monkeypatch.setattr("farzi.distillation.state.validate", lambda *of: told.pop(0))
    folder = distill(recipe, tmp_path, dataset=tiny)
    assert [line["best"] for line in folder.history] == [True, False, True, False]
    assert scored(1.08, noise + more).clear_of(scored(1.0, noise + 0.5 * more))  # what they share is no doubt


def test_a_run_that_goes_on_knows_its_start(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    run = Run.begin(recipe, tiny, Progress(), False, References())
    again = Run.resume(run.checkpoint(), recipe, tiny, Progress(), tmp_path)
    assert run.first is not None
    assert again.first is not None
    assert again.first == run.first
    assert np.array_equal(again.first.without, run.first.without)


def test_the_score_without_a_user_is_that_of_the_other_users(tiny: Dataset, recipe: Recipe):
    summary = RandomInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))
    full = {name: 0.5 for name in METRICS}
    result = validate(summary, tiny, recipe, full)
    assert result.without.shape == (len(tiny.valid),)
    for user in (0, 7, len(tiny.valid) - 1):
        others = np.delete(np.arange(len(tiny.valid)), user)
        held = Holdout(tiny.valid.histories.select(others), tiny.valid.targets.select(others))
        fewer = validate(summary, replace(tiny, valid=held), recipe, full)
        assert result.without[user] == pytest.approx(fewer.score)


def test_minutes_end_a_run(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    heard = Heard()
    folder = distill(change(recipe, "outer", minutes=0.01, steps=1), tmp_path, dataset=tiny, progress=heard)
    assert folder.run["seconds"] >= 0.6
    # on a slow machine the minutes may be over before the first step
    assert folder.run["outer_steps"] == len(heard.steps)
    assert folder.history[-1]["outer_step"] == len(heard.steps)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_inner_training_that_diverges_ends_the_run_with_a_clear_line(
    tiny: Dataset, recipe: Recipe, tmp_path: Path, optimizer: str
):
    recipe = change(change(recipe, "inner", learning_rate=1e20, optimizer=optimizer), "outer", steps=50)
    line = refusal(recipe, tmp_path, tiny)
    assert line.startswith("no finite metagradient for 10 outer steps")
    assert "lower --inner-learning-rate" in line
    assert not (tmp_path / "summary.safetensors").exists()


def test_steps_without_a_metagradient_are_written_down(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    folder = distill(change(recipe, "inner", learning_rate=1e20), tmp_path, dataset=tiny)
    assert [line["steps_without_metagradient"] for line in folder.history] == [0, 3, 3, 2]
    assert [line["real_loss"] for line in folder.history] == [None] * 4
    assert [line["metagradient_norm"] for line in folder.history] == [None] * 4
    assert json.loads((tmp_path / "history.jsonl").read_text().splitlines()[-1], parse_constant=pytest.fail)


def test_a_rough_metagradient_is_told_once(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    heard = Heard()
    # sign-like first steps of Adam: the trap of a small epsilon
    rough = change(recipe, "inner", epsilon=1e-12, learning_rate=1.0, steps=20, window=20, pool=0)
    rough = change(rough, "outer", steps=16, validate_every=16)
    distill(rough, tmp_path, dataset=tiny, progress=heard, unchecked=True)
    assert len(heard.warnings) == 2
    assert "not precise" in heard.warnings[0]  # float32 is not enough for a run as rough as this
    assert "not smooth" in heard.warnings[1]


@pytest.mark.parametrize(
    ("group", "values", "line"),
    [
        ("inner", {"window": 7}, "--window 7 is longer than --inner-steps 6; shorten it"),
        ("student", {"heads": 3}, "--heads 3 does not divide --hidden 8"),
        ("summary", {"dim": 40}, "a summary of dim 40 needs more than 40 items, the log has 40; lower --dim"),
    ],
)
def test_a_recipe_that_cannot_be_run_leaves_nothing(
    tiny: Dataset, recipe: Recipe, tmp_path: Path, group: str, values: dict[str, int], line: str
):
    assert refusal(change(recipe, group, **values), tmp_path / "out", tiny) == line
    assert not (tmp_path / "out").exists()


def test_a_log_that_cannot_be_used_leaves_nothing(make_dataset: MakeDataset, recipe: Recipe, tmp_path: Path):
    log = make_dataset([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 9)
    assert "nobody has two training events" in refusal(recipe, tmp_path / "out", log)
    missing = recipe.model_copy(update={"data": recipe.data.model_copy(update={"source": "nothing.csv"})})
    with pytest.raises(FarziError, match=r"nothing\.csv"):
        distill(missing, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_told_before_the_work_begins(
    tiny: Dataset, recipe: Recipe, tmp_path: Path
):
    (tmp_path / "file").write_text("mine")
    heard = Heard()
    with pytest.raises(OSError, match="file"):
        distill(recipe, tmp_path / "file" / "out", dataset=tiny, progress=heard)
    assert heard.messages == []


@pytest.mark.parametrize("start", ["transitions", "classes", "random"])
@pytest.mark.parametrize("optimizer", ["adamw", "momentum", "adagrad", "rmsprop"])
def test_every_choice_of_the_recipe_runs(
    tiny: Dataset, recipe: Recipe, tmp_path: Path, optimizer: str, start: str
):
    recipe = change(change(recipe, "inner", optimizer=optimizer, window=6), "summary", start=start)
    folder = distill(change(recipe, "outer", steps=2, seen="exclude"), tmp_path, dataset=tiny)
    assert Summary.load(tmp_path).recipe == folder.recipe
    assert all(np.isfinite(line["real_loss"]) for line in folder.history[1:])


def test_the_reference_keeps_weights_on_its_way(tiny: Dataset, recipe: Recipe):
    training = EventTraining(steps=12, every=4)
    found = train_reference(Training(recipe.student, 5, seed=0, keep=2, events=training), tiny)
    assert len(found.trajectory) == 2
    assert train_reference(Training(recipe.student, 5, seed=0, events=training), tiny).trajectory == []
    measured = []

    def score(student: Any) -> float:
        measured.append({f"student.{name}": value.clone() for name, value in student.named_parameters()})
        return evaluate(student, tiny.valid).means()["nDCG@10"]

    fit = train_on_events(tiny.train, recipe.student, 41, 5, 0, training, score)
    assert found.figures == evaluate(fit.student, tiny.valid).means()
    for kept, expected in zip(found.trajectory, measured):
        assert list(kept) == list(expected)
        assert all(torch.equal(kept[name], expected[name]) for name in kept)


def test_runs_share_a_kept_reference(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    kept, heard = References(tmp_path), Heard()
    own = change(recipe, "summary", targets="own", dim=4)
    alone = distill(own, tmp_path / "alone", dataset=tiny)
    for name, messages in (("first", 1), ("second", 2)):
        before = len(heard.messages)
        folder = distill(own, tmp_path / name, dataset=tiny, references=kept, progress=heard)
        assert len(heard.messages) - before == messages
        assert folder.history == alone.history
        assert torch.equal(folder.summary.latents, alone.summary.latents)
    other = change(own, "summary", dim=5)
    assert kept.paths(other, tiny) == kept.paths(own, tiny)
    for changed in (
        change(own, "student", hidden=6),
        change(own, "summary", length=4),
        change(own, "outer", seen="exclude"),
    ):
        assert not set(kept.paths(changed, tiny)) & set(kept.paths(own, tiny))
    (path,) = kept.paths(own, tiny)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FarziError, match="trained again"):
        distill(other, tmp_path / "other", dataset=tiny, references=kept)


def test_a_kept_reference_costs_as_much_as_one_that_is_trained(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    class Dear(References):
        def __call__(self, *run: Any) -> Reference:
            found = super().__call__(*run)
            return replace(found, before=1000.0 if found.before else 0.0)

    kept = Dear(tmp_path / "kept")
    assert distill(recipe, tmp_path / "one", dataset=tiny, references=kept).run["seconds"] < 1000
    assert distill(recipe, tmp_path / "two", dataset=tiny, references=kept).run["seconds"] > 1000


def test_a_reference_is_written_with_its_trajectories(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    recipe = change(recipe, "outer", objective="trajectories", trajectories=2)
    kept = References(tmp_path)
    first, again = kept(recipe, tiny), kept(recipe, tiny)
    assert (first.before, again.before) == (0, first.seconds)
    assert (again.figures, again.seconds) == (first.figures, first.seconds)
    assert len(again.trajectories) == 2
    for one, other in zip(first.trajectories, again.trajectories, strict=True):
        for theta, same in zip(one, other, strict=True):
            assert all(torch.equal(theta[name], same[name]) for name in theta)
    assert same_weights(first.teachers, again.teachers)


def same_weights(some: Sequence[SequenceModel], others: Sequence[SequenceModel]) -> bool:
    return all(
        type(one) is type(other)
        and all(torch.equal(value, same) for value, same in zip(one.parameters(), other.parameters()))
        for one, other in zip(some, others, strict=True)
    )


def test_a_summary_is_taught_by_further_students(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    alone = change(recipe, "summary", targets="own", start="taught")
    taught = change(alone, "summary", teachers=("gru4rec", "same"))
    kept = References(tmp_path)
    one, first, again = kept(alone, tiny), kept(taught, tiny), kept(taught, tiny)
    assert [type(student).__name__ for student in first.teachers] == ["SASRec", "GRU4Rec", "SASRec"]
    assert same_weights(one.teachers, first.teachers[:1])
    assert not same_weights(first.teachers[:1], first.teachers[2:])
    assert same_weights(first.teachers, again.teachers)
    assert (first.figures, first.seconds > one.seconds) == (one.figures, True)
    starts = [
        first_summary(asked, tiny, lambda by=by: by.teachers) for asked, by in ((alone, one), (taught, first))
    ]
    assert not torch.equal(starts[0].latents, starts[1].latents)
    heard = Heard()
    short = change(taught, "outer", steps=1)
    distill(short, tmp_path / "out", dataset=tiny, references=kept, progress=heard)
    assert heard.messages == [
        "training 3 students on the full data, to measure against",
        "3 of these trained before; the seconds that took count",
    ]
    assert len(set(kept.paths(taught, tiny))) == 3
    assert kept.paths(alone, tiny) == kept.paths(taught, tiny)[:1]


def test_a_run_stopped_among_its_full_data_trainings_goes_on_after_those_that_are_done(
    tiny: Dataset, recipe: Recipe, tmp_path: Path
):
    class Stopping(Heard):
        def passing(self, text: str) -> None:
            if text.startswith("full data, student 3 of 3"):
                raise KeyboardInterrupt

    taught = change(recipe, "summary", targets="own", start="taught", teachers=("gru4rec", "same"))
    whole = distill(taught, tmp_path / "whole", dataset=tiny)
    out, heard = tmp_path / "out", Heard()
    stopped = r"^stopped before the first outer step; 2 of 3 full-data trainings are kept, the same command"
    for restart in (False, True):  # nothing else is there that could be lost
        with pytest.raises(KeyboardInterrupt, match=stopped):
            distill(taught, out, dataset=tiny, restart=restart, progress=Stopping())
    assert len(list((out / "trainings").iterdir())) == 2
    folder = distill(taught, out, dataset=tiny, progress=heard)
    assert heard.messages[1] == "2 of these trained before; the seconds that took count"
    assert torch.equal(folder.summary.latents, whole.summary.latents)
    assert folder.history == whole.history
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


def test_a_start_is_made_of_so_many_classes(tiny: Dataset, recipe: Recipe):
    few = change(recipe, "summary", targets="own", start="classes", classes=2)
    events = first_summary(few, tiny).events().flatten(0, 1).double()
    assert torch.linalg.matrix_rank(events - events.mean(0), atol=1e-2) <= 1
    with pytest.raises(FarziError, match=r"^--classes 2: a start from transitions has none; leave it out$"):
        first_summary(change(few, "summary", start="transitions"), tiny)


def test_teachers_go_with_a_start_that_is_taught(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    for changed in ({"targets": "events"}, {"targets": "own", "start": "classes"}):
        with pytest.raises(FarziError, match=r"^--teachers give targets: --targets own and a start that is"):
            distill(
                change(recipe, "summary", **changed, teachers=("gru4rec",)), tmp_path / "out", dataset=tiny
            )


def test_a_validation_is_the_mean_of_fresh_students(tiny: Dataset, recipe: Recipe):
    summary = RandomInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))
    full = {name: 0.5 for name in METRICS}
    recipe = change(recipe, "outer", validate_students=2)
    result = validate(summary, tiny, recipe, full)
    assert validate(summary, tiny, recipe, full) == result
    one = validate(summary, tiny, change(recipe, "outer", validate_students=1), full)
    assert one.figures != result.figures
    assert result.relative == {name: figure / 0.5 for name, figure in result.figures.items()}
    assert result.score == pytest.approx(np.mean([result.relative[name] for name in JUDGED]))


def test_a_summary_is_judged_by_figures_that_count_many_hits():
    few, many = {"HR@10": 9.0, "nDCG@10": 9.0, "MRR": 9.0}, {"nDCG@100": 0.6, "HR@100": 0.4}
    assert Validation({}, few | many).score == 0.5


def test_a_summary_of_a_text_is_judged_by_perplexity_and_accuracy():
    relative = {"perplexity": 1.25, "accuracy": 0.9, "bits per byte": 9.0}
    assert Validation({}, relative).score == pytest.approx((1 / 1.25 + 0.9) / 2)


def test_a_figure_that_the_full_data_misses_is_left_out_of_the_score(tiny: Dataset, recipe: Recipe):
    summary = RandomInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))
    full = {name: float(name == "HR@100") for name in METRICS}
    result = validate(summary, tiny, recipe, full)
    assert np.isnan(result.relative["HR@10"])
    assert result.score == result.relative["HR@100"]
    assert validate(summary, tiny, recipe, full | {"HR@100": 0.0}).score == 0


def test_sequences_shorter_than_the_summarys_are_enough(
    make_dataset: MakeDataset, recipe: Recipe, tmp_path: Path
):
    log = make_dataset([[1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6], [9, 1, 2]], 9)
    folder = distill(change(recipe, "outer", steps=2), tmp_path, dataset=log)
    assert folder.summary.length == 5
    assert all(np.isfinite(line["real_loss"]) for line in folder.history[1:])
