"""The log or text that a summary or a student came of, where it was then or where the user says it is now."""

from pathlib import Path

from farzi.data import CATALOG, Data, load_data
from farzi.data.fingerprint import fingerprint
from farzi.errors import FarziError
from farzi.recipe import DataSettings


def recorded_log(data: DataSettings, recorded: DataSettings, owner: str, sha256: str | None = None) -> Data:
    """The log that `data` name, without its side file of names, which is not needed here and may be gone.

    Args:
        data: the settings that hold now.
        recorded: those that the summary or the student was made with.
        owner: what was made with them, for messages: "the summary in runs/mine".
        sha256: fingerprint of the log then, None where it is not known. It must be that of the log now unless
            `data` read or cut it otherwise.

    Raises:
        FarziError: there is no such file, it cannot be used, or it is another log than the recorded one.
    """
    place = _place(data)
    if place is not None and place == _place(recorded) and not Path(place).exists():
        raise FarziError(
            f"{place}: no such file; it is the log of {owner}, and --from FILE says where that lies now"
        )
    dataset = load_data(data.model_copy(update={"names": None}))
    if sha256 is not None and _cut(data) == _cut(recorded) and fingerprint(dataset) != sha256:
        raise FarziError(f"{dataset.name}: its events are not those that {owner} was learnt from")
    return dataset


def _place(data: DataSettings) -> str | None:
    """The file that is read; None for a named data set that is fetched or comes with the package."""
    return data.file or (None if data.source in CATALOG else data.source)


def _cut(data: DataSettings) -> DataSettings:
    """The settings but for where files are."""
    return data.model_copy(update={"file": None, "names": None})
