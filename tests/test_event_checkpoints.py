"""Trainings on real events that are interrupted: they end as whole ones, bit for bit."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

import farzi
from farzi import event_training
from farzi.data import Log
from farzi.errors import FarziError
from farzi.models import SequenceModel
from farzi.progress import Progress
from farzi.recipe import Custom, Recipe, Teach
from farzi.recipe import variants as v

from .event_trainings import RATE, Last, Stop, fit, same, stopped_when_kept, teach, weights


class Interrupted(Last):
    """Stops in a validation."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def __call__(self, model: SequenceModel) -> float:
        if self.count == self.at:
            raise Stop
        return super().__call__(model)


@pytest.fixture
def _always_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_training, "KEPT_EVERY", -1.0)


def interrupted(log: Log, training: Teach, path: Path, at: int = 2, **own: Any) -> None:
    with pytest.raises(Stop):
        fit(log, training, Interrupted(at), checkpoint=path, **own)


OPTIMIZERS = [v.AdamW(learning_rate=RATE), v.Momentum(learning_rate=RATE), v.SGD(learning_rate=RATE)]


@pytest.mark.usefixtures("_always_kept", "_generators_untouched")
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: one.type)
@pytest.mark.parametrize(
    "own", [{}, {"dropout": 0.3, "average": 0.9, "cooldown": 0.3, "negatives": 7}], ids=str
)
def test_a_resumed_training_ends_in_the_same_bits(
    tiny: Log, tmp_path: Path, optimizer: Any, own: dict[str, Any]
):
    training = teach(optimizer=optimizer, max_steps=41, validate_every=3, patience=99, **own)
    figures: list[float] = []

    def score(model: SequenceModel) -> float:
        figures.append(float(model.output_table.detach().square().sum().sin()))
        return figures[-1]

    whole = fit(tiny, training, score)
    right, path = [*figures], tmp_path / "unfinished"
    figures.clear()
    for at in (2, 5, 9):  # several times, among them after an epoch

        def stopping(model: SequenceModel, at: int = at) -> float:
            if len(figures) == at:
                raise Stop
            return score(model)

        with pytest.raises(Stop):
            fit(tiny, training, stopping, checkpoint=path)
        assert path.exists()
    ours = fit(tiny, training, score, checkpoint=path)
    assert figures == right
    assert (ours.steps, ours.best_step) == (whole.steps, whole.best_step)
    assert same(weights(ours.model), weights(whole.model))


@pytest.mark.usefixtures("_always_kept")
def test_patience_counts_over_an_interruption(tiny: Log, tmp_path: Path):
    training = teach(max_steps=100, patience=4)
    path = tmp_path / "unfinished"
    calls: list[int] = []

    def score(model: SequenceModel) -> float:
        calls.append(1)
        if len(calls) == 4:
            raise Stop
        return -float(len(calls))

    with pytest.raises(Stop):
        fit(tiny, training, score, checkpoint=path)
    ended = fit(tiny, training, score, checkpoint=path)
    assert (ended.steps, ended.best_step) == (20, 4)


@pytest.mark.usefixtures("_always_kept")
def test_the_checkpoint_of_another_training_is_refused(tiny: Log, other: Log, tmp_path: Path):
    path = tmp_path / "unfinished"
    interrupted(tiny, teach(), path, judged="nDCG")
    line = (
        rf"^{path}: is of a training on other data or with other settings; delete it to train from the start$"
    )
    changes: list[dict[str, Any]] = [
        {"seed": 1},
        {"length": 6},
        {"student": v.SASRec(hidden=8, block="gated")},
        {"training": teach(average=0.9)},
        {"training": teach(dropout=0.1)},
        {"log": other},
        {"judged": "perplexity"},
    ]
    for change in changes:
        with pytest.raises(FarziError, match=line):
            fit(**{"log": tiny, "training": teach(), "judged": "nDCG", "checkpoint": path, **change})
    assert fit(tiny, teach(), judged="nDCG", checkpoint=path).steps == 12
    assert path.exists()  # until the model is saved


@pytest.mark.usefixtures("_always_kept")
def test_a_damaged_checkpoint_is_refused_in_one_line(tiny: Log, tmp_path: Path):
    path = tmp_path / "unfinished"
    interrupted(tiny, teach(), path)
    data = path.read_bytes()
    for damaged in (b"", data[:-1], data[:200], data[:-1] + bytes([data[-1] ^ 1]), b"{}"):
        path.write_bytes(damaged)
        with pytest.raises(FarziError) as refused:
            fit(tiny, teach(), checkpoint=path)
        assert str(refused.value).startswith(f"{path}: ")
        assert str(refused.value).endswith("; delete it to train from the start")
        assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("_always_kept")
def test_a_checkpoint_that_lacks_something_is_refused_in_one_line(
    tiny: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "unfinished"
    interrupted(tiny, teach(average=0.5), path)
    whole = event_training.read_state(path, event_training.FORMAT, "", "cpu")
    moments = whole["optimizer"]["0"]
    wrong: list[tuple[str, Any]] = [
        ("model", {}),
        ("model", {name: one * torch.nan for name, one in whole["model"].items()}),
        ("best_state", {name: one.double() for name, one in whole["best_state"].items()}),
        ("optimizer", {"0": 3}),
        ("optimizer", {"99": moments}),
        ("optimizer", {"0": {"step": moments["step"]}}),
        ("optimizer", {"0": {**moments, "exp_avg": moments["exp_avg"].reshape(-1)[1:]}}),
        ("averaged", 5),
        ("step", "x"),
        ("step", 10**9),
        ("since", -1),
        ("seconds", float("nan")),
        ("random", None),
    ]
    for name, value in wrong:
        monkeypatch.setattr(
            event_training, "read_state", lambda *_, n=name, x=value: copy.copy(whole) | {n: x}
        )
        with pytest.raises(
            FarziError, match=r"damaged, or of another version of Farzi \(.*\); delete it"
        ) as refused:
            fit(tiny, teach(average=0.5), checkpoint=path)
        assert "\n" not in str(refused.value)


class Own(torch.optim.SGD):
    """An optimizer of the user's, whose state may be anything."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=RATE)


@pytest.mark.usefixtures("_always_kept")
def test_with_an_optimizer_of_ones_own_nothing_is_kept(tiny: Log, tmp_path: Path):
    path = tmp_path / "unfinished"
    training = teach().model_copy(update={"optimizer": Custom.of(Own)})
    interrupted(tiny, training, path)
    assert not path.exists()


@pytest.mark.usefixtures("_always_kept")
def test_the_front_door_keeps_and_deletes_the_checkpoint(
    tiny: Log, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = recipe.changed({"teach": {"max_steps": 12, "validate_every": 3, "dropout": 0.2}})
    whole = farzi.train(tiny, recipe, progress=Progress())
    path = tmp_path / "unfinished"
    with pytest.raises(Stop), stopped_when_kept():
        farzi.train(tiny, recipe, progress=Progress(), checkpoint=path)
    assert [one.name for one in tmp_path.iterdir()] == ["unfinished"]
    with pytest.raises(FarziError, match="other settings"):
        farzi.train(tiny, recipe.changed({"select.seen": "exclude"}), progress=Progress(), checkpoint=path)
    (tmp_path / ".unfinished.0123abcd.farzi-tmp").write_bytes(b"left by a kill")
    ended = farzi.train(tiny, recipe, progress=Progress(), checkpoint=path)
    assert same(weights(ended.network), weights(whole.network))
    assert not any(tmp_path.iterdir())
    with pytest.raises(OSError, match="none"):
        farzi.train(tiny, recipe, progress=Progress(), checkpoint=tmp_path / "none" / "unfinished")
