"""The log or text that a summary or a model was made from, where it was then or where it is now."""

from pathlib import Path
from typing import Any

from farzi.data import CATALOG, Data, load_data
from farzi.data.fingerprint import fingerprint
from farzi.errors import FarziError
from farzi.recipe.variants import DataVariant


def recorded_log(settings: DataVariant, recorded: DataVariant, owner: str, sha256: str | None = None) -> Data:
    """The log that `settings` name, without its file of readable names, which may be missing.

    Args:
        settings: those that apply now.
        recorded: those that the summary or the model was made with.
        owner: what was made with them, for messages: "the summary in runs/mine".
        sha256: fingerprint of the log then; None if unknown. The log must have it, unless it is read or split
            in another way now.

    Raises:
        FarziError: there is no such file, it cannot be used, or it is another log than the recorded one.
    """
    place = _place(settings)
    if place is not None and place == _place(recorded) and not Path(place).exists():
        raise FarziError(
            f"{place}: no such file; it is the log of {owner}. If it has moved, say where: --from FILE"
        )
    data = load_data(_without(settings, "names"))
    if sha256 is not None and _cut(settings) == _cut(recorded) and fingerprint(data) != sha256:
        raise FarziError(f"{data.name}: its events are not those that {owner} was made from")
    return data


def _place(settings: Any) -> str | None:
    """The file that is read; None for a named data set, or data of another class."""
    source, file = getattr(settings, "source", None), getattr(settings, "file", None)
    return file or (None if source in CATALOG else source)


def _cut(settings: DataVariant) -> DataVariant:
    """The settings without the places of files."""
    return _without(settings, "file", "names")


def _without(settings: DataVariant, *names: str) -> DataVariant:
    known = type(settings).model_fields
    return settings.model_copy(update={name: None for name in names if name in known})
