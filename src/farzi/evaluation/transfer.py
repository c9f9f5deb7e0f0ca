"""Students that a summary was not learnt with: does what teaches one architecture teach another?"""

from collections.abc import Callable, Sequence

from farzi.baselines import Random
from farzi.data import Data
from farzi.evaluation.compare import Comparison
from farzi.evaluation.kinds import kind_of
from farzi.evaluation.ranking import Seen
from farzi.evaluation.trials import Effort, Trials
from farzi.recipe import InnerSettings, Recipe, another
from farzi.summary import Summary

FACTORS = (1 / 3, 1.0, 3.0)
"""Learning rates, as shares of the recipe's, that are tried for a student of another kind."""


def trainings_of_others(inner: InnerSettings, sequences: int) -> tuple[InnerSettings, ...]:
    """The trainings among which a student that a summary was not learnt with chooses, on the validation data.

    The recipe's at three learning rates, and at the same rates one that keeps it from learning the sequences
    by heart: nothing did that for this student while the summary was learnt
    (docs/decisions/0013-students-of-others.md). That one is AdamW with a decay of 1 at least, a fifth of the
    sequences a step at most, and a learning rate that falls over the last half at least.

    Args:
        inner: the recipe's training.
        sequences: of the summary.
    """
    batch = min(inner.batch or sequences, max(1, sequences // 5))
    kept = {"optimizer": "adamw", "weight_decay": max(1.0, inner.weight_decay or 0.0)}
    held_back = inner.model_copy(update={**kept, "batch": batch, "cooldown": max(0.5, inner.cooldown)})
    return tuple(
        one.model_copy(update={"learning_rate": factor * one.learning_rate})
        for one in (inner, held_back)
        for factor in FACTORS
    )


def transfer(
    summary: Summary,
    dataset: Data,
    recipe: Recipe,
    students: Sequence[str],
    *,
    effort: Effort = Effort(),
    seen: Seen = "keep",
    first_seed: int = 1000,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Comparison]:
    """Train and test students of several kinds on the full data, on the summary and on random sequences.

    Each has the size of the recipe's student, and is measured against its own training on the full data. On
    the summary it is trained as the recipe says; one that it was not learnt with gets the training of
    `trainings_of_others` that is best on the validation data, as the trainings on real events are tuned.

    Args:
        summary: the learnt sequences; all students are trained where they are.
        dataset: the log or the text they were learnt from.
        recipe: how they were learnt.
        students: names of architectures.
        effort: seeds and tuning; `equal_bytes` means nothing here.
        seen: the treatment of seen items in the ranking; nothing to a text.
        first_seed: the students' seeds count up from here.
        progress: called with a word on what is being done.

    Returns:
        One comparison a student, of "full", "summary" and "random", in the order of the names.

    Raises:
        pydantic.ValidationError: no student has such a name.
    """
    compared = []
    for name in students:
        own = name in (recipe.student.name, *recipe.inner.students)

        def told(what: str, name: str = name) -> None:
            progress(f"{name}, {what}")

        trials = Trials(
            dataset,
            another(recipe.student, name),
            summary.length,
            kind_of(dataset, seen),
            effort,
            first_seed,
            told,
            summary.device,
        )
        others = trainings_of_others(recipe.inner, summary.sequences)
        inner = recipe.inner if own else trials.best_inner(summary, others)
        few = trials.picker(Random(), summary.sequences)
        measured = (
            trials.on_everything(),
            trials.on_summary(summary, inner),
            trials.on_events("random", few, trials.best_rate("random", few)),
        )
        compared.append(Comparison(name, trials.kind, summary.length, measured, None))
    return compared
