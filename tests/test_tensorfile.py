"""Tensors in a file: they come back unchanged, the bytes are reproducible, and damage is noticed."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from farzi.errors import FarziError
from farzi.tensorfile import read_tensors, write_tensors

METADATA = {"b": "two words", "a": "ü, \\ and \n", "": ""}


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    vector = torch.arange(12.0)
    return {
        "views/b": vector[:4].view(2, 2),
        "views/a": vector[2:8],
        "turned": torch.arange(6, dtype=torch.float64).view(2, 3).T,
        "none": torch.zeros(0, 3),
        "scalar": torch.tensor(-0.0),
        "whole": torch.tensor([2**40, -1]),
        "half": torch.tensor([1.5, torch.nan], dtype=torch.bfloat16),
        "learnt": torch.ones(2, requires_grad=True),
    }


def test_everything_comes_back_in_its_order(tmp_path: Path, tensors: dict[str, torch.Tensor]):
    write_tensors(tmp_path / "file", "test-1", tensors, METADATA)
    result, metadata = read_tensors(tmp_path / "file", "test-1", "")
    assert metadata == METADATA
    assert list(result) == list(tensors)
    for name, value in tensors.items():
        assert result[name].dtype == value.dtype
        torch.testing.assert_close(result[name], value.detach(), rtol=0, atol=0, equal_nan=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path, tensors: dict[str, torch.Tensor]):
    contents = set()
    for k in range(5):
        metadata = dict(sorted(METADATA.items(), reverse=k % 2 == 0))
        write_tensors(tmp_path / str(k), "test-1", tensors, metadata)
        contents.add((tmp_path / str(k)).read_bytes())
    assert len(contents) == 1


def test_other_readers_understand_it(tmp_path: Path, tensors: dict[str, torch.Tensor]):
    write_tensors(tmp_path / "file", "test-1", tensors, METADATA)
    result = safetensors.torch.load((tmp_path / "file").read_bytes())
    assert set(result) == set(tensors)
    assert torch.equal(result["turned"], tensors["turned"])
    data = (tmp_path / "file").read_bytes()
    size = int.from_bytes(data[:8], "little")
    assert size % 8 == 0
    assert json.loads(data[8 : 8 + size])["__metadata__"]["format"] == "test-1"


def refusal(path: Path, format: str = "test-1") -> str:
    with pytest.raises(FarziError) as caught:
        read_tensors(path, format, "do this")
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert line.endswith("; do this")
    assert "\n" not in line
    return line


def test_no_flipped_bit_passes(tmp_path: Path):
    write_tensors(tmp_path / "file", "test-1", {"b": torch.ones(3), "a": torch.zeros(2)}, {"word": "1.0"})
    whole = (tmp_path / "file").read_bytes()
    rng = np.random.default_rng(0)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "file").write_bytes(damaged)
        refusal(tmp_path / "file")


def test_no_truncated_file_passes(tmp_path: Path):
    write_tensors(tmp_path / "file", "test-1", {"b": torch.ones(3)}, {"word": "1.0"})
    whole = (tmp_path / "file").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "file").write_bytes(whole[:size])
        refusal(tmp_path / "file")


def test_files_of_another_format_or_none_are_refused(tmp_path: Path):
    write_tensors(tmp_path / "file", "test-2", {"b": torch.ones(3)}, {})
    assert "its format is test-2, this version of Farzi reads test-1" in refusal(tmp_path / "file")
    safetensors.torch.save_file({"b": torch.ones(3)}, tmp_path / "plain")
    assert "its format is none, this version of Farzi reads test-1" in refusal(tmp_path / "plain")
    safetensors.torch.save_file({"b": torch.ones(3)}, tmp_path / "bare", {"format": "test-1"})
    assert "checksum" in refusal(tmp_path / "bare")


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"__metadata__": None},
        {"__metadata__": {"format": "test-1", "names": "[]"}},
        {"__metadata__": {"format": "test-1", "names": "[[]]", "sha256": ""}},
        {"__metadata__": {"format": "test-1", "names": "5", "sha256": ""}},
        {"a": {"dtype": "F4", "shape": [0], "data_offsets": [0, 0]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}},
    ],
)
def test_headers_made_with_ill_will_are_refused(tmp_path: Path, header: object):
    text = json.dumps(header).encode()
    (tmp_path / "file").write_bytes(len(text).to_bytes(8, "little") + text)
    refusal(tmp_path / "file")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path):
    assert "cannot be read" in refusal(tmp_path)
