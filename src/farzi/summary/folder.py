"""The files in a summary's folder: which ones Farzi writes, and whether those that are there are Farzi's."""

import json
import os
import re
from contextlib import suppress
from pathlib import Path

from farzi.errors import FarziError
from farzi.files import remove_leftovers, sha256, write_text_atomic
from farzi.tensorfile import is_other_content

TENSORS, CHECKPOINT = "summary.safetensors", "checkpoint.safetensors"
CARD, RECIPE, HISTORY, RUN = "README.md", "recipe.yaml", "history.jsonl", "run.json"
VOCABULARY, TOKENIZER = "vocabulary.parquet", "tokenizer.json"
SUMS = "SHA256SUMS"
TEACHER = "teacher.safetensors"  # of an update: the model that the next one trains further
SUMMED = (TENSORS, VOCABULARY, RECIPE, HISTORY, RUN)
REPORT = "report.html"
RESULTS = (  # of a comparison, and the page of it all; removed with the summary
    REPORT,
    "results.json",
    *(f"comparison.{end}" for end in ("md", "json", "png")),
    "students.json",
    "students.md",
)
NAMES = (CHECKPOINT, SUMS, *SUMMED, TOKENIZER, CARD, TEACHER, *RESULTS)
PARTIAL = "comparison-partial"  # a folder: finished trainings of a comparison that is not finished
CARD_SUM = "card_sha256"  # in run.json: that of the card as it was written


def remove_cached(folder: Path) -> None:
    """Delete cached trainings, whose names end in a checksum, and the folder if nothing else is in it."""
    if folder.is_dir():
        remove_leftovers(folder)
        for suffix in ("safetensors", "unfinished"):
            for path in folder.glob(f"*-{16 * '[0-9a-f]'}.{suffix}"):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()


def check_folder(folder: Path) -> None:
    """Refuse a folder in which Farzi would replace or remove what someone else wrote.

    A folder is Farzi's if it holds a summary or an unfinished run. In it, the files that people edit are
    compared with the checksums.

    Raises:
        FarziError: files of such names are there; the line names them.
    """
    there = [name for name in NAMES if os.path.lexists(folder / name)]
    ours = [name for name in (TENSORS, CHECKPOINT) if name in there and not is_other_content(folder / name)]
    foreign, what = there, "which Farzi did not write"
    if ours:
        foreign, what = (
            [name for name in (CARD, RECIPE) if _is_edited(folder, name)],
            "edited since Farzi wrote it",
        )
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise FarziError(
            f"{folder} holds {', '.join(foreign[:3])}{more}, {what}; choose another folder, or move it away"
        )


def _is_edited(folder: Path, name: str) -> bool:
    """Whether a file differs from the checksum that was recorded with it, if there is one."""
    try:
        if name == CARD:
            recorded = json.loads((folder / RUN).read_bytes()).get(CARD_SUM)
        else:
            recorded = re.search(rf"^(\w+)  {re.escape(name)}$", (folder / SUMS).read_text(), re.MULTILINE)
            recorded = recorded and recorded[1]
        return recorded is not None and sha256(folder / name) != recorded
    except (OSError, ValueError, AttributeError):
        return False


def recorded_sum(folder: str | Path, name: str, checksum: str | None) -> None:
    """Write a file's checksum into the folder's `SHA256SUMS`, in place of an earlier; None takes it out."""
    path = Path(folder) / SUMS
    lines = [line for line in path.read_text().splitlines() if not line.endswith(f"  {name}")]
    lines += [] if checksum is None else [f"{checksum}  {name}"]
    write_text_atomic(path, "".join(f"{line}\n" for line in lines))
