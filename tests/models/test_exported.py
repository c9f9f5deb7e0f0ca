"""Models that leave the package: ONNX, exported programs, folders and repositories of Hugging Face."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from farzi.data import Vocabulary, pad_left
from farzi.errors import FarziError
from farzi.models import Model, build_model, exported
from farzi.models.recurrence import gru_scan, lstm_scan
from farzi.recipe.variants import LogData

from .kinds import settings

KINDS = [
    {"type": "sasrec", "heads": 2},
    {"type": "gru4rec"},
    {"type": "sasrec", "layers": 2, "block": "gated", "positions": "rotary", "tied": False},
    {"type": "lstm"},
    {"type": "fmlprec"},
    {"type": "transformer", "block": "published"},
]
each_kind = pytest.mark.parametrize(
    "own",
    [pytest.param(own, marks=[pytest.mark.long] * (place > 1)) for place, own in enumerate(KINDS)],
    ids=["-".join(map(str, own.values())) for own in KINDS],
)
LISTS = [[3, 7, 2], [5], [1, 2, 3, 4, 5, 6, 7, 8], [9, 9]]


def model(**own: Any) -> Model:
    """A model of 12 items, of which the last was never trained on, and histories of 5."""
    items = pl.DataFrame({"item": [str(k) for k in range(1, 13)]})
    vocabulary = Vocabulary.from_events(items)
    vocabulary = vocabulary.with_counts(np.array([0, *[1] * 11, 0]))
    torch.manual_seed(0)
    student = settings(hidden=8, **(own or {"type": "sasrec"}))
    return Model(build_model(student, len(vocabulary), 5), student, vocabulary, LogData(), "summary", 1.5, 7)


def check(of: Model, scores: torch.Tensor) -> None:
    """The scores of `LISTS` are the model's own; what is never recommended has none."""
    histories = torch.from_numpy(pad_left([np.array(one) for one in LISTS], 5))
    wanted = of.network.next_scores(histories)
    wanted[:, of.vocabulary.untrained] = -torch.inf
    torch.testing.assert_close(scores, wanted, rtol=1e-4, atol=1e-5)


@each_kind
def test_an_exported_program_needs_no_farzi_and_gives_the_same_scores(own: dict[str, Any], tmp_path: Path):
    of = model(**own)
    of.to_exported(tmp_path / "model.pt2")
    extra = {"item_ids.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    assert json.loads(extra["item_ids.json"]) == of.vocabulary.frame["id"].to_list()
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not [name for name in names if "farzi" in name]
    histories = torch.from_numpy(pad_left([np.array(one) for one in LISTS], 5))
    check(of, program.module()(histories))


@pytest.mark.long
def test_a_program_runs_in_a_process_without_farzi(tmp_path: Path):
    model(type="gru4rec").to_exported(tmp_path / "model.pt2")
    code = (
        "import sys, torch; program = torch.export.load('model.pt2').module();"
        "print(tuple(program(torch.ones(9, 5, dtype=torch.long)).shape), 'farzi' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(9, 13) False"


@each_kind
def test_an_onnx_file_gives_the_same_scores(own: dict[str, Any], tmp_path: Path):
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    runtime: Any = pytest.importorskip("onnxruntime")
    of = model(**own)
    of.to_onnx(tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    histories = pad_left([np.array(one) for one in LISTS], 5)
    check(of, torch.from_numpy(session.run(None, {"histories": histories})[0]))
    ids = session.get_modelmeta().custom_metadata_map["item_ids"]
    assert json.loads(ids) == of.vocabulary.frame["id"].to_list()
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("scan", "steps", "parts"), [(gru_scan, "_gru_steps", 3), (lstm_scan, "_lstm_steps", 4)]
)
def test_steps_of_a_recurrence_are_those_of_its_operation(scan: Any, steps: str, parts: int):
    x, weight = (
        torch.randn(6, 3, parts * 4, dtype=torch.float64),
        torch.randn(parts * 4, 4, dtype=torch.float64),
    )
    given = (x, weight, torch.randn(4, dtype=torch.float64)) if parts == 3 else (x, weight)
    torch.testing.assert_close(getattr(exported, steps)(*given), scan(*given))


def test_a_program_that_computes_something_else_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(exported, "_gru_steps", lambda x, weight, bias: torch.zeros_like(x[..., :8]))
    with pytest.raises(FarziError, match="does not compute what the model does"):
        model(type="gru4rec").to_exported(tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_onnx_without_its_packages_says_how_to_install_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(FarziError, match=r"pip install 'farzi\[onnx\]'"):
        model().to_onnx(tmp_path / "model.onnx")


def test_a_folder_of_hugging_faces_form_gives_the_model_back(tmp_path: Path):
    of = model(type="gru4rec")
    of.save_pretrained(tmp_path / "new" / "model")
    assert sorted(one.name for one in (tmp_path / "new" / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    config = json.loads((tmp_path / "new" / "model" / "config.json").read_text())
    assert (config["model_type"], config["length"], config["vocabulary_size"]) == ("gru4rec", 5, 13)
    again = Model.from_pretrained(tmp_path / "new" / "model")
    assert again.recommend([["3", "7"]], k=4).equals(of.recommend([["3", "7"]], k=4))
    assert (again.steps, again.seconds, again.data) == (of.steps, of.seconds, of.data)


def test_a_folder_that_does_not_fit_is_refused(tmp_path: Path):
    model(type="gru4rec").save_pretrained(tmp_path / "gru")
    config = tmp_path / "gru" / "config.json"
    config.write_text(config.read_text().replace('"length": 5', '"length": 6'))
    with pytest.raises(FarziError, match=r"config\.json: length is not that of model\.safetensors"):
        Model.from_pretrained(tmp_path / "gru")
    config.unlink()
    with pytest.raises(FarziError, match=r"config\.json: cannot be read"):
        Model.from_pretrained(tmp_path / "gru")
    with pytest.raises(FarziError, match=r"nowhere: no such folder"):
        Model.from_pretrained("nowhere")


def test_a_repository_of_the_hub_is_read_from_where_the_hub_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hub: Any = pytest.importorskip("huggingface_hub")
    of, asked = model(), []
    of.save_pretrained(tmp_path / "cache")

    def snapshot(*given: Any, **more: Any) -> str:
        asked.append((*given, more["repo_type"], more["revision"]))
        return str(tmp_path / "cache")

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    again = Model.from_pretrained("me/mine", revision="v1")
    assert again.recommend([["3"]], k=2).equals(of.recommend([["3"]], k=2))
    assert asked == [("me/mine", "model", "v1")]
