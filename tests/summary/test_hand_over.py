"""A summary in other libraries' hands: hard events, files, RecBole, RecTools, LensKit, and the hub."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import farzi
from farzi.data import Log
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.summary import LANGUAGE, Summary

from .test_summary import made


@pytest.fixture
def summary(tiny: Log, recipe: Recipe) -> Summary:
    return made(tiny, recipe)


def test_the_hard_events_are_the_most_probable_ones(summary: Summary):
    events = summary.to_events()
    sequences, length = summary.tensors.sequences, summary.tensors.length
    assert events.columns == ["user_id", "item_id", "timestamp", "name"]
    assert events["timestamp"].to_list() == list(range(length)) * sequences
    assert events["user_id"].unique(maintain_order=True).to_list() == [
        f"synthetic-{n}" for n in range(1, sequences + 1)
    ]
    inputs = summary.to_frame(top=1).filter(pl.col("role") == "input")
    assert events["item_id"].to_list() == inputs["item_id"].to_list()
    assert events["name"].to_list() == inputs["name"].to_list()


def test_drawn_events_have_the_inputs_probabilities(summary: Summary):
    events = summary.to_events(sampled=2000, seed=1)
    assert events["user_id"].n_unique() == 2000 * summary.tensors.sequences
    assert "" not in events["item_id"].to_list()  # padding is never drawn
    first = events.filter(pl.col("user_id").str.starts_with("synthetic-2-"), pl.col("timestamp") == 1)
    shares = dict(first["item_id"].value_counts(normalize=True).rows())
    soft = summary.soft_inputs([1])[0, 1]
    found = [shares.get(id, 0.0) for id in summary.vocabulary.frame["id"]]
    assert found == pytest.approx(soft.tolist(), abs=5 * (0.25 / 2000) ** 0.5)
    assert summary.to_events(3, seed=4).equals(summary.to_events(3, seed=4))
    assert not summary.to_events(3, seed=4).equals(summary.to_events(3, seed=5))
    with pytest.raises(FarziError, match="at least 1, not 0"):
        summary.to_events(0)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_files_of_events_are_logs(summary: Summary, suffix: str, tmp_path: Path):
    path = tmp_path / f"events.{suffix}"
    summary.write_events(path, sampled=3)
    log = farzi.load_log(path, names=str(path), min_user_events=1)
    assert log.facts["events"] == 3 * summary.tensors.sequences * summary.tensors.length
    assert set(log.vocabulary.frame["id"]) <= set(summary.vocabulary.frame["id"])
    with pytest.raises(FarziError, match=r"events\.xls: .* ends in \.parquet, \.csv, \.jsonl"):
        summary.write_events(tmp_path / "events.xls")


def test_recboles_files_have_the_events_and_all_items(summary: Summary, tmp_path: Path):
    summary.to_recbole(tmp_path / "mine")
    assert sorted(one.name for one in (tmp_path / "mine").iterdir()) == ["mine.inter", "mine.item"]
    log = farzi.load_log(tmp_path / "mine" / "mine.inter", names=str(tmp_path / "mine" / "mine.item"))
    assert log.facts["events"] == summary.tensors.sequences * summary.tensors.length
    header, *items = (tmp_path / "mine" / "mine.item").read_text("utf-8").splitlines()
    assert header == "item_id:token\tname:token_seq"
    assert [line.split("\t")[0] for line in items] == summary.vocabulary.frame["id"][1:].to_list()


@pytest.mark.filterwarnings("ignore")
def test_recbole_reads_its_files(summary: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    numpy: Any = pytest.importorskip("numpy")
    for old, new in {"float_": numpy.float64, "complex_": numpy.complex128, "unicode_": numpy.str_}.items():
        if not hasattr(numpy, old):  # which its Config needs
            monkeypatch.setattr(numpy, old, new, raising=False)
    recbole: Any = pytest.importorskip("recbole.config")
    data: Any = pytest.importorskip("recbole.data")
    monkeypatch.setattr("sys.argv", ["test"])
    monkeypatch.chdir(tmp_path)
    summary.to_recbole("mine", sampled=2)
    settings = {"data_path": ".", "load_col": None, "train_neg_sample_args": None}
    config = recbole.Config(model="GRU4Rec", dataset="mine", config_dict=settings)
    dataset = data.create_dataset(config)
    assert dataset.inter_num == 2 * summary.tensors.sequences * summary.tensors.length
    assert dataset.item_num == len(summary.vocabulary)  # with its padding


def test_rectools_takes_the_frame(summary: Summary):
    pytest.importorskip("pandas")
    frame = summary.to_rectools()
    assert list(frame.columns) == ["user_id", "item_id", "weight", "datetime"]
    assert str(frame["datetime"].dtype) == "datetime64[ns]"
    rectools: Any = pytest.importorskip("rectools.dataset")
    log = farzi.load_log(rectools.Dataset.construct(frame), min_user_events=1)
    assert log.facts["events"] == len(frame)


def test_lenskit_has_its_data_set(summary: Summary):
    pytest.importorskip("lenskit.data")
    dataset = summary.to_lenskit(sampled=2)
    assert dataset.item_count == len(summary.vocabulary) - 1
    assert dataset.interaction_count == 2 * summary.tensors.sequences * summary.tensors.length
    log = farzi.load_log(dataset, min_user_events=1)
    assert log.facts["events"] == dataset.interaction_count


def test_a_summary_of_a_text_has_events_and_is_no_log(summary: Summary, tmp_path: Path):
    text = replace(summary, run=summary.run | {"task": LANGUAGE})
    assert len(text.to_events()) > 0
    for call in (text.to_rectools, text.to_lenskit, lambda: text.to_recbole(tmp_path)):
        with pytest.raises(FarziError, match="a summary of a text"):
            call()


# The hub


class Hub:
    """What `huggingface_hub.HfApi` does, with a folder in place of the hub."""

    root: Path
    calls: list[Any]

    def __init__(self, token: str | None = None) -> None:
        self.calls.append(("token", token))

    def create_repo(self, name: str, *, repo_type: str, private: bool | None, exist_ok: bool) -> str:
        self.calls.append((name, repo_type, private, exist_ok))
        return f"https://huggingface.co/datasets/{name}"

    def upload_folder(self, *, repo_id: str, repo_type: str, folder_path: str, commit_message: str) -> None:
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Hub]:
    library: Any = pytest.importorskip("huggingface_hub")
    Hub.root, Hub.calls = tmp_path / "hub", []
    monkeypatch.setattr(library, "HfApi", Hub)
    monkeypatch.setattr(library, "snapshot_download", lambda name, **more: str(Hub.root / name))
    return Hub


def front_matter(text: str) -> dict[str, Any]:
    return yaml.safe_load(text.split("---\n", 2)[1])


def test_a_pushed_summary_comes_back(summary: Summary, hub: type[Hub]):
    assert (
        summary.push_to_hub("me/mine", private=True, token="t") == "https://huggingface.co/datasets/me/mine"
    )
    assert hub.calls == [("token", "t"), ("me/mine", "dataset", True, True)]
    again = Summary.from_hub("me/mine")
    assert again.vocabulary == summary.vocabulary
    assert again.tensors.latents.equal(Summary.load(hub.root / "me/mine").tensors.latents)


def test_the_card_is_one_that_the_hub_understands(summary: Summary, hub: type[Hub], tmp_path: Path):
    history = [{"outer_step": 4, "best": True, "relative_to_full": {"HR@10": 0.987, "nDCG@10": None}}]
    replace(summary, history=history).push_to_hub("me/mine", license="cc-by-4.0")
    text = (hub.root / "me/mine" / "README.md").read_text("utf-8")
    front = front_matter(text)
    assert front["license"] == "cc-by-4.0"
    assert front["size_categories"] == ["n<1K"]
    assert front["configs"] == [{"config_name": "vocabulary", "data_files": "vocabulary.parquet"}]
    assert "HR@10 99 %" in text
    assert "## Limits" in text
    cards: Any = pytest.importorskip("huggingface_hub.repocard")
    assert cards.DatasetCard(text).data.to_dict()["size_categories"] == ["n<1K"]
    summary.save(tmp_path / "local")
    local = (tmp_path / "local" / "README.md").read_text("utf-8")
    assert front_matter(local)["license"] == "unknown"


def test_the_configuration_of_the_card_is_read_by_hugging_face(summary: Summary, tmp_path: Path):
    datasets: Any = pytest.importorskip("datasets")
    summary.save(tmp_path / "mine")
    read = datasets.load_dataset(
        str(tmp_path / "mine"), "vocabulary", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert list(read["id"]) == summary.vocabulary.frame["id"].to_list()


def test_results_of_a_comparison_are_uploaded_and_in_the_card(
    summary: Summary, hub: type[Hub], tmp_path: Path
):
    with pytest.raises(FarziError, match=r"has no comparison\.md; `farzi compare` writes it"):
        summary.push_to_hub("me/mine", results=tmp_path)
    (tmp_path / "comparison.md").write_text("| trained on |\n|---|\n| full |\n")
    (tmp_path / "results.json").write_text("[]")
    summary.push_to_hub("me/mine", results=tmp_path)
    assert "| trained on |" in (hub.root / "me/mine" / "README.md").read_text()
    assert json.loads((hub.root / "me/mine" / "results.json").read_text()) == []


def test_what_the_hub_refuses_is_one_line(summary: Summary, hub: type[Hub], monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(FarziError, match="'mine' is no name of a repository"):
        summary.push_to_hub("mine")

    def refuse(*_: Any, **more: Any) -> str:
        raise OSError("401 Client Error.\nInvalid username or password.")

    monkeypatch.setattr(hub, "create_repo", refuse)
    with pytest.raises(
        FarziError, match=r"me/mine: .* \(401 Client Error\. Invalid username or password\.\)"
    ):
        summary.push_to_hub("me/mine")
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(FarziError, match=r"pip install 'farzi\[hub\]'"):
        summary.push_to_hub("me/mine")
