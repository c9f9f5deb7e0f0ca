"""The second stage: the initial summary, in the parametrization that the outer loop changes."""

import dataclasses

import numpy as np

from farzi.data import Data, Log
from farzi.errors import FarziError
from farzi.models import SequenceModel
from farzi.recipe import Recipe
from farzi.summary import Ensemble, Initializer, Parametrization, Size, SummaryTensors
from farzi.training import make_model


def initialise(
    recipe: Recipe, dataset: Data, teachers: tuple[SequenceModel, ...] | None = None
) -> SummaryTensors:
    """The initial summary, before any outer step.

    Args:
        recipe: the whole run.
        dataset: the log or text.
        teachers: models trained on the full data. If None, an untrained model stands in where the
            initializer needs some: the summary then has the right size and meaningless labels.

    Raises:
        FarziError: the data is too small for the summary, or parts of the recipe do not fit each other.
    """
    check_data(dataset)
    shape = recipe.summary
    parametrization: Parametrization = shape.parametrization.build()
    dim, label_decoder, vocabulary = (
        parametrization.dim,
        parametrization.label_decoder,
        len(dataset.vocabulary),
    )
    size = Size(
        shape.sequences, shape.length, dim, vocabulary, shape.temperature, label_decoder=label_decoder
    )
    initializer: Initializer = recipe.init.build()
    ensemble = None
    if getattr(initializer, "teachers", 0):
        stand_in = (make_model(recipe.student, size.vocabulary, size.length, recipe.seed),)
        ensemble = Ensemble(stand_in if teachers is None else teachers)
    initial = initializer(size, dataset.train, np.random.default_rng([recipe.seed, 0]), ensemble)
    if size.label_decoder and initial.label_decoder is None:
        initial = dataclasses.replace(initial, label_decoder=initial.decoder.clone())
    return parametrization.summary(parametrization.parts(initial), initial.temperature)


def check_data(dataset: Data) -> None:
    """Raise FarziError where no training sequence has a next event."""
    if dataset.train.lengths.max() < 2:
        raise FarziError(
            f"{dataset.name}: nobody has two training events, so there is no next event to learn; longer "
            "sequences or another data.split are needed"
        )


def origin_text(recipe: Recipe, dataset: Data) -> str:
    """What the sequences of a log's initial summary come from, as an end of a line."""
    sequences = recipe.init.own.get("sequences")
    if sequences == "sampled":
        return ", sampled from the teachers"
    if isinstance(dataset, Log) and (sequences == "real" or recipe.init.type in ("classes", "transitions")):
        return ", from windows of real users, who may be recognised"
    return ""
