"""A text from its file to a table: distil, compare, inspect, train, evaluate."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from farzi.cli import app
from farzi.cli.options import CONTROLS
from farzi.distillation import Validation


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="farzi")


def read(*words: str | Path) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def sentences(count: int) -> str:
    """Made up by a grammar of a dozen words."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(count):
        one, other = rng.choice(["dog", "cat", "bird"], size=2)
        verb = rng.choice(["sees", "hears"])
        lines.append(f"the {rng.choice(['old', 'small'])} {one} {verb} a {other}\n")
    return "".join(lines)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a summary of it."""
    place = tmp_path_factory.mktemp("text")
    (place / "corpus.txt").write_text(sentences(300))
    (place / "recipe.yaml").write_text(
        "data: {type: text, tokens: spaces}\n"
        "student: {hidden: 8}\n"
        "summary: {sequences: 4, length: 6, parametrization: {dim: 3}}\n"
        "inner: {steps: 6, batch: 2}\n"
        "outer: {steps: 4, batch: 8, window: 2, burn_in: 1}\n"
        "select: {every: 2, students: 1}\n"
    )
    text = read("distill", place / "corpus.txt", "--out", place / "out", "--recipe", place / "recipe.yaml")
    assert "perplexity ×" in text
    assert "accuracy" in text
    return place


def test_a_summary_of_a_text_is_a_whole_folder(place: Path):
    lines = [json.loads(line) for line in (place / "out" / "history.jsonl").read_text().splitlines()]
    assert [line["outer_step"] for line in lines] == [0, 2, 4]
    for line in lines:
        assert set(line["validation"]) == {"perplexity", "accuracy", "bits per byte"}
        assert line["validation"]["perplexity"] > 1


def test_of_a_text_both_figures_say_which_summary_is_best(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # so small a text has no summary that is clear of the start
    monkeypatch.setattr(Validation, "clearly_better", lambda self, other: True)
    read("distill", place / "corpus.txt", "--out", tmp_path, "--recipe", place / "recipe.yaml")
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    gains = [
        (1 / line["relative_to_full"]["perplexity"] + line["relative_to_full"]["accuracy"]) / 2
        for line in lines
    ]
    best = max(line["outer_step"] for line in lines if line["best"])
    assert best == lines[int(np.argmax(gains))]["outer_step"]


def test_the_comparison_speaks_of_text(place: Path):
    text = " ".join(read("compare", place / "out", "--seeds", "2", "--max-steps", "20").split())
    assert "perplexity per token (lower is better), accuracy in per cent" in text
    assert "from the 3 to 5 before it (stride 3)" in text
    rows = json.loads((place / "out" / "results.json").read_text())
    kinds = {row["trained_on"] for row in rows}
    assert {"full", "summary", "random", "random, teachers' labels", "teachers", "bigram"} <= kinds
    units = {row["metric"]: row["unit"] for row in rows}
    assert units == {"perplexity": "", "accuracy": "%", "bits per byte": ""}
    assert all(row["low"] <= row["mean"] <= row["high"] for row in rows)
    facts = json.loads((place / "out" / "comparison.json").read_text())
    assert (facts["context"], facts["stride"]) == (3, 3)
    assert (place / "out" / "comparison.png").stat().st_size > 10_000
    assert "| perplexity | accuracy |" in (place / "out" / "comparison.md").read_text()


def test_inspect_prints_sentences(place: Path):
    lines = read("inspect", place / "out", "--sequences", "2").splitlines()
    assert sum(line.startswith("sequence ") for line in lines) == 2
    inputs, labels = (
        next(line for line in lines if line.startswith(f"{name}: ")).removeprefix(f"{name}: ").split()
        for name in ("soft input", "soft label")
    )
    assert len(inputs) == len(labels) == 6
    assert {*inputs, *labels[1:]} <= set(sentences(300).split()) | {"<eos>", "<unk>"}
    assert labels[0] == "–"
    rows = json.loads(read("inspect", place / "out", "--sequences", "2", "--json"))
    assert any(position["input"] != position["label"] for row in rows for position in row[1:])


@pytest.mark.parametrize("on", ["summary", "full", *CONTROLS])
def test_students_are_trained_and_measured_on_text(place: Path, tmp_path: Path, on: str):
    out = tmp_path / "s.safetensors"
    read("train", place / "out", "--on", on, "--out", out)
    found = json.loads(read("evaluate", out, "--json"))
    assert set(found["metrics"]) == {"perplexity", "accuracy", "bits per byte"}
    assert found["stride"] == 3
    assert "each token predicted once" in " ".join(read("evaluate", out, "--on", "valid").split())


def test_the_stride_says_how_much_context_each_token_has(place: Path, tmp_path: Path):
    out = tmp_path / "s.safetensors"
    read("train", place / "out", "--out", out)
    found = {n: json.loads(read("evaluate", out, "--stride", str(n), "--json")) for n in (1, 5)}
    assert [(one["stride"], one["context"]) for one in found.values()] == [(1, 5), (5, 1)]
    assert found[1]["metrics"] != found[5]["metrics"]
    result = run("evaluate", out, "--stride", "6")
    assert result.exit_code == 2
    assert "stride must be in 1..5, the model's length, not 6" in result.stderr


def test_plan_and_describe_take_a_text(place: Path):
    text = read("plan", place / "corpus.txt", "--recipe", place / "recipe.yaml")
    assert re.search(r"vocabulary +12\b", text)
    facts = json.loads(read("data", "describe", place / "corpus.txt", "--tokens", "spaces", "--json"))
    assert sum(facts["split"][part]["lines"] for part in ("train", "valid", "test")) == 300


def test_a_log_that_is_a_text_is_pointed_out(place: Path):
    result = run("data", "describe", place / "corpus.txt")
    assert result.exit_code == 2
    assert "--tokens words" in result.stderr
