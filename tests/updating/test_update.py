"""A summary follows its log: what stays, what is new, what is refused, and what a kill leaves."""

import signal
import sys
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from click.testing import CliRunner

import farzi
from farzi.cli import app
from farzi.data import Holdout, Log, Sequences, read_day
from farzi.distillation import run as run_module
from farzi.distillation.checkpoint import save_checkpoint
from farzi.errors import FarziError
from farzi.evaluation import evaluate_ranking
from farzi.progress import Progress
from farzi.report import write_report
from farzi.summary import TEACHER, Ensemble, Summary
from farzi.updating import Compared, update
from farzi.updating.days import day_log, event_by_event
from farzi.updating.grow import Neighbours, grown_model, grown_tensors, without
from farzi.updating.labels import renewed
from farzi.updating.students import Padded, Recalled, exemplars, log_likelihood
from tests.docs.small import SMALL

ITEMS = 30


def walks(users: range, items: int, seed: int, begin: int = 0, length: int = 10) -> pl.DataFrame:
    """Users who walk around a ring of items."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in users:
        first = int(rng.integers(items))
        rows += [(f"u{user}", f"i{(first + step) % items}", begin + step) for step in range(length)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    return walks(range(50), ITEMS, 0)


@pytest.fixture(scope="module")
def day() -> pl.DataFrame:
    """Some known users, others not, and four new items at the end of the ring."""
    return walks(range(40, 70), ITEMS + 4, 1, begin=100)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, events: pl.DataFrame, day: pl.DataFrame) -> Path:
    folder = tmp_path_factory.mktemp("update")
    recipe = farzi.presets.LOG.changed(
        {**SMALL, "teach.max_steps": 60, "teach.length": 12, "init.sequences": "real"}
    )
    cache = folder / "cache"
    farzi.distill(farzi.load_log(events), recipe, out=folder / "mine", cache=cache, progress=Progress())
    events.write_csv(folder / "log.csv")
    day.write_csv(folder / "day.csv")
    walks(range(45, 80), ITEMS + 4, 2, begin=200).write_csv(folder / "next.csv")
    return folder


@pytest.fixture
def summary(place: Path) -> Summary:
    return Summary.load(place / "mine")


@pytest.fixture(scope="module")
def updated(place: Path) -> Summary:
    return update(place / "mine", place / "day.csv", place / "day2", steps=2, progress=Progress())


def test_old_indices_stay_and_new_items_follow(place: Path, updated: Summary):
    old = Summary.load(place / "mine")
    ids = updated.vocabulary.frame["id"].to_list()
    assert ids[: ITEMS + 1] == old.vocabulary.frame["id"].to_list()
    assert set(ids[ITEMS + 1 :]) == {f"i{item}" for item in range(ITEMS, ITEMS + 4)}
    there = Summary.load(place / "day2")
    assert there.vocabulary == updated.vocabulary
    torch.testing.assert_close(there.tensors.parts, updated.tensors.parts, rtol=0, atol=0)
    assert there.recipe == old.recipe
    assert sorted(path.name for path in (place / "day2").iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "history.jsonl",
        "recipe.yaml",
        "run.json",
        "summary.safetensors",
        "teacher.safetensors",
        "vocabulary.parquet",
    ]


def test_it_reports_old_items_new_items_and_all(updated: Summary):
    facts = updated.run["update"]
    assert set(facts["rows"]) >= {"update", "yesterday's summary", "the day alone (fine-tuning)"}
    for row in facts["rows"].values():
        events = {name: row[name]["events"] for name in ("all", "old", "new")}
        assert events["all"] == events["old"] + events["new"]
        for metric in ("HR@10", "nDCG@10", "HR@100"):
            mean = sum(row[name][metric] * events[name] for name in ("old", "new")) / events["all"]
            assert row["all"][metric] == pytest.approx(mean)
    assert facts["rows"]["yesterday's summary"]["new"]["HR@10"] == 0
    assert facts["day"]["new_items"] == 4
    assert facts["teacher"] == "student"


def test_the_same_call_returns_what_is_there_and_the_same_day_is_no_news(place: Path, updated: Summary):
    again = update(place / "mine", place / "day.csv", place / "day2", steps=2, progress=Progress())
    assert again.run == updated.run
    with pytest.raises(FarziError, match="another summary than this update's"):
        update(place / "mine", place / "day.csv", place / "day2", steps=3, progress=Progress())
    with pytest.raises(FarziError, match="has no new events: this summary was updated with the same ones"):
        update(place / "day2", place / "day.csv", place / "day3", steps=2, progress=Progress())
    assert not (place / "day3").exists()


def test_figures_on_other_events_are_not_taken_for_those_that_are_there(place: Path, updated: Summary):
    given = place / "mine", place / "day.csv", place / "day2"
    with pytest.raises(FarziError, match="measured with another"):
        update(*given, steps=2, following=place / "next.csv")


def test_ctrl_c_says_what_goes_on(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def pressed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["farzi.updating.update"], "renewed", pressed)
    with pytest.raises(KeyboardInterrupt, match="the same call goes on"):
        update(place / "mine", place / "day.csv", tmp_path / "new", steps=1, progress=Progress())


def test_an_updated_summary_speaks_of_its_teacher_and_its_day(place: Path, updated: Summary):
    card = (place / "day2" / "README.md").read_text("utf-8")
    assert "updated once" in card
    assert "of the last day" in card
    assert "full data's figures" not in card
    assert "farzi compare" not in card
    write_report(place / "day2")
    page = (place / "day2" / "report.html").read_text("utf-8")
    assert 'id="update"' in page
    assert 'id="comparison"' not in page
    assert "yesterday's summary" in unescape(page)
    assert "full data's" not in unescape(page)
    seconds = {name: row["seconds"] for name, row in updated.run["update"]["rows"].items()}
    assert seconds["yesterday's summary"] > 0


def test_an_updated_summary_is_not_compared_with_the_log_before(place: Path, updated: Summary):
    log = farzi.load_log(place / "log.csv")
    for measure in (farzi.compare, farzi.tune):
        with pytest.raises(FarziError, match="lacks the days"):
            measure(updated, log)
    with pytest.raises(FarziError, match="farzi update --next"):
        farzi.evaluate(farzi.train(updated), log)


def test_the_next_update_trains_the_teacher_beside_the_summary(place: Path, updated: Summary, tmp_path: Path):
    made = update(place / "day2", place / "next.csv", tmp_path / "3", steps=1, progress=Progress())
    assert made.run["update"]["teacher"] == "beside the summary"
    assert len(made.run["update"]["days"]) == 2
    assert made.run["update"]["distilled"]["items"] == ITEMS
    assert made.run["update"]["distilled"]["updates"] == 2


def test_the_distillations_teacher_is_found_in_its_cache(place: Path, tmp_path: Path):
    settings: dict[str, Any] = {"steps": 1, "cache": place / "cache", "progress": Progress()}
    settings |= {"following": place / "next.csv", "compare": Compared(place / "log.csv", 40)}
    made = update(place / "mine", place / "day.csv", tmp_path / "2", **settings)
    facts = made.run["update"]
    assert facts["teacher"] == "cache"
    assert {"replay of real exemplars", "full retraining"} <= set(facts["rows"])
    with pytest.raises(FarziError, match="has no full-data training of this summary"):
        update(place / "mine", place / "day.csv", tmp_path / "x", **{**settings, "cache": tmp_path})


def test_vanished_items_keep_their_index_and_lose_their_probability(place: Path, tmp_path: Path):
    made = update(
        place / "mine", place / "day.csv", tmp_path / "2", steps=1, vanished=["i3", "i4"], progress=Progress()
    )
    gone = made.vocabulary.encode(["i3", "i4"])
    assert float(made.soft_labels()[..., gone].max()) < 1e-6
    assert float(made.soft_inputs()[..., gone].max()) < 1e-6
    best = farzi.train(made, progress=Progress()).recommend([["i1", "i2"]], k=30)
    assert not {"i3", "i4"} & set(best["item_id"])


@pytest.mark.parametrize("moment", ["teacher", pytest.param("outer", marks=pytest.mark.long)])
def test_a_killed_update_goes_on_and_ends_alike(
    place: Path, updated: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
):
    def go() -> Summary:
        return update(place / "mine", place / "day.csv", tmp_path / "2", steps=2, progress=Progress())

    with monkeypatch.context() as patch:
        if moment == "outer":
            taken = run_module.Run.advance

            def advance(self: Any) -> None:
                taken(self)
                signal.raise_signal(signal.SIGINT)

            patch.setattr(run_module.Run, "advance", advance)
        else:

            def killed(*_: Any, **__: Any) -> Any:
                raise KeyboardInterrupt

            patch.setattr(sys.modules["farzi.updating.update"], "renewed", killed)
        with pytest.raises(KeyboardInterrupt):
            go()
    assert (tmp_path / "2" / "update-partial").exists()
    ended = go()
    torch.testing.assert_close(ended.tensors.parts, updated.tensors.parts, rtol=0, atol=0)
    assert not (tmp_path / "2" / "update-partial").exists()
    assert not (tmp_path / "2" / "checkpoint.safetensors").exists()
    assert (tmp_path / "2" / TEACHER).exists()


def frame(users: list[str], items: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"user_id": users, "item_id": items, "timestamp": range(len(users))})


def test_a_day_of_new_items_alone(place: Path, tmp_path: Path):
    day = walks(range(100, 120), 6, 0).with_columns((pl.lit("new") + pl.col("item_id")).alias("item_id"))
    made = update(place / "mine", day, tmp_path / "2", steps=1, progress=Progress())
    assert len(made.vocabulary) == ITEMS + 7
    assert made.run["update"]["rows"]["update"]["old"] is None


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (frame([], []), "has columns but no rows"),
        (frame(["a", "b"], ["i1", "i2"]), "nobody has two events"),
        (frame(["a", "a"], ["i1", "i2"]), "only one user has two events"),
        (pl.DataFrame({"x": [1], "y": [2]}), "user"),
    ],
)
def test_a_day_that_cannot_be_learnt_is_one_line(place: Path, tmp_path: Path, given: pl.DataFrame, line: str):
    with pytest.raises(FarziError, match=line) as caught:
        update(place / "mine", given, tmp_path / "2", steps=1, progress=Progress())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "2").exists()


def test_what_stands_in_the_way_is_refused_before_work(place: Path, tmp_path: Path):
    with pytest.raises(FarziError, match="is the summary that is updated"):
        update(place / "mine", place / "day.csv", place / "mine", steps=1)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "README.md").write_text("mine")
    with pytest.raises(FarziError, match="which Farzi did not write"):
        update(place / "mine", place / "day.csv", tmp_path / "x", steps=1)
    (tmp_path / "z").mkdir()
    save_checkpoint({"of": "a distillation"}, tmp_path / "z")
    with pytest.raises(FarziError, match="holds another unfinished run; choose another folder"):
        update(place / "mine", place / "day.csv", tmp_path / "z", steps=1)
    assert [path.name for path in (tmp_path / "z").iterdir()] == ["checkpoint.safetensors"]
    with pytest.raises(FarziError, match="no such file of events"):
        update(place / "mine", place / "none.csv", tmp_path / "y", steps=1)
    with pytest.raises(FarziError, match="'nothing' is not among"):
        update(place / "mine", place / "day.csv", tmp_path / "y", steps=1, vanished=["nothing"])


def test_the_command(place: Path, tmp_path: Path):
    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["update", *words], prog_name="farzi")
        return done.exit_code, done.output

    mine, day, out = str(place / "mine"), str(place / "day.csv"), str(tmp_path / "2")
    code, text = run(mine, day, "--out", out, "--steps", "1", "--history", str(place / "log.csv"))
    assert code == 0, text
    assert "yesterday's summary" in text
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("user_id,item_id,timestamp\n")
    for words in (
        (mine, str(tmp_path / "other.csv"), "--out", str(tmp_path / "3")),
        (mine, str(tmp_path / "empty.csv"), "--out", str(tmp_path / "3")),
        (mine, day, "--out", mine),
        (mine, day, "--out", str(tmp_path / "3"), "--vanished", str(tmp_path / "none.txt")),
        (mine, day, "--out", str(tmp_path / "3"), "--set", "outer.steps=3"),
        (str(tmp_path / "none"), day, "--out", str(tmp_path / "3")),
    ):
        code, text = run(*words)
        assert code == 2, words
        assert len(text.strip().splitlines()) == 1, text
    assert not (tmp_path / "3").exists()


# The parts


def test_a_new_items_columns_are_the_mean_of_its_neighbours(summary: Summary):
    rows = {"user_id": ["a"] * 3 + ["b"], "item_id": ["i1", "x", "i2", "y"], "timestamp": [1, 2, 3, 1]}
    day = read_day(pl.DataFrame(rows), summary.vocabulary)
    counts = np.arange(ITEMS + 1)
    near = Neighbours(day, counts)
    grown = grown_tensors(summary.tensors, near)
    x, y = day.vocabulary.encode(["x", "y"])
    first, second = summary.vocabulary.encode(["i1", "i2"])
    for name, part in grown.parts.items():
        old = summary.tensors.parts[name]
        if name == "latents":
            assert torch.equal(part, old)
            continue
        assert torch.equal(part[:, : ITEMS + 1], old)
        torch.testing.assert_close(part[:, x], (old[:, first] + old[:, second]) / 2)
        weights = torch.from_numpy(counts / counts.sum()).float()
        torch.testing.assert_close(part[:, y], old @ weights)
    model = farzi.train(summary, progress=Progress())
    network = grown_model(model.network, model.student, near)
    windows = torch.tensor([[0, 3, 4, 5]])
    before, after = model.network.next_scores(windows), network.next_scores(windows)
    torch.testing.assert_close(after[:, : ITEMS + 1], before)
    torch.testing.assert_close(after[0, x], (before[0, first] + before[0, second]) / 2)


@pytest.mark.parametrize("full", [True, False])
def test_masked_items_have_no_probability_and_others_keep_theirs(summary: Summary, full: bool):
    tensors = summary.tensors
    if full:
        logits = tensors.latents @ tensors.decoder
        tensors = type(tensors)(logits, torch.zeros(0, logits.shape[2]))
    masked = without(tensors, [3])
    shares, before = masked.soft_inputs(), tensors.soft_inputs()
    assert float(shares[..., 3].max()) < 1e-6
    before[..., 3] = 0
    torch.testing.assert_close(shares, before / before.sum(-1, keepdim=True), rtol=1e-3, atol=1e-6)


def test_new_labels_are_the_teachers(place: Path, summary: Summary, day: pl.DataFrame):
    """After the fit labels are nearer to the teacher's predictions than before."""
    settings: dict[str, Any] = {"events": place / "log.csv", "share": 0.9, "steps": 80}
    student = farzi.train(summary, seed=5, progress=Progress(), **settings)
    ensemble = Ensemble((student.network,))
    none, rng = np.empty((0, summary.tensors.length), np.int64), np.random.default_rng(0)
    made = renewed(summary.tensors, ensemble, none[:, 0], none, none[:, 0], rng)
    drawn = torch.multinomial(summary.soft_inputs().flatten(0, 1), 64, replacement=True)
    drawn = drawn.view(*summary.tensors.latents.shape[:2], 64).permute(2, 0, 1).flatten(0, 1)
    read = drawn[:, :-1][:, -ensemble.length :]
    wanted = student.network(read).unflatten(0, (64, -1)).mean(0).softmax(-1)

    def distance(one: Any) -> float:
        mine = one.soft_labels()[:, 1:]
        return float((wanted.detach() - mine).abs().sum(-1).mean())

    assert distance(made) < 0.7 * distance(summary.tensors)
    moved = (made.soft_inputs() - summary.tensors.soft_inputs()).abs().sum(-1).mean()
    assert float(moved) < 0.3


def test_held_out_events_are_not_trained_on(summary: Summary, day: pl.DataFrame):
    read = read_day(day, summary.vocabulary)
    log = day_log(read, 20, 0)
    trained = dict(zip(log.train.users or (), log.train))
    seen = set()
    for held in (log.valid, log.test):
        for user, past, target in zip(held.targets.users or (), held.histories, held.targets):
            assert len(trained[user]) + 1 <= len(past) + len(target)
            seen.add(user)
    assert seen == set(day["user_id"].to_list())
    after, before = (int(one.frame["count"].to_numpy().sum()) for one in (log.vocabulary, summary.vocabulary))
    assert after - before == len(log.train.items)


def test_each_event_is_predicted_from_all_before_it(tiny: Log):
    held = event_by_event(tiny.test, 3)
    assert len(held) == len(tiny.test.targets.items)
    assert held.histories[0].tolist() == tiny.test.histories[0][-3:].tolist()


def test_the_likelihood_of_held_out_events_counts_each_after_those_before_it(summary: Summary):
    model = farzi.train(summary, progress=Progress()).network
    lists = [([3, 4, 5], [6, 7]), ([9], [8, 2, 1]), ([5, 6], [29])]
    past, own = (Sequences.from_lists([pair[k] for pair in lists]) for k in (0, 1))
    held = Holdout(past, own, np.array([8, 29]))  # nothing was trained on these: they do not count
    expected = []
    for before, targets in lists:
        whole = before + targets
        for place in range(len(before), len(whole)):
            if whole[place] not in (8, 29):
                scores = model(torch.tensor([whole[:-1]]))[0, place - 1]
                expected.append(float(scores[1:].detach().log_softmax(0)[whole[place] - 1]))
    assert log_likelihood(model, held) == pytest.approx(float(np.mean(expected)), abs=1e-4)
    assert log_likelihood(model, Holdout(past, own, np.arange(30))) == 0.0


def test_what_a_model_recalls_is_its_own_and_stays_when_it_changes(summary: Summary):
    model = farzi.train(summary, progress=Progress()).network
    counts = np.zeros(ITEMS + 1, np.int64)
    counts[[2, 5]] = 3, 1
    past = Recalled.of(model, counts, 7, True, 0)
    assert past.windows.shape == (7, model.length + 1)
    assert set(past.windows[:, 0].tolist()) <= {2, 5}
    assert all(len(set(one)) == len(one) for one in past.windows.tolist())
    wanted = model(past.windows[:, :-1]).softmax(-1).detach()
    for parameter in model.parameters():
        parameter.data.zero_()
    kept = (past.hidden @ past.table[1:].T).softmax(-1)
    torch.testing.assert_close(kept, wanted[..., 1:], rtol=1e-3, atol=1e-4)


def test_a_smaller_model_gives_unknown_items_no_score(tiny: Log, summary: Summary):
    model = farzi.train(summary, progress=Progress()).network
    padded = Padded(model, 41)
    windows = torch.tensor([[0, 3, 35, 4]])  # 35 is unknown
    scores = padded.next_scores(windows)
    assert scores.shape == (1, 41)
    torch.testing.assert_close(scores[:, : ITEMS + 1], model.next_scores(torch.tensor([[0, 0, 3, 4]])))
    assert bool((scores[:, ITEMS + 1 :] == -torch.inf).all())
    assert evaluate_ranking(padded, tiny.test)["HR@100"] <= 1


def test_exemplars_follow_the_frequencies_of_items(place: Path, summary: Summary):
    model = farzi.train(summary, progress=Progress()).network
    whole = read_day(place / "log.csv", summary.vocabulary, append=False).sequences
    chosen = exemplars(model, whole, 60)
    last = np.array([one[-1] for one in chosen])
    every = np.concatenate([one[1:] for one in whole])
    shares = [np.bincount(some, minlength=ITEMS + 1) / len(some) for some in (last, every)]
    assert np.abs(shares[0] - shares[1]).max() < 0.03
    assert len(chosen) <= 60
