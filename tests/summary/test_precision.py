"""The precision of a summary's file: what is lost, what is not, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor

from farzi.data import Log
from farzi.distillation import distill
from farzi.distillation import run as runs
from farzi.distillation.select import Validation, validate
from farzi.errors import FarziError
from farzi.files import sha256
from farzi.recipe import Precision, Recipe
from farzi.summary import Summary, SummaryTensors
from farzi.tensorfile import read_tensors, write_tensors

PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
FEWER = PRECISIONS[1:]
FORMAT = "farzi-summary-2"


def tensors(size: int = 41) -> SummaryTensors:
    """Dimensions of very different sizes, one of zeros, numbers that round up to the next power of two."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(6, 5, 8, generator=generator)
    decoder = torch.randn(8, size, generator=generator)
    scales = torch.tensor([1.0, 1e30, 1e-30, 0.0, 1e38, 1e-42, 1.0, 3.0])
    decoder *= (scales / decoder.abs().amax(1)).unsqueeze(1)
    decoder[6] = torch.where(decoder[6].abs() == 1, 1.9999, decoder[6] * 1e-5)
    latents[..., 0], latents[..., 1] = 0, latents[..., 1] * 1e-20
    return SummaryTensors(latents, decoder, 0.5, decoder.flip(0))


def same(one: SummaryTensors, other: SummaryTensors) -> bool:
    """Bit for bit, the precision included."""
    pairs = zip(one.parts.items(), other.parts.items(), strict=True)
    equal = all(name == twin and torch.equal(part, again) for (name, part), (twin, again) in pairs)
    return equal and (one.temperature, one.precision) == (other.temperature, other.precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounding_what_is_rounded_changes_no_bit(precision: Precision):
    once = tensors().rounded(precision)
    assert same(once.rounded(precision), once)
    # a product of 11 bits and 11 bits is exact in float32
    for name, part in once.parts.items():
        if precision != "float32":
            exact = once.stored[name].double() * once.stored[f"{name}_scale"].double()
            assert torch.equal(part.double(), exact)


@pytest.mark.parametrize("precision", FEWER)
def test_errors_are_those_of_the_format(precision: Precision):
    before = tensors()
    after = before.rounded(precision)
    for name, part in before.parts.items():
        value, scale = part.double(), after.stored[f"{name}_scale"].double()
        error = (after.parts[name].double() - value).abs()
        relative = torch.maximum(2**-11 * value.abs(), 2**-25 * scale)
        assert (error <= (scale / 2 if precision == "int8" else relative)).all()
        assert (after.parts[name][value == 0] == 0).all()
        if precision == "int8":  # the scale is no larger than it must be
            top = value.abs().amax((0, 1) if name == "latents" else 1)
            fits = top > 1e-35
            ratio = (127 * scale.flatten() / top)[fits]
            torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=2**-11, atol=0)


def test_a_number_that_is_not_finite_stays_so():
    for value in (float("inf"), float("nan")):
        latents = torch.ones(2, 3, 2)
        latents[0, 0, 0] = value
        for precision in FEWER:
            rounded = SummaryTensors(latents, torch.ones(2, 4)).rounded(precision)
            assert not rounded.latents[0, 0, 0].isfinite()
            assert rounded.latents[..., 1].isfinite().all()


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_folder_gives_back_the_rounded_numbers(
    tiny: Log, recipe: Recipe, tmp_path: Path, precision: Precision, full: bool
):
    rounded = tensors(len(tiny.vocabulary)).rounded(precision)
    if full:
        logits = torch.randn(2, 3, len(tiny.vocabulary))
        rounded = SummaryTensors(logits, logits.new_zeros(0, logits.shape[2])).rounded(precision)
    summary = Summary(rounded, tiny.vocabulary, recipe)
    summary.save(tmp_path / "once")
    loaded = Summary.load(tmp_path / "once")
    assert same(loaded.tensors, rounded)
    assert all(part.dtype == torch.float32 for part in loaded.tensors.parts.values())
    assert loaded.recipe == summary.recipe == recipe.changed({"summary.precision": precision})
    loaded.save(tmp_path / "twice")
    for path in (tmp_path / "once").iterdir():
        assert (tmp_path / "twice" / path.name).read_bytes() == path.read_bytes(), path.name
    file = load_file(tmp_path / "once" / "summary.safetensors")  # read without this package
    assert sum(value.nbytes for value in file.values()) == rounded.bytes
    for name, part in rounded.parts.items():
        read = file[name] * file.get(f"{name}_scale", np.float32(1))
        assert read.dtype == np.float32
        assert np.array_equal(read, part.numpy())


def test_numbers_that_are_not_rounded_yet_are_when_they_are_saved(tiny: Log, recipe: Recipe, tmp_path: Path):
    raw = replace(tensors(len(tiny.vocabulary)), precision="float16")
    Summary(raw, tiny.vocabulary, recipe).save(tmp_path)
    assert same(Summary.load(tmp_path).tensors, raw.rounded("float16"))


def test_bytes_are_those_of_the_file():
    rows, decoders = 6 * 5 * 8, 2 * 8 * 41
    scales = 4 * 3 * 8
    sizes = [tensors().rounded(precision).bytes for precision in PRECISIONS]
    assert sizes == [4 * (rows + decoders), 2 * (rows + decoders) + scales, rows + decoders + scales]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_run_validates_and_returns_what_is_stored(
    tiny: Log, recipe: Recipe, tmp_path: Path, precision: Precision, monkeypatch: pytest.MonkeyPatch
):
    validated: list[SummaryTensors] = []

    def recorded(summary: SummaryTensors, *others: object) -> Validation:
        validated.append(summary)
        return validate(summary, *others)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(runs, "validate", recorded)
    recipe = recipe.changed({"summary.precision": precision, "outer.steps": 3})
    result = distill(recipe, tmp_path, dataset=tiny)
    loaded = Summary.load(tmp_path)
    assert same(result.tensors, loaded.tensors)
    assert all(same(one.rounded(precision), one) for one in validated)
    best = [line for line in result.history if line["best"]][-1]
    again = validate(loaded.tensors, tiny, recipe, result.run["validation_full"])
    assert again.figures == best["validation"]


def test_a_folder_from_before_there_was_a_choice_is_in_float32(tiny: Log, recipe: Recipe, tmp_path: Path):
    before = tensors(len(tiny.vocabulary))
    Summary(before, tiny.vocabulary, recipe).save(tmp_path)
    path = tmp_path / "recipe.yaml"
    old, text = sha256(path), path.read_text()
    assert "  precision: float32\n" in text.partition("summary:")[2].partition("init:")[0]
    head, tail = text.split("summary:\n")
    path.write_text(head + "summary:\n" + tail.replace("  precision: float32\n", "", 1))
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(old, sha256(path)))
    loaded = Summary.load(tmp_path)
    assert same(loaded.tensors, before)
    assert loaded.recipe.summary.precision == "float32"


def zero(value: Tensor) -> Tensor:
    return value * 0


DAMAGES: dict[str, tuple[str, Callable[[Tensor], Tensor] | None, str]] = {
    "missing": ("decoder_scale", None, "decoder_scale is missing"),
    "zero": ("decoder_scale", zero, "decoder_scale holds numbers that are not positive"),
    "negative": ("latents_scale", torch.neg, "latents_scale holds numbers that are not positive"),
    "nan": ("latents_scale", lambda value: value * torch.nan, "latents_scale holds numbers that are not fin"),
    "huge": ("latents_scale", lambda value: zero(value) + 3e38, "latents holds numbers that are not finite"),
    "double": ("decoder_scale", Tensor.double, r"decoder_scale must be float32 \(8, 1\), not float64"),
    "short": ("decoder_scale", lambda value: value[:-1], r"decoder_scale must be float32 \(8, 1\), not"),
    "flat": (
        "latents_scale",
        Tensor.flatten,
        r"latents_scale must be float32 \(1, 1, 8\), not float32",
    ),
    "mixed": ("decoder", Tensor.float, "decoder must be .*, not float32"),
    "scalar": ("decoder", lambda value: value[0, 0], "decoder must be"),
    "bytes": ("latents", lambda value: value.view(torch.uint8), "latents must be float32|is unknown"),
}


@pytest.mark.parametrize("precision", FEWER)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_scales_are_refused_in_one_line(
    tiny: Log, recipe: Recipe, tmp_path: Path, damage: str, precision: Precision
):
    rounded = replace(tensors(len(tiny.vocabulary)), label_decoder=None).rounded(precision)
    rounded = replace(rounded, latents=rounded.latents + 7).rounded(precision)  # none of them is 0
    Summary(rounded, tiny.vocabulary, recipe).save(tmp_path)
    path = tmp_path / "summary.safetensors"
    name, change, expected = DAMAGES[damage]
    content, metadata = read_tensors(path, FORMAT, "")
    value, old = content.pop(name), sha256(path)
    write_tensors(path, FORMAT, content | ({} if change is None else {name: change(value)}), metadata)
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(old, sha256(path)))
    with pytest.raises(FarziError, match=expected) as caught:
        Summary.load(tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
