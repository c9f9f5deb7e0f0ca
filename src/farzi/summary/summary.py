"""`Summary`: what a user holds, and its folder, which others can use without this package.

    summary.safetensors   format farzi-summary-2: latents (μ, ξ, d), decoder (d, V), label_decoder (d, V) if
                          soft labels have one; with full logits latents (μ, ξ, V) and decoder (0, V); the
                          temperature in the header's metadata
    vocabulary.parquet    index, original id, readable name where known, count
    recipe.yaml           everything needed to repeat the run
    history.jsonl         one line for each validation
    run.json              what the distillation took, on which data and machine; the selected outer step
    tokenizer.json        of a text: for Hugging Face's `tokenizers` and `transformers`
    SHA256SUMS            checksums of the files above, as `sha256sum -c` reads them
    README.md             a dataset card, which may be edited

Nothing is pickled. A damaged file, or one of another summary, is refused when the folder is loaded.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import torch
from torch import Tensor

from farzi.data import Vocabulary
from farzi.errors import FarziError
from farzi.files import sha256, write_text_atomic
from farzi.recipe import Recipe, load_recipe
from farzi.summary.card import card
from farzi.summary.tensors import SummaryTensors
from farzi.tensorfile import read_tensors, write_tensors

if TYPE_CHECKING:
    from torch.utils.data import TensorDataset

FORMAT = "farzi-summary-2"
TENSORS = "summary.safetensors"
SUMS = "SHA256SUMS"
RESULTS = (
    "results.json",
    "comparison.md",
    "comparison.json",
    "comparison.png",
    "students.json",
    "students.md",
)
"""The files that a comparison adds to the folder; they are removed with the summary."""
SUMMED = (TENSORS, "vocabulary.parquet", "recipe.yaml", "history.jsonl", "run.json")
TOKENIZER = "tokenizer.json"
ADVICE = "restore it or distil again"
ALL = slice(None)

LANGUAGE = "language"
"""The task in `run.json` of a summary of a text."""


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """A summary with everything that belongs to it: what `farzi.distill` returns.

    Example:
        >>> summary = Summary.load("runs/mine")  # doctest: +SKIP
        >>> summary  # doctest: +SKIP
        Summary of movielens-small: 100 sequences x 20 positions, 1,303 items, 579 KiB, outer step 50 of 150
        >>> summary.to_frame()  # doctest: +SKIP

    Attributes:
        tensors: latents, decoders and temperature.
        vocabulary: the events.
        recipe: of the distillation.
        history: the validations, one dict each.
        run: what the distillation took and on what: seconds, outer steps, machine, checksum of the data.
        tokenizer: the content of a text's `tokenizer.json`. Its token i has index i + 1.

    Raises:
        ValueError: the vocabulary is not of the tensors' size.
    """

    tensors: SummaryTensors
    vocabulary: Vocabulary
    recipe: Recipe
    history: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        if len(self.vocabulary) != self.tensors.vocabulary:
            raise ValueError(
                f"a vocabulary of {len(self.vocabulary)} events for a summary of {self.tensors.vocabulary}"
            )

    def __repr__(self) -> str:
        """One line: source, size, and the outer step that was selected."""
        tensors, selected = self.tensors, self.selected_step
        size = f"{tensors.sequences} sequences x {tensors.length} positions"
        events = f"{len(self.vocabulary) - 1:,} {'tokens' if self.is_text else 'items'}"
        step = "" if selected is None else f", outer step {selected} of {self.run.get('outer_steps')}"
        initial = " (the initial summary)" if selected == 0 else ""
        size += f", {events}, {tensors.bytes / 1024:,.0f} KiB"
        return f"Summary of {self.recipe.source}: {size}{step}{initial}"

    @property
    def is_text(self) -> bool:
        """Whether the data was a text."""
        return self.run.get("task") == LANGUAGE

    @property
    def selected_step(self) -> int | None:
        """The outer step whose state was selected, 0 for the initial summary; None without a history."""
        return next((line["outer_step"] for line in reversed(self.history) if line.get("best")), None)

    @torch.no_grad()
    def soft_inputs(self, sequences: slice | Sequence[int] = ALL) -> Tensor:
        """What a student reads: a probability distribution over V events at each position.

        Args:
            sequences: which ones; all by default, which takes μ · ξ · V numbers.

        Returns:
            (μ, ξ, V), rows sum to 1, and padding, index 0, has probability 0.
        """
        return self.tensors.select(sequences).soft_inputs()

    @torch.no_grad()
    def soft_labels(self, sequences: slice | Sequence[int] = ALL) -> Tensor:
        """What a student learns to predict at each position, from the positions before it; as `soft_inputs`.

        The label of the first position is never used. Without a label decoder labels are the soft inputs.
        """
        return self.tensors.select(sequences).soft_labels()

    def to_torch(self, sequences: slice | Sequence[int] = ALL) -> "TensorDataset":
        """Training pairs for any PyTorch model: soft inputs (ξ − 1, V) and the next soft labels (ξ − 1, V).

        With a model's embedding table E, `inputs @ E` is what it reads; the loss is cross-entropy with soft
        targets. Everything is in memory, 2 · μ · (ξ − 1) · V numbers.
        """
        from torch.utils.data import TensorDataset

        return TensorDataset(self.soft_inputs(sequences)[:, :-1], self.soft_labels(sequences)[:, 1:])

    def to_frame(self, top: int = 3) -> pl.DataFrame:
        """The `top` likeliest events at each position, by id and name.

        Returns:
            Columns `sequence` and `position`, counted from 0; `role`, "input" or "label"; `rank`, from 1;
            `item_id`; `name`, null if unknown; `probability`. The first position has no label.
        """
        names = self.vocabulary.frame["name"]
        rows = [
            (sequence, position, role, rank, event["id"], names[event["index"]], event["probability"])
            for sequence, positions in enumerate(self.top_events(top))
            for position, roles in enumerate(positions)
            for role, events in roles.items()
            for rank, event in enumerate(events or (), start=1)
        ]
        counted = dict.fromkeys(("sequence", "position"), pl.Int64) | {"role": pl.String, "rank": pl.Int64}
        schema = counted | {"item_id": pl.String, "name": pl.String, "probability": pl.Float64}
        return pl.DataFrame(rows, schema, orient="row")

    def top_events(self, top: int = 3, sequences: int | None = None) -> list[list[dict[str, Any]]]:
        """The likeliest events at each position, as JSON values.

        Args:
            top: how many events at each position.
            sequences: how many sequences, from the first; all if None.

        Returns:
            For each sequence and position {"input": events, "label": events}. Events are a list of {"index",
            "id", "name", "probability"}, the likeliest first; None as the label of the first position.
        """
        result = []
        for sequence in range(self.tensors.sequences)[:sequences]:  # one by one: each takes ξ · V numbers
            inputs = self._likeliest(self.soft_inputs([sequence]), top)
            labels = self._likeliest(self.soft_labels([sequence]), top)
            pairs = zip(inputs, [None, *labels[1:]], strict=True)
            result.append([{"input": one, "label": other} for one, other in pairs])
        return result

    def _likeliest(self, soft: Tensor, top: int) -> list[list[dict[str, Any]]]:
        """The events of one sequence of distributions, (1, ξ, V)."""
        ids, label = self.vocabulary.frame["id"], self.vocabulary.label
        probabilities, indices = soft[0, :, 1:].topk(min(top, soft.shape[2] - 1), dim=-1)
        return [
            [
                {"index": i, "id": ids[i], "name": label(i), "probability": p}
                for i, p in zip(*position, strict=True)
            ]
            for position in zip((indices + 1).tolist(), probabilities.tolist(), strict=True)
        ]

    def save(self, path: str | Path) -> None:
        """Write the folder, which may exist. The checksums come last: a folder that has them is complete.

        Results measured on an earlier summary in that folder are removed.

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
        write_text_atomic(path / "README.md", card(self))
        temperature = repr(self.tensors.temperature)
        write_tensors(path / TENSORS, FORMAT, self.tensors.parts, {"temperature": temperature})
        names = SUMMED
        if self.tokenizer is not None:
            write_text_atomic(path / TOKENIZER, self.tokenizer)
            names = (*SUMMED, TOKENIZER)
        write_text_atomic(path / SUMS, "".join(_sum(name, sha256(path / name)) for name in names))

    @staticmethod
    def remove(path: str | Path) -> None:
        """Remove the tensors from a folder, which then holds no summary, and the results measured on them."""
        for name in (SUMS, TENSORS, TOKENIZER, *RESULTS):
            (Path(path) / name).unlink(missing_ok=True)

    @staticmethod
    def load(path: str | Path) -> "Summary":
        """Read a folder that `save` wrote.

        Raises:
            FarziError: it is no summary, is one of another format, or has a missing or damaged file.
        """
        path = Path(path)
        if not path.is_dir():
            raise FarziError(f"{path}: no such folder; distil one there first")
        if not (path / TENSORS).is_file():
            raise FarziError(
                f"{path / TENSORS}: no such file; the folder holds no finished summary "
                "(an unfinished run resumes)"
            )
        # Checksums come first: the Parquet reader can bring the whole process down on a damaged file.
        sums = _content(path / SUMS).decode("ascii", "replace")
        names = (*SUMMED, TOKENIZER) if f"  {TOKENIZER}\n" in sums else SUMMED
        contents = {name: _content(path / name) for name in names}
        for name, content in contents.items():
            if _sum(name, hashlib.sha256(content).hexdigest()) not in sums:
                raise FarziError(
                    f"{path / name}: damaged, or of another summary: its checksum is not in {SUMS}; {ADVICE}"
                )
        tensors, metadata = read_tensors(path / TENSORS, FORMAT, ADVICE)
        return Summary(
            SummaryTensors(**tensors, temperature=float(metadata["temperature"])),
            Vocabulary.load(path / "vocabulary.parquet"),
            load_recipe(path / "recipe.yaml"),
            [json.loads(line) for line in contents["history.jsonl"].splitlines()],
            json.loads(contents["run.json"]),
            contents[TOKENIZER].decode() if TOKENIZER in contents else None,
        )


def history_text(history: list[dict[str, Any]]) -> str:
    """The content of history.jsonl: one JSON object in each line.

    Raises:
        ValueError: a number is not finite, which JSON cannot hold.
    """
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
