"""The examples that train on `summary.dataset()`: plain PyTorch, Lightning, and Hugging Face's Trainer."""

import importlib
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import farzi
from examples import pytorch_loop
from tests.docs.small import SMALL, write_events


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mine")
    write_events(place / "events.csv")
    recipe = farzi.presets.LOG.changed({**SMALL, "teach.max_steps": 150, "outer.steps": 0})
    farzi.distill(farzi.load_log(place / "events.csv"), recipe, out=place / "summary")
    return place / "summary"


def excess_of(summary: farzi.Summary, table: nn.Parameter | Any, scores: Any) -> float:
    """The loss of a model on the whole summary, beyond the least that is possible."""
    inputs, labels = summary.to_torch().tensors
    entropy = -torch.special.xlogy(labels, labels).sum(-1).mean()
    with torch.no_grad():
        return float(pytorch_loop.soft_loss(scores(inputs @ table), labels) - entropy)


def test_plain_pytorch(folder: Path, capsys: pytest.CaptureFixture[str]):
    figures = pytorch_loop.main(str(folder), epochs=60)
    assert figures["HR@10"] > 0.4  # of 40 items at random: 0.25
    assert "HR@10" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_lightning(folder: Path):
    pytest.importorskip("lightning", reason="Lightning is not installed: pip install lightning")
    example: Any = importlib.import_module("examples.lightning_module")
    summary = farzi.Summary.load(folder)
    first, net = (example.main(str(folder), epochs=count) for count in (1, 40))
    losses = [excess_of(summary, one.embedding.weight, one) for one in (first, net)]
    assert losses[1] < 0.6 * losses[0]


@pytest.mark.filterwarnings("ignore")
def test_hugging_face(folder: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("accelerate", reason="the Trainer needs accelerate: pip install accelerate")
        pytest.importorskip("transformers", reason="transformers is not installed: pip install 'farzi[hf]'")
        example: Any = importlib.import_module("examples.huggingface_trainer")
    summary = farzi.Summary.load(folder)
    models = [example.main(str(folder), epochs=count) for count in (1, 40)]
    losses = [
        excess_of(
            summary,
            model.get_input_embeddings().weight,
            lambda embedded, model=model: model(inputs_embeds=embedded).logits,
        )
        for model in models
    ]
    assert losses[1] < 0.6 * losses[0]
