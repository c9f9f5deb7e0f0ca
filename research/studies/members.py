"""Half of a log's users; what is learnt from it has never seen the other half."""

from dataclasses import dataclass

import numpy as np

from farzi.data import Data, Holdout, Log, Sequences
from farzi.recipe.variants import DataVariant
from research.studies.bench import Bench


@dataclass(frozen=True)
class Members:
    """The log of a random half of the users, a different one in each repetition, with the whole vocabulary.

    Attributes:
        settings: of the whole log.
        others: take the other half instead.
    """

    settings: DataVariant
    others: bool = False

    def __call__(self, bench: Bench, repeat: int) -> Data:
        """The log of that half. Raises TypeError for a text, which has no users."""
        whole = bench.data(self.settings)
        if not isinstance(whole, Log):
            raise TypeError("a text has no users")
        names = whole.train.users or tuple(str(user) for user in range(len(whole.train)))
        order = np.random.default_rng([repeat, 7]).permutation(len(names))
        half = len(names) // 2
        chosen = order[half : 2 * half] if self.others else order[:half]  # equally many
        return of_users(whole, {names[int(user)] for user in chosen})


def of_users(log: Log, users: set[str]) -> Log:
    """The part of a log that belongs to these users."""

    def part(sequences: Sequences) -> Sequences:
        names = sequences.users or tuple(str(user) for user in range(len(sequences)))
        return sequences.select([place for place, name in enumerate(names) if name in users])

    def held(both: Holdout) -> Holdout:
        return Holdout(part(both.histories), part(both.targets))

    return Log(log.name, log.vocabulary, part(log.train), held(log.valid), held(log.test), {})
