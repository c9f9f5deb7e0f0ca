"""The checksum of a log differs from that of any other."""

from dataclasses import replace

import numpy as np

from farzi.data import Holdout, Log, Sequences, Vocabulary
from farzi.data.fingerprint import fingerprint


def changed(part: Sequences) -> Sequences:
    items = part.items.copy()
    items[-1] = items[-1] % 40 + 1
    return Sequences(items, part.offsets, part.users)


def moved(part: Sequences) -> Sequences:
    offsets = part.offsets.copy()
    offsets[1] -= 1
    return Sequences(part.items, offsets, part.users)


def test_the_same_log_has_the_same_fingerprint(tiny: Log):
    assert fingerprint(tiny) == fingerprint(tiny)
    narrow = Sequences(tiny.train.items.astype(np.int32), tiny.train.offsets, tiny.train.users)
    assert fingerprint(replace(tiny, train=narrow)) == fingerprint(tiny)


def test_any_other_event_place_or_id_changes_it(tiny: Log, other: Log):
    ids = [f"x{id}" if id == "i40" else id for id in tiny.vocabulary.frame["id"]]
    renamed = Vocabulary(tiny.vocabulary.frame.with_columns(id=np.array(ids)))
    variants = [
        other,
        replace(tiny, vocabulary=renamed),
        replace(tiny, train=changed(tiny.train)),
        replace(tiny, train=moved(tiny.train)),
        replace(tiny, valid=Holdout(changed(tiny.valid.histories), tiny.valid.targets)),
        replace(tiny, valid=Holdout(tiny.valid.histories, changed(tiny.valid.targets))),
        replace(tiny, test=Holdout(moved(tiny.test.histories), tiny.test.targets)),
        replace(tiny, test=Holdout(tiny.test.histories, changed(tiny.test.targets))),
    ]
    assert len({fingerprint(variant) for variant in [tiny, *variants]}) == len(variants) + 1
