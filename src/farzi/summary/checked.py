"""What is read from a summary's folder, which others may have written, held against what it must be."""

import math
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt
from torch import Tensor

from farzi.files import parse_json
from farzi.summary.precision import DTYPES, SCALE, restored
from farzi.summary.tensors import SummaryTensors
from farzi.tensorfile import Kind, check_tensors


class _Facts(BaseModel):
    """What this package reads of the JSON beside a summary, and its types; anything else may be there."""

    model_config = ConfigDict(strict=True)


class Line(_Facts):
    """A line of history.jsonl."""

    outer_step: NonNegativeInt
    best: bool = False
    relative_to_full: dict[str, float | None] = {}


class _Refine(_Facts):
    stopped_by_probe: bool = False


class _Stages(_Facts):
    refine: _Refine = _Refine()


class Run(_Facts):
    """run.json."""

    task: str = ""
    seconds: NonNegativeFloat | None = None
    outer_steps: NonNegativeInt | None = None
    data_sha256: str | None = None
    stages: _Stages = _Stages()


def checked_facts(kind: type[_Facts], text: bytes) -> dict[str, Any]:
    """The JSON object in a text. Raises ValueError if it is none, or a value is of another type."""
    facts = parse_json(text)
    kind.model_validate(facts)
    return facts


def checked_tensors(tensors: dict[str, Tensor], word: str) -> SummaryTensors:
    """The summary of tensors that were read; `word` is its temperature as text.

    Raises:
        ValueError: a tensor is missing, unknown, of another type or shape, or not finite, or the temperature
            or a scale is no positive number.
    """
    try:
        temperature = float(word)
    except ValueError:
        temperature = math.nan
    if not 0 < temperature < math.inf:
        raise ValueError(f"its temperature must be a positive number, not {word}")
    latents, decoder = (tensors.get(name, torch.empty(0)) for name in ("latents", "decoder"))
    dim, vocabulary = latents.shape[-1:], decoder.shape[-1:]
    full = decoder.ndim == 2 and len(decoder) == 0
    dtype = latents.dtype if latents.dtype in DTYPES else torch.float32
    kinds: dict[str, Kind] = {
        "latents": (dtype, (None, None, *(vocabulary if full else (None,)))),
        "decoder": (dtype, (*((0,) if full else dim), None)),
    }
    if "label_decoder" in tensors:
        kinds["label_decoder"] = (dtype, (*dim, *vocabulary))
    if dtype in DTYPES:
        for name in tuple(kinds):
            shape = (1, 1, *dim) if name == "latents" else (*decoder.shape[:1], 1)
            kinds[name + SCALE] = (torch.float32, shape)
    check_tensors(tensors, kinds)
    for name, value in tensors.items():
        if name.endswith(SCALE) and not (value > 0).all():
            raise ValueError(f"{name} holds numbers that are not positive")
    parts = restored(tensors)
    check_tensors(parts, {name: (torch.float32, part.shape) for name, part in parts.items()})
    if latents.shape[1] < 2 or vocabulary[0] < 2:
        raise ValueError("a summary has at least two positions in a sequence, and one event beside padding")
    return SummaryTensors(**parts, temperature=temperature, precision=DTYPES.get(dtype, "float32"))
