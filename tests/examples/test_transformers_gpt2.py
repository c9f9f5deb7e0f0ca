"""The example that trains a GPT-2 of `transformers` on a summary: it runs, and saves an ordinary model."""

import importlib
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi.data import Text, load_text
from farzi.errors import FarziError
from farzi.recipe import Inner, Outer, Recipe
from farzi.recipe.variants import TextData, Transformer
from farzi.summary import LANGUAGE, Summary, SummaryTensors

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers: Any = pytest.importorskip("transformers")
    example: Any = importlib.import_module("examples.transformers_gpt2")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A text of 400 short sentences."""
    rng = np.random.default_rng(0)
    words = ["people", "of", "the", "house", "and", "senate", "give", "peace", "law", "year"]
    path = tmp_path / "text.txt"
    lines = (" ".join(rng.choice(words, size=rng.integers(3, 9))) + " ." for _ in range(400))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def text(file: Path) -> Text:
    return load_text(TextData(source=str(file), tokens="words"))


def summary_with(text: Text, tied: bool) -> Summary:
    generator = torch.Generator().manual_seed(0)
    size = len(text.vocabulary)
    summary = SummaryTensors(
        torch.randn(6, 9, 3, generator=generator), 2 * torch.randn(3, size, generator=generator)
    )
    student = Transformer(hidden=8, heads=2, tied=tied)
    return Summary(
        summary,
        text.vocabulary,
        Recipe(student=student, inner=Inner(steps=10, batch=4), outer=Outer(window=5)),
    )


def test_it_runs(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model"
    results = example.main(["--data", str(file), "--quick", "--out", str(out)])
    assert set(results) == {"untrained", "summary", "text"}
    assert all(math.isfinite(value) and value > 1 for value in results.values())
    assert "perplexity" in capsys.readouterr().out
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    text = load_text(TextData(source=str(file), tokens="words"))
    assert example.perplexity(model, text.test) == pytest.approx(results["summary"], rel=1e-6)


def test_an_earlier_summary(text: Text, file: Path, tmp_path: Path) -> None:
    summary = summary_with(text, tied=False)
    data = TextData(source=str(file), tokens="words")
    recipe = summary.recipe.model_copy(update={"data": data})
    Summary(summary.tensors, text.vocabulary, recipe, run={"task": LANGUAGE}).save(tmp_path / "mine")
    results = example.main(["--summary", str(tmp_path / "mine"), "--steps", "5", "--tokens", "500"])
    assert all(math.isfinite(value) for value in results.values())
    Summary(summary.tensors, text.vocabulary, recipe).save(tmp_path / "mine")
    with pytest.raises(FarziError, match="a summary of a log"):
        example.main(["--summary", str(tmp_path / "mine")])


@pytest.mark.parametrize("tied", [True, False])
def test_the_saved_model_is_the_student(text: Text, tmp_path: Path, tied: bool) -> None:
    summary = summary_with(text, tied)
    config = example.gpt2_config(summary, text)
    torch.manual_seed(0)
    fresh = transformers.GPT2LMHeadModel(config)
    first = fresh.lm_head.weight.clone()
    student = example.train_on_summary(fresh, summary, 1.0, 0)
    assert torch.equal(fresh.lm_head.weight, first)
    example.as_transformers(student, config).save_pretrained(tmp_path / "model")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    ids = torch.randint(1, len(text.vocabulary), (4, student.length))
    with torch.no_grad():
        found, right = model(input_ids=ids).logits, student(ids)
    torch.testing.assert_close(found[..., 1:], right[..., 1:], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found, fresh(input_ids=ids).logits, atol=1e-3)  # it was trained


def test_perplexity_predicts_each_token_once(text: Text) -> None:
    """Against one forward pass a token, of the window that the docstring says."""
    torch.manual_seed(0)
    config = example.gpt2_config(summary_with(text, tied=False), text)
    config.initializer_range = 0.5
    model = transformers.GPT2LMHeadModel(config).eval()
    length, stride = config.n_positions, config.n_positions // 2
    losses = []
    for document in text.valid.texts:
        row = torch.tensor([text.valid.start, *document])
        for place in range(1, len(row)):
            begin = -(-max(0, place - length + 1) // stride) * stride
            assert place < length or place - begin >= length - stride
            with torch.no_grad():
                logits = model(input_ids=row[None, begin:place]).logits[0, -1].double()
            losses.append(float(logits.logsumexp(0) - logits[row[place]]))
    assert len(losses) == len(text.valid)
    assert example.perplexity(model, text.valid, batch=7) == pytest.approx(
        math.exp(np.mean(losses)), rel=1e-5
    )
