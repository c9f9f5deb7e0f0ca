"""The front door: load data, distil it, train on it, as `farzi.NAME`."""

import copy
import hashlib
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from farzi.data import (
    Data,
    Log,
    Sequences,
    Text,
    is_frame,
    load_data,
    load_dataset,
    read_day,
    read_frame,
    read_names,
)
from farzi.data.fingerprint import fingerprint
from farzi.distillation import Cache, Target, full_trainings, initialise, teach
from farzi.distillation import distill as _distill
from farzi.errors import FarziError, FarziWarning
from farzi.evaluation import Comparison, Origin, Teachers, check_vocabulary, sample, task_of, validation_line
from farzi.evaluation import compare as _compare
from farzi.evaluation.compare import tune_full_data
from farzi.evaluation.controls import labels_kept
from farzi.evaluation.tuning import Tuning
from farzi.event_training import train_on_events
from farzi.files import locked, place
from farzi.models import Model
from farzi.progress import PrintedProgress, Progress, counted
from farzi.recipe import Recipe, presets
from farzi.states import remove_state
from farzi.summary import Summary
from farzi.surroundings import undisturbed
from farzi.training import Mixed, fit_to_summary, train_on_summary

FRAME = "frame"
"""What a recipe calls a log that was handed over as a frame."""


def load_log(source: Any = "movielens-small", *, names: Any = None, **settings: Any) -> Log:
    """Read a log of events, filter it, order it and split it.

    Args:
        source: a path, the name of a known log (`farzi data list`), or a frame of pandas, polars or Arrow
            with the columns `user_id`, `item_id` and `timestamp`; other columns are named by the settings
            `user`, `item` and `time`.
        names: readable names of items: a file with the columns `item_id` and `name`, or, for a frame, the
            names by id or a frame with these columns.
        settings: of `farzi.recipe.variants.LogData`, by name: `user`, `item`, `time`, `time_format`,
            `rating`, `min_rating`, `where`, `missing`, `split`, `min_user_events`, `min_item_events`, `ties`,
            `duplicates`, `unseen`, `skip_bad`; for files also `file`, `encoding`, `separator`, `columns`,
            `format` and `quotes`.

    Raises:
        FarziError: the log cannot be read or used; the line says what is wrong, where, and what to do.
    """
    held = isinstance(names, Mapping) or is_frame(names)
    if not held and not isinstance(names, str | Path | None):
        raise FarziError(
            f"names must be a file, a frame or a dict of names by id, not {type(names).__qualname__}"
        )
    given = None if names is None or held else str(names)
    if isinstance(source, str | Path):
        if held:
            raise FarziError(f"{source}: names of a file's items are read from a file: names=PATH")
        return load_dataset(_data(type="log", source=str(source), names=given, **settings))
    chosen = _data(type="log", source=FRAME, names=given, **settings)
    events = read_frame(source, chosen, FRAME)
    if held:
        events = replace(events, names=read_names(names, chosen))
    return load_dataset(chosen, events)


def load_text(source: str | Path = "sotu", **settings: Any) -> Text:
    """Read a text, split it and cut it into tokens.

    Args:
        source: a file, a folder, or the name of a known text (`farzi data list`).
        settings: of `farzi.recipe.variants.TextData`, by name: `tokens`, `vocabulary_size`, `lines`, ...

    Raises:
        FarziError: the text cannot be read or used.
    """
    text = load_data(_data(type="text", source=str(source), **settings))
    assert isinstance(text, Text)
    return text


def _data(**settings: Any) -> Any:
    return Recipe().changed({"data": settings}).data


def distill(
    data: Data,
    recipe: Recipe | None = None,
    *,
    events: int | str | None = None,
    bytes: int | str | None = None,
    training_seconds: float | None = None,
    out: str | Path | None = None,
    restart: bool = False,
    progress: Progress | None = None,
    cache: Cache | None = None,
    device: torch.device | str = "cpu",
) -> Summary:
    """Distil a log or text into a summary.

    The recipe's number of sequences is the summary's size, unless `events`, `bytes` or `training_seconds`
    decides it; a line says what follows. The sequences stay as long as the recipe's.

    Args:
        data: from `load_log` or `load_text`.
        recipe: how; `presets.LOG` or `presets.TEXT` if left out. Its `data` are replaced by those of `data`.
        events: synthetic events: a number, or a share of the training events ("0.1%").
        bytes: of the summary's numbers at most: a number, or with a unit ("200KB").
        training_seconds: of one training on the summary on this machine at most. The steps of a training are
            then in proportion to the sequences.
        out: the summary's folder. A run there is resumed, a finished summary returned. If left out, nothing
            is stored: `Summary.save` does that.
        restart: start from the beginning even if `out` holds a run or a summary, which is then lost.
        progress: receives reports; if left out, one line for each stage is printed to stderr. `Progress()`
            shows nothing.
        cache: of full-data trainings, to share them between runs.
        device: where everything is computed.

    Raises:
        FarziError: parts of the recipe do not fit each other, or the data is too small.
        KeyboardInterrupt: interrupted; with `out` the same call resumes.
    """
    recipe = recipe or _preset(data)
    if data.settings is not None:  # a log of a user's own reader has none
        recipe = recipe.changed({"data": data.settings})
    with tempfile.TemporaryDirectory() as folder:
        return _distill(
            recipe,
            Path(folder) / "summary" if out is None else out,
            dataset=data,
            size=Target.of(events=events, bytes=bytes, training_seconds=training_seconds),
            restart=restart,
            progress=progress or PrintedProgress(),
            cache=cache,
            device=device,
        )


@undisturbed()
def train(
    data: Summary | Data,
    recipe: Recipe | None = None,
    *,
    student: Any = None,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    device: torch.device | str = "cpu",
    checkpoint: str | Path | None = None,
    events: Any = None,
    share: float = 0.1,
    history: Any = None,
    start: Model | None = None,
) -> Model:
    """Train a model from fresh random weights: on a summary, on a summary with real events, or on a whole log
    or text.

    Args:
        data: a summary, or what `load_log` or `load_text` gave.
        recipe: how. For a summary its own recipe if left out, else that of the preset.
        student: instead of the recipe's: a name ("gru4rec"), a dict of a `type` and its settings, a variant,
            or a class of the user's.
        steps: optimizer steps on a summary, instead of the recipe's.
        seed: of the first weights, and of the order in which data is read.
        progress: as of `distill`.
        device: where it is trained; the model is returned on the CPU.
        checkpoint: a file in which a training on a whole log or text is kept while it lasts, and from which
            the same call goes on after an interruption; deleted at the end.
        events: real events beside a summary, which is then a replay memory: a file, a frame, or a log. Events
            of items that the summary does not have are left out, with a warning.
        share: of each batch that is real windows, and the weight of their loss beside that of the summary.
        history: a file or a frame with earlier events of the users in `events`, if these are no log.
        start: a model of the summary's items whose weights the training starts from, instead of fresh ones.

    Raises:
        FarziError: parts of the recipe do not fit each other, the checkpoint is of another training, or the
            events cannot be used.
    """
    if not isinstance(data, Summary) and (events is not None or history is not None or start is not None):
        raise FarziError("events, history and start are for training on a summary; this is a log or a text")
    if isinstance(data, Summary):
        recipe, name, settings = recipe or data.recipe, "summary", data.recipe.data
    else:
        recipe, name, settings = recipe or _preset(data), "full", data.settings
    if student is not None:
        recipe = recipe.changed({"student": student, "teach.model": None})
    if isinstance(data, Summary) and start is not None:
        start.check(data.vocabulary, "the summary")
        if student is not None:
            raise FarziError("student has no effect beside start, which has its own")
        if start.network.length < data.tensors.length - 1 and not start.network.any_length:
            raise FarziError(
                f"start: reads {start.network.length} events, fewer than the summary's sequences have"
            )
        recipe = recipe.changed({"student": start.student})
    architecture = recipe.student if isinstance(data, Summary) else recipe.full_model
    reports = progress or PrintedProgress()
    if isinstance(data, Summary):
        mixed = None if events is None else Mixed(_real(data, recipe, events, history), share)
        tensors = data.tensors.to(device)
        if start is None:
            trained = train_on_summary(tensors, recipe.student, recipe.inner, seed, steps, mixed)
        else:
            first = copy.deepcopy(start.network).to(device)
            trained = fit_to_summary(first, tensors, recipe.inner, seed, steps, mixed)
        name = "summary" if mixed is None else "mixed"
    else:
        unfinished = None if checkpoint is None else place(checkpoint)
        task = task_of(data, recipe.select.seen)
        held = sample(data.valid, recipe.teach)

        def report(step: int, score: float, left: float) -> None:
            reports.passing(validation_line(task, step, score, left))

        with nullcontext() if unfinished is None else locked(unfinished):
            trained = train_on_events(
                data.train,
                architecture,
                len(data.vocabulary),
                recipe.full_length,
                seed,
                recipe.teach,
                lambda model: task.score(model, held),
                device,
                report,
                unfinished,
                "" if unfinished is None else f"seen items: {recipe.select.seen}; {fingerprint(data)}",
            )
            if unfinished is not None:
                remove_state(unfinished)
    best = "" if trained.best_step is None else f", step {trained.best_step:,} is kept (best validation)"
    on = {"summary": "the summary", "mixed": f"the summary and real events (share {share:g})"}
    line = f"{architecture.type} on {on.get(name, 'real events')}, {counted(trained.steps, 'step')}{best}"
    reports.stage("train", line, trained.seconds)
    return Model(
        network=trained.model.to("cpu"),
        student=architecture,
        vocabulary=data.vocabulary,
        data=settings or recipe.data,
        trained_on=name,
        seconds=trained.seconds,
        steps=trained.steps,
    )


def compare(
    summary: Summary,
    data: Data,
    recipe: Recipe | None = None,
    *,
    progress: Progress | None = None,
    cache: Cache | None = None,
    device: torch.device | str = "cpu",
) -> Comparison:
    """Train and test models on the full data, the summary and the controls.

    The teachers of the distillation, and its initial summary, are recomputed by the summary's own recipe: the
    same bits on the same machine. That takes the full-data trainings of its first stage.

    Args:
        summary: from `distill` or `Summary.load`.
        data: the log or text that it was distilled from.
        recipe: another recipe than the summary's; its `compare`, `teach`, `student` and `inner` are used for
            all rows but the teachers and the initial summary.
        progress: receives reports; if left out, a line for each training is printed to stderr. `Progress()`
            shows nothing.
        cache: of full-data trainings, as of `distill`; each finished training of the comparison is kept there
            as well, so that the same call resumes an interrupted one.
        device: where models are trained.

    Raises:
        FarziError: the data have other items than the summary, or a control of the recipe cannot be built.
        KeyboardInterrupt: interrupted; with `cache` the same call resumes.
    """
    recipe, progress, cache = recipe or summary.recipe, progress or PrintedProgress(), cache or Cache()
    check_vocabulary(data, summary)
    try:
        origin = _origin(summary, data, recipe, cache, device, progress)
        settings: dict[str, Any] = {"origin": origin, "kept": cache.folder, "progress": progress}
        return _compare(summary, data, recipe, device=device, **settings)
    except KeyboardInterrupt:
        if cache.folder is None or not cache.folder.exists():
            raise
        raise KeyboardInterrupt("stopped; finished trainings are kept, the same call resumes there") from None


@undisturbed()
def tune_baseline(
    data: Data,
    recipe: Recipe | None = None,
    *,
    progress: Progress | None = None,
    cache: Cache | None = None,
    device: torch.device | str = "cpu",
) -> Tuning:
    """Tune the training of full-data models, `recipe.teach`, on the validation data.

    What is tried is `recipe.teach.grid`, one setting after the other. `compare` does the same by itself; with
    the same `cache` it finds these trainings.

    Args:
        data: the log or text.
        recipe: the presets' if left out.
        progress: as of `compare`.
        cache: keeps each finished training, so that the same call resumes an interrupted one.
        device: where models are trained.

    Returns:
        What was tried. Its method `recipe` gives the recipe with the best settings.

    Raises:
        FarziError: the grid has a setting that the model or the optimizer does not have.
        KeyboardInterrupt: interrupted; with `cache` the same call resumes.
    """
    recipe, cache = recipe or _preset(data), cache or Cache()
    return tune_full_data(data, recipe, cache.folder, progress or PrintedProgress(), device)


def _real(summary: Summary, recipe: Recipe, events: Any, history: Any) -> Sequences:
    """Real events over a summary's vocabulary, from a file, a frame or a log; what is left out is told."""
    if summary.is_text or isinstance(events, Text):
        raise FarziError("a summary of a text takes no events; mixed training is for logs")
    vocabulary = summary.vocabulary
    if isinstance(events, Log):
        if history is not None:
            raise FarziError("history has no effect beside a log, which has it")
        index = vocabulary.encode_known(events.vocabulary.frame["id"])
        lists = [known[known > 0] for known in (index[one] for one in events.train)]
        real = Sequences.from_lists(lists, events.train.users)
        left_out, name = len(events.train.items) - len(real.items), events.name
    else:
        day = read_day(events, vocabulary, recipe.data, history=history, append=False)
        further = max(recipe.summary.length - 1, recipe.inner.history or 0)
        real, left_out, name = day.recent(further), day.left_out, day.name
    if left_out:
        text = f"{name}: {counted(left_out, 'event')} of items that the summary does not have left out"
        warnings.warn(f"{text}; `update` gives it new items", FarziWarning, stacklevel=4)
    return real


@undisturbed()
def _origin(
    summary: Summary,
    data: Data,
    recipe: Recipe,
    cache: Cache,
    device: torch.device | str,
    progress: Progress,
) -> Origin | None:
    """The summary's teachers, trained again where they are not cached; None if no row needs them."""
    settings = recipe.compare
    if not settings.references and not any(labels_kept(one.build()) for one in settings.controls):
        return None
    own = summary.recipe
    trainings = full_trainings(own)
    if missing := len(trainings) - cache.present(trainings, data):
        models = counted(missing, "model")
        progress.message(f"teachers: training {models} on the full data, as for the distillation")
    full_data = teach(own, data, cache, device, progress)
    words = own.model_dump_json(exclude={"compare": True, "data": {"file"}})
    key, seconds = hashlib.sha256(words.encode()).hexdigest(), full_data.seconds / full_data.trainings
    teachers = Teachers(full_data.teachers, seconds, key)
    if summary.run.get("data_sha256", fingerprint(data)) != fingerprint(data):
        return Origin(teachers)
    return Origin(teachers, lambda: initialise(own, data, full_data.teachers))


def _preset(data: Data) -> Recipe:
    return presets.TEXT if isinstance(data, Text) else presets.LOG
