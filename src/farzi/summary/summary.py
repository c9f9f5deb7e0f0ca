"""A summary as a folder that someone else can use.

    summary.safetensors   latents, decoder (of a table empty), targets where events are predicted by a decoder
                          of their own; the temperature in the header's metadata
    vocabulary.parquet    index, original id, readable name where known, count
    recipe.yaml           everything needed to repeat the run
    history.jsonl         one line an outer step that was measured
    run.json              what the distillation took, and on what
    tokenizer.json        of a text in subwords: Hugging Face's `tokenizers` and `transformers` read it
    SHA256SUMS            checksums of the files above, as `sha256sum -c` reads them
    README.md             a dataset card; yours to edit

Nothing is pickled. A damaged file, or one of another summary, is noticed before anything is trained.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farzi.data import Vocabulary
from farzi.errors import FarziError
from farzi.files import sha256, write_text_atomic
from farzi.recipe import Recipe, load_recipe
from farzi.summary.card import LANGUAGE, card
from farzi.summary.tensors import SummaryTensors
from farzi.tensorfile import read_tensors, write_tensors

FORMAT = "farzi-summary-2"
TENSORS = "summary.safetensors"
SUMS = "SHA256SUMS"
RESULTS = (
    *("results.json", "comparison.md", "comparison.json", "comparison.png"),
    *("students.json", "students.md"),
)
"""What a comparison adds to the folder; it goes when the summary does."""
SUMMED = (TENSORS, "vocabulary.parquet", "recipe.yaml", "history.jsonl", "run.json")
TOKENIZER = "tokenizer.json"
ADVICE = "restore it or distil again"


@dataclass(frozen=True, eq=False)
class Summary:
    """A summary with all that stands beside it.

    Attributes:
        summary: the learnt sequences.
        vocabulary: what their events are.
        recipe: how they were learnt.
        history: the measured outer steps, one dict each.
        run: what the distillation took and on what: seconds, outer steps, machine, checksum of the log.
        tokenizer: what a `tokenizer.json` holds, for a text in subwords. Token i has index i + 1.
    """

    summary: SummaryTensors
    vocabulary: Vocabulary
    recipe: Recipe
    history: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        """Check that the vocabulary is the summary's."""
        if len(self.vocabulary) != self.summary.vocabulary:
            raise ValueError(
                f"a vocabulary of {len(self.vocabulary)} events for a summary of {self.summary.vocabulary}"
            )

    @property
    def of_text(self) -> bool:
        """Whether the summary is of a text."""
        return self.run.get("kind") == LANGUAGE

    def save(self, path: str | Path) -> None:
        """Write the folder, which may exist; the checksums come last, so that a folder with them is whole.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        Summary.remove(path)
        self.vocabulary.save(path / "vocabulary.parquet")
        self.recipe.save(path / "recipe.yaml")
        write_text_atomic(path / "history.jsonl", history_text(self.history))
        write_text_atomic(path / "run.json", json.dumps(self.run, indent=2, allow_nan=False) + "\n")
        write_text_atomic(path / "README.md", card(self.summary, self.vocabulary, self.recipe, self.of_text))
        write_tensors(
            path / TENSORS, FORMAT, self.summary.parts, {"temperature": repr(self.summary.temperature)}
        )
        summed = SUMMED
        if self.tokenizer is not None:
            write_text_atomic(path / TOKENIZER, self.tokenizer)
            summed = (*SUMMED, TOKENIZER)
        write_text_atomic(path / SUMS, "".join(_sum(name, sha256(path / name)) for name in summed))

    @staticmethod
    def remove(path: str | Path) -> None:
        """Take the tensors out of a folder, which then holds no summary, and the results measured on them."""
        for name in (SUMS, TENSORS, TOKENIZER, *RESULTS):
            (Path(path) / name).unlink(missing_ok=True)

    @staticmethod
    def load(path: str | Path) -> "Summary":
        """Read a folder that `save` wrote.

        Raises:
            FarziError: it is no summary, or one of its files is missing or damaged.
        """
        path = Path(path)
        if not path.is_dir():
            raise FarziError(f"{path}: no such folder; `farzi distill --out {path}` would make one")
        if not (path / TENSORS).is_file():
            raise FarziError(
                f"{path / TENSORS}: no such file; the folder holds no finished summary "
                "(an unfinished run resumes)"
            )
        # Checksums come first: the Parquet reader can bring the whole process down on a damaged file.
        sums = _content(path / SUMS).decode("ascii", "replace").splitlines(keepends=True)
        subwords = any(line.endswith(f"  {TOKENIZER}\n") for line in sums)
        contents = {name: _content(path / name) for name in (*SUMMED, *([TOKENIZER] if subwords else []))}
        for name, content in contents.items():
            if _sum(name, hashlib.sha256(content).hexdigest()) not in sums:
                raise FarziError(f"{path / name}: damaged, or of another summary: not as in {SUMS}; {ADVICE}")
        tensors, words = read_tensors(path / TENSORS, FORMAT, ADVICE)
        return Summary(
            SummaryTensors(**tensors, temperature=float(words["temperature"])),
            Vocabulary.load(path / "vocabulary.parquet"),
            load_recipe(path / "recipe.yaml"),
            [json.loads(line) for line in contents["history.jsonl"].splitlines()],
            json.loads(contents["run.json"]),
            contents[TOKENIZER].decode() if subwords else None,
        )


def history_text(history: list[dict[str, Any]]) -> str:
    """The content of history.jsonl, a JSON object a line. ValueError where a number is not finite."""
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in history)


def _sum(name: str, checksum: str) -> str:
    """The line of `SUMS` for a file."""
    return f"{checksum}  {name}\n"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FarziError(f"{path}: no such file; {ADVICE}") from None
    except OSError as error:
        raise FarziError(f"{path}: cannot be read ({error.strerror}); {ADVICE}") from None
