"""Training a model on a summary, on real events, or on both."""

import copy
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from farzi.api.distilling import preset_of
from farzi.data import Data, Log, Sequences, Text, read_day
from farzi.data.fingerprint import fingerprint
from farzi.errors import FarziError, FarziWarning
from farzi.evaluation import sample, task_of, validation_line
from farzi.event_training import train_on_events
from farzi.files import locked, place
from farzi.models import Model
from farzi.progress import PrintedProgress, Progress, counted
from farzi.recipe import Recipe
from farzi.states import remove_state
from farzi.summary import Summary
from farzi.surroundings import undisturbed
from farzi.training import Mixed, fit_to_summary, train_on_summary


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
        recipe, name, settings = recipe or preset_of(data), "full", data.settings
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
