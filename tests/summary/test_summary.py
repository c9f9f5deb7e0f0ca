"""A summary's folder: everything comes back, nothing damaged passes, and the card tells the truth."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from farzi.data import Dataset, Vocabulary
from farzi.errors import FarziError
from farzi.files import sha256
from farzi.recipe import DataSettings, Recipe
from farzi.summary import Summary, Size, SummaryTensors, TransitionInitializer, history_text
from farzi.tensorfile import write_tensors

FILES = (
    "summary.safetensors",
    "vocabulary.parquet",
    "recipe.yaml",
    "history.jsonl",
    "run.json",
    "SHA256SUMS",
)
HISTORY = [{"outer_step": 0, "real_loss": None, "best": True}, {"outer_step": 4, "real_loss": 0.1 + 0.2}]


def made(dataset: Dataset, recipe: Recipe, seed: int = 0, temperature: float = 0.3) -> Summary:
    asked = recipe.summary
    size = Size(asked.sequences, asked.length, asked.dim, len(dataset.vocabulary), temperature)
    summary = TransitionInitializer()(size, dataset.train, np.random.default_rng(seed))
    run = {"seconds": 1.5 + seed, "outer_steps": 4, "data_sha256": "0123"}
    history = [*HISTORY, {"outer_step": 8, "real_loss": float(seed)}]
    return Summary(summary, dataset.vocabulary, recipe.model_copy(update={"seed": seed}), history, run)


@pytest.fixture
def folder(tiny: Dataset, recipe: Recipe, tmp_path: Path) -> Path:
    made(tiny, recipe).save(tmp_path / "summary")
    return tmp_path / "summary"


@pytest.fixture
def another(other: Dataset, recipe: Recipe, tmp_path: Path) -> Path:
    """Of the same sizes, with everything else different."""
    made(other, recipe, seed=1, temperature=0.4).save(tmp_path / "another")
    return tmp_path / "another"


def refusal(path: Path) -> str:
    with pytest.raises(FarziError) as caught:
        Summary.load(path)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_everything_comes_back_as_it_was(folder: Path, tiny: Dataset, recipe: Recipe):
    before, after = made(tiny, recipe), Summary.load(folder)
    assert torch.equal(after.summary.latents, before.summary.latents)
    assert torch.equal(after.summary.decoder, before.summary.decoder)
    assert after.summary.latents.dtype == torch.float32
    assert after.summary.temperature == before.summary.temperature
    assert after.vocabulary == before.vocabulary
    assert (after.recipe, after.history, after.run) == (before.recipe, before.history, before.run)
    assert {path.name for path in folder.iterdir()} == {*FILES, "README.md"}


def test_saving_what_was_loaded_gives_the_same_bytes(folder: Path, tmp_path: Path):
    Summary.load(folder).save(tmp_path / "again")
    for name in (*FILES, "README.md"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_saving_over_a_folder_replaces_it_and_its_results(folder: Path, other: Dataset, recipe: Recipe):
    results = [
        folder / name for name in ("results.json", "comparison.json", "comparison.md", "comparison.png")
    ]
    for path in results:
        path.write_text("[]")
    (folder / "notes.txt").write_text("mine")
    made(other, recipe, seed=1).save(folder)
    assert Summary.load(folder).recipe.seed == 1
    assert not any(path.exists() for path in results)
    assert (folder / "notes.txt").read_text() == "mine"


def test_an_interrupted_save_leaves_no_summary(
    folder: Path, other: Dataset, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
):
    def full(self: Vocabulary, path: str | Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Vocabulary, "save", full)
    with pytest.raises(OSError, match="No space left"):
        made(other, recipe, seed=1).save(folder)
    assert "holds no finished summary" in refusal(folder)


def test_a_vocabulary_of_another_size_is_refused(tiny: Dataset, recipe: Recipe):
    summary = SummaryTensors(torch.zeros(1, 2, 1), torch.zeros(1, 7))
    with pytest.raises(ValueError, match="vocabulary of 41 events for a summary of 7"):
        Summary(summary, tiny.vocabulary, recipe)


def test_targets_of_their_own_come_back(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    size = len(tiny.vocabulary)
    stored = SummaryTensors(torch.randn(2, 3, 4), torch.randn(4, size), 0.5, torch.randn(4, size))
    Summary(stored, tiny.vocabulary, recipe).save(tmp_path)
    found = Summary.load(tmp_path).summary
    assert found.temperature == 0.5
    assert list(found.parts) == ["latents", "decoder", "targets"]
    assert all(torch.equal(part, stored.parts[name]) for name, part in found.parts.items())


def test_a_history_is_json_for_every_reader():
    with pytest.raises(ValueError, match="Out of range float values"):
        history_text([{"real_loss": float("nan")}])


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    place = len(data) * 2 // 3
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "halved": halved,
    "flipped": flipped,
    "emptied": lambda data: b"",
    "overwritten": lambda data: b"\x00\xff not what it was",
    "longer": lambda data: data + b"{}\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named(folder: Path, name: str, damage: str):
    (folder / name).write_bytes(DAMAGES[damage]((folder / name).read_bytes()))
    if (name, damage) == ("SHA256SUMS", "longer"):  # lines about files of one's own are welcome
        Summary.load(folder)
    else:
        assert name in refusal(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    assert f"{folder / name}: no such file" in refusal(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_summary_is_named(folder: Path, another: Path, name: str):
    shutil.copy(another / name, folder / name)
    assert name in refusal(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_a_files_place_is_named(folder: Path, name: str):
    (folder / name).unlink()
    (folder / name).mkdir()
    assert f"{folder / name}: " in refusal(folder)


def test_every_flipped_bit_of_the_checksums_is_noticed(folder: Path):
    whole = (folder / "SHA256SUMS").read_bytes()
    for place in range(len(whole)):
        (folder / "SHA256SUMS").write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :]
        )
        refusal(folder)


def test_a_damaged_vocabulary_never_reaches_the_parquet_reader(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def read(*args: Any) -> Vocabulary:
        raise AssertionError("a damaged Parquet file can end the process")

    monkeypatch.setattr(Vocabulary, "load", read)
    path = folder / "vocabulary.parquet"
    path.write_bytes(flipped(path.read_bytes()))
    assert "vocabulary.parquet" in refusal(folder)


def test_another_format_is_refused_though_its_checksums_are_right(folder: Path):
    path = folder / "summary.safetensors"
    before = sha256(path)
    write_tensors(path, "farzi-summary-0", {"latents": torch.zeros(2)}, {})
    sums = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(sums.replace(before, sha256(path)))
    assert "summary.safetensors: not of the format farzi-summary-1" in refusal(folder)


def test_places_without_a_summary_are_refused(tmp_path: Path):
    assert "no such folder" in refusal(tmp_path / "nothing")
    assert "holds no finished summary" in refusal(tmp_path)
    (tmp_path / "file").write_text("")
    assert "no such folder" in refusal(tmp_path / "file")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="the system has no sha256sum")
def test_the_checksums_are_those_of_sha256sum(folder: Path):
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name}: OK" for name in FILES[:-1]]


def test_history_and_run_are_plain_json(folder: Path):
    lines = (folder / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["outer_step"] for line in lines] == [0, 4, 8]
    assert json.loads((folder / "run.json").read_text())["outer_steps"] == 4


@pytest.mark.parametrize("source", ["movielens-small", "a: 'log' # of \"mine\".csv", "журнал.csv"])
def test_the_front_matter_of_the_card_is_yaml(tiny: Dataset, recipe: Recipe, tmp_path: Path, source: str):
    recipe = recipe.model_copy(update={"data": DataSettings(source=source)})
    made(tiny, recipe).save(tmp_path / "summary")
    text = (tmp_path / "summary" / "README.md").read_text("utf-8")
    empty, front, body = text.split("---\n", 2)
    assert empty == ""
    values = yaml.safe_load(front)
    assert values["pretty_name"] == f"Farzi summary of {source}"
    assert values["size_categories"] == ["n<1K"]
    assert "# 6 synthetic sequences" in body


def test_the_code_in_the_card_gives_the_very_events(folder: Path, monkeypatch: pytest.MonkeyPatch):
    found = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert found is not None
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(found[1], names)
    assert torch.equal(names["events"], Summary.load(folder).summary.events())


def test_a_tokenizer_stands_beside_the_summary_and_is_checked(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    plain = made(tiny, recipe)
    text = '{"model": "ümlaut"}'
    replace(plain, tokenizer=text).save(tmp_path)
    assert Summary.load(tmp_path).tokenizer == text
    assert (tmp_path / "tokenizer.json").read_text("utf-8") == text
    (tmp_path / "tokenizer.json").write_text("{}")
    assert "tokenizer.json: damaged" in refusal(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    assert "tokenizer.json: no such file" in refusal(tmp_path)
    plain.save(tmp_path)
    assert Summary.load(tmp_path).tokenizer is None
