"""Summaries and models that somebody else wrote: whole, with the right checksums, and wrong inside.

Each change is refused in one line before anything as large as it claims is allocated.
"""

import json
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import farzi
from farzi.data import Log
from farzi.errors import FarziError
from farzi.files import parse_json, sha256
from farzi.models import Model, build_model
from farzi.recipe import Recipe
from farzi.recipe import variants as v
from farzi.summary import Size, Summary, TransitionInitializer
from farzi.tensorfile import check_tensors, read_tensors, write_tensors

Tensors = dict[str, Tensor]
Words = dict[str, str]
SUMMARY, MODEL = "farzi-summary-2", "farzi-model-1"
DEEP = "[" * 100_000 + "]" * 100_000
WRONG_TYPES = (torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.bool)
few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(tiny: Log, recipe: Recipe, tmp_path: Path) -> Path:
    size = Size(4, 5, 4, len(tiny.vocabulary), 0.3)
    tensors = TransitionInitializer()(size, tiny.train, np.random.default_rng(0))
    tensors = type(tensors)(tensors.latents, tensors.decoder, 0.3, tensors.decoder.clone())
    history = [{"outer_step": 0, "best": True, "relative_to_full": {"HR@10": 0.5}}]
    Summary(tensors, tiny.vocabulary, recipe, history, {"task": "recommendation", "seconds": 1.0}).save(
        tmp_path / "summary"
    )
    return tmp_path / "summary"


def model_file(tiny: Log, path: Path, student: v.StudentVariant | None = None) -> Path:
    student = student or v.SASRec(hidden=4)
    network = build_model(student, len(tiny.vocabulary), 5)
    Model(network, student, tiny.vocabulary, v.LogData(source="log.csv"), "summary", 1.0, 3).save(path)
    return path


def refused(load: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(FarziError) as caught:
        load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path.name) in line
    return line


def seal(folder: Path) -> None:
    """Checksums made again."""
    names = (folder / "SHA256SUMS").read_text().split()[1::2]
    (folder / "SHA256SUMS").write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names))


def forge(folder: Path, name: str, content: bytes | str) -> None:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    seal(folder)


def forge_tensors(folder: Path, change: Callable[[Tensors], Tensors], words: Words | None = None) -> None:
    path = folder / "summary.safetensors"
    tensors, metadata = read_tensors(path, SUMMARY, "")
    write_tensors(path, SUMMARY, change(tensors), metadata if words is None else words)
    seal(folder)


# Tensors


def mutations(names: list[str]) -> list[Any]:
    """Each tensor missing, of another type, of another shape, and with a number that is not finite."""

    def with_(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Tensors], Tensors]:
        return lambda tensors: {**tensors, name: change(tensors[name])}

    def one(value: float) -> Callable[[Tensor], Tensor]:
        def change(tensor: Tensor) -> Tensor:
            tensor = tensor.clone()
            tensor.view(-1)[-1] = value
            return tensor

        return change

    cases: list[Any] = [pytest.param(lambda tensors: {**tensors, "x": torch.ones(1)}, id="extra")]
    for name in names:
        optional = name in ("label_decoder",)
        if not optional:
            cases.append(
                pytest.param(lambda t, n=name: {k: v for k, v in t.items() if k != n}, id=f"no-{name}")
            )
        changes: dict[str, Callable[[Tensor], Tensor]] = {
            **{str(dtype): (lambda tensor, dtype=dtype: tensor.to(dtype)) for dtype in WRONG_TYPES},
            "number": lambda tensor: torch.tensor(1.0),
            "empty": lambda tensor: tensor[:0],
            "more": lambda tensor: tensor.unsqueeze(0),
            "longer": lambda tensor: torch.cat([tensor, tensor], -1),
            "nan": one(float("nan")),
            "inf": one(-float("inf")),
        }
        cases += [pytest.param(with_(name, change), id=f"{name}-{kind}") for kind, change in changes.items()]
    return cases


@pytest.mark.parametrize("change", mutations(["latents", "decoder", "label_decoder"]))
def test_a_summary_with_other_tensors_is_refused(folder: Path, change: Callable[[Tensors], Tensors]):
    forge_tensors(folder, change)
    assert "restore it or distil again" in refused(lambda path: Summary.load(folder), folder)


@pytest.mark.parametrize("change", mutations(["network.embedding", "network.norm.gain"]))
def test_a_model_with_other_tensors_is_refused(tiny: Log, tmp_path: Path, change: Any):
    path = model_file(tiny, tmp_path / "m.safetensors")
    tensors, words = read_tensors(path, MODEL, "")
    write_tensors(path, MODEL, change(tensors), words)
    assert "train the model again" in refused(Model.load, path)


def test_what_tensors_must_be_is_said_by_name():
    kinds = {"a": (torch.float32, (2, None))}
    check_tensors({"a": torch.ones(2, 7)}, kinds)
    for tensors, line in [
        ({}, "a is missing"),
        ({"a": torch.ones(2, 7), "b": torch.ones(1)}, "b is unknown"),
        ({"a": torch.ones(2, 0)}, r"a must be float32 \(2, any\), not float32 \(2, 0\)"),
        ({"a": torch.ones(2)}, r"a must be float32 \(2, any\), not float32 \(2\)"),
        ({"a": torch.ones(2, 2, dtype=torch.int8)}, r"not int8 \(2, 2\)"),
        ({"a": torch.full((2, 2), torch.nan)}, "a holds numbers that are not finite"),
    ]:
        with pytest.raises(ValueError, match=line):
            check_tensors(tensors, kinds)


# What stands beside a summary's tensors


@pytest.mark.parametrize("word", ["hot", "0", "-1", "inf", "nan", "1e999", ""])
def test_a_temperature_is_a_positive_number(folder: Path, word: str):
    forge_tensors(folder, dict, {"temperature": word})
    assert "temperature" in refused(lambda path: Summary.load(folder), folder / "summary.safetensors")


@pytest.mark.parametrize("text", ["x", "[]", "3", "", DEEP, b'"\xe9"', '{"seconds": NaN}', '{"a": 1e999}'])
@pytest.mark.parametrize("name", ["run.json", "history.jsonl"])
def test_json_is_an_object_of_bounded_depth(folder: Path, name: str, text: str | bytes):
    if name == "history.jsonl" and text == "":
        return  # no validations
    forge(folder, name, text)
    line = refused(lambda path: Summary.load(folder), folder / name)
    assert f"{name}:1: " in line or name == "run.json"


@pytest.mark.parametrize(
    ("name", "facts", "where"),
    [
        ("run.json", {"seconds": "1"}, "seconds"),
        ("run.json", {"seconds": -1}, "seconds"),
        ("run.json", {"outer_steps": 1.5}, "outer_steps"),
        ("run.json", {"task": 3}, "task"),
        ("run.json", {"data_sha256": []}, "data_sha256"),
        ("run.json", {"stages": []}, "stages"),
        ("run.json", {"stages": {"refine": 1}}, "stages.refine"),
        ("history.jsonl", {}, "outer_step"),
        ("history.jsonl", {"outer_step": "1"}, "outer_step"),
        ("history.jsonl", {"outer_step": 1, "best": "yes"}, "best"),
        ("history.jsonl", {"outer_step": 1, "relative_to_full": [1]}, "relative_to_full"),
    ],
)
def test_facts_have_their_types(folder: Path, name: str, facts: dict[str, Any], where: str):
    forge(folder, name, json.dumps(facts))
    assert f"{where}: " in refused(lambda path: Summary.load(folder), folder / name)


def test_a_vocabulary_of_another_size_is_not_read(folder: Path):
    rows = pl.DataFrame({"index": pl.zeros(10**6, dtype=pl.UInt32, eager=True)})
    rows.write_parquet(folder / "vocabulary.parquet")
    seal(folder)
    line = refused(lambda path: Summary.load(folder), folder / "vocabulary.parquet")
    assert "has 1,000,000 rows, not 41" in line


@pytest.mark.parametrize(
    "header",
    [
        [],
        {},
        {"__metadata__": {"format": SUMMARY, "names": DEEP, "sha256": "x"}},
        {"__metadata__": {"format": SUMMARY, "names": "[[1]]", "sha256": "x"}},
        {"latents": {"dtype": "F32", "shape": [2**30, 2**28], "data_offsets": [0, 2**60]}},
    ],
)
def test_a_header_without_its_tensors_is_refused(folder: Path, header: Any):
    data = json.dumps(header).encode()
    forge(folder, "summary.safetensors", struct.pack("<Q", len(data)) + data)
    refused(lambda path: Summary.load(folder), folder / "summary.safetensors")


@few
@given(seed=st.integers(0, 2**32), name=st.sampled_from(["summary.safetensors", "run.json", "history.jsonl"]))
def test_random_damage_is_one_line(folder: Path, tmp_path: Path, seed: int, name: str):
    draw, copy = random.Random(seed), tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    data = bytearray((copy / name).read_bytes())
    for _ in range(draw.randint(1, 4)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    forge(copy, name, bytes(data[: draw.choice([len(data), draw.randrange(len(data))])]))
    with suppress(FarziError):  # nothing else may be raised; a digit for another is not noticed
        Summary.load(copy)


def test_values_of_json_are_what_is_asked_for():
    assert parse_json(b'{"a": 1.5}') == {"a": 1.5}
    assert parse_json("[1]", list) == [1]
    with pytest.raises(ValueError, match="a dict is needed, not a list"):
        parse_json("[]")


# Models


def with_words(**changes: str) -> Callable[[Tensors, Words], tuple[Tensors, Words]]:
    return lambda tensors, words: (tensors, {**words, **changes})


def with_student(**changes: Any) -> Callable[[Tensors, Words], tuple[Tensors, Words]]:
    return lambda tensors, words: (
        tensors,
        {**words, "student": json.dumps({**json.loads(words["student"]), **changes})},
    )


def with_vocabulary(change: Callable[[Any], Any]) -> Callable[[Tensors, Words], tuple[Tensors, Words]]:
    def forged(tensors: Tensors, words: Words) -> tuple[Tensors, Words]:
        made = change(json.loads(zlib.decompress(tensors["vocabulary"].numpy().tobytes())))
        data = zlib.compress(made if isinstance(made, bytes) else json.dumps(made).encode())
        return {**tensors, "vocabulary": torch.frombuffer(bytearray(data), dtype=torch.uint8)}, words

    return forged


CLAIMS = {
    **{f"length {one}": with_words(length=one) for one in ("1000000000000", "10000000", "0", "-1", "x", "")},
    **{f"{name} {one}": with_words(**{name: one}) for name in ("seconds", "steps") for one in ("nan", "-1")},
    **{f"hidden {one}": with_student(hidden=one) for one in (8, 10**9, 10**30, "x")},
    **{f"layers {one}": with_student(layers=one) for one in (2, 10**4, 10**6)},
    "heads": with_student(heads=3),
    "untied": with_student(tied=False),
    "another architecture": with_student(type="gru"),
    "student nested deeply": with_words(student=DEEP),
    "data a list": with_words(data="[]"),
    "vocabulary a list": with_vocabulary(lambda columns: []),
    "vocabulary nested deeply": with_vocabulary(lambda columns: DEEP.encode()),
    "vocabulary shorter": with_vocabulary(lambda columns: {k: one[:-1] for k, one in columns.items()}),
    "ids shorter": with_vocabulary(lambda columns: {**columns, "id": columns["id"][:-1]}),
    "ids numbers": with_vocabulary(lambda columns: {**columns, "id": list(range(41))}),
    "ids twice": with_vocabulary(lambda columns: {**columns, "id": ["", "a", "a", *columns["id"][3:]]}),
    "ids missing": with_vocabulary(lambda columns: {**columns, "id": ["", None, *columns["id"][2:]]}),
    "ids no text": with_vocabulary(lambda columns: {**columns, "id": ["", "\ud800", *columns["id"][2:]]}),
    "counts negative": with_vocabulary(lambda columns: {**columns, "count": [-1] * 41}),
    "counts huge": with_vocabulary(lambda columns: {**columns, "count": [10**30] * 41}),
    "no names": with_vocabulary(lambda columns: {"id": columns["id"], "count": columns["count"]}),
    "a bomb": with_vocabulary(lambda columns: b" " * 2**26),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_a_model_claims_is_compared_with_its_weights(tiny: Log, tmp_path: Path, claim: str):
    path = model_file(tiny, tmp_path / "m.safetensors")
    write_tensors(path, MODEL, *CLAIMS[claim](*read_tensors(path, MODEL, "")))
    refused(Model.load, path)


@pytest.mark.parametrize("name", ["student", "length", "data", "trained_on", "seconds", "steps"])
def test_a_header_is_complete(tiny: Log, tmp_path: Path, name: str):
    path = model_file(tiny, tmp_path / "m.safetensors")
    tensors, words = read_tensors(path, MODEL, "")
    write_tensors(path, MODEL, tensors, {key: value for key, value in words.items() if key != name})
    assert f"{name} is missing" in refused(Model.load, path)


@pytest.mark.parametrize("kind", [v.GRU4Rec, v.FMLPRec, v.LSTM, v.Transformer])
def test_no_architecture_allocates_a_claimed_length(tiny: Log, tmp_path: Path, kind: type[Any]):
    path = model_file(tiny, tmp_path / "m.safetensors", kind(hidden=4))
    assert isinstance(farzi.Model.load(path), Model)
    tensors, words = read_tensors(path, MODEL, "")
    write_tensors(path, MODEL, tensors, {**words, "length": str(10**7)})
    assert "length 10,000,000 is more than" in refused(Model.load, path)
