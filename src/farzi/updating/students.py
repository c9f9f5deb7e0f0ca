"""Models that learn a day: warm-started ones, and those beside which an update is judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farzi.data import Holdout, Log, Sequences, crops, pad_left
from farzi.evaluation import Evaluation, evaluate_ranking
from farzi.evaluation.controls.selection import herded
from farzi.event_training import Training, drawn_negatives, run_training, training_loss
from farzi.losses import next_event, teacher_next_event
from farzi.models import SequenceModel
from farzi.recipe import Recipe, Teach
from farzi.summary import Ensemble
from farzi.summary.initializers.sampled import draw_sequences
from farzi.training import Trained
from farzi.updating.days import only


@dataclass(frozen=True, eq=False)
class Recalled:
    """What a model predicted before it was trained further, on sequences sampled from itself.

    Learning without forgetting (Li and Hoiem, arXiv 1606.09282), with pseudo-rehearsal (Robins 1995) in place
    of old data.
    """

    windows: Tensor  # indices (n, length + 1)
    hidden: Tensor  # the model's states after all but the last, (n, length, width)
    table: Tensor  # its output table, (V, width)

    @staticmethod
    @torch.no_grad()
    def of(model: SequenceModel, counts: np.ndarray, count: int, once: bool, seed: int) -> "Recalled":
        """From `count` sampled sequences; `counts` (V,) and `once` are those of `draw_sequences`."""
        own = Ensemble((model,))
        rng = np.random.default_rng([seed, 15])
        windows = torch.from_numpy(draw_sequences(own, counts, count, model.length + 1, once, rng))
        hidden = torch.cat([own.hidden(some[:, :-1]) for some in windows.split(256)])
        parts = (windows, hidden, own.table.clone())
        return Recalled(*(part.to(model.device) for part in parts))


Memory = Recalled | Sequences | None
"""What a model learns beside the day: its own predictions, or real exemplars; None: the day alone."""
SHOWN = ("HR@10", "nDCG@10", "HR@100")
"""The metrics that are reported."""
REMEMBERED = 16
"""Sequences of the memory in each step."""


def warm_teach(recipe: Recipe, minutes: float, steps: int | None) -> Teach:
    """How a model is trained further on a day: the recipe's training, validated often, without warm-up.

    With `steps` there is a fixed number of them in place of minutes.
    """
    changes: dict[str, Any] = {
        "teach.validate_every": 30,
        "teach.warmup": 0,
        "teach.cooldown": 0.0,
        "teach.average": min(recipe.teach.average, 0.95),
        "teach.minutes": minutes if steps is None else None,
        "teach.patience": 2,
    }
    if steps is not None:
        changes |= {"teach.max_steps": max(1, 2 * steps), "teach.validate_every": max(1, steps)}
    return recipe.changed(changes).teach


def warm_started(
    model: SequenceModel,
    log: Log,
    teach: Teach,
    memory: Memory = None,
    share: float = 0.5,
    seed: int = 0,
    report: Callable[[int, float, float], None] = lambda step, figure, left: None,
    checkpoint: Path | None = None,
    key: str = "",
) -> Trained:
    """Train a model further on a day's events, and on a memory in each step, until it gets no better.

    The loss is share · (that on the day's windows) + (1 − share) · (that on the memory's sequences). The
    weights that it starts from are kept if none are better on the validation data.

    Args:
        model: changed in place.
        log: the day's, of `day_log`.
        teach: how it is trained.
        memory: see `Memory`.
        share: of the day in the loss.
        seed: of all random draws.
        report: as of `train_on_events`.
        checkpoint: likewise.
        key: of the checkpoint.
    """
    if teach.dropout:
        model.dropout = teach.dropout
    training = Training(model, teach, log.train, model.length + 1, seed)
    day = training.next_event
    if memory is not None:
        remember = _own(model, memory) if isinstance(memory, Recalled) else _hard(model, memory, teach)
        training.loss = lambda windows: share * day(windows) + (1 - share) * remember()
    if checkpoint is not None:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)

    def score(judged: SequenceModel) -> float:
        return log_likelihood(judged, log.valid)

    trained = run_training(training, score, report, checkpoint, key, from_start=True, keep_every=2.0)
    model.dropout = 0.0
    return trained


def _own(model: SequenceModel, memory: Recalled) -> Callable[[], Tensor]:
    """The divergence from what the model predicted before, on random ones of the sampled sequences."""

    def remember() -> Tensor:
        which = torch.randint(len(memory.windows), (REMEMBERED,))
        windows = memory.windows[which]
        hidden = model.hidden(model.embed(windows[:, :-1])).flatten(0, 1)
        before = memory.hidden[which].flatten(0, 1)
        return teacher_next_event(hidden, model.output_table, before, memory.table, windows[:, 1:].flatten())

    return remember


@torch.no_grad()
def log_likelihood(model: SequenceModel, held: Holdout) -> float:
    """The mean log probability of held-out events, nats, each after all that its user did before it.

    A few hundred events decide with it between two models that a hit rate, which counts some tens of them,
    cannot tell apart. Items that nothing was trained on have no probability and do not count.
    """
    whole = [np.concatenate(pair) for pair in zip(held.histories, held.targets)]
    windows = torch.from_numpy(pad_left(whole, model.length + 1))
    last = torch.from_numpy(held.targets.lengths)[:, None]
    held_out = torch.arange(windows.shape[1] - 1, 0, -1) <= last
    counts = held_out & (windows[:, :-1] > 0) & ~torch.isin(windows[:, 1:], torch.from_numpy(held.untrained))
    total = 0.0
    for some, wanted in zip(windows.to(model.device).split(256), counts.to(model.device).split(256)):
        read, targets = some[:, :-1], some[:, 1:][wanted]
        if len(targets) == 0:
            continue
        hidden = model.hidden(model.embed(read), read > 0)[wanted]
        total -= float(next_event(hidden, model.output_table, targets)) * len(targets)
    return total / max(1, int(counts.sum()))


def _hard(model: SequenceModel, exemplars: Sequences, teach: Teach) -> Callable[[], Tensor]:
    """The loss on random windows of real exemplars."""

    def remember() -> Tensor:
        rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
        windows = torch.from_numpy(crops(exemplars, model.length + 1, teach.batch, rng)).to(model.device)
        negatives = drawn_negatives(teach, len(model.output_table), windows.device)
        return training_loss(model, windows, teach, negatives)

    return remember


class Padded:
    """A model of fewer items as a ranker of more: the others score below all."""

    def __init__(self, model: SequenceModel, vocabulary: int) -> None:
        self.model, self.vocabulary = model, vocabulary
        self.length, self.device = model.length, model.device

    def next_scores(self, histories: Tensor) -> Tensor:
        """Scores (B, V) after histories of indices (B, L); unknown items are not read."""
        known = len(self.model.output_table)
        scores = self.model.next_scores(_compacted(histories * (histories < known)))
        further = scores.new_full((len(scores), self.vocabulary - known), -torch.inf)
        return torch.cat([scores, further], 1)


def _compacted(histories: Tensor) -> Tensor:
    """The same events without the zeros between them: zeros stand on the left."""
    order = (histories > 0).int().argsort(dim=1, stable=True)
    return histories.gather(1, order)


def figures_of(models: Sequence[Any], held: Holdout, known: int) -> dict[str, dict[str, float] | None]:
    """The mean metrics of some models on held-out events: of "all", "old" and "new" items.

    None where there is no such event. `known` is V of the items that are old.
    """
    items = np.arange(max(known, 1 + int(held.targets.items.max())))
    groups = {"all": items > 0, "old": items < known, "new": items >= known}
    result: dict[str, dict[str, float] | None] = {}
    for name, wanted in groups.items():
        some = only(held, wanted)
        if some is None:
            result[name] = None
            continue
        measured: list[Evaluation] = [evaluate_ranking(model, some) for model in models]
        result[name] = {metric: float(np.mean([one[metric] for one in measured])) for metric in SHOWN} | {
            "events": float(len(some.targets.items))
        }
    return result


@torch.no_grad()
def exemplars(model: SequenceModel, log: Sequences, count: int) -> Sequences:
    """Real sequences to replay: ADER's choice (Mi, Lin and Faltings, RecSys 2020, arXiv 2007.12000).

    Each item gets a number of exemplars in proportion to its frequency as the next event. They are chosen by
    herding (Welling 2009) in the model's states before that event.
    """
    length = model.length
    owner = np.repeat(np.arange(len(log)), log.lengths)
    place = np.arange(len(log.items)) - log.offsets[:-1][owner]
    ends = np.flatnonzero(place > 0)
    limit = 8 * count
    if len(ends) > limit:  # as many candidates as can be embedded in a reasonable time
        ends = np.sort(np.random.default_rng(0).permutation(ends)[:limit])
    histories = [log.items[max(log.offsets[owner[end]], end - length) : end] for end in ends]
    states = []
    for start in range(0, len(ends), 512):
        windows = torch.from_numpy(pad_left(histories[start : start + 512], length)).to(model.device)
        states.append(model.hidden(model.embed(windows), windows > 0)[:, -1].cpu())
    vectors, targets = torch.cat(states).numpy(), log.items[ends]
    chosen: list[np.ndarray] = []
    for item, frequency in zip(*np.unique(targets, return_counts=True)):
        own = np.flatnonzero(targets == item)
        chosen.append(own[herded(vectors[own], max(1, round(count * frequency / len(targets))))])
    picked = np.concatenate(chosen)[:count]
    return Sequences.from_lists([np.append(histories[one], targets[one]) for one in picked])
