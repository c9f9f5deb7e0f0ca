"""The size of a summary, from what is wanted: events, stored bytes, or seconds of a training on it."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from farzi.data import Data
from farzi.distillation.check import check_parts
from farzi.distillation.initialise import check_data
from farzi.distillation.teach import full_trainings
from farzi.errors import FarziError
from farzi.evaluation import kib
from farzi.progress import counted, time_text
from farzi.recipe import Recipe
from farzi.summary import Parametrization, SummaryTensors
from farzi.surroundings import undisturbed
from farzi.training import train_on_summary
from farzi.unroll.diagnostics.calibration import timed
from farzi.unroll.memory.budget import bytes_of

STEPS, ROUNDS = 5, 3
"""Inner steps that are timed at once, and how often."""

CLOSE = 0.05
"""The search for a number of sequences ends at this share of the seconds, or of the sequences."""


@dataclass(frozen=True)
class Target:
    """What decides a summary's size: `name` is "events", "bytes" or "training_seconds".

    Attributes:
        name: of the quantity.
        given: as it was given: `0.1%`, `200KB`.
        number: events, bytes or seconds; a ratio to the training events if `share`.
        share: whether `number` is a share of the training events.
    """

    name: str
    given: str
    number: float
    share: bool = False

    @staticmethod
    def of(**given: Any) -> "Target | None":
        """The one quantity that is not None; None if all are.

        Raises:
            FarziError: there are two, or it cannot be read or is not positive.
        """
        chosen = [(name, value) for name, value in given.items() if value is not None]
        if len(chosen) > 1:
            (first, one), (second, other) = chosen[:2]
            raise FarziError(f"{first}={one} and {second}={other} both decide the summary's size; give one")
        return _READERS[chosen[0][0]](*chosen[0]) if chosen else None

    def refusal(self, reason: str) -> FarziError:
        """The error that says why no summary has this size."""
        return FarziError(f"{self.name}={self.given}: {reason}")


def _events(name: str, value: Any) -> Target:
    text = str(value).replace(",", "").strip()
    if match := re.fullmatch(r"(\d*\.?\d+(?:e-?\d+)?)\s*%", text):
        return _positive(Target(name, str(value), float(match[1]) / 100, share=True))
    if not re.fullmatch(r"\d+", text):
        raise FarziError(f"{name}={value}: write a whole number of events, or a share of the log's as 0.1%")
    return _positive(Target(name, str(value), int(text)))


def _bytes(name: str, value: Any) -> Target:
    size = bytes_of(str(value) if re.search("[A-Za-z]", str(value)) else f"{value}B")
    if size is None:
        raise FarziError(f"{name}={value}: write a number of bytes, with a unit or without, as 200KB or 1MiB")
    return _positive(Target(name, str(value), size))


def _seconds(name: str, value: Any) -> Target:
    try:
        return _positive(Target(name, str(value), float(value)))
    except (TypeError, ValueError):
        raise FarziError(f"{name}={value}: write a number of seconds, as 2 or 0.5") from None


def _positive(target: Target) -> Target:
    if not 0 < target.number < math.inf:
        raise target.refusal("the size of a summary is a number above 0")
    return target


_READERS: dict[str, Callable[[str, Any], Target]] = {
    "events": _events,
    "bytes": _bytes,
    "training_seconds": _seconds,
}


@undisturbed()
def sized(
    recipe: Recipe, dataset: Data, target: Target, device: torch.device | str = "cpu"
) -> tuple[Recipe, str]:
    """The recipe with the number of sequences that gives a wanted size, and a line that says what it is.

    Sequences stay as long as the recipe's. Only where there are fewer events than that, there is one shorter
    sequence; full-data models keep their windows. Events are met as nearly as whole sequences can, bytes and
    seconds are not exceeded. For seconds, the steps of a training are in proportion to the sequences, so that
    each of them is read as often as by the recipe; a few steps are timed here.

    Args:
        recipe: the whole run; its number of sequences is of no importance.
        dataset: its log or text.
        target: the size.
        device: where trainings are timed.

    Raises:
        FarziError: no summary of this recipe has that size, or parts of the recipe do not fit each other.
    """
    check_parts(recipe)
    check_data(dataset)
    whole, length = int(dataset.train.lengths.sum()), recipe.summary.length
    reached = ""
    if target.name == "training_seconds":
        chosen, seconds = _in_seconds(recipe, dataset, target, max(1, whole // length), device)
        steps = counted(chosen.inner.steps, "step")
        reached = f"; one training takes {steps}, about {time_text(seconds)}"
    elif target.name == "bytes":
        fixed, each = _costs(recipe, len(dataset.vocabulary))
        events = math.floor((target.number - fixed) / each)
        if events < 2:
            raise target.refusal(_too_few_bytes(recipe, len(dataset.vocabulary), target.number))
        chosen = _with_events(recipe, min(events, whole), math.floor)
        stored = fixed + each * chosen.summary.sequences * chosen.summary.length
        reached = f"; {kib(math.ceil(stored))} KiB"
    else:
        events = round(target.number * whole) if target.share else int(target.number)
        if not 2 <= events <= whole:
            here = f"{counted(events, 'event')}, and " if target.share else ""
            raise target.refusal(f"{here}a summary has at least 2, and at most the {whole:,} of the data")
        chosen = _with_events(recipe, events, lambda number: math.ceil(number - 0.5))
    shape = chosen.summary
    events = shape.sequences * shape.length
    share = 100 * events / whole
    per_cent = f"{share:.0f} %" if share >= 10 else f"{share:.2g} %"
    return chosen, (
        f"{target.name}={target.given}: {counted(events, 'event')}, {per_cent} of "
        f"{whole:,}: {counted(shape.sequences, 'sequence')} of {shape.length}{reached}"
    )


def like(recipe: Recipe, other: Recipe) -> Recipe:
    """The recipe with what `sized` decides as in another one."""
    paths = ("summary.sequences", "inner.batch", "inner.steps")
    return recipe.changed(
        dict(zip(paths, (other.summary.sequences, other.inner.batch, other.inner.steps), strict=True))
    )


def _with_events(recipe: Recipe, events: int, whole: Callable[[float], int]) -> Recipe:
    """About as many events, in sequences as long as the recipe's; `whole` gives the number of sequences."""
    length, changes = recipe.summary.length, {}
    if events < length:
        changes["summary.length"] = events
        if not any(training.record for training in full_trainings(recipe)):
            changes["teach.length"] = recipe.full_length  # a small summary makes no weak full-data models
    return _with_sequences(recipe, max(1, whole(events / length))).changed(changes)


def _with_sequences(recipe: Recipe, sequences: int, in_proportion: bool = False) -> Recipe:
    """Another number of sequences; `in_proportion`: each is still read as often in a training."""
    before, batch = recipe.summary.sequences, recipe.inner.batch
    each = sequences if batch is None else min(batch, sequences)
    changes = {"summary.sequences": sequences, "inner.batch": None if batch is None else each}
    if in_proportion:
        reads = recipe.inner.steps * min(batch or before, before) / before
        changes["inner.steps"] = max(recipe.outer.window, math.ceil(reads * sequences / each))
    return recipe.changed(changes)


def _blank(recipe: Recipe, vocabulary: int, sequences: int) -> SummaryTensors:
    """A summary of the recipe's parametrization and length that holds zeros."""
    shape = recipe.summary
    parametrization: Parametrization = shape.parametrization.build()
    latents = torch.zeros(sequences, shape.length, parametrization.dim)
    decoder = torch.zeros(parametrization.dim, vocabulary)
    labels = decoder if parametrization.label_decoder else None
    parts = parametrization.parts(SummaryTensors(latents, decoder, shape.temperature, labels))
    return parametrization.summary(parts, shape.temperature).detach()


def _costs(recipe: Recipe, vocabulary: int) -> tuple[float, float]:
    """Stored bytes of a summary without events, its decoders, and of each event more."""
    precision = recipe.summary.precision
    one, two = (_blank(recipe, vocabulary, sequences).rounded(precision).bytes for sequences in (1, 2))
    return 2 * one - two, (two - one) / recipe.summary.length


def _too_few_bytes(recipe: Recipe, vocabulary: int, most: float) -> str:
    """What takes the bytes, and a width of the latents with which a sequence fits."""
    fixed, each = _costs(recipe, vocabulary)
    length, dim = recipe.summary.length, getattr(recipe.summary.parametrization, "dim", 0)
    text = f"the decoders of a vocabulary of {vocabulary:,} take {kib(math.ceil(fixed))} KiB" if fixed else ""
    text = text or f"two positions take {kib(math.ceil(2 * each))} KiB"
    while fixed and dim >= 4:
        dim //= 2
        changed = recipe.changed({"summary.parametrization.dim": dim})
        fixed, each = _costs(changed, vocabulary)
        if fixed + each * length <= most:
            return f"{text}; a summary of summary.parametrization.dim={dim} fits"
    return f"{text}; more bytes are needed"


def _in_seconds(
    recipe: Recipe, dataset: Data, target: Target, most: int, device: torch.device | str
) -> tuple[Recipe, float]:
    """The largest number of sequences, `most` at most, on which a training takes no longer; its seconds."""
    fitting, too_many = 0, most + 1
    trial, best, seconds = min(recipe.summary.sequences, most), None, math.nan
    while trial > fitting and too_many - fitting > max(1, CLOSE * fitting):
        candidate = _with_sequences(recipe, trial, in_proportion=True)
        seconds = training_seconds(candidate, len(dataset.vocabulary), device)
        if seconds <= target.number:
            fitting, best = trial, (candidate, seconds)
            if seconds >= (1 - CLOSE) * target.number:
                break
        else:
            too_many = trial
        trial = min(max(int(trial * target.number / seconds), fitting + 1), too_many - 1)
    if best is None:
        raise target.refusal(
            f"a training on a single sequence of {recipe.summary.length} takes {time_text(seconds)} here"
        )
    return best


def training_seconds(recipe: Recipe, vocabulary: int, device: torch.device | str = "cpu") -> float:
    """Seconds of one training on a summary of the recipe's size, from a few steps that are timed here."""
    summary, device = _blank(recipe, vocabulary, recipe.summary.sequences).to(device), torch.device(device)

    def take(steps: int) -> float:
        arguments = (summary, recipe.student, recipe.inner, recipe.seed, steps)
        return median(timed(lambda: train_on_summary(*arguments), device) for _ in range(ROUNDS))

    take(1)  # the first one of a process takes longer
    one = take(1)
    return one + max(0.0, take(1 + STEPS) - one) * (recipe.inner.steps - 1) / STEPS
