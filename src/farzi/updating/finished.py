"""What a folder holds of an update: nothing, a part, or the whole."""

from pathlib import Path
from typing import Any

from farzi.errors import FarziError
from farzi.summary import Summary

PARTIAL = "update-partial"
"""Where an unfinished update keeps its teacher."""


def partial_teacher(out: Path, key: str) -> Path:
    """The file of the teacher of the unfinished update `key`."""
    return out / PARTIAL / f"teacher-{key[:16]}.safetensors"


def finished_update(out: Path, key: str, measured: dict[str, Any]) -> Summary | None:
    """The update `key` in a folder; None if there is none, or an unfinished one.

    Args:
        out: the folder.
        key: of all that decides what the new summary holds.
        measured: on which events it is measured.

    Raises:
        FarziError: the folder holds another summary, or this one, measured on other events, or another
            unfinished run.
    """
    begun = (out / "checkpoint.safetensors").exists()
    if begun and not partial_teacher(out, key).exists():  # it is written before the first outer step
        raise FarziError(f"{out} holds another unfinished run; choose another folder, or restart=True")
    if begun or (out / PARTIAL).exists():
        return None
    if not (out / "summary.safetensors").exists():
        return None
    there = Summary.load(out)
    if there.run.get("update", {}).get("key") != key:
        raise FarziError(
            f"{out} holds another summary than this update's; choose another folder, or restart=True"
        )
    if there.run["update"].get("measured") != measured:
        raise FarziError(
            f"{out} holds this update, but it was measured with another `next` or `compare`; choose another "
            "folder, or restart=True"
        )
    return there
