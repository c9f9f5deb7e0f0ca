"""A trained student as one file, `student.safetensors`: its weights, and in the header what it is.

The header's metadata holds the architecture, the longest sequence, the data it was trained for, and a
checksum of the item ids in the order of their indices. With another vocabulary a student is of no use:
`StudentFile.check` refuses it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from farzi.data import Vocabulary
from farzi.errors import FarziError
from farzi.models.base import SequenceModel
from farzi.models.registry import build_model
from farzi.recipe.variants import Data, DataVariant, Student, StudentVariant
from farzi.tensorfile import read_tensors, write_tensors

FORMAT = "farzi-student-1"
ADVICE = "train the student again"


@dataclass(frozen=True, eq=False)
class StudentFile:
    """A trained student with what is needed to use it.

    Attributes:
        student: the student.
        settings: its architecture.
        data: the log that it was trained for, and how that was split.
        vocabulary: checksum of the item ids, from `checksum_of_ids`.
        trained_on: "summary", "full", "random", "head", "herding" or "k-centre".
    """

    student: SequenceModel
    settings: StudentVariant
    data: DataVariant
    vocabulary: str
    trained_on: str

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OSError: the disk is full or the file cannot be written.
        """
        words = {
            "student": self.settings.model_dump_json(),
            "length": str(self.student.length),
            "data": self.data.model_dump_json(),
            "vocabulary": self.vocabulary,
            "trained_on": self.trained_on,
        }
        write_tensors(path, FORMAT, self.student.state_dict(), words)

    @staticmethod
    def load(path: str | Path) -> "StudentFile":
        """Read a file that `save` wrote.

        Raises:
            FarziError: the file is missing, damaged or something else.
        """
        if not Path(path).is_file():
            raise FarziError(f"{path}: no such file; `farzi train --out {path}` would make a student")
        tensors, words = read_tensors(path, FORMAT, ADVICE)
        try:
            settings = TypeAdapter(Student).validate_json(words["student"])
            data = TypeAdapter(Data).validate_json(words["data"])
        except ValidationError:
            raise FarziError(
                f"{path}: of another version of Farzi, with settings unknown here; {ADVICE}"
            ) from None
        vocabulary, length = len(tensors["embedding"]), int(words["length"])
        student = build_model(settings, vocabulary, length)
        student.load_state_dict(tensors)
        return StudentFile(student, settings, data, words["vocabulary"], words["trained_on"])

    def check(self, vocabulary: Vocabulary, source: str) -> None:
        """Refuse a vocabulary that is not the one the student was trained for.

        Raises:
            FarziError: the ids or their order differ; `source` is the log's name in the message.
        """
        if checksum_of_ids(vocabulary) != self.vocabulary:
            raise FarziError(
                f"{source}: read like this, its items are not those that the student was trained for; "
                f"leave the options out to use {self.data.source} as in its training"
            )


def checksum_of_ids(vocabulary: Vocabulary) -> str:
    """SHA-256 of the item ids in the order of their indices."""
    digest = hashlib.sha256()
    for id in vocabulary.frame["id"]:
        data = id.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
