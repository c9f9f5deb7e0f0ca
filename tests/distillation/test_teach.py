"""Full-data trainings: which ones a recipe needs, what they give, and their cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi.data import Log
from farzi.distillation import Cache, distill, full_trainings, initialise, teach
from farzi.distillation.teach import FullTraining, Outcome, train_on_full_data
from farzi.errors import FarziError
from farzi.evaluation import evaluate_ranking
from farzi.event_training import train_on_events
from farzi.models import SequenceModel
from farzi.recipe import Custom, Recipe, Teach
from farzi.recipe import variants as v
from farzi.summary import Ensemble, RandomInitializer, Size, SummaryTensors

from .recorded import Recorded

LABELS = {"summary.parametrization.label_decoder": True, "init": {"type": "teacher", "teachers": 1}}
THREE = {**LABELS, "init": v.TeacherInit(teachers=2, others=(v.GRU4Rec(hidden=8),))}


@pytest.fixture
def taught(recipe: Recipe) -> Recipe:
    """With one teacher, the baseline."""
    return recipe.changed(LABELS)


def same_weights(some: Sequence[SequenceModel], others: Sequence[SequenceModel]) -> bool:
    return all(
        type(one) is type(other)
        and all(torch.equal(value, same) for value, same in zip(one.parameters(), other.parameters()))
        for one, other in zip(some, others, strict=True)
    )


def test_a_full_data_training_records_weights_along_it(tiny: Log, recipe: Recipe):
    schedule = Teach(max_steps=12, validate_every=4)
    found = train_on_full_data(FullTraining(recipe.student, schedule, 5, seed=0, record=2), tiny)
    assert len(found.trajectory) == 2
    assert train_on_full_data(FullTraining(recipe.student, schedule, 5, seed=0), tiny).trajectory == []
    measured = []

    def score(student: Any) -> float:
        measured.append({f"student.{name}": value.clone() for name, value in student.named_parameters()})
        return evaluate_ranking(student, tiny.valid).means()["nDCG@10"]

    fit = train_on_events(tiny.train, recipe.student, 41, 5, 0, schedule, score)
    assert found.figures == evaluate_ranking(fit.model, tiny.valid).means()
    for recorded, expected in zip(found.trajectory, measured):
        assert list(recorded) == list(expected)
        assert all(torch.equal(recorded[name], expected[name]) for name in recorded)


def paths(cache: Cache, recipe: Recipe, dataset: Log) -> list[Path | None]:
    return [cache.path(training, dataset) for training in full_trainings(recipe)]


def test_runs_share_a_cache(tiny: Log, taught: Recipe, tmp_path: Path):
    cache = Cache(tmp_path)
    alone = distill(taught, tmp_path / "alone", dataset=tiny)
    for name in ("first", "second"):
        progress = Recorded()
        folder = distill(taught, tmp_path / name, dataset=tiny, cache=cache, progress=progress)
        assert (" s of it cached" in progress.stages[0][1]) == (
            name == "second" and progress.stages[0][2] >= 0
        )
        assert folder.history == alone.history
        assert torch.equal(folder.tensors.latents, alone.tensors.latents)
    wider = taught.changed({"summary.parametrization.dim": 5})
    assert paths(cache, wider, tiny) == paths(cache, taught, tiny)
    assert paths(cache, taught.changed({"teach.grid.learning_rate": (0.1,)}), tiny) == paths(
        cache, taught, tiny
    )
    for changes in (
        {"student.hidden": 6},
        {"summary.length": 4},
        {"select.seen": "exclude"},
        {"teach.optimizer.learning_rate": 0.1},
        {"teach.patience": 2},
        {"seed": 1},
    ):
        assert not set(paths(cache, taught.changed(changes), tiny)) & set(paths(cache, taught, tiny)), changes
    (path,) = paths(cache, taught, tiny)
    assert path is not None
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FarziError, match="delete it to train again"):
        distill(wider, tmp_path / "other", dataset=tiny, cache=cache)


def test_other_data_has_other_trainings(tiny: Log, other: Log, taught: Recipe, tmp_path: Path):
    assert paths(Cache(tmp_path), taught, tiny) != paths(Cache(tmp_path), taught, other)
    assert paths(Cache(), taught, tiny) == [None]


def test_a_cached_training_costs_as_much_as_a_new_one(tiny: Log, recipe: Recipe, tmp_path: Path):
    class Dear(Cache):
        def get(self, training: Any, dataset: Any, device: Any, train: Any) -> Outcome:
            outcome = super().get(training, dataset, device, train)
            return outcome._replace(seconds=1000.0) if outcome.cached else outcome

    cache = Dear(tmp_path / "cache")
    assert distill(recipe, tmp_path / "one", dataset=tiny, cache=cache).run["seconds"] < 1000
    progress = Recorded()
    assert (
        distill(recipe, tmp_path / "two", dataset=tiny, cache=cache, progress=progress).run["seconds"] > 1000
    )
    assert progress.stages[0][:1] + progress.stages[0][2:] == ("teach", 1000.0)
    assert progress.stages[0][1].startswith(
        "1 full-data training, 1000 s of it cached; baseline, validation: "
    )


@dataclass(frozen=True)
class RecordedLoss:
    """An objective that gets the weights recorded along trainings, and is else the loss on real events."""

    trajectories: int = 2
    name = "recorded_loss"

    def episode(self, loop: Any, step: int, replica: int = 0) -> Any:
        return loop.truncated(step, replica, lambda loss, theta, windows: loss.at(theta, windows))


def test_a_training_is_cached_with_its_trajectories(tiny: Log, recipe: Recipe, tmp_path: Path):
    recipe = recipe.changed({"outer.objective": RecordedLoss(), "teach.max_steps": 60, "teach.patience": 99})
    cache = Cache(tmp_path)
    first, again = teach(recipe, tiny, cache), teach(recipe, tiny, cache)
    assert (first.cached_seconds, again.cached_seconds) == (0, first.seconds)
    assert (again.figures, again.seconds) == (first.figures, first.seconds)
    assert [len(one) for one in first.trajectories] == [
        13,
        13,
    ]  # the first weights, and more than nine others
    for one, other in zip(first.trajectories, again.trajectories, strict=True):
        for theta, same in zip(one, other, strict=True):
            assert list(theta) == list(same)
            assert all(torch.equal(theta[name], same[name]) for name in theta)
    assert same_weights(first.teachers, again.teachers)
    assert teach(recipe.changed({"outer.objective": "real_loss"}), tiny).trajectories == []


def test_further_teachers(tiny: Log, taught: Recipe, tmp_path: Path):
    several = taught.changed(THREE)
    cache = Cache(tmp_path)
    one, first, again = teach(taught, tiny, cache), teach(several, tiny, cache), teach(several, tiny, cache)
    assert [type(model).__name__ for model in first.teachers] == ["SASRec", "SASRec", "GRU4Rec"]
    assert same_weights(one.teachers, first.teachers[:1])
    assert not same_weights(first.teachers[:1], first.teachers[1:2])
    assert same_weights(first.teachers, again.teachers)
    assert (first.figures, first.seconds > one.seconds) == (one.figures, True)
    summaries = [
        initialise(recipe, tiny, full.teachers) for recipe, full in ((taught, one), (several, first))
    ]
    assert not torch.equal(summaries[0].latents, summaries[1].latents)
    progress = Recorded()
    short = several.changed({"outer.steps": 1})
    distill(short, tmp_path / "out", dataset=tiny, cache=cache, progress=progress)
    assert progress.messages == ["teach: training 3 models on the full data"]
    assert progress.stages[0][1].startswith("3 full-data trainings, ")
    assert " s of it cached; " in progress.stages[0][1]
    assert len(set(paths(cache, several, tiny))) == 3
    assert paths(cache, taught, tiny) == paths(cache, several, tiny)[:1]


@dataclass(frozen=True)
class Asking:
    """An initializer from outside the package that wants teachers, by defaults that no recipe writes out."""

    teachers: int = 2
    others: tuple[Any, ...] = ("gru4rec", {"type": "fmlprec", "hidden": 8})

    def __call__(
        self, size: Size, log: Any, rng: np.random.Generator, teachers: Ensemble | None
    ) -> SummaryTensors:
        assert teachers is not None
        return RandomInitializer()(size, log, rng)


def test_the_teachers_of_an_initializer_from_outside_the_package(tiny: Log, recipe: Recipe):
    wanted = ["sasrec", "sasrec", "gru4rec", "fmlprec"]
    for init in (Asking(), Custom(type=f"{__name__}:Asking")):
        trainings = full_trainings(recipe.changed({"init": init}))
        assert [training.student.type for training in trainings] == wanted
        assert trainings[3].student == v.FMLPRec(hidden=8)
    full = teach(recipe.changed({"init": Custom.of(Asking, others=())}), tiny)
    assert (full.trainings, len(full.teachers)) == (2, 2)
    with pytest.raises(
        FarziError, match=r"^init.others.type must be one of sasrec, .* did you mean gru4rec\?"
    ):
        full_trainings(recipe.changed({"init": Custom.of(Asking, others=("gru4rek",))}))


def test_a_run_stopped_among_its_full_data_trainings_resumes_after_those_that_are_done(
    tiny: Log, taught: Recipe, tmp_path: Path
):
    class Stopping(Recorded):
        def passing(self, text: str) -> None:
            if text.startswith("full data, model 3 of 3"):
                raise KeyboardInterrupt

    several = taught.changed(THREE)
    whole = distill(several, tmp_path / "whole", dataset=tiny)
    out, progress = tmp_path / "out", Recorded()
    stopped = (
        r"^stopped before the first outer step; 2 of 3 full-data trainings are saved, the same call resumes"
    )
    for restart in (False, True):  # nothing else is there that could be lost
        with pytest.raises(KeyboardInterrupt, match=stopped):
            distill(several, out, dataset=tiny, restart=restart, progress=Stopping())
    assert len(list((out / "trainings").iterdir())) == 2
    folder = distill(several, out, dataset=tiny, progress=progress)
    assert " s of it cached; " in progress.stages[0][1]
    assert torch.equal(folder.tensors.latents, whole.tensors.latents)
    assert folder.history == whole.history
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


def test_what_does_not_fit_the_teachers_is_refused(tiny: Log, taught: Recipe, tmp_path: Path):
    several = taught.changed(THREE)
    with pytest.raises(FarziError, match=r"^init\.type teacher: gives soft labels, which need summary"):
        distill(
            several.changed({"summary.parametrization.label_decoder": False}), tmp_path / "out", dataset=tiny
        )
    with pytest.raises(
        FarziError, match=r"^unknown key init\.teachers: classes has no teachers, only teacher has"
    ):
        several.changed({"init": {"type": "classes", "teachers": 3}})


OTHERS = {"teach.model": {"type": "sasrec", "hidden": 6, "block": "gated"}, "teach.length": 9}


def test_full_data_models_have_an_architecture_and_a_history_of_their_own(
    tiny: Log, taught: Recipe, tmp_path: Path
):
    several = taught.changed({**THREE, **OTHERS})
    model = several.teach.model
    assert [one.student for one in full_trainings(several)] == [model, model, v.GRU4Rec(hidden=8)]
    assert {one.length for one in full_trainings(several)} == {9}
    cache = Cache(tmp_path / "cache")
    full = teach(several, tiny, cache)
    assert [(type(one).__name__, one.length) for one in full.teachers] == [
        ("SASRec", 8),
        ("SASRec", 8),
        ("GRU4Rec", 8),
    ]
    assert same_weights(full.teachers, teach(several, tiny, cache).teachers)
    summary = distill(several, tmp_path / "out", dataset=tiny, cache=cache)
    assert summary.tensors.length == taught.summary.length
    alike = taught.changed({"teach.model": taught.student, "teach.length": taught.summary.length})
    assert paths(cache, alike, tiny) == paths(cache, taught, tiny)  # as if left out


def test_an_unfinished_training_is_in_the_cache_and_is_resumed(
    tiny: Log, taught: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("farzi.event_training.KEPT_EVERY", -1.0)

    class Stopping(Recorded):
        def passing(self, text: str) -> None:
            if "step 8," in text:
                raise KeyboardInterrupt

    taught = taught.changed({"teach": {"max_steps": 12, "validate_every": 2, "dropout": 0.2, "average": 0.5}})
    cache, whole = Cache(tmp_path / "cache"), teach(taught, tiny)
    with pytest.raises(KeyboardInterrupt):
        teach(taught, tiny, cache, progress=Stopping())
    (path,) = paths(cache, taught, tiny)
    assert path is not None
    assert [one.name for one in path.parent.iterdir()] == [path.with_suffix(".unfinished").name]
    (path.parent / f".{path.stem}.unfinished.0123abcd.farzi-tmp").write_bytes(b"left by a kill")
    progress = Recorded()
    full = teach(taught, tiny, cache, progress=progress)
    assert [line.partition(",")[0] for line in progress.lines] == [
        f"full data: step {k}" for k in (8, 10, 12)
    ]
    assert full.figures == whole.figures
    assert same_weights(full.teachers, whole.teachers)
    assert [*path.parent.iterdir()] == [path]
    stopped = (
        "stopped before the first outer step; 0 of 1 full-data trainings and a part of one are saved, the"
    )
    with pytest.raises(KeyboardInterrupt, match=stopped):
        distill(taught, tmp_path / "out", dataset=tiny, progress=Stopping())
    path.with_suffix(".unfinished").write_bytes(b"of a killed one")
    cache.remove()
    assert not path.parent.exists()


def test_a_training_whose_weights_are_recorded_starts_again(
    tiny: Log, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("farzi.event_training.KEPT_EVERY", -1.0)
    kept: list[Path] = []
    monkeypatch.setattr("farzi.event_training.Training.keep", lambda training, path, key: kept.append(path))
    recipe = recipe.changed({"outer.weights": "pretrained"})
    teach(recipe, tiny, Cache(tmp_path))
    assert not kept
    teach(recipe.changed({"outer.weights": "fresh"}), tiny, Cache(tmp_path))
    assert kept
