"""The named texts' ways to this machine: carried inside the package, or a copy of the user's own."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

from farzi.data.fetching import cache_folder
from farzi.data.opening import open_file
from farzi.data.text.files import Texts, decode, files_of, part_of
from farzi.errors import FarziError
from farzi.files import new_folder, sha256


class TextOrigin(Protocol):
    """A way to have a named text on this machine."""

    def get(self, file: str | None = None) -> Path:
        """The checked text on disk, kept there (or taken from the copy `file`) if it is not yet."""
        ...

    def texts(self, file: str | None = None) -> Texts:
        """What is in it."""
        ...


@dataclass(frozen=True)
class CarriedText:
    """A compressed text file inside the package.

    Attributes:
        name: the text's.
        file: the file's.
        sha256: of the file as it is carried.
    """

    name: str
    file: str
    sha256: str

    def get(self, file: str | None = None) -> Path:
        """The file's path in the installed package.

        Raises:
            FarziError: `file` is given, or the carried file is damaged.
        """
        if file is not None:
            raise FarziError(
                f"{self.name} comes with the package and takes no --from; to read {file}, name it as the data"
            )
        path = Path(str(resources.files("farzi.data") / "carried" / self.file))
        if not path.is_file() or sha256(path) != self.sha256:
            raise FarziError(f"{path}: is missing or damaged; install farzi again")
        return path

    def texts(self, file: str | None = None) -> Texts:
        """The text. Raises FarziError as `get`."""
        return Texts(self.name, (decode(open_file(self.get(file)).data, self.name),))


@dataclass(frozen=True)
class OwnCopy:
    """A text that may not be passed on, in three files that a user has; kept in the cache once checked.

    Attributes:
        name: the text's, and that of its files: `NAME.train.txt`, `NAME.valid.txt`, `NAME.test.txt`.
        sums: sha256 of the decompressed files, by part.
    """

    name: str
    sums: Mapping[str, str]

    def get(self, file: str | None = None) -> Path:
        """The folder in the cache with the three checked files, copied from the folder `file` if given.

        Raises:
            FarziError: no copy was ever given, `file` is no folder with the right files, or the cache cannot
                be written.
        """
        folder = cache_folder() / self.name
        if file is None:
            if not folder.is_dir():
                raise FarziError(
                    f"{self.name} may not be passed on, so it cannot be fetched; "
                    "give the folder of your own copy with --from FOLDER"
                )
            self._read(folder)
            return folder
        read = self._read(Path(file))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            if folder.resolve() != Path(file).resolve():
                shutil.rmtree(folder, ignore_errors=True)
                with new_folder(folder) as new:
                    for part, data in read.items():
                        (new / f"{self.name}.{part}.txt").write_bytes(data)
        except OSError as error:
            raise FarziError(
                f"{folder}: cannot be written ({error}); FARZI_CACHE names another place"
            ) from None
        return folder

    def texts(self, file: str | None = None) -> Texts:
        """The three texts; a copy `file` is checked, not cached. Raises FarziError as `get`."""
        folder = self.get() if file is None else Path(file)
        read = {part: decode(data, f"{self.name}.{part}") for part, data in self._read(folder).items()}
        return Texts(self.name, (read["train"],), (read["valid"],), (read["test"],))

    def _read(self, folder: Path) -> dict[str, bytes]:
        """The right bytes by part, plain or compressed on disk."""
        if not folder.exists():
            raise FarziError(f"{folder}: no such folder")
        if not folder.is_dir():
            raise FarziError(f"{folder}: is no folder; give the one with the three files of {self.name}")
        files = files_of(folder)
        read = {}
        for part, expected in self.sums.items():
            mine = [file for file in files if part_of(file) == part]
            if len(mine) != 1:
                raise FarziError(
                    f"{folder}: has {len(mine) or 'no'} files for {part} by their names; "
                    f"one such as {self.name}.{part}.txt is needed"
                )
            read[part] = open_file(mine[0]).data
            found = hashlib.sha256(read[part]).hexdigest()
            if found != expected:
                raise FarziError(
                    f"{mine[0]}: not the {part} text of {self.name} "
                    f"(sha256 {found[:12]}…, not {expected[:12]}…)"
                )
        return read
