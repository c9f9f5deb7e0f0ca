"""The teacher that an update trains further: given, kept beside the summary, cached, or a stand-in."""

from dataclasses import dataclass
from pathlib import Path

import torch

from farzi.distillation import Cache, full_trainings
from farzi.distillation.teach import ADVICE, FORMAT
from farzi.errors import FarziError
from farzi.models import Model
from farzi.states import read_state
from farzi.summary import TEACHER, Summary
from farzi.training import NextEvent, make_model, train_on_summary


@dataclass(frozen=True)
class Teacher:
    """A model over the summary's items, and where it is from."""

    model: Model
    kind: str  # "given", "beside the summary", "cache" or "student"
    words: str  # one line about it


def found_teacher(
    summary: Summary,
    folder: Path | None,
    given: Model | str | Path | None,
    cache: str | Path | None,
    device: torch.device | str,
) -> Teacher:
    """The teacher of an update; see `update`.

    Raises:
        FarziError: a model that is given has other items, or reads fewer events than the summary's sequences
            have; or the cache has no training of this summary.
    """
    if given is not None:
        model = given if isinstance(given, Model) else Model.load(given)
        model.check(summary.vocabulary, "the summary")
        if model.network.length < summary.tensors.length - 1:
            raise FarziError(
                f"the teacher reads {model.network.length} events, fewer than the summary's sequences have; "
                "another one is needed"
            )
        return Teacher(model, "given", "teach: the given model is trained further")
    if folder is not None and (folder / TEACHER).exists():
        model = Model.load(folder / TEACHER)
        model.check(summary.vocabulary, str(folder))
        return Teacher(model, "beside the summary", f"teach: the teacher in {folder} is trained further")
    if cache is not None:
        return _cached(summary, Path(cache), device)
    recipe = summary.recipe
    trained = train_on_summary(summary.tensors.to(device), recipe.student, recipe.inner, recipe.seed)
    model = Model(trained.model, recipe.student, summary.vocabulary, recipe.data, "summary", trained.seconds)
    return Teacher(
        model,
        "student",
        "teach: no teacher is kept beside the summary, nor named: a student trained on the summary serves "
        "instead, and knows less",
    )


def _cached(summary: Summary, folder: Path, device: torch.device | str) -> Teacher:
    """The first full-data training of a distillation, from its cache."""
    training = full_trainings(summary.recipe)[0]
    path = Cache(folder).folder
    assert path is not None
    path /= f"full-{training.key(summary.run.get('data_sha256') or '')}.safetensors"
    if not path.exists():
        raise FarziError(f"{folder}: has no full-data training of this summary ({path.name})")
    weights = read_state(path, FORMAT, ADVICE, device)["model"]
    size = (len(summary.vocabulary), training.length, training.seed)
    network = NextEvent(make_model(training.student, *size, device)).student_with(weights)
    model = Model(network, training.student, summary.vocabulary, summary.recipe.data, "full")
    return Teacher(model, "cache", f"teach: the teacher in {path} is trained further")
