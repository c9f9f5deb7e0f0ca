"""Transfer: how architectures that a summary was not distilled with are trained on it."""

from collections.abc import Sequence

from farzi.evaluation.trials import Trials
from farzi.recipe import Inner
from farzi.recipe.variants import AdamW
from farzi.summary import SummaryTensors
from farzi.training import train_on_summary

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


def best_inner(trials: Trials, summary: SummaryTensors, tried: Sequence[Inner]) -> Inner:
    """The training on a summary with the best validation score; the first one of equal ones."""
    trials.progress("summary: choosing a training")
    seed, valid = trials.first_seed - 1, trials.dataset.valid
    return max(
        tried,
        key=lambda inner: trials.task.score(
            train_on_summary(summary, trials.student, inner, seed).model, valid
        ),
    )
