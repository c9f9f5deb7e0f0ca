"""A checksum of a log as it was split, so that a run or a summary is never mixed up with another log."""

import hashlib

from farzi.data.dataset import Dataset


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 over the vocabulary's ids and all training, validation and test events, in hexadecimal."""
    digest = hashlib.sha256()
    for name in dataset.vocabulary.frame["id"]:
        digest.update(name.encode() + b"\0")
    parts = [dataset.train]
    for held in (dataset.valid, dataset.test):
        parts += [held.histories, held.targets]
    for part in parts:
        digest.update(part.items.astype("<i8").tobytes())
        digest.update(part.offsets.astype("<i8").tobytes())
    return digest.hexdigest()
