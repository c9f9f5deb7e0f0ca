"""Students that a summary was not learnt with: does what teaches one architecture teach another?"""

from collections.abc import Callable, Sequence

from farzi.data import Data
from farzi.evaluation.compare import Comparison
from farzi.evaluation.controls import Random
from farzi.evaluation.ranking import Seen
from farzi.evaluation.tasks import task_of
from farzi.evaluation.trials import Trials
from farzi.recipe import Inner, Recipe
from farzi.recipe.variants import AdamW, StudentVariant
from farzi.summary import SummaryTensors

FACTORS = (1 / 3, 1.0, 3.0)
"""Learning rates, as multiples of the recipe's, that are tried for a student of another kind."""


def trainings_of_others(inner: Inner, sequences: int) -> tuple[Inner, ...]:
    """The trainings that are tried, on the validation data, for a student that a summary was not made with.

    The recipe's at three learning rates, and at the same rates one with more regularisation, since nothing
    kept this student from overfitting the sequences while the summary was made
    (docs/decisions/0013-students-of-others.md): AdamW with a decay of at least 1, at most a fifth of the
    sequences in each step, and a rate that decays over at least the last half.

    Args:
        inner: the recipe's training.
        sequences: of the summary.
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
    summary: SummaryTensors,
    dataset: Data,
    recipe: Recipe,
    students: Sequence[StudentVariant],
    *,
    seen: Seen = "keep",
    first_seed: int = 1000,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Comparison]:
    """Train and test students of several kinds on the full data, on the summary and on random sequences.

    Each is measured against its own training on the full data. On
    the summary it is trained as the recipe says; one that it was not learnt with gets the training of
    `trainings_of_others` that is best on the validation data, as the trainings on real events are tuned.

    Args:
        summary: the learnt sequences; all students are trained where they are.
        dataset: the log or the text they were learnt from.
        recipe: how they were learnt.
        students: their settings.
        seen: the treatment of seen items in the ranking; nothing to a text.
        first_seed: the students' seeds count up from here.
        progress: called with a word on what is being done.

    Returns:
        One comparison a student, of "full", "summary" and "random", in their order.
    """
    compared = []
    for student in students:
        own = student in (recipe.student, *recipe.outer.students)

        def report(what: str, name: str = student.type) -> None:
            progress(f"{name}, {what}")

        trials = Trials(
            dataset,
            student,
            summary.length,
            task_of(dataset, seen),
            recipe.compare.seeds,
            recipe.teach,
            first_seed,
            report,
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
        compared.append(Comparison(student.type, trials.task, summary.length, measured, None))
    return compared
