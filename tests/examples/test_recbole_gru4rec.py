"""The example that trains RecBole's GRU4Rec on a summary: runs, and RecBole's numbers are Farzi's."""

import contextlib
import importlib
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi.data import Holdout, Log, Sequences, Vocabulary, load_dataset
from farzi.errors import FarziError
from farzi.evaluation import evaluate_ranking
from farzi.models.adapters import RecBole
from farzi.recipe import Inner, Outer, Recipe
from farzi.recipe.variants import LogData
from farzi.summary import LANGUAGE, Summary, SummaryTensors

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("recbole")
    example: Any = importlib.import_module("examples.recbole_gru4rec")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

OPTIONS = ["--history", "6", "--epochs", "2", "--batch", "64"]


@pytest.fixture
def file(tiny: Log, tmp_path: Path) -> Path:
    """`tiny` as a file; many of a user's events are of one second."""
    path = tmp_path / "events.csv"
    ids = tiny.vocabulary.frame["id"].to_list()
    lines = ["user,item,timestamp"]
    for user, known, target in zip(
        tiny.test.histories.users or (), tiny.test.histories, tiny.test.targets, strict=True
    ):
        lines += [
            f"{user},{ids[item]},{1_000_000_000 + place // 3}" for place, item in enumerate([*known, *target])
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def log(file: Path) -> Log:
    return load_dataset(LogData(source=str(file)))


@pytest.fixture
def recbole(log: Log, tmp_path: Path) -> Iterator[tuple[Any, Any, Any]]:
    """RecBole's settings, data set, and training, validation and test data of the log."""
    (tmp_path / "work").mkdir()
    with contextlib.chdir(tmp_path / "work"):
        example.write_inter(log, Path(example.NAME))
        config = example.recbole_config(log, 8, example.parsed(OPTIONS))
        dataset = example.create_dataset(config)
        yield config, dataset, example.data_preparation(config, dataset)


def summary_of(log: Log) -> SummaryTensors:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(5, 7, 3, generator=generator)
    return SummaryTensors(latents, 2 * torch.randn(3, len(log.vocabulary), generator=generator), 0.7)


def test_it_runs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path.cwd()
    results = example.main(["--data", str(file), "--quick", *OPTIONS])
    assert Path.cwd() == before
    assert set(results) == {"summary", "full"}
    for figures in results.values():
        assert list(figures) == ["hit@10", "ndcg@10"]  # there are 40 items
        assert all(math.isfinite(value) and 0 <= value <= 1 for value in figures.values())
    assert "all 40 items ranked" in capsys.readouterr().out
    assert not torch.is_anomaly_enabled()


def test_an_earlier_summary(log: Log, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # paths that a recipe and a user give are relative to where they are
    recipe = Recipe(data=LogData(source=file.name), inner=Inner(steps=5), outer=Outer(window=5))
    Summary(summary_of(log), log.vocabulary, recipe).save("mine")
    results = example.main(["--summary", "mine", *OPTIONS])
    assert all(math.isfinite(value) for figures in results.values() for value in figures.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.csv", "mine"]
    Summary(summary_of(log), log.vocabulary, recipe, run={"task": LANGUAGE}).save("mine")
    with pytest.raises(FarziError, match="a summary of a text"):
        example.main(["--summary", "mine"])


def test_events_are_recboles_items(log: Log, recbole: tuple[Any, Any, Any]) -> None:
    _, dataset, _ = recbole
    summary = summary_of(log)
    mapped = example.in_recboles_order(summary, log.vocabulary, dataset)
    before, after = summary.soft_inputs(), mapped.soft_inputs()
    assert after.shape == before.shape
    assert dataset.item_num == len(log.vocabulary)
    theirs = [int(dataset.token2id("item", id)) for id in log.vocabulary.frame["id"].to_list()[1:]]
    assert theirs != list(range(1, len(log.vocabulary)))  # else there were nothing to be seen
    for ours, item in enumerate(theirs, start=1):
        torch.testing.assert_close(after[..., item], before[..., ours])
    assert not after[..., 0].any()
    fewer = Vocabulary(log.vocabulary.frame[:-1])
    with pytest.raises(FarziError, match="is not among the 39 items"):
        example.in_recboles_order(SummaryTensors(summary.latents, summary.decoder[:, :-1]), fewer, dataset)


def test_recbole_holds_out_what_farzi_does(log: Log, recbole: tuple[Any, Any, Any]) -> None:
    _, dataset, parts = recbole
    for held, data in ((log.valid, parts[1]), (log.test, parts[2])):
        rows = data.dataset.inter_feat
        assert len(rows) == len(held)
        for user, items, length, target in zip(
            rows["user"], rows["item_list"], rows["item_length"], rows["item"], strict=True
        ):
            assert held.targets.users is not None
            number = held.targets.users.index(str(dataset.id2token("user", int(user))))
            known = log.vocabulary.encode(dataset.id2token("item", items[:length].numpy()).tolist())
            np.testing.assert_array_equal(known, held.histories[number][-6:])
            wanted = log.vocabulary.encode([str(dataset.id2token("item", int(target)))])
            np.testing.assert_array_equal(wanted, held.targets[number])


def test_recboles_figures_are_farzis(log: Log, recbole: tuple[Any, Any, Any]) -> None:
    config, dataset, (train_data, _, test_data) = recbole
    fresh = example.GRU4Rec(config, train_data.dataset)
    first = {name: value.clone() for name, value in fresh.state_dict().items()}
    summary = example.in_recboles_order(summary_of(log), log.vocabulary, dataset)
    model = example.train_on_summary(fresh, summary, Inner(steps=10), 1.0, 0)
    torch.testing.assert_close(dict(fresh.state_dict()), first, rtol=0, atol=0)  # the other training's start
    assert not torch.equal(model.state_dict()["item_embedding.weight"], first["item_embedding.weight"])
    with example.recboles_trainer(config, model) as trainer:
        found = trainer.evaluate(test_data, load_best_model=False)

    ids = log.vocabulary.frame["id"].to_list()
    place = np.array([0, *(int(dataset.token2id("item", id)) for id in ids[1:])])

    def theirs(part: Sequences) -> Sequences:
        return Sequences(place[part.items], part.offsets, part.users)

    held = Holdout(theirs(log.test.histories), theirs(log.test.targets))
    right = evaluate_ranking(RecBole(model), held, at=(10,)).means()
    assert found["hit@10"] == pytest.approx(right["HR@10"], abs=6e-5)  # RecBole rounds to 4 places
    assert found["ndcg@10"] == pytest.approx(right["nDCG@10"], abs=6e-5)
