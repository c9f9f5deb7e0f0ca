"""A model's metrics on held-out data, whether it ranks items or predicts tokens."""

from dataclasses import replace
from typing import Literal

from farzi.data import Data
from farzi.errors import FarziError
from farzi.evaluation.metrics import Evaluation
from farzi.evaluation.ranking import Seen
from farzi.evaluation.tasks import LanguageTask, Task, task_of
from farzi.models import Model


def evaluate(
    model: Model,
    data: Data,
    *,
    split: Literal["test", "valid"] = "test",
    seen: Seen = "keep",
    stride: int | None = None,
) -> Evaluation:
    """Measure a model on held-out events, where its network is.

    Args:
        model: the model.
        data: a log or text with the vocabulary that the model was trained for.
        split: which held-out events.
        seen: whether rankings contain the items of a user's history; ignored for a text.
        stride: for a text: tokens that each window predicts, at most the model's length; half of it if None.

    Returns:
        The metrics: HR@k, nDCG@k, MRR and AUC of a log; perplexity, accuracy and bits per byte of a text.

    Raises:
        FarziError: the vocabularies differ, or the stride does not fit the data or the model.
    """
    model.check(data.vocabulary, data.name)
    task = evaluation_task(model, data, seen, stride)
    evaluation = task.evaluate(model.network, data.test if split == "test" else data.valid)
    units = len(next(iter(evaluation.per_unit.values())))
    statement = task.statement(units, len(data.vocabulary) - 1, model.network.length + 1)
    return replace(evaluation, statement=f"{data.name}, {split} {statement}")


def evaluation_task(model: Model, data: Data, seen: Seen = "keep", stride: int | None = None) -> Task:
    """How a model is measured on data; arguments and errors as for `evaluate`."""
    task = task_of(data, seen)
    if stride is None:
        return task
    if not isinstance(task, LanguageTask):
        raise FarziError(f"stride is for texts, and {data.name} is a log")
    if not 1 <= stride <= model.network.length:
        raise FarziError(f"stride must be in 1..{model.network.length}, the model's length, not {stride}")
    return LanguageTask(stride)
