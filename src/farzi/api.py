"""The front door: what a user needs, as `farzi.NAME`."""

import tempfile
from pathlib import Path
from typing import Any, Literal

import torch

from farzi.data import Data, Log, Text, load_data, load_dataset, read_frame
from farzi.distillation import Cache, Progress
from farzi.distillation import distill as _distill
from farzi.errors import FarziError
from farzi.evaluation import Comparison, Evaluation
from farzi.evaluation import compare as _compare
from farzi.evaluation import evaluate as _evaluate
from farzi.models import Model
from farzi.recipe import Recipe, presets
from farzi.recipe.variants import LogData, StudentVariant, TextData
from farzi.summary import Summary
from farzi.training import train_on_events, train_on_summary

FRAME = "frame"
"""What a recipe calls a log that was handed over as a frame."""


def load_log(source: Any = "movielens-small", **settings: Any) -> Log:
    """Read a log of events, filter it, order it and split it.

    Args:
        source: a path, the name of a known log (`farzi data list`), or a frame of pandas, polars or Arrow
            with the columns `user_id`, `item_id` and `timestamp`; other columns are named by the settings
            `user`, `item` and `time`.
        settings: of `farzi.recipe.variants.LogData`, by name: `user`, `item`, `time`, `names`, `split`,
            `min_user_events`, `min_item_events`, `ties`, `unseen`, `skip_bad`, `file`.

    Raises:
        FarziError: the log cannot be read or used; the line says what is wrong, where, and what to do.
    """
    if isinstance(source, str | Path):
        return load_dataset(_settings(LogData, {"source": str(source), **settings}))
    # an item that is held out but never trained on is a miss, not an error, where nobody can mend a file
    chosen = _settings(LogData, {"source": FRAME, "unseen": "keep", **settings})
    events = read_frame(source, chosen.user, chosen.item, chosen.time, chosen.skip_bad)
    return load_dataset(chosen, events)


def load_text(source: str | Path = "sotu", **settings: Any) -> Text:
    """Read a text, split it and cut it into tokens.

    Args:
        source: a file, a folder, or the name of a known text (`farzi data list`).
        settings: of `farzi.recipe.variants.TextData`, by name: `tokens`, `vocabulary_size`, `lines`, ...

    Raises:
        FarziError: the text cannot be read or used.
    """
    text = load_data(_settings(TextData, {"source": str(source), **settings}))
    assert isinstance(text, Text)
    return text


def distill(
    data: Data,
    recipe: Recipe | None = None,
    *,
    out: str | Path | None = None,
    restart: bool = False,
    progress: Progress | None = None,
    cache: Cache | None = None,
    device: torch.device | str = "cpu",
) -> Summary:
    """Distil a log or text into a summary.

    Args:
        data: from `load_log` or `load_text`.
        recipe: how; `presets.LOG` or `presets.TEXT` if left out. Its `data` are replaced by those of `data`.
        out: the summary's folder. A run found there resumes, a finished summary is returned. If left out,
            nothing is stored: `Summary.save` does that.
        restart: start from the beginning even if `out` holds a run or a summary, which is then lost.
        progress: receives reports; None shows nothing.
        cache: of full-data trainings, to share them between runs.
        device: where everything is computed.

    Raises:
        FarziError: parts of the recipe do not fit each other, or the data is too small.
        KeyboardInterrupt: interrupted; with `out` the same call resumes.
    """
    recipe = recipe or (presets.TEXT if isinstance(data, Text) else presets.LOG)
    recipe = recipe.changed({"data": data.settings})
    if out is not None:
        return _distill(
            recipe, out, dataset=data, restart=restart, progress=progress, cache=cache, device=device
        )
    with tempfile.TemporaryDirectory() as folder:
        return _distill(
            recipe, Path(folder) / "summary", dataset=data, progress=progress, cache=cache, device=device
        )


def train(
    data: Summary | Data,
    recipe: Recipe | None = None,
    *,
    student: StudentVariant | None = None,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    device: torch.device | str = "cpu",
) -> Model:
    """Train a model from fresh random weights: on a summary alone, or on a whole log or text.

    Args:
        data: a summary, or what `load_log` or `load_text` gave.
        recipe: how. For a summary its own recipe if left out, else that of the preset.
        student: another architecture than the recipe's.
        steps: optimizer steps on a summary, instead of the recipe's.
        seed: of the first weights, and of the order in which data is read.
        progress: receives reports of a training on a whole log or text; None shows nothing.
        device: where it is trained; the model is returned on the CPU.

    Raises:
        FarziError: parts of the recipe do not fit each other.
    """
    if isinstance(data, Summary):
        recipe = recipe or data.recipe
        student = student or recipe.student
        trained = train_on_summary(data.tensors.to(device), student, recipe.inner, seed, steps)
        name, settings = "summary", data.recipe.data
    else:
        from farzi.evaluation import task_of

        recipe = recipe or (presets.TEXT if isinstance(data, Text) else presets.LOG)
        student, name, settings = student or recipe.student, "full", data.settings
        task, reports = task_of(data, recipe.select.seen), progress or Progress()
        trained = train_on_events(
            data.train,
            student,
            len(data.vocabulary),
            recipe.summary.length,
            seed,
            recipe.teach,
            lambda model: task.score(model, data.valid),
            device,
            lambda step, score: reports.passing(f"step {step}, validation {task.score_text(score)}"),
        )
    return Model(
        network=trained.model.to("cpu"),
        student=student,
        vocabulary=data.vocabulary,
        data=settings,
        trained_on=name,
        seconds=trained.seconds,
        steps=trained.steps,
    )


def evaluate(
    model: Model,
    data: Data,
    *,
    split: Literal["test", "valid"] = "test",
    seen: Literal["keep", "exclude"] = "keep",
) -> Evaluation:
    """Measure a model on held-out events: ranking metrics of a log, perplexity and accuracy of a text.

    Args:
        model: from `train` or `Model.load`.
        data: from `load_log` or `load_text`, with the vocabulary that the model was trained for.
        split: which held-out events.
        seen: whether the ranking contains the items of a user's history.

    Raises:
        FarziError: the vocabularies differ.
    """
    return _evaluate(model, data, split=split, seen=seen)


def compare(
    summary: Summary,
    data: Data,
    recipe: Recipe | None = None,
    *,
    progress: Any = None,
    device: torch.device | str = "cpu",
) -> Comparison:
    """Train and test models on the full data, on a summary, and on controls of real sequences.

    Args:
        summary: from `distill` or `Summary.load`.
        data: the log or text that it was distilled from.
        recipe: the summary's own if left out; `recipe.compare` says how much is trained.
        progress: called with a line on what is being done.
        device: where models are trained.

    Raises:
        FarziError: the vocabularies differ.
    """
    return _compare(summary, data, recipe, progress=progress, device=device)


def _settings(kind: Any, values: dict[str, Any]) -> Any:
    """A group of settings by name, with errors in one line."""
    from pydantic import ValidationError

    from farzi.recipe.explain import explain

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(field for field in kind.model_fields if field not in ("type", "source"))
            raise FarziError(f"{name}: no such setting; there are {known}") from None
        raise FarziError(explain(first, name)) from None
