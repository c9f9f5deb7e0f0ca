"""Named tensors and metadata in one safetensors file, with a checksum.

safetensors has no checksum: a flipped bit in the numbers would not be noticed. So the header's metadata
holds, beside the name of the format and the caller's metadata, a SHA-256 of all of them and of the tensors.
Nothing is pickled.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from farzi.errors import FarziError
from farzi.files import parse_json, write_bytes_atomic

_RESERVED = ("format", "names", "sha256")


def write_tensors(
    path: str | Path, format: str, tensors: dict[str, Tensor], metadata: dict[str, str]
) -> None:
    """Write a file completely, or not at all; an existing one is replaced.

    `format` is the name and version of the content. `metadata` is any further text by name; "format", "names"
    and "sha256" are reserved.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is unchanged.
    """
    # safetensors refuses tensors that share memory, as views of one vector do; clones do not share any.
    copies = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    header = metadata | {"format": format, "names": json.dumps(list(copies))}
    header["sha256"] = _checksum(copies, header)
    write_bytes_atomic(path, _ordered(safetensors.torch.save(copies, header)))


def read_tensors(path: str | Path, format: str, advice: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file that `write_tensors` wrote, in their order, and the metadata.

    `format` is what its content must have, `advice` what messages say is to be done if it cannot be used.

    Raises:
        FarziError: it cannot be read, is damaged or has another format.
    """
    try:
        data = Path(path).read_bytes()  # in one go: the file may be replaced at any moment
    except OSError as error:
        raise FarziError(f"{path}: cannot be read ({error.strerror}); {advice}") from None
    try:
        content = safetensors.torch.load(data)
        header = parse_json(data[8 : _end_of_header(data)]).get("__metadata__") or {}
    except (KeyError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise FarziError(f"{path}: damaged, or not a safetensors file ({reason}); {advice}") from None
    if header.get("format") != format:
        actual = header.get("format", "none")
        raise FarziError(f"{path}: its format is {actual}, this version of Farzi reads {format}; {advice}")
    try:
        tensors = {name: content[name] for name in parse_json(header["names"], list)}
        if header["sha256"] != _checksum(tensors, header):
            raise ValueError("checksum")
    except (KeyError, ValueError, TypeError):
        raise FarziError(f"{path}: damaged, its checksum differs; {advice}") from None
    return tensors, {name: value for name, value in header.items() if name not in _RESERVED}


Kind = tuple[torch.dtype, Sequence[int | None]]
"""The type and the shape that a tensor must have; None for a dimension of any size but 0."""


def check_tensors(tensors: Mapping[str, Tensor], kinds: Mapping[str, Kind]) -> None:
    """Refuse tensors that are not those that a file's other content claims; nothing is allocated.

    A checksum says only that a file is whole, not that whoever wrote it was right.

    Args:
        tensors: by name.
        kinds: what each must be; no other name may be there.

    Raises:
        ValueError: one is missing, unknown, of another type or shape, or holds a number that is not finite.
    """
    if odd := sorted(tensors.keys() ^ kinds.keys()):
        raise ValueError(f"{odd[0]} {'is unknown' if odd[0] in tensors else 'is missing'}")
    for name, (dtype, shape) in kinds.items():
        tensor = tensors[name]
        fits = tensor.ndim == len(shape) and all(
            actual == wanted or (wanted is None and actual) for actual, wanted in zip(tensor.shape, shape)
        )
        if tensor.dtype != dtype or not fits:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise ValueError(
                f"{name} must be {_word(dtype)} ({wanted}), not {_word(tensor.dtype)} "
                f"({', '.join(map(str, tensor.shape))})"
            )
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{name} holds numbers that are not finite")


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def is_other_content(path: str | Path) -> bool:
    """Whether a file is a sound safetensors file that `write_tensors` did not write."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            return not (file.metadata() or {}).get("format", "").startswith("farzi-")
    except (OSError, safetensors.SafetensorError):
        return False


def _checksum(tensors: dict[str, Tensor], header: dict[str, str]) -> str:
    """SHA-256 of the header, and of the tensors' names, shapes, types and bytes."""
    rest = {name: value for name, value in header.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name, value in tensors.items():
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _ordered(data: bytes) -> bytes:
    """The same file with its header in alphabetical order: the library writes metadata in a random order.

    The header is JSON, padded with spaces to a multiple of 8 bytes. The tensors' offsets count from its end.
    """
    end = _end_of_header(data)
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def _end_of_header(data: bytes) -> int:
    """Where the tensors begin: after the header's length (8 bytes, little-endian) and the header."""
    return 8 + int.from_bytes(data[:8], "little")
