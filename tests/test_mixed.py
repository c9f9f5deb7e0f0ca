"""Training on a summary with real events in each step: against a training loop in plain PyTorch, and what
is refused.
"""

import copy
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import farzi
from farzi.cli import app
from farzi.data import Log, Sequences, Vocabulary, crops, read_day
from farzi.errors import FarziError, FarziWarning
from farzi.losses import hard_next_event
from farzi.models import Model
from farzi.recipe import Inner, Outer, Recipe
from farzi.recipe import variants as v
from farzi.summary import BatchSchedule, Summary, SummaryTensors
from farzi.training import Mixed, make_model, train_on_summary

ITEMS = 40


@pytest.fixture
def tensors() -> SummaryTensors:
    draw = torch.Generator().manual_seed(0)
    decoders = (torch.randn(4, ITEMS + 1, generator=draw) for _ in range(2))
    return SummaryTensors(torch.randn(6, 5, 4, generator=draw), next(decoders), 1.0, next(decoders))


@pytest.fixture
def summary(tensors: SummaryTensors) -> Summary:
    ids = [str(item) for item in range(1, ITEMS + 1)]
    vocabulary = Vocabulary.from_tokens(ids, [None] * ITEMS, [1] * ITEMS)
    inner = Inner(optimizer=v.Adam(learning_rate=0.02), cooldown=0.0, steps=8, batch=3)
    return Summary(
        tensors, vocabulary, Recipe(student=v.SASRec(hidden=8), inner=inner, outer=Outer(window=5))
    )


@pytest.fixture
def day() -> pl.DataFrame:
    rows = [(user, (3 * user + step) % ITEMS + 1, step) for user in range(20) for step in range(6)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


@pytest.mark.parametrize(("batch", "share", "real"), [(3, 0.5, 3), (None, 0.25, 2), (3, 0.1, 1)])
def test_a_step_is_that_of_plain_pytorch(
    tensors: SummaryTensors, tiny: Log, batch: int | None, share: float, real: int
):
    inner = Inner(optimizer=v.Adam(learning_rate=0.02), cooldown=0.0, steps=7, batch=batch)
    ours = train_on_summary(tensors, v.SASRec(hidden=8), inner, 3, mixed=Mixed(tiny.train, share)).model

    model = make_model(v.SASRec(hidden=8), ITEMS + 1, 5, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, eps=1e-5)
    inputs, labels = tensors.soft_inputs(), tensors.soft_labels()
    windows = torch.from_numpy(crops(tiny.train, 5, 7 * real, np.random.default_rng([3, 8]))).view(7, real, 5)
    whole = [torch.arange(6)] * 7
    for which, some in zip(whole if batch is None else BatchSchedule(6, batch, 3).batches(0, 7), windows):
        logits = model.hidden(model.embed(inputs[which][:, :-1])) @ model.output_table[1:].T
        soft = -(labels[which][:, 1:, 1:] * logits.log_softmax(-1)).sum(-1).mean()
        read = some[:, :-1]
        hard = hard_next_event(model.hidden(model.embed(read), read > 0), model.output_table, some)
        optimizer.zero_grad()
        ((1 - share) * soft + share * hard).backward()
        optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_it_is_seeded_and_learns_the_day(summary: Summary, day: pl.DataFrame):
    models = [farzi.train(summary, events=day, share=0.5, seed=seed, steps=60) for seed in (0, 0, 1)]
    first, again, other = (model.network.embedding for model in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert models[0].trained_on == "mixed"
    assert not torch.equal(first, farzi.train(summary, steps=60).network.embedding)
    best = models[0].recommend([["4", "5", "6"]], k=1)["item_id"].to_list()
    assert best == ["7"]  # the day's walk; the summary is noise


def test_a_log_is_read_by_its_ids(summary: Summary, day: pl.DataFrame):
    log = farzi.load_log(day)
    with pytest.raises(FarziError, match="history has no effect beside a log"):
        farzi.train(summary, events=log, history=day)
    assert farzi.train(summary, events=log).trained_on == "mixed"


def test_a_training_can_start_from_a_model(summary: Summary, day: pl.DataFrame):
    first = farzi.train(summary)
    before = copy.deepcopy(first.network.state_dict())
    after = farzi.train(summary, events=day, start=first, steps=2)
    assert all(torch.equal(value, before[name]) for name, value in first.network.state_dict().items())
    moved = nn.utils.parameters_to_vector(after.network.parameters())
    moved -= nn.utils.parameters_to_vector(first.network.parameters())
    assert 0 < float(moved.detach().abs().max()) < 0.1  # two steps away
    with pytest.raises(FarziError, match="student has no effect beside start"):
        farzi.train(summary, start=first, student="gru4rec")


def test_what_cannot_be_mixed_is_refused(summary: Summary, day: pl.DataFrame, tiny: Log, tmp_path: Path):
    for share in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(FarziError, match="share must be above 0 and below 1"):
            farzi.train(summary, events=day, share=share)
    new = day.with_columns(pl.col("item_id") + 1000)
    with pytest.raises(FarziError, match="none of its items is among the 40 of the summary"):
        farzi.train(summary, events=new)
    some = day.with_columns(pl.when(pl.col("user_id") == 3).then(999).otherwise("item_id").alias("item_id"))
    with pytest.warns(FarziWarning, match="6 events of items that the summary does not have left out"):
        farzi.train(summary, events=some)
    with pytest.raises(FarziError, match="no user has two of them"):
        farzi.train(summary, events=day.unique("user_id"))
    with pytest.raises(FarziError, match="are for training on a summary"):
        farzi.train(tiny, events=day)
    with pytest.raises(FarziError, match="no such file of events"):
        farzi.train(summary, events=tmp_path / "nowhere.csv")


def test_earlier_events_of_the_days_users_stand_before_them(summary: Summary, day: pl.DataFrame):
    late, early = day.filter(pl.col("timestamp") >= 4), day.filter(pl.col("timestamp") < 5)
    some = pl.DataFrame({"user_id": [77], "item_id": [1], "timestamp": [0]})
    read = read_day(late, summary.vocabulary, history=pl.concat([early, some]))
    assert read.events == len(late)
    assert set(read.before.tolist()) == {4}  # what both files hold counts once
    whole = farzi.load_log(day)
    by_user = dict(zip(whole.test.histories.users or (), whole.test.histories))
    for user, found in zip(read.sequences.users or (), read.sequences):
        ids = [int(whole.vocabulary.frame["id"][int(item)]) for item in by_user[user]]
        assert found[:-1].tolist() == ids
    assert isinstance(read.recent(2), Sequences)
    assert set(read.recent(2).lengths.tolist()) == {4}


def test_new_items_are_appended_and_old_ones_stay(summary: Summary, day: pl.DataFrame):
    rows = {"user_id": [1, 2, 3], "item_id": [900, 800, 900], "timestamp": [9, 9, 9]}
    read = read_day(pl.concat([day, pl.DataFrame(rows)]), summary.vocabulary)
    ids = read.vocabulary.frame["id"].to_list()
    assert ids[:41] == summary.vocabulary.frame["id"].to_list()
    assert ids[41:] == ["900", "800"]
    assert (read.new_items, read.known) == (2, 41)
    read.vocabulary.check()


def test_the_command(summary: Summary, day: pl.DataFrame, tmp_path: Path):
    summary.save(tmp_path / "mine")
    day.rename({"user_id": "who"}).write_csv(tmp_path / "day.csv")
    words = ["train", str(tmp_path / "mine"), "--out", str(tmp_path / "model")]

    def run(*more: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*words, *more], prog_name="farzi")
        return done.exit_code, done.output

    file = str(tmp_path / "day.csv")
    code, text = run("--with", file, "--share", "0.3", "--user", "who")
    assert (code, "trained on the summary and" in text) == (0, True)
    assert Model.load(tmp_path / "model").trained_on == "mixed"
    assert run("--with", file, "--user", "who", "--start", str(tmp_path / "model"))[0] == 0
    for more in (
        ("--with", file),  # no column of users
        ("--with", str(tmp_path / "none.csv")),
        ("--share", "0.3"),
        ("--with", file, "--on", "full"),
        ("--with", file, "--user", "who", "--share", "2"),
        ("--user", "who"),
    ):
        code, text = run(*more)
        assert code == 2, more
        assert text.count("\n") == 1, text
