"""Transfer: architectures that a summary was not distilled with, trained on it."""

from collections.abc import Callable, Sequence

import torch

from farzi.data import Data
from farzi.evaluation.compare import Comparison, check_vocabulary
from farzi.evaluation.controls import Random
from farzi.evaluation.ranking import Seen
from farzi.evaluation.tasks import task_of
from farzi.evaluation.trials import Trials
from farzi.recipe import Inner, Recipe
from farzi.recipe.variants import AdamW, StudentVariant
from farzi.summary import Summary

FACTORS = (1 / 3, 1.0, 3.0)
"""Learning rates tried for another architecture, as multiples of the recipe's."""


def trainings_of_others(inner: Inner, sequences: int) -> tuple[Inner, ...]:
    """The trainings on a summary that are tried for an architecture that it was not distilled with.

    The recipe's training at three learning rates, and one with more regularisation at the same rates, because
    this architecture's overfitting had no influence on the summary
    (docs/decisions/0013-students-of-others.md): AdamW with a decay of at least 1, at most a fifth of the
    sequences in each step, and a rate that decays over at least the last half.

    Args:
        inner: the recipe's training.
        sequences: number of sequences in the summary.
    """
    batch = min(inner.batch or sequences, max(1, sequences // 5))
    own = inner.optimizer.own
    rate, decay = float(own["learning_rate"]), max(1.0, float(own.get("weight_decay", 0.0)))
    same = {name: own[name] for name in ("beta1", "beta2", "epsilon") if name in own}
    regularised = inner.model_copy(
        update={
            "optimizer": AdamW(learning_rate=rate, weight_decay=decay, **same),
            "batch": batch,
            "cooldown": max(0.5, inner.cooldown),
        }
    )
    return tuple(
        one.model_copy(
            update={"optimizer": one.optimizer.model_copy(update={"learning_rate": factor * rate})}
        )
        for one in (inner, regularised)
        for factor in FACTORS
    )


def transfer(
    summary: Summary,
    data: Data,
    students: Sequence[StudentVariant],
    recipe: Recipe | None = None,
    *,
    seen: Seen | None = None,
    first_seed: int = 1000,
    device: torch.device | str = "cpu",
    progress: Callable[[str], None] | None = None,
) -> list[Comparison]:
    """Train and test several architectures on the full data, on a summary and on random sequences.

    Each is compared with its own training on the full data. On the summary, an architecture that it was
    distilled with is trained as the recipe says; another one gets the training of `trainings_of_others` that
    has the best validation score, as trainings on real events are tuned, too.

    Args:
        summary: the summary.
        data: the log or text that it was distilled from.
        students: the architectures.
        recipe: another recipe than the summary's; its `compare`, `teach` and `inner` are used.
        seen: whether rankings contain the items of a user's history; as in the recipe if None.
        first_seed: seeds of the models count up from here.
        device: where models are trained.
        progress: called with a line of text before each training.

    Returns:
        One comparison per architecture, of "full", "summary" and "random", in their order.

    Raises:
        FarziError: the data have other items than the summary.
    """
    recipe = recipe or summary.recipe
    check_vocabulary(data, summary.vocabulary, "the summary")
    tensors, compared = summary.tensors.to(device), []
    for student in students:

        def report(text: str, name: str = student.type) -> None:
            if progress is not None:
                progress(f"{name}, {text}")

        trials = Trials(
            data,
            student,
            tensors.length,
            task_of(data, seen or recipe.select.seen),
            recipe.compare.seeds,
            recipe.teach,
            first_seed,
            report,
            tensors.device,
        )
        inner = recipe.inner
        if student not in (summary.recipe.student, *summary.recipe.outer.students):
            inner = trials.best_inner(tensors, trainings_of_others(recipe.inner, tensors.sequences))
        pick = trials.picker(Random(), tensors.sequences)
        results = (
            trials.on_full_data(),
            trials.on_summary(tensors, inner),
            trials.on_events("random", pick, trials.best_rate("random", pick)),
        )
        items = len(data.vocabulary) - 1
        compared.append(Comparison(student.type, trials.task, tensors.length, items, results))
    return compared
