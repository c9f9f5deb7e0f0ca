"""The front door: from a frame to recommendations by name, and nothing heavy before it is used."""

import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import farzi
from farzi.distillation import Progress

SMALL = {
    "student.hidden": 8,
    "summary.sequences": 6,
    "summary.length": 8,
    "summary.parametrization.dim": 6,
    "init.teachers": 1,
    "inner.steps": 12,
    "inner.batch": 4,
    "outer.steps": 2,
    "outer.window": 4,
    "outer.burn_in": 2,
    "select.every": 2,
    "teach.max_steps": 10,
    "teach.validate_every": 5,
    "compare.seeds": 2,
    "compare.equal_bytes": False,
}


@pytest.fixture
def events() -> pl.DataFrame:
    """Walks around a ring of 20 films with names as ids."""
    rows = [
        (f"user {user}", f"film {(3 * user + step) % 20}", 100 * user + step)
        for user in range(30)
        for step in range(8 + user % 5)
    ]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


def test_from_a_frame_to_recommendations_by_name(events, tmp_path):
    recipe = farzi.presets.LOG.changed(SMALL)
    log = farzi.load_log(events)
    summary = farzi.distill(log, recipe, out=tmp_path / "mine")
    model = farzi.train(summary)
    figures = farzi.evaluate(model, log)
    assert 0 <= figures["HR@10"] <= 1
    assert "HR@10" in str(figures)
    best = model.recommend(events.filter(pl.col("user_id") == "user 3"), k=3)
    assert isinstance(best, pl.DataFrame)
    assert best.columns[:4] == ["user_id", "item_id", "score", "rank"]
    assert best["rank"].to_list() == [1, 2, 3]
    assert all(item.startswith("film ") for item in best["item_id"])

    again = farzi.Summary.load(tmp_path / "mine")
    assert again.recipe == summary.recipe
    assert again.recipe.data == log.settings
    assert farzi.distill(log, recipe, out=tmp_path / "mine").run == summary.run  # finished: returned as it is


def test_a_summary_that_is_stored_nowhere_can_be_saved_later(events, tmp_path):
    log = farzi.load_log(events)
    summary = farzi.distill(log, farzi.presets.LOG.changed(SMALL))
    summary.save(tmp_path / "later")
    assert farzi.Summary.load(tmp_path / "later").recipe == summary.recipe


def test_another_architecture_trains_on_the_same_summary(events):
    log = farzi.load_log(events)
    summary = farzi.distill(log, farzi.presets.LOG.changed(SMALL))
    assert farzi.train(summary, student="gru4rec").student.type == "gru4rec"
    assert farzi.train(summary, student={"type": "sasrec", "hidden": 12}).student.own["hidden"] == 12
    with pytest.raises(farzi.FarziError, match="sasrec"):
        farzi.train(summary, student="sasrek")


def test_a_model_of_the_whole_log(events):
    log = farzi.load_log(events)
    model = farzi.train(log, farzi.presets.LOG.changed(SMALL))
    assert model.trained_on == "full"


@pytest.mark.parametrize("kind", ["polars", "pandas", "arrow"])
def test_frames_of_every_kind_give_the_same_log(events, kind):
    frame = events
    if kind == "pandas":
        pytest.importorskip("pandas")
        frame = events.to_pandas()
    elif kind == "arrow":
        pytest.importorskip("pyarrow")
        frame = events.to_arrow()
    log, expected = farzi.load_log(frame), farzi.load_log(events)
    assert log.vocabulary.frame.equals(expected.vocabulary.frame)
    assert log.train.items.tolist() == expected.train.items.tolist()


def test_other_columns_are_named(events):
    renamed = events.rename({"user_id": "who", "item_id": "what", "timestamp": "when"})
    log = farzi.load_log(renamed, user="who", item="what", time="when")
    assert len(log.train) == 30


def test_a_wrong_setting_is_one_line(events):
    with pytest.raises(
        farzi.FarziError, match=r"unknown key data.min_user_event of log; did you mean data.min_user_events\?"
    ):
        farzi.load_log(events, min_user_event=3)
    with pytest.raises(farzi.FarziError, match="min_user_events must be at least 1, not 0"):
        farzi.load_log(events, min_user_events=0)
    with pytest.raises(farzi.FarziError, match=r"split\.type must be one of leave_one_out, ratio, time"):
        farzi.load_log(events, split="leave-one-out")


def test_nothing_heavy_is_imported_before_it_is_used():
    code = "import sys, farzi; print(sorted({'torch', 'polars', 'pydantic', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_front_door_is_there():
    assert len(farzi.__all__) <= 20
    for name in farzi.__all__:
        assert getattr(farzi, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = farzi.nothing


def test_a_training_on_events_says_which_weights_are_kept(events: pl.DataFrame):
    lines: list[str] = []

    class Heard(Progress):
        def stage(self, name: str, text: str, seconds: float) -> None:
            lines.append(text)

    farzi.train(farzi.load_log(events), farzi.presets.LOG.changed(SMALL), progress=Heard())
    assert re.search(r"10 steps, step (5|10) is kept", lines[-1])


def test_items_that_are_never_trained_on_are_sure_misses(events: pl.DataFrame):
    last = pl.col("timestamp") == pl.col("timestamp").max().over("user_id")
    new = events.with_columns(pl.when(last).then(pl.lit("new")).otherwise("item_id").alias("item_id"))
    log = farzi.load_log(new, unseen="keep")
    model = farzi.train(log, farzi.presets.LOG.changed(SMALL))
    assert set(farzi.evaluate(model, log).means().values()) == {0.0}
    assert "new" not in model.recommend([["film 1", "new"]], k=20, exclude_seen=False)["item_id"]
    with pytest.raises(farzi.FarziError, match="between 1 and 20, the number of items, not 21"):
        model.recommend([["film 1"]], k=21)


def test_names_of_a_frames_items_are_a_dict_a_frame_or_a_file(events: pl.DataFrame, tmp_path: Path):
    ids = events["item_id"].unique().to_list()
    names = {id: f"the {id}" for id in ids}
    table = pl.DataFrame({"item_id": ids, "name": list(names.values())})
    table.write_csv(tmp_path / "names.csv")
    for given in (names, table, tmp_path / "names.csv"):
        vocabulary = farzi.load_log(events, names=given).vocabulary
        assert vocabulary.label(1) == names[vocabulary.frame["id"][1]]
    with pytest.raises(farzi.FarziError, match="names must be a file, a frame or a dict"):
        farzi.load_log(events, names=[7])
    with pytest.raises(farzi.FarziError, match="names: no name column recognised"):
        farzi.load_log(events, names=events)
