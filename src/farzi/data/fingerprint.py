"""Checksums of a log or a text with its split: a run resumes only on the data that it started with."""

import hashlib

from farzi.data.loading import Data
from farzi.data.sequences import Sequences


def fingerprint(dataset: Data) -> str:
    """SHA-256 over the vocabulary's ids and all training, validation and test events, in hexadecimal."""
    digest = hashlib.sha256()
    for name in dataset.vocabulary.frame["id"]:
        digest.update(name.encode() + b"\0")
    for part in (dataset.train, *dataset.valid.parts, *dataset.test.parts):
        digest.update(_bytes(part))
    return digest.hexdigest()


def checksum(sequences: Sequences) -> str:
    """SHA-256 over some sequences, in hexadecimal."""
    return hashlib.sha256(_bytes(sequences)).hexdigest()


def _bytes(part: Sequences) -> bytes:
    return part.items.astype("<i8").tobytes() + part.offsets.astype("<i8").tobytes()
