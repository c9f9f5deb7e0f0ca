"""What an update is worth: figures of old items, new items and all, beside what one would do instead."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from farzi.data import Day, Log, Sequences, read_day
from farzi.distillation import Validation
from farzi.evaluation import evaluate_ranking, nearest_windows
from farzi.event_training import train_on_events
from farzi.models import Model, SequenceModel
from farzi.progress import Progress, counted
from farzi.summary import Summary, SummaryTensors
from farzi.training import Mixed, train_on_summary
from farzi.updating.days import last_events
from farzi.updating.grow import Neighbours, grown_model
from farzi.updating.students import Padded, exemplars, figures_of, warm_started, warm_teach

MIXED = 0.1
"""The day's share in mixed training."""
EXEMPLARS = 30_000
"""Real exemplars that are replayed, as in ADER."""
DUE_SHARE, DUE_NEW = 0.85, 0.25
"""A whole distillation is due where students of the summary reach less of the teacher's HR@100 than this
share of what they reached when it was distilled, or where more than this share of all items is newer."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A summary that may become the new one, judged on held-out events of the day."""

    tensors: SummaryTensors
    result: Validation | None = None  # None: not judged
    likelihood: float = 0.0  # of its students, in nats per event; see `log_likelihood`


@dataclass(frozen=True)
class Compared:
    """The whole log up to the day, for the rows that need it.

    Attributes:
        log: events before the day, a file or a frame that `farzi.data.read_day` reads.
        count: exemplars that are replayed.
    """

    log: Any
    count: int = EXEMPLARS


def judge(
    old: Summary,
    made: Summary,
    log: Log,
    teacher: Model,
    near: Neighbours,
    compare: Compared | None,
    facts: dict[str, Any],
    progress: Progress,
    device: torch.device | str,
) -> dict[str, Any]:
    """The rows of figures, as JSON values: by row `seconds`, and metrics of "all", "old" and "new" items."""
    recipe, known = made.recipe, len(old.vocabulary)
    seeds = [
        int(np.random.default_rng([recipe.seed, 14, k]).integers(2**62))
        for k in range(recipe.select.students)
    ]
    rows: dict[str, Any] = {}

    def row(name: str, models: list[Any], seconds: float) -> None:
        rows[name] = {"seconds": round(seconds, 2), **figures_of(models, log.test, known)}

    def timed(name: str, make: Any) -> list[Any]:
        progress.doing(f"measuring: {name}")
        begun = time.perf_counter()
        models = [make(seed) for seed in seeds]
        row(name, models, (time.perf_counter() - begun) / len(seeds))
        return models

    new, before = made.tensors.to(device), old.tensors.to(device)
    student, inner = recipe.student, recipe.inner
    updated = timed("update", lambda seed: train_on_summary(new, student, inner, seed).model)
    mixed = Mixed(log.train, MIXED)
    timed(
        "update, mixed with the day",
        lambda seed: train_on_summary(new, student, inner, seed, mixed=mixed).model,
    )
    plain: list[SequenceModel] = []

    def as_yesterday(seed: int) -> Padded:
        plain.append(train_on_summary(before, student, inner, seed).model)
        return Padded(plain[-1], len(log.vocabulary))

    timed("yesterday's summary", as_yesterday)
    # each of the following may take as long as the teacher did
    teach = warm_teach(recipe, max(teacher.seconds, 1.0) / 60, None)

    def tuned(seed: int, memory: Sequences | None) -> SequenceModel:
        model = grown_model(plain[seeds.index(seed)], student, near)
        warm_started(model, log, teach, memory, seed=seed % 2**31)
        return model

    timed("the day alone (fine-tuning)", lambda seed: tuned(seed, None))
    row("the updated teacher", [teacher.network], teacher.seconds)
    if compare is not None:
        whole = _whole(compare, log, made, progress)
        chosen = exemplars(plain[0], whole, compare.count)
        timed("replay of real exemplars", lambda seed: tuned(seed, chosen))
        both, held = last_events(_joined(whole, log.train), log.vocabulary.untrained)
        held, full = held.sample(recipe.teach.validate_users or 1000), recipe.full_model

        def retrained(seed: int) -> SequenceModel:
            def score(model: SequenceModel) -> float:
                return evaluate_ranking(model, held)["nDCG@10"]

            size = (len(log.vocabulary), recipe.full_length, seed % 2**31)
            return train_on_events(both, full, *size, recipe.teach, score, device).model

        timed("full retraining", retrained)
    ours, theirs = (evaluate_ranking(one, log.valid)["HR@100"] for one in (updated[0], teacher.network))
    share = ours / theirs if theirs > 0 else None
    return {"rows": rows, "share_of_teacher": share, "judged_on": _where(log)}


def day_facts(day: Day) -> dict[str, Any]:
    """What a day has, as JSON values."""
    names = ("name", "events", "new_items", "unknown_before")
    return {"users": len(day.sequences)} | {name: getattr(day, name) for name in names}


def nearest_facts(tensors: SummaryTensors, day: Day) -> dict[str, Any]:
    """How near the sequences' likeliest events are to the day's real windows, as JSON values."""
    near = nearest_windows(tensors.top_events(), day.recent(0))
    return {"positions": tensors.length, "equal": near.equal.tolist(), "longest_run": near.run.tolist()}


def _where(log: Log) -> str:
    users, events = len(set(log.test.targets.users or ())), len(log.test.targets.items)
    return f"{counted(events, 'next event')} of {counted(users, 'user')}"


def _whole(compare: Compared, log: Log, made: Summary, progress: Progress) -> Sequences:
    """The users' events before the day, over the new vocabulary."""
    whole = read_day(compare.log, log.vocabulary, made.recipe.data, append=False)
    if whole.left_out:
        progress.warning(f"{whole.name}: {counted(whole.left_out, 'event')} of unknown items left out")
    return whole.sequences.select(whole.sequences.lengths > 1)


def _joined(whole: Sequences, day: Sequences) -> Sequences:
    """The events before the day, each user's followed by the day's; a user's events before are there once."""
    found = dict(zip(whole.users or (), whole))
    for user, events in zip(day.users or (), day):
        past = found.get(user, events[:0])
        # with a history, the day's sequence begins with the last of the past
        shared = next((k for k in range(len(events), 0, -1) if np.array_equal(past[-k:], events[:k])), 0)
        found[user] = np.concatenate([past, events[shared:]])
    return Sequences.from_lists(list(found.values()), list(found))


def due(old: Summary, facts: dict[str, Any]) -> dict[str, Any]:
    """Whether a whole distillation is due, and why, as JSON values; see `DUE_SHARE`.

    The share of the teacher's figure that students reached at the distillation is taken from its history. It
    is handed on from update to update.
    """
    before = old.run.get("update", {}).get("distilled")
    if before is None:
        best = next((line for line in reversed(old.history) if line.get("best")), {})
        share = best.get("relative_to_full", {}).get("HR@100")
        before = {"share": share, "items": len(old.vocabulary) - 1, "updates": 0}
    items = before["items"]
    appended = len(old.vocabulary) - 1 - items + facts["day"]["new_items"]
    reasons = []
    share = facts["share_of_teacher"]
    if share is not None and before["share"] and share < DUE_SHARE * before["share"]:
        reasons.append(
            f"students reach {100 * share:.0f} % of the teacher's HR@100, at the distillation "
            f"{100 * before['share']:.0f} %"
        )
    if appended > DUE_NEW * items:
        reasons.append(f"{appended:,} items are newer than the distillation, which had {items:,}")
    distilled = before | {"updates": before["updates"] + 1}
    return {"due": reasons, "distilled": distilled, "appended": appended}
