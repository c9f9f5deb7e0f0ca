"""The size of a summary from events, bytes, or seconds of a training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from farzi.data import Log
from farzi.distillation import Target, distill, initialise, size, sized
from farzi.errors import FarziError
from farzi.recipe import Precision, Recipe
from tests.distillation.test_resume import ctrl_c, outcome


def chosen(recipe: Recipe, log: Log, **given: Any) -> Recipe:
    target = Target.of(**given)
    assert target is not None
    return sized(recipe, log, target)[0]


def shape(recipe: Recipe) -> tuple[int, int, int | None]:
    return recipe.summary.sequences, recipe.summary.length, recipe.inner.batch


@pytest.fixture
def ten(recipe: Recipe) -> Recipe:
    return recipe.changed(
        {"summary.length": 10, "teach.length": None, "summary.sequences": 20, "inner.batch": 8}
    )


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (50, (5, 10, 5)),
        ("100", (10, 10, 8)),
        (95, (9, 10, 8)),  # halves go down
        (96, (10, 10, 8)),
        (7, (1, 7, 1)),
        (2, (1, 2, 1)),
    ],
)
def test_events_keep_the_length(ten: Recipe, tiny: Log, events: Any, expected: tuple[int, int, int]):
    recipe = chosen(ten, tiny, events=events)
    assert shape(recipe) == expected
    assert recipe.full_length == 10  # also of a shorter sequence
    others = {"summary.sequences": 20, "summary.length": 10, "inner.batch": 8, "teach.length": None}
    assert recipe.changed(others) == ten


def test_a_share_is_of_the_training_events(ten: Recipe, tiny: Log):
    whole = int(tiny.train.lengths.sum())
    assert shape(chosen(ten, tiny, events="25%"))[0] == round(whole / 40)
    _, line = sized(ten, tiny, Target("events", "25 %", 0.25, share=True))
    assert f"% of {whole:,}: {round(whole / 40)} sequences of 10" in line


def test_all_sequences_of_a_step_stay_all(ten: Recipe, tiny: Log):
    assert shape(chosen(ten.changed({"inner.batch": None}), tiny, events=50)) == (5, 10, None)


PARAMETRIZATIONS: tuple[Mapping[str, Any], ...] = (
    {"type": "low_rank", "dim": 4, "label_decoder": True},
    {"type": "low_rank", "dim": 4, "label_decoder": False},
    {"type": "tucker", "dim": 4, "label_decoder": True},
    {"type": "full_logits"},
)


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS, ids=str)
@pytest.mark.parametrize(("precision", "each"), [("float32", 4), ("float16", 2), ("int8", 1)])
@pytest.mark.parametrize("numbers", [750, 1000])
def test_bytes_are_those_of_the_stored_summary(
    ten: Recipe, tiny: Log, parametrization: Mapping[str, Any], precision: Precision, each: int, numbers: int
):
    most = each * numbers + 1
    shape = {"parametrization": parametrization, "length": 3, "precision": precision}
    recipe = ten.changed({"init": "transitions", "summary": shape})
    stored = initialise(chosen(recipe, tiny, bytes=most), tiny).rounded(precision)
    one_more = each * stored.latents[0].numel()
    assert most - one_more < stored.bytes <= most


def test_too_few_bytes_name_the_width_that_fits(ten: Recipe, tiny: Log):
    wide = ten.changed({"summary.parametrization.dim": 64})
    with pytest.raises(FarziError, match=r"bytes=2kB: the decoders .*dim=(\d+) fits") as refused:
        chosen(wide, tiny, bytes="2kB")
    dim = int(str(refused.value).rpartition("dim=")[2].split()[0])
    assert chosen(wide.changed({"summary.parametrization.dim": dim}), tiny, bytes="2kB")
    with pytest.raises(FarziError, match="more bytes are needed"):
        chosen(wide, tiny, bytes=9)


def linear(recipe: Recipe, *rest: Any) -> float:
    """Seconds of a training in which a step takes 10 ms and 1 ms for each sequence that it reads."""
    each = min(recipe.inner.batch or recipe.summary.sequences, recipe.summary.sequences)
    return recipe.inner.steps * (0.010 + 0.001 * each)


@pytest.mark.parametrize("seconds", [0.15, 0.5, 2.0])
@pytest.mark.parametrize("batch", [4, None])
def test_seconds_are_nearly_used_up(
    ten: Recipe, make_dataset: Any, monkeypatch: pytest.MonkeyPatch, seconds: float, batch: int | None
):
    monkeypatch.setattr(size, "training_seconds", linear)
    log = make_dataset([[1 + k % 9 for k in range(80)] for _ in range(40)], 9)
    long = ten.changed({"inner.batch": batch, "inner.steps": 10 if batch is None else 60})
    recipe = chosen(long, log, training_seconds=seconds)
    assert linear(recipe) <= seconds
    more = round(1.1 * recipe.summary.sequences) + 1
    assert linear(size._with_sequences(long, more, in_proportion=True)) > seconds
    assert shape(recipe)[1:] == (10, batch if batch is None else min(batch, recipe.summary.sequences))

    def reads(one: Recipe) -> float:
        return one.inner.steps * (one.inner.batch or one.summary.sequences) / one.summary.sequences

    assert reads(recipe) == pytest.approx(reads(long), abs=1)


def test_the_summary_is_not_larger_than_the_data(ten: Recipe, tiny: Log):
    whole = int(tiny.train.lengths.sum())
    assert chosen(ten, tiny, bytes="1GB").summary.sequences == whole // 10
    assert chosen(ten, tiny, training_seconds=1e6).summary.sequences == whole // 10
    with pytest.raises(FarziError, match=f"at most the {whole:,} of the data"):
        chosen(ten, tiny, events=whole + 1)


@pytest.mark.parametrize(
    "given",
    [
        *({"events": value} for value in ("x", 0.5, "1", 0, -3, "0%", "-1%", "200%", "nan%", "1e9")),
        *({"bytes": value} for value in ("200", "1XB", -1, "KB", 0.5, "0KB")),
        *({"training_seconds": value} for value in ("x", 0, -1, "nan", "inf", 1e-9)),
    ],
    ids=str,
)
def test_what_is_no_size_is_refused_in_one_line(ten: Recipe, tiny: Log, given: dict[str, Any]):
    (name,) = given
    with pytest.raises(FarziError, match=f"^{name}=") as refused:
        chosen(ten, tiny, **given)
    assert "\n" not in str(refused.value)


def test_one_size_at_most():
    assert Target.of(events=None, bytes=None) is None
    with pytest.raises(FarziError, match="both decide"):
        Target.of(events=5, training_seconds=2)


@pytest.mark.parametrize("given", [{"events": 24}, {"training_seconds": 0.5}], ids=str)
def test_a_stopped_run_of_a_size_resumes(
    tiny: Log, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
):
    seconds = iter((0.4, 0.45, 1.0, 1.0, 1.0))  # another machine load when resumed: 0.4 s fit, then not
    monkeypatch.setattr(size, "training_seconds", lambda *_: next(seconds))
    monkeypatch.setattr(size, "CLOSE", 0.3)
    target = Target.of(**given)
    with pytest.raises(KeyboardInterrupt):
        distill(recipe, tmp_path / "run", dataset=tiny, size=target, progress=ctrl_c(2))
    progress = ctrl_c(-1)
    summary = distill(recipe, tmp_path / "run", dataset=tiny, size=target, progress=progress)
    assert any(text.startswith("resuming") for text in progress.messages)
    assert summary.run["stages"]["initialise"][next(iter(given))] == next(iter(given.values()))
    distill(summary.recipe, tmp_path / "whole", dataset=tiny)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    again = ctrl_c(-1)
    distill(recipe, tmp_path / "run", dataset=tiny, size=target, progress=again)
    assert "holds this summary already" in again.messages[-1]
