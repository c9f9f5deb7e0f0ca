"""`Summary`: what a user holds, and its folder, which others can use without this package (docs/format.md).

Nothing is pickled. A damaged file, or one of another summary, is refused when the folder is loaded.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.utils.data import TensorDataset

from farzi import hub
from farzi.data import Vocabulary
from farzi.errors import FarziError
from farzi.files import locked, parse_json, place, sha256, write_text_atomic
from farzi.markup import joined, table, tag
from farzi.progress import counted
from farzi.recipe import Recipe, load_recipe
from farzi.summary.card import card, distillation_facts
from farzi.summary.checked import Line, Run, checked_facts, checked_tensors
from farzi.summary.dataset import Form, SummaryDataset
from farzi.summary.folder import (
    CARD,
    CARD_SUM,
    CHECKPOINT,
    HISTORY,
    NAMES,
    PARTIAL,
    RECIPE,
    RUN,
    SUMMED,
    SUMS,
    TENSORS,
    TOKENIZER,
    VOCABULARY,
    check_folder,
    remove_cached,
)
from farzi.summary.hard import hard_events, lenskit_dataset, rectools_frame, write_events, write_recbole
from farzi.summary.publish import publish
from farzi.summary.tensors import SummaryTensors
from farzi.surroundings import undisturbed
from farzi.tensorfile import read_tensors, write_tensors

FORMAT = "farzi-summary-2"
ADVICE = "restore it or distil again"
ALL = slice(None)
LANGUAGE = "language"  # the task in run.json of a summary of a text


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """A summary with everything that belongs to it: what `farzi.distill` returns.

    Attributes:
        tensors: latents, decoders and temperature.
        vocabulary: the events.
        recipe: of the distillation; `summary.precision` is set to that of the tensors.
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
        if self.recipe.summary.precision != self.tensors.precision:  # of a folder from before there was any
            changed = self.recipe.changed({"summary.precision": self.tensors.precision})
            object.__setattr__(self, "recipe", changed)

    def __repr__(self) -> str:
        """One line: source, size, and the outer step that was selected."""
        tensors, selected = self.tensors, self.selected_step
        size = f"{counted(tensors.sequences, 'sequence')} x {counted(tensors.length, 'position')}"
        events = f"{len(self.vocabulary) - 1:,} {'tokens' if self.is_text else 'items'}"
        step = "" if selected is None else f", outer step {selected} of {self.run.get('outer_steps')}"
        initial = " (the initial summary)" if selected == 0 else ""
        size += f", {events}, {tensors.bytes / 1024:,.0f} KiB"
        return f"Summary of {self.recipe.source}: {size}{step}{initial}"

    def _repr_html_(self) -> str:
        """For notebooks: what it is, how it was made, and its first sequence."""

        def cell(events: list[dict[str, Any]] | None) -> str:
            return ", ".join(f"{one['name']} {100 * one['probability']:.1f} %" for one in events or ()) or "–"

        first = self.top_events(3, 1)[0]
        rows = [(place, cell(at["input"]), cell(at["label"])) for place, at in enumerate(first, start=1)]
        return joined(
            [
                tag("p", tag("b", repr(self))),
                tag("p", distillation_facts(self)),
                table(("position", "soft input", "soft label"), rows, "The first sequence"),
            ]
        )

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

    def to_torch(self, sequences: slice | Sequence[int] = ALL) -> TensorDataset:
        """Training pairs for any PyTorch model: soft inputs (ξ − 1, V) and the next soft labels (ξ − 1, V).

        With a model's embedding table E, `inputs @ E` is what it reads; the loss is cross-entropy with soft
        targets. Everything is in memory, 2 · μ · (ξ − 1) · V numbers.
        """
        return TensorDataset(self.soft_inputs(sequences)[:, :-1], self.soft_labels(sequences)[:, 1:])

    def dataset(self, form: Form = "soft", **settings: Any) -> SummaryDataset:
        """Its sequences as a `torch.utils.data.Dataset` for any training loop.

        Args:
            form: "soft" (distributions), "top" (the likeliest events and their weights), "sampled" (events
                drawn from them) or "embeddings" (mean rows of a `table`); see `SummaryDataset`.
            settings: `top`, `draws`, `seed` and `table` of `SummaryDataset`.

        Raises:
            FarziError: there is no such form, or a setting does not fit it.
        """
        return SummaryDataset(self.tensors, form, **settings)

    def to_events(self, sampled: int | None = None, seed: int = 0) -> pl.DataFrame:
        """Hard events: one item at each position, the most probable one or drawn ones.

        They are for what reads logs and nothing soft, and lose the rest of each distribution and the soft
        labels: a model trained on them is not one trained on the summary.

        Args:
            sampled: how many sequences are drawn from each; None takes the most probable items.
            seed: of the draws.

        Returns:
            Columns `user_id`, "synthetic-1" and so on; `item_id`, the original id; `timestamp`, the position,
            which is an order and no time; and `name`, if the vocabulary has names.
        """
        return hard_events(self, sampled, seed)

    def write_events(self, path: str | Path, sampled: int | None = None, seed: int = 0) -> None:
        """Write `to_events` to a file that ends in .parquet, .csv or .jsonl, one event in each row."""
        write_events(self.to_events(sampled, seed), path)

    def to_recbole(self, folder: str | Path, sampled: int | None = None, seed: int = 0) -> None:
        """Write `to_events` as a data set of RecBole, whose name is the folder's: `.inter` and `.item`.

        Raises:
            FarziError: it is a summary of a text, or an id has a tab or a line break.
        """
        write_recbole(self, self.to_events(sampled, seed), folder)

    def to_rectools(self, sampled: int | None = None, seed: int = 0) -> Any:
        """`to_events` as RecTools' frame: user_id, item_id, weight 1, datetime (the position in seconds).

        Raises:
            FarziError: it is a summary of a text, or pandas is not installed.
        """
        return rectools_frame(self, self.to_events(sampled, seed))

    def to_lenskit(self, sampled: int | None = None, seed: int = 0) -> Any:
        """`to_events` as a `Dataset` of LensKit, with all items of the vocabulary and their titles.

        Raises:
            FarziError: it is a summary of a text, or LensKit is not installed.
        """
        return lenskit_dataset(self, self.to_events(sampled, seed))

    def push_to_hub(
        self,
        repository: str,
        *,
        results: str | Path | None = None,
        license: str | None = None,
        private: bool | None = None,
        token: str | None = None,
    ) -> str:
        """Upload the summary's folder as a data set of the Hugging Face hub; return its address.

        Args:
            repository: "me/name"; created if it is not there.
            results: a folder with the files of `farzi compare`, which go with it and into the card.
            license: as the hub names it, such as "cc-by-4.0". It depends on that of the log.
            private: whether a new repository is private; by default as the account says.
            token: by default the one that is logged in.

        Raises:
            FarziError: `farzi[hub]` is not installed, there is no comparison, or the hub refuses the upload.
        """
        return publish(self, repository, results, license, private, token)

    @staticmethod
    def from_hub(repository: str, *, revision: str | None = None, token: str | None = None) -> "Summary":
        """Read a summary from a data set of the hub; raises FarziError as `load`, or if it is not there."""
        return Summary.load(hub.download(repository, "dataset", revision, token))

    def to_frame(self, top: int = 3) -> pl.DataFrame:
        """The `top` likeliest events at each position, by id and name.

        Returns:
            Columns `sequence` and `position`, counted from 0; `role`, "input" or "label"; `rank`, from 1;
            `item_id`; `name`, null if unknown; `probability`. The first position has no label.
        """
        names = self.vocabulary.frame["name"]
        columns = ("sequence", "position", "role", "rank", "item_id", "name", "probability")
        rows = [
            (sequence, position, role, rank, event["id"], names[event["index"]], event["probability"])
            for sequence, positions in enumerate(self.top_events(top))
            for position, roles in enumerate(positions)
            for role, events in roles.items()
            for rank, event in enumerate(events or (), start=1)
        ]
        return pl.DataFrame(rows, columns, schema_overrides={"name": pl.String}, orient="row")

    def top_events(self, top: int = 3, sequences: int | None = None) -> list[list[dict[str, Any]]]:
        """The likeliest events at each position, as JSON values.

        Returns:
            For each of the first `sequences` and each position {"input": events, "label": events}. Events are
            a list of {"index", "id", "name", "probability"}; None as the label of the first position.
        """
        ids, label = self.vocabulary.frame["id"], self.vocabulary.label

        def likeliest(soft: Tensor) -> list[Any]:
            probabilities, indices = soft[0, :, 1:].topk(min(top, soft.shape[2] - 1), dim=-1)
            return [
                [{"index": i, "id": ids[i], "name": label(i), "probability": p} for i, p in zip(*position)]
                for position in zip((indices + 1).tolist(), probabilities.tolist())
            ]

        rows = []
        for row in range(self.tensors.sequences)[:sequences]:  # one by one: each takes ξ · V numbers
            inputs, labels = likeliest(self.soft_inputs([row])), likeliest(self.soft_labels([row]))
            pairs = zip(inputs, [None, *labels[1:]], strict=True)
            rows.append([{"input": one, "label": other} for one, other in pairs])
        return rows

    def save(self, path: str | Path) -> None:
        """Write the folder, which may exist. The checksums come last: a folder that has them is complete.

        A summary that is there is replaced, with the results measured on it. Numbers are stored in the
        tensors' precision; those of `farzi.distill` and `load` are rounded to it already.

        Raises:
            FarziError: files of someone else would be replaced, or another process is at work in the folder.
            OSError: the disk is full or the folder cannot be written.
        """
        path = place(path)
        check_folder(path)
        path.mkdir(parents=True, exist_ok=True)
        with locked(path):
            Summary.remove(path)
            try:
                self._write(path)
            except BaseException:
                Summary.remove(path)
                raise

    def _write(self, path: Path) -> None:
        metadata = {"temperature": repr(self.tensors.temperature)}
        write_tensors(path / TENSORS, FORMAT, self.tensors.stored, metadata)  # first: it marks the folder
        self.vocabulary.save(path / VOCABULARY)
        self.recipe.save(path / RECIPE)
        write_text_atomic(path / HISTORY, history_text(self.history))
        write_text_atomic(path / CARD, card(self))
        run = self.run | {CARD_SUM: sha256(path / CARD)}
        write_text_atomic(path / RUN, json.dumps(run, indent=2, allow_nan=False) + "\n")
        names = SUMMED
        if self.tokenizer is not None:
            write_text_atomic(path / TOKENIZER, self.tokenizer)
            names = (*SUMMED, TOKENIZER)
        write_text_atomic(path / SUMS, "".join(f"{sha256(path / name)}  {name}\n" for name in names))

    @staticmethod
    def remove(path: str | Path) -> None:
        """Remove a summary's files from a folder, and the results measured on it."""
        for name in (SUMS, *(name for name in NAMES if name != CHECKPOINT)):
            (Path(path) / name).unlink(missing_ok=True)
        remove_cached(Path(path) / PARTIAL)

    @staticmethod
    @undisturbed(training=False)
    def load(path: str | Path) -> "Summary":
        """Read a folder that `save` wrote.

        Raises:
            FarziError: it is no summary or one of another format, or a file is missing, damaged, or does not
                fit the others.
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
            if f"{hashlib.sha256(content).hexdigest()}  {name}\n" not in sums:
                raise FarziError(
                    f"{path / name}: damaged, or of another summary: its checksum is not in {SUMS}; {ADVICE}"
                )
        tensors, metadata = read_tensors(path / TENSORS, FORMAT, ADVICE)
        with _naming(path / TENSORS):
            summary = checked_tensors(tensors, metadata.get("temperature", "none"))
        history = []
        for number, line in enumerate(contents[HISTORY].split(b"\n"), start=1):
            with _naming(f"{path / HISTORY}:{number}"):
                if line:
                    history.append(checked_facts(Line, line))
        with _naming(path / RUN):
            run = checked_facts(Run, contents[RUN])
            run.pop(CARD_SUM, None)
        with _naming(path / TOKENIZER):
            tokenizer = contents[TOKENIZER].decode() if TOKENIZER in contents else None
            if tokenizer is not None:
                parse_json(tokenizer)
        vocabulary = Vocabulary.load(path / VOCABULARY, summary.vocabulary)
        return Summary(summary, vocabulary, load_recipe(path / RECIPE), history, run, tokenizer)


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Name a file whose content cannot be used, though its checksum is right."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise FarziError(f"{path}: {where}: {first['msg']}; {ADVICE}") from None
    except (KeyError, ValueError) as error:
        raise FarziError(f"{path}: {error}; {ADVICE}") from None


def history_text(history: list[dict[str, Any]]) -> str:
    """The content of history.jsonl: one JSON object in each line.

    Raises:
        ValueError: a number is not finite, which JSON cannot hold.
    """
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in history)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FarziError(f"{path}: no such file; {ADVICE}") from None
    except OSError as error:
        raise FarziError(f"{path}: cannot be read ({error.strerror}); {ADVICE}") from None
