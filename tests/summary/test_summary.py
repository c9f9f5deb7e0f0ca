"""`Summary`: its folder, where everything comes back and damage is noticed; its card; its exits."""

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
from torch.utils.data import DataLoader

from farzi.data import Log, Vocabulary
from farzi.errors import FarziError
from farzi.files import sha256
from farzi.recipe import Recipe
from farzi.summary import (
    LANGUAGE,
    Size,
    Summary,
    SummaryTensors,
    TransitionInitializer,
    distillation_facts,
    history_text,
)
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


def made(dataset: Log, recipe: Recipe, seed: int = 0, temperature: float = 0.3) -> Summary:
    size = Size(recipe.summary.sequences, recipe.summary.length, 4, len(dataset.vocabulary), temperature)
    tensors = TransitionInitializer()(size, dataset.train, np.random.default_rng(seed))
    run = {"seconds": 1.5 + seed, "outer_steps": 4, "data_sha256": "0123"}
    history = [*HISTORY, {"outer_step": 8, "real_loss": float(seed)}]
    return Summary(tensors, dataset.vocabulary, recipe.changed({"seed": seed}), history, run)


@pytest.fixture
def folder(tiny: Log, recipe: Recipe, tmp_path: Path) -> Path:
    made(tiny, recipe).save(tmp_path / "summary")
    return tmp_path / "summary"


@pytest.fixture
def another(other: Log, recipe: Recipe, tmp_path: Path) -> Path:
    """Of the same sizes, with everything else different."""
    made(other, recipe, seed=1, temperature=0.4).save(tmp_path / "another")
    return tmp_path / "another"


def refusal(path: Path) -> str:
    with pytest.raises(FarziError) as caught:
        Summary.load(path)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_everything_comes_back_as_it_was(folder: Path, tiny: Log, recipe: Recipe):
    before, after = made(tiny, recipe), Summary.load(folder)
    assert torch.equal(after.tensors.latents, before.tensors.latents)
    assert torch.equal(after.tensors.decoder, before.tensors.decoder)
    assert after.tensors.latents.dtype == torch.float32
    assert after.tensors.temperature == before.tensors.temperature
    assert after.vocabulary == before.vocabulary
    assert (after.recipe, after.history, after.run) == (before.recipe, before.history, before.run)
    assert {path.name for path in folder.iterdir()} == {*FILES, "README.md"}


def test_saving_what_was_loaded_gives_the_same_bytes(folder: Path, tmp_path: Path):
    Summary.load(folder).save(tmp_path / "again")
    for name in (*FILES, "README.md"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_saving_over_a_folder_replaces_it_and_its_results(folder: Path, other: Log, recipe: Recipe):
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
    folder: Path, other: Log, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
):
    def full(self: Vocabulary, path: str | Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Vocabulary, "save", full)
    with pytest.raises(OSError, match="No space left"):
        made(other, recipe, seed=1).save(folder)
    assert "holds no finished summary" in refusal(folder)


def test_a_vocabulary_of_another_size_is_refused(tiny: Log, recipe: Recipe):
    tensors = SummaryTensors(torch.zeros(1, 2, 1), torch.zeros(1, 7))
    with pytest.raises(ValueError, match="vocabulary of 41 events for a summary of 7"):
        Summary(tensors, tiny.vocabulary, recipe)


def test_a_label_decoder_comes_back(tiny: Log, recipe: Recipe, tmp_path: Path):
    size = len(tiny.vocabulary)
    stored = SummaryTensors(torch.randn(2, 3, 4), torch.randn(4, size), 0.5, torch.randn(4, size))
    Summary(stored, tiny.vocabulary, recipe).save(tmp_path)
    result = Summary.load(tmp_path).tensors
    assert result.temperature == 0.5
    assert list(result.parts) == ["latents", "decoder", "label_decoder"]
    assert all(torch.equal(part, stored.parts[name]) for name, part in result.parts.items())


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


def test_a_file_of_format_1_is_refused_though_its_checksums_are_right(folder: Path):
    path = folder / "summary.safetensors"
    before = sha256(path)
    write_tensors(path, "farzi-summary-1", {"latents": torch.zeros(2)}, {})
    sums = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(sums.replace(before, sha256(path)))
    assert refusal(folder) == (
        f"{path}: its format is farzi-summary-1, this version of Farzi reads farzi-summary-2; "
        "restore it or distil again"
    )


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
def test_the_front_matter_of_the_card_is_yaml(tiny: Log, recipe: Recipe, tmp_path: Path, source: str):
    recipe = recipe.changed({"data.source": source})
    made(tiny, recipe).save(tmp_path / "summary")
    text = (tmp_path / "summary" / "README.md").read_text("utf-8")
    empty, front, body = text.split("---\n", 2)
    assert empty == ""
    values = yaml.safe_load(front)
    assert values["pretty_name"] == f"Farzi summary of {source}"
    assert values["tags"] == ["dataset-distillation", "sequential-recommendation", "farzi"]
    assert "# 6 synthetic sequences" in body


@pytest.mark.parametrize("kind", ["plain", "label decoder", "full logits"])
def test_the_code_in_the_card_gives_the_soft_inputs_and_labels(
    tiny: Log, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    summary = made(tiny, recipe)
    if kind == "label decoder":
        label_decoder = torch.randn(summary.tensors.decoder.shape)
        summary = replace(summary, tensors=replace(summary.tensors, label_decoder=label_decoder))
    if kind == "full logits":
        logits = summary.tensors.latents @ summary.tensors.decoder
        summary = replace(summary, tensors=SummaryTensors(logits, torch.zeros(0, logits.shape[2]), 0.3))
    summary.save(tmp_path)
    code = re.search(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.DOTALL)
    assert code is not None
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code[1], names)
    torch.testing.assert_close(names["soft_inputs"], summary.soft_inputs(), rtol=0, atol=0)
    torch.testing.assert_close(names["soft_labels"], summary.soft_labels(), rtol=0, atol=0)


def test_the_card_says_how_the_summary_was_made(tiny: Log, recipe: Recipe, tmp_path: Path):
    teachers = {"type": "teacher", "teachers": 2, "others": [{"type": "gru4rec"}]}
    history = [{"outer_step": 20, "best": True}]
    summary = replace(made(tiny, recipe), history=history, run={"outer_steps": 50, "task": LANGUAGE})
    replace(summary, recipe=recipe.changed({"init": teachers})).save(tmp_path)
    text = " ".join((tmp_path / "README.md").read_text().split())
    assert distillation_facts(Summary.load(tmp_path)) in text
    assert "predictions of 3 full-data models (knowledge distillation)" in text
    assert "Then 50 outer steps were taken (data distillation); the state after step 20 was selected" in text
    assert "distribution over 40 tokens" in text


def test_a_tokenizer_stands_beside_the_summary_and_is_checked(tiny: Log, recipe: Recipe, tmp_path: Path):
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


# What a notebook needs.


def labelled(tiny: Log, recipe: Recipe) -> Summary:
    """A summary with a label decoder and a run."""
    summary = made(tiny, recipe)
    tensors = replace(summary.tensors, label_decoder=summary.tensors.decoder.flip(0))
    history = [{"outer_step": 3, "best": True}, {"outer_step": 8, "best": False}]
    return replace(summary, tensors=tensors, history=history, run={"outer_steps": 8})


def test_soft_inputs_and_labels_are_distributions(tiny: Log, recipe: Recipe):
    summary = labelled(tiny, recipe)
    tensors = summary.tensors
    for soft, decoder in (
        (summary.soft_inputs(), tensors.decoder),
        (summary.soft_labels(), tensors.label_decoder),
    ):
        assert decoder is not None
        assert soft.shape == (6, 5, 41)
        logits = (tensors.latents @ decoder / 0.3)[..., 1:]
        torch.testing.assert_close(soft[..., 1:], torch.softmax(logits, -1))
        assert (soft[..., 0] == 0).all()
        assert not soft.requires_grad
    assert torch.equal(summary.soft_inputs([4, 0]), summary.soft_inputs()[[4, 0]])
    assert torch.equal(summary.soft_labels(slice(2)), summary.soft_labels()[:2])
    plain = made(tiny, recipe)
    assert torch.equal(plain.soft_labels(), plain.soft_inputs())


def test_pairs_for_pytorch_are_inputs_and_the_labels_that_follow(tiny: Log, recipe: Recipe):
    summary = labelled(tiny, recipe)
    pairs = summary.to_torch(range(4))
    assert len(pairs) == 4
    inputs, labels = next(iter(DataLoader(pairs, batch_size=4)))
    assert inputs.shape == labels.shape == (4, 4, 41)
    assert torch.equal(inputs, summary.soft_inputs()[:4, :-1])
    assert torch.equal(labels, summary.soft_labels()[:4, 1:])


def test_the_frame_has_the_likeliest_events_by_name(tiny: Log, recipe: Recipe):
    summary = labelled(tiny, recipe)
    frame = summary.to_frame(top=2)
    assert frame.columns == ["sequence", "position", "role", "rank", "item_id", "name", "probability"]
    assert len(frame) == 6 * (5 + 4) * 2  # the first position has no label
    assert frame.filter(position=0)["role"].unique().to_list() == ["input"]
    ids, names = summary.vocabulary.frame["id"].to_list(), summary.vocabulary.frame["name"].to_list()
    for role, soft in (("input", summary.soft_inputs()), ("label", summary.soft_labels())):
        rows = frame.filter(sequence=5, position=3, role=role).rows(named=True)
        probabilities, indices = soft[5, 3].topk(2)
        assert [row["rank"] for row in rows] == [1, 2]
        assert [row["item_id"] for row in rows] == [ids[i] for i in indices]
        assert [row["name"] for row in rows] == [names[i] for i in indices]
        assert [row["probability"] for row in rows] == pytest.approx(probabilities.tolist(), rel=1e-6)


def test_it_is_shown_in_one_line(tiny: Log, recipe: Recipe):
    summary = labelled(tiny, recipe.changed({"data.source": "mine.csv"}))
    size = "Summary of mine.csv: 6 sequences x 5 positions, 40 items, 2 KiB"
    assert repr(summary) == f"{size}, outer step 3 of 8"
    first = replace(summary, history=HISTORY[:1])
    assert repr(first) == f"{size}, outer step 0 of 8 (the initial summary)"
    text = replace(summary, history=[], run={"task": LANGUAGE})
    assert repr(text) == size.replace("items", "tokens")
