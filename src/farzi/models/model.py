"""A trained model as users hold it: the network, its vocabulary, and where it comes from; and its file.

The file is one safetensors file: the weights, the vocabulary as a tensor of bytes (JSON, compressed by zlib),
and in the header the architecture, the data, and what the training took. Nothing is pickled.
"""

import json
import math
import zlib
from dataclasses import dataclass
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

import polars as pl
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from farzi import hub
from farzi.data import Vocabulary
from farzi.data.vocabulary import SCHEMA
from farzi.errors import FarziError
from farzi.files import locked, parse_json, place, write_text_atomic, written
from farzi.models.base import SequenceModel, build_model
from farzi.models.histories import read_histories, recommend, write_recommendations
from farzi.progress import counted
from farzi.recipe.variants import Custom, Data, DataVariant, Student, StudentVariant
from farzi.surroundings import undisturbed
from farzi.tensorfile import check_tensors, read_tensors, write_tensors

FORMAT = "farzi-model-1"
ADVICE = "train the model again"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
"""The files of a folder of `save_pretrained`."""


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained model with what is needed to use it.

    Attributes:
        network: the network.
        student: its architecture.
        vocabulary: original id, name and count of each item, by index.
        data: the log or text that it was trained for, and how that was split.
        trained_on: "summary", "mixed" (a summary and real events), "full", or the name of a control.
        seconds: wall-clock seconds of the training.
        steps: optimizer steps of the training.
    """

    network: SequenceModel
    student: StudentVariant
    vocabulary: Vocabulary
    data: DataVariant
    trained_on: str
    seconds: float = 0.0
    steps: int = 0

    def __repr__(self) -> str:
        items, seconds = len(self.vocabulary) - 1, f"{self.seconds:.1f} s"
        training = f"trained on {self.trained_on}: {counted(self.steps, 'step')}, {seconds}"
        return f"Model({self.student.type}, {items:,} items, {training})"

    @undisturbed(training=False)
    def recommend(
        self,
        histories: Any,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        user: str | None = None,
        item: str | None = None,
        time: str | None = None,
    ) -> Any:
        """The k items that score highest after each user's history.

        Items that the model does not know are left out of the histories, and so are rows that lack a user, an
        item or a time. A user without any known item gets no rows. All are counted in one `FarziWarning`.
        Items that the model was never trained on are read in histories and never recommended.

        Args:
            histories: a frame of pandas, polars or pyarrow with a row for each event; or a mapping from users
                to lists of item ids; or a list of such lists, whose users are their positions; or one such
                list, whose user is 0. Arrays and tensors of ids may take the place of lists. Ids may be given
                as numbers: 3 is the id "3". Events are ordered by time; without times as they are given,
                oldest first.
            k: number of items for each user, at most the number that the model was trained on.
            exclude_seen: leave out the items of a user's history, as `evaluate(..., seen="exclude")` does. A
                user with fewer than k others gets fewer rows. Other candidates are left out by filtering
                the answer for a larger k.
            user: the frame's user column; by default the one called user_id, or recognised by its name as in
                `load_log`.
            item: the item column; by default item_id, or recognised.
            time: the time column; by default timestamp, or recognised.

        Returns:
            A frame of the same library, polars if no frame was given, with the columns `user_id`, as given;
            `item_id`, of the given type if that is a number and all ids of the vocabulary are whole numbers,
            else text; `score`, the network's logit, comparable within one user only; `rank`, from 1; and
            `name`, if the vocabulary has names. Users are in the order of their first rows.

        Raises:
            FarziError: k is too large or below 1, or the histories cannot be read.
        """
        self._check_k(k)
        given = read_histories(histories, user, item, time)
        return recommend(self.network, self.vocabulary, given, k, exclude_seen)

    @undisturbed(training=False)
    def recommend_to(
        self,
        path: str | Path,
        histories: Any,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        user: str | None = None,
        item: str | None = None,
        time: str | None = None,
    ) -> tuple[int, int]:
        """Write what `recommend` returns to a file, some thousand users at a time.

        Histories take 4 bytes for an event; scores and answers of all users are never held at once.

        Args:
            path: a file that ends in .parquet, .csv or .jsonl. It is there when all is written.
            histories: as of `recommend`.
            k: as of `recommend`, and so are the others.
            exclude_seen: leave out the items of a user's history.
            user: the frame's user column.
            item: the item column.
            time: the time column.

        Returns:
            The number of recommendations and of users.

        Raises:
            FarziError: as `recommend`; or the path has another ending.
            OSError: the disk is full or the file cannot be written.
        """
        self._check_k(k)
        given = read_histories(histories, user, item, time)
        return write_recommendations(self.network, self.vocabulary, given, k, exclude_seen, path)

    def _check_k(self, k: int) -> None:
        items = len(self.vocabulary) - 1 - len(self.vocabulary.untrained)
        if not isinstance(k, Integral) or not 1 <= k <= items:
            raise FarziError(f"k must be between 1 and {items:,}, the number of items, not {k}")

    def check(self, vocabulary: Vocabulary, source: str) -> None:
        """Refuse a vocabulary, that of `source`, whose ids or their order differ, with a FarziError."""
        if not vocabulary.frame["id"].equals(self.vocabulary.frame["id"]):
            raise FarziError(
                f"{source}: its items are not those that the model was trained for; read it with the same "
                "settings as then (`model.data`). A model of an updated summary is measured by "
                "`farzi update --next FILE`"
            )

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OSError: the disk is full or the file cannot be written.
        """
        header = {
            "student": self.student.model_dump_json(),
            "length": str(self.network.length),
            "data": self.data.model_dump_json(),
            "trained_on": self.trained_on,
            "seconds": repr(self.seconds),
            "steps": str(self.steps),
        }
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        columns = self.vocabulary.frame.select("id", "name", "count").to_dict(as_series=False)
        packed = zlib.compress(json.dumps(columns, ensure_ascii=False).encode())
        tensors["vocabulary"] = torch.frombuffer(bytearray(packed), dtype=torch.uint8)
        write_tensors(path, FORMAT, tensors, header)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder as libraries of Hugging Face do: `model.safetensors`, the file of `save`, and
        `config.json`, which says in plain JSON what it is.

        Raises:
            FarziError: another process is at work in the folder.
            OSError: the disk is full or the folder cannot be written.
        """
        folder = place(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            (folder / CONFIG).unlink(missing_ok=True)  # never beside weights of another model
            self.save(folder / WEIGHTS)
            write_text_atomic(folder / CONFIG, json.dumps(self._config(), indent=2) + "\n")

    @staticmethod
    def from_pretrained(
        source: str | Path, *, revision: str | None = None, token: str | None = None
    ) -> "Model":
        """Read a folder of `save_pretrained`, or a repository of the Hugging Face hub that has its files.

        Args:
            source: the folder; or, if there is no such folder, a repository such as "me/name".
            revision: of the repository: a branch, a tag or a commit.
            token: for a private one; by default the one that is logged in.

        Raises:
            FarziError: there is no such folder or repository, a file is missing or damaged, or `config.json`
                is of another model.
        """
        folder = Path(source)
        if not folder.is_dir():
            if not hub.REPOSITORY.fullmatch(str(source)):
                raise FarziError(f"{source}: no such folder")
            folder = hub.download(str(source), "model", revision, token)
        model = Model.load(folder / WEIGHTS)
        try:
            config = parse_json((folder / CONFIG).read_bytes())
        except (OSError, ValueError) as error:
            raise FarziError(f"{folder / CONFIG}: cannot be read ({error})") from None
        for name, value in model._config().items():
            if name != "farzi_version" and config.get(name) != value:
                raise FarziError(f"{folder / CONFIG}: {name} is not that of {WEIGHTS}; save the model again")
        return model

    def _config(self) -> dict[str, Any]:
        """What config.json says of the model."""
        return {
            "library_name": "farzi",
            "model_type": self.student.type,
            "format": FORMAT,
            "farzi_version": version("farzi"),
            "student": self.student.model_dump(mode="json"),
            "length": self.network.length,
            "vocabulary_size": len(self.vocabulary),
            "trained_on": self.trained_on,
            "steps": self.steps,
        }

    @undisturbed(training=False)
    def to_onnx(self, path: str | Path) -> None:
        """Write the model as an ONNX file, for any number of histories at a time.

        Its input `histories`, int64 (B, length), are item indices, 0 before the first; its output `scores`,
        (B, V), those of the item after each: −∞ for padding and for items without training events. Items of
        the histories are not left out. The ids by index are a JSON list in the metadata `item_ids`. Outputs
        are compared with the model's by onnxruntime before anything is written.

        Raises:
            FarziError: `farzi[onnx]` is not installed, or the model cannot be exported.
            OSError: the disk is full or the file cannot be written.
        """
        from farzi.models.exported import write_onnx

        with written(path) as file:
            write_onnx(self.network, self.vocabulary, file)

    @undisturbed(training=False)
    def to_exported(self, path: str | Path) -> None:
        """Write the model as a program for `torch.export.load`, with the input and output of `to_onnx`.

        It runs without this package. The ids by index are its extra file `item_ids.json`.

        Raises:
            FarziError: the model cannot be exported.
            OSError: the disk is full or the file cannot be written.
        """
        from farzi.models.exported import write_program

        with written(path) as file:
            write_program(self.network, self.vocabulary, file)

    @staticmethod
    @undisturbed()
    def load(path: str | Path) -> "Model":
        """Read a file that `save` wrote.

        What the header claims is compared with the weights before anything is allocated. A model of the
        user's own class (`student.type` "package.module:Class") is created by that class: a file cannot bring
        code with it, but it decides which installed module is imported. Load such files only from sources
        that you trust.

        Raises:
            FarziError: the file is missing, damaged or something else; or its class cannot be imported or is
                no `SequenceModel`.
        """
        if not Path(path).is_file():
            what = "is a folder, not a model's file" if Path(path).is_dir() else "no such file"
            raise FarziError(f"{path}: {what}; `farzi train` writes one")
        tensors, header = read_tensors(path, FORMAT, ADVICE)
        try:
            return _from_file(tensors, header)
        except ValidationError:
            message = f"{path}: of another version of Farzi, whose settings differ; {ADVICE}"
            raise FarziError(message) from None
        except KeyError as error:
            raise FarziError(f"{path}: {error.args[0]} is missing; {ADVICE}") from None
        except FarziError as error:  # of the user's class
            raise FarziError(f"{path}: {error}") from error
        except (ValueError, zlib.error) as error:
            raise FarziError(f"{path}: {error}; {ADVICE}") from error


def _from_file(tensors: dict[str, Tensor], header: dict[str, str]) -> Model:
    """The model that a file claims to hold, compared with its tensors before anything is allocated.

    Raises:
        KeyError, ValueError, FarziError: something is missing, or does not fit the rest.
    """
    student = TypeAdapter(Student).validate_json(header["student"])
    data = TypeAdapter(Data).validate_json(header["data"])
    length, seconds, steps = int(header["length"]), float(header["seconds"]), int(header["steps"])
    if length < 1 or not 0 <= seconds < math.inf or steps < 0:
        raise ValueError("length must be at least 1, and seconds and steps not negative")
    packed = tensors.pop("vocabulary")
    weights = {name.removeprefix("network."): value for name, value in tensors.items()}
    vocabulary = _unpacked(packed, max((len(value) for value in weights.values() if value.ndim), default=0))
    numbers = sum(value.numel() for value in weights.values())
    own = {} if isinstance(student, Custom) else student.own
    for name, value in {"length": length, **own}.items():
        if isinstance(value, int) and value > (len(weights) if name == "layers" else max(10_000, numbers)):
            raise ValueError(f"{name} {value:,} is more than its {numbers:,} weights can be for")
    if not isinstance(student, Custom):
        with torch.device("meta"):  # the shapes alone, without memory
            _check(weights, build_model(student, len(vocabulary), length))
    network = build_model(student, len(vocabulary), length)
    _check(weights, network)
    network.load_state_dict(weights)
    return Model(network, student, vocabulary, data, header["trained_on"], seconds, steps)


def _check(weights: dict[str, Tensor], network: SequenceModel) -> None:
    check_tensors(weights, {name: (one.dtype, one.shape) for name, one in network.state_dict().items()})


def _unpacked(packed: Tensor, rows: int) -> Vocabulary:
    """The vocabulary in its tensor of bytes: JSON, compressed by zlib; as large as `rows` events may have."""
    check_tensors({"vocabulary": packed}, {"vocabulary": (torch.uint8, (None,))})
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(packed.numpy().tobytes(), 2**24 + 2**12 * rows)
    if not unpacker.eof:
        raise ValueError("its vocabulary is cut short, or larger than its weights can be for")
    try:
        columns = parse_json(text)
        columns["index"] = range(len(columns["id"]))
        vocabulary = Vocabulary(pl.DataFrame(columns, schema=SCHEMA))
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"its vocabulary is no table of id, name and count ({reason})") from None
    vocabulary.check()
    return vocabulary
