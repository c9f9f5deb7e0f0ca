"""Named tensors and a few words about them in one safetensors file, where damage is noticed.

safetensors has no checksum of its own: a flipped bit among the numbers would pass. The header's metadata
therefore holds, beside the format's name and the caller's words, a SHA-256 of all of them and of the tensors.
Nothing is pickled.
"""

import hashlib
import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from farzi.errors import FarziError
from farzi.files import write_bytes_atomic

_OWN = ("format", "names", "sha256")


def write_tensors(path: str | Path, format: str, tensors: dict[str, Tensor], words: dict[str, str]) -> None:
    """Write a file, whole or not at all.

    Args:
        path: where to; an existing file is replaced.
        format: name and version of what the file holds.
        tensors: by name, of any shapes and types.
        words: what else is to be known, as text; "format", "names" and "sha256" are taken.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is then as it was.
    """
    # the clone parts tensors that share memory, as views of one vector do
    kept = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    header = words | {"format": format, "names": json.dumps(list(kept))}
    header["sha256"] = _checksum(kept, header)
    write_bytes_atomic(path, _ordered(safetensors.torch.save(kept, header)))


def read_tensors(path: str | Path, format: str, advice: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, in the order in which they were given, and the words of a file that `write_tensors` wrote.

    Args:
        path: of an existing file.
        format: what it must hold.
        advice: what to do about a damaged file, for the message.

    Raises:
        FarziError: it cannot be read, is damaged or of another format.
    """
    try:
        data = Path(path).read_bytes()  # at once: the file may be replaced at any moment
    except OSError as error:
        raise FarziError(f"{path}: cannot be read ({error.strerror}); {advice}") from None
    try:
        found = safetensors.torch.load(data)
        header = json.loads(data[8 : _end_of_header(data)]).get("__metadata__") or {}
    except (KeyError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise FarziError(f"{path}: damaged, or not a safetensors file ({reason}); {advice}") from None
    if header.get("format") != format:
        raise FarziError(f"{path}: not of the format {format}; {advice}")
    try:
        tensors = {name: found[name] for name in json.loads(header["names"])}
        if header["sha256"] != _checksum(tensors, header):
            raise ValueError("checksum")
    except (KeyError, ValueError, TypeError):
        raise FarziError(f"{path}: damaged, its checksum differs; {advice}") from None
    return tensors, {name: value for name, value in header.items() if name not in _OWN}


def _checksum(tensors: dict[str, Tensor], header: dict[str, str]) -> str:
    """SHA-256 of the header's words, and of the tensors' names, shapes, types and bytes."""
    words = {name: value for name, value in header.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(words, sort_keys=True).encode())
    for name, value in tensors.items():
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _ordered(data: bytes) -> bytes:
    """The same file with its header in alphabetical order: the library writes the metadata in a random one.

    The header is JSON, padded with spaces to a multiple of 8 bytes; tensors' places in it count from its end.
    """
    end = _end_of_header(data)
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def _end_of_header(data: bytes) -> int:
    """Where the tensors begin: behind the header's length (8 bytes, little-endian) and the header."""
    return 8 + int.from_bytes(data[:8], "little")
