"""Where the files of named texts come from: bundled with the package, or the user's own copy."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from farzi.data.content import read_content
from farzi.data.named import bundled_file, cache_error, cache_folder
from farzi.data.text.files import Texts, decode, part_of, text_files
from farzi.errors import FarziError
from farzi.files import write_bytes_atomic


class TextSource(Protocol):
    """A way to get a named text."""

    def get(self, file: str | None = None) -> Path:
        """The checked text on this machine, copied from `file` if it is not there yet."""
        ...

    def texts(self, file: str | None = None) -> Texts:
        """Its content, read from `file` if it is given."""
        ...


@dataclass(frozen=True)
class BundledText:
    """A compressed text file inside the package.

    Attributes:
        name: of the text.
        file: name of the file.
        sha256: of the file.
    """

    name: str
    file: str
    sha256: str

    def get(self, file: str | None = None) -> Path:
        """The path of the file in the installed package. Raises FarziError as `bundled_file`."""
        return bundled_file(self.name, self.file, self.sha256, file)

    def texts(self, file: str | None = None) -> Texts:
        """The text. Raises FarziError as `bundled_file`."""
        return Texts(self.name, (decode(read_content(self.get(file)).data, self.name),))


@dataclass(frozen=True)
class CopiedText:
    """A text that may not be redistributed: three files of the user's own, checked and copied to the cache.

    Attributes:
        name: of the text; its files are `NAME.train.txt`, `NAME.valid.txt`, `NAME.test.txt`.
        sums: sha256 of the decompressed files, by part.
    """

    name: str
    sums: Mapping[str, str]

    def get(self, file: str | None = None) -> Path:
        """The folder in the cache with the three checked files, copied from the folder `file` if given.

        Raises:
            FarziError: there is no copy, `file` is not a folder with the right files, or the cache cannot be
                written.
        """
        folder = cache_folder() / self.name
        if file is None:
            if not folder.is_dir():
                raise FarziError(
                    f"{self.name} may not be redistributed, so it cannot be downloaded; "
                    "give the folder of your own copy as data.file"
                )
            self._read(folder)
            return folder
        parts = self._read(Path(file))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            if folder.resolve() != Path(file).resolve():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                for part, data in parts.items():
                    write_bytes_atomic(folder / f"{self.name}.{part}.txt", data)
        except OSError as error:
            raise cache_error(folder, error) from None
        return folder

    def texts(self, file: str | None = None) -> Texts:
        """The three texts; a copy `file` is checked, not cached. Raises FarziError as `get`."""
        parts = self._read(self.get() if file is None else Path(file))
        texts = {part: (decode(data, f"{self.name}.{part}"),) for part, data in parts.items()}
        return Texts(self.name, **texts)

    def _read(self, folder: Path) -> dict[str, bytes]:
        """The checked content of each part, plain or compressed on disk."""
        if not folder.exists():
            raise FarziError(f"{folder}: no such folder")
        if not folder.is_dir():
            raise FarziError(f"{folder}: not a folder; give the one with the three files of {self.name}")
        files = text_files(folder)
        parts = {}
        for part, expected in self.sums.items():
            named = [file for file in files if part_of(file) == part]
            if len(named) != 1:
                raise FarziError(
                    f"{folder}: has {len(named) or 'no'} files for {part} by their names; "
                    f"one such as {self.name}.{part}.txt is needed"
                )
            parts[part] = read_content(named[0]).data
            checksum = hashlib.sha256(parts[part]).hexdigest()
            if checksum != expected:
                raise FarziError(
                    f"{named[0]}: not the {part} text of {self.name} "
                    f"(sha256 {checksum[:12]}…, not {expected[:12]}…)"
                )
        return parts
