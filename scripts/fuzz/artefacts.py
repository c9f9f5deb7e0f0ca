"""Summaries, models, checkpoints and recipes: damaged, and forged with checksums that are right."""

import contextlib
import functools
import hashlib
import json
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import torch
import yaml

import farzi
from farzi.distillation import Progress
from farzi.recipe import presets
from farzi.summary import SummaryTensors
from farzi.tensorfile import read_tensors, write_tensors
from scripts.fuzz.case import LIKED, Case, changed_value, damaged

SMALL: dict[str, Any] = {
    "summary.sequences": 2,
    "summary.length": 4,
    "summary.parametrization.dim": 2,
    "init": "random",
    "inner.steps": 4,
    "inner.batch": None,
    "outer.window": 2,
    "outer.burn_in": 0,
    "outer.pool": 1,
    "outer.steps": 2,
    "outer.batch": 4,
    "outer.execution": "eager",
    "teach.max_steps": 2,
    "teach.validate_every": 1,
    "student.hidden": 4,
    "data.source": "log.csv",
    "data.unseen": "keep",
}


@functools.cache
def workshop() -> Path:
    """A folder with a sound summary, model, log and unfinished run, made once in each process."""
    place = Path(tempfile.mkdtemp(prefix="farzi-fuzz-"))
    rows = (f"u{u},i{(u * 3 + t) % 9},{t}\n" for u in range(12) for t in range(6))
    (place / "log.csv").write_text("user,item,time\n" + "".join(rows))
    log = farzi.load_log(place / "log.csv", unseen="keep")
    recipe = presets.LOG.changed({**SMALL, "data.source": str(place / "log.csv")})
    size, generator = len(log.vocabulary), torch.Generator().manual_seed(0)
    tensors = SummaryTensors(
        torch.randn(2, 4, 2, generator=generator), torch.randn(2, size, generator=generator)
    )
    summary = farzi.Summary(tensors, log.vocabulary, recipe, [], {"seconds": 1.0})
    summary.save(place / "summary")
    farzi.train(summary, steps=1).save(place / "model.safetensors")

    class Stop(Progress):
        def step(self, number: int, fraction: float, seconds: float, report: Any) -> None:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        farzi.distill(log, recipe, out=place / "run", progress=Stop())
    return place


def use_summary(path: Path) -> None:
    """Load a summary, and everything that only reads it."""
    summary = farzi.Summary.load(path)
    repr(summary)
    summary.to_frame(top=1)
    summary.top_events(2, 1)
    summary.soft_inputs()


def summary(rng: random.Random, folder: Path) -> Case:
    """A summary with one file damaged, removed or forged."""
    place = folder / "summary"
    shutil.copytree(workshop() / "summary", place)
    files = sorted(one for one in place.iterdir() if one.is_file())
    file, fate = rng.choice(files), rng.random()
    if fate < 0.15:
        file.unlink()
    elif fate < 0.4:
        file.write_bytes(damaged(file.read_bytes(), rng))
    else:
        _forge(place, rng)
        sums = place / "SHA256SUMS"
        names = [line.split("  ")[1] for line in sums.read_text().splitlines()]
        lines = (f"{hashlib.sha256((place / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
        sums.write_text("".join(lines))
    return Case(lambda: use_summary(place), words=["inspect", str(place)])


def _forge(place: Path, rng: random.Random) -> None:
    """Change the content of one file, so that only a reading with care can notice."""
    kind = rng.choice(["tensors", "vocabulary", "run.json", "history.jsonl", "recipe.yaml", "bytes"])
    if kind == "tensors":
        path = place / "summary.safetensors"
        path.write_bytes(_forged_tensors(path, rng))
    elif kind == "vocabulary":
        path = place / "vocabulary.parquet"
        _forged_frame(pl.read_parquet(path), rng).write_parquet(path)
    elif kind == "recipe.yaml":
        (place / kind).write_text(_changed_yaml((place / kind).read_text(), rng), "utf-8", "surrogatepass")
    elif kind == "bytes":
        path = place / rng.choice(["vocabulary.parquet", "run.json", "recipe.yaml", "summary.safetensors"])
        path.write_bytes(damaged(path.read_bytes(), rng))
    else:
        value = json.loads((place / kind).read_text() or "{}")
        (place / kind).write_text(json.dumps(changed_value(value, rng)) + "\n")


def _forged_tensors(path: Path, rng: random.Random) -> bytes:
    """A file of tensors of the same format, with a right checksum and one thing changed."""
    header_end = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8:header_end])["__metadata__"]
    tensors, words = read_tensors(path, header["format"], "")
    name = rng.choice(list(tensors))
    value = tensors[name]
    odd = [
        lambda: torch.full_like(value, 127 if not value.is_floating_point() else float("nan")),
        lambda: value.reshape(-1),
        lambda: value[:0],
        lambda: value.to(rng.choice([torch.int64, torch.float64, torch.float16, torch.bool])),
        lambda: value.unsqueeze(0),
        lambda: torch.zeros(()),
        lambda: value[..., :-1] if value.ndim else value,
    ]
    fate = rng.random()
    if fate < 0.5:
        tensors[name] = rng.choice(odd)()
    elif fate < 0.6:
        del tensors[name]
    elif fate < 0.7:
        tensors[rng.choice(["extra", *LIKED[:4]]) or "x"] = value
    elif words:
        key = rng.choice(list(words))
        try:
            forged = json.dumps(changed_value(json.loads(words[key]), rng))
        except ValueError:
            forged = rng.choice(LIKED)
        words = {**words, key: rng.choice([forged, forged, *rng.sample(LIKED, 1)])}
        if rng.random() < 0.2:
            del words[key]
    write_tensors(path, header["format"], tensors, words)
    return path.read_bytes()


def _forged_frame(frame: pl.DataFrame, rng: random.Random) -> pl.DataFrame:
    name = rng.choice(frame.columns)
    changes: list[Callable[[], pl.DataFrame]] = [
        lambda: frame.drop(name),
        lambda: frame.head(len(frame) - 1),
        lambda: frame.reverse(),
        lambda: frame.with_columns(pl.lit(None, frame.schema[name]).alias(name)),
        lambda: frame.with_columns(pl.col(name).cast(pl.String)),
        lambda: frame.with_columns(pl.lit(rng.choice(LIKED)).alias("name")),
        lambda: frame.with_columns(pl.col("id") + rng.choice(LIKED)),
        lambda: frame.with_columns(pl.col("count").cast(pl.Int64) - 5),
        lambda: frame.head(0),
    ]
    return rng.choice(changes)()


def model(rng: random.Random, folder: Path) -> Case:
    """A model's file, damaged or forged, loaded and used."""
    path = folder / "model.safetensors"
    shutil.copy(workshop() / "model.safetensors", path)
    path.write_bytes(damaged(path.read_bytes(), rng) if rng.random() < 0.4 else _forged_tensors(path, rng))
    log = folder / "events.csv"
    log.write_text("user,item,time\nu,i1,1\nu,i2,2\n")

    def use() -> None:
        loaded = farzi.Model.load(path)
        repr(loaded)
        loaded.recommend([["i1", "i2"]], k=1)

    return Case(use, words=["recommend", str(path), str(log), "--k", "1"])


def checkpoint(rng: random.Random, folder: Path) -> Case:
    """An unfinished run with a damaged or forged checkpoint, resumed."""
    place = folder / "run"
    shutil.copytree(workshop() / "run", place)
    path = place / "checkpoint.safetensors"
    path.write_bytes(damaged(path.read_bytes(), rng) if rng.random() < 0.5 else _forged_tensors(path, rng))
    log = farzi.load_log(workshop() / "log.csv", unseen="keep")
    recipe = presets.LOG.changed({**SMALL, "data.source": str(workshop() / "log.csv")})
    return Case(lambda: farzi.distill(log, recipe, out=place, progress=Progress()))


def recipe(rng: random.Random, folder: Path) -> Case:
    """A recipe with keys and values of all kinds, hostile YAML among them."""
    path = folder / "recipe.yaml"
    content = _changed_yaml(rng.choice([presets.LOG, presets.TEXT]).to_yaml(), rng)
    path.write_text(content, "utf-8", "surrogatepass")
    if rng.random() < 0.3:
        path.write_bytes(damaged(path.read_bytes(), rng))

    def use() -> None:
        loaded = farzi.Recipe.load(path)
        if farzi.Recipe.load(path) != loaded:
            raise AssertionError("a recipe that is read twice differs")
        loaded.to_yaml()

    return Case(use, words=["recipe", "show", str(path)])


HOSTILE = [
    "a: &a [1, 1, 1, 1]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in pairwise("abcdefghi")),
    "outer: !!python/object/apply:os.getcwd []\n",
    "outer: &x {steps: *x}\n",
    "? [1, 2]\n: 3\n",
    "[" * 5000,
    "{" * 5000,
    "outer: {steps: 1}\n---\nouter: {steps: 2}\n",
    "<<: {outer: {steps: 1}}\n",
    "outer:\n\tsteps: 1\n",
    "student: {type: 'os:getcwd'}\n",
    "seed: 1:30:00\n",
    "seed: " + "9" * 5000 + "\n",
    "outer: {steps: 1, steps: 2}\n",
    "%YAML 9.9\n---\nseed: 1\n",
    "seed: !!binary |\n  zzzz=\n",
    "seed: !!timestamp 2020-99-99\n",
    "\u0085seed: 1\n",
]


def _changed_yaml(text: str, rng: random.Random) -> str:
    fate = rng.random()
    if fate < 0.2:
        return rng.choice(HOSTILE)
    if fate < 0.3:
        return text + rng.choice(HOSTILE)
    value = yaml.safe_load(text)
    for _ in range(rng.choice([1, 1, 2])):
        value = changed_value(value, rng)
    return yaml.safe_dump(value, allow_unicode=rng.random() < 0.5)


Maker = Callable[[random.Random, Path], Case]
FORMATS: dict[str, Maker] = {
    "summary": summary,
    "model": model,
    "checkpoint": checkpoint,
    "recipe": recipe,
}
