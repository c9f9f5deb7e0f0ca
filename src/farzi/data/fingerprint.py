"""A checksum of a log or a text as it was split, so that a run is never mixed up with one on other data."""

import hashlib

from farzi.data.loading import Data


def fingerprint(dataset: Data) -> str:
    """SHA-256 over the vocabulary's ids and all training, validation and test events, in hexadecimal."""
    digest = hashlib.sha256()
    for name in dataset.vocabulary.frame["id"]:
        digest.update(name.encode() + b"\0")
    for part in (dataset.train, *dataset.valid.parts, *dataset.test.parts):
        digest.update(part.items.astype("<i8").tobytes())
        digest.update(part.offsets.astype("<i8").tobytes())
    return digest.hexdigest()
