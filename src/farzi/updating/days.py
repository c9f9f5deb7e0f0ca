"""A day's events as a log: what is trained on, and what is held out to judge an update by."""

from collections.abc import Sequence

import numpy as np

from farzi.data import Day, Holdout, Log, Sequences, Vocabulary
from farzi.errors import FarziError

HELD, MOST = 0.2, 10
"""Share of each user's events of the day, the last ones, that is held out: one at least, so many at most."""


def day_log(
    day: Day, further: int, seed: int, following: Day | None = None, gone: np.ndarray | None = None
) -> Log:
    """The day as a log: a part is trained on, the rest judges.

    The last events of each user are held out: those of one half of the users, drawn by the seed, choose what
    is kept (validation), those of the other half are what is reported (test). With `following`, the next
    day's events, these are the test, and all users are in the validation.

    Args:
        day: the events, with those before.
        further: earlier events of each user that are read, at most.
        seed: of the users drawn.
        following: the next day, over the vocabulary of `day`.
        gone: items that vanished, as indices: their counts become 0.

    Raises:
        FarziError: nobody has two events, or only one user has.
    """
    recent, before = day.recent(further), np.minimum(day.before, further)
    usable = np.flatnonzero(recent.lengths > 1)
    if len(usable) < 2:
        raise FarziError(
            f"{day.name}: {'nobody has' if len(usable) == 0 else 'only one user has'} two events, so that "
            "there is no next event to learn and another to judge by; a longer day, or the users' earlier "
            "events (history) are needed"
        )
    ends = recent.lengths.copy()
    own = recent.lengths[usable] - before[usable]
    held_out = np.clip((HELD * own).astype(np.int64), 1, MOST)
    ends[usable] -= np.minimum(held_out, ends[usable] - 1)
    users = list(recent.users or ())
    trained = Sequences.from_lists([one[:end] for one, end in zip(recent, ends)], users)
    counts = day.vocabulary.frame["count"].to_numpy().astype(np.int64)
    for one, start in zip(trained, before):
        counts += np.bincount(one[start:], minlength=len(counts))
    if gone is not None:
        counts[gone] = 0
    vocabulary = day.vocabulary.with_counts(counts)

    def part(some: np.ndarray) -> Holdout:
        histories = [recent[int(user)][: ends[user]] for user in some]
        targets = [recent[int(user)][ends[user] :] for user in some]
        return _holdout(histories, targets, [users[user] for user in some], vocabulary)

    drawn = np.random.default_rng([seed, 11]).permutation(usable)
    if following is None:
        valid, test = part(np.sort(drawn[::2])), part(np.sort(drawn[1::2]))
    else:
        valid, test = part(usable), _next_day(day, following, further, vocabulary)
    learnt = trained.select(trained.lengths > 1)
    return Log(day.name, vocabulary, learnt, valid, event_by_event(test, further), {})


def event_by_event(held: Holdout, further: int) -> Holdout:
    """Each held-out event on its own, after all that its user did before it."""
    histories, targets, names = [], [], []
    for user, past, own in zip(held.targets.users or (), held.histories, held.targets):
        whole = np.concatenate([past, own])
        for place in range(len(past), len(whole)):
            histories.append(whole[max(0, place - further) : place])
            targets.append(whole[place : place + 1])
            names.append(user)
    first, second = (Sequences.from_lists(some, names) for some in (histories, targets))
    return Holdout(first, second, held.untrained)


def _next_day(day: Day, following: Day, further: int, vocabulary: Vocabulary) -> Holdout:
    """The next day's events, each user's after what the user did before, as far as it is known."""
    known = dict(zip(day.sequences.users or (), day.sequences))
    histories, targets, names = [], [], []
    for user, events, before in zip(following.sequences.users or (), following.sequences, following.before):
        past = known.get(user, events[:before])
        own = events[before:]
        if len(past) == 0:  # an unknown user: the first event cannot be predicted
            past, own = own[:1], own[1:]
        if len(own):
            histories.append(past[-further:])
            targets.append(own)
            names.append(user)
    if not targets:
        raise FarziError(f"{following.name}: has no event that could be predicted from others")
    return _holdout(histories, targets, names, vocabulary)


def last_events(log: Sequences, untrained: np.ndarray) -> tuple[Sequences, Holdout]:
    """Leave one out: sequences without their last event, and that event to be predicted from the others."""
    long = log.select(log.lengths > 2)
    before = Sequences.from_lists([one[:-1] for one in long], long.users)
    return before, Holdout(before, long.last(1), untrained)


def _holdout(
    histories: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    names: Sequence[str],
    vocabulary: Vocabulary,
) -> Holdout:
    first, second = (Sequences.from_lists(some, names) for some in (histories, targets))
    return Holdout(first, second, vocabulary.untrained)


def only(held: Holdout, wanted: np.ndarray) -> Holdout | None:
    """The held-out events of some items, a mask (V,); None if there are none."""
    targets = [one[wanted[one]] for one in held.targets]
    users = np.array([place for place, one in enumerate(targets) if len(one)], np.int64)
    if len(users) == 0:
        return None
    names = None if held.targets.users is None else [held.targets.users[user] for user in users]
    kept = Sequences.from_lists([targets[user] for user in users], names)
    return Holdout(held.histories.select(users), kept, held.untrained)
