import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farzi.data.sorting import filter_rare, sort, tie_keys
from farzi.data.splits import TEST, TRAIN, VALID, GlobalTime, LeaveOneOut, UserRatio
from farzi.errors import FarziError

# A log: (user, item, time) triples, few of each so that ties, repeats and short users are common.
logs = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(1, 6), st.integers(0, 9)), min_size=1, max_size=40
)
fractions = st.tuples(st.integers(1, 60), st.integers(1, 39)).map(lambda pair: (pair[0] / 100, pair[1] / 100))


def frame_of(log):
    users, items, times = zip(*log)
    rows = range(2, len(log) + 2)
    return pl.DataFrame(
        {"user": users, "item": [str(item) for item in items], "time": times, "row": rows},
        schema_overrides={"row": pl.UInt32},
    )


def sorted_log(log, ties="file"):
    return sort(frame_of(log), np.array([item for _, item, _ in log], np.int64), ties)


def by_user(log):
    """Brute force: user -> [(time, line, item)] in time order, ties in the order of the file."""
    rows = [(user, (time, line, item)) for line, (user, item, time) in enumerate(log, start=2)]
    users = sorted({user for user, _ in rows})
    return {user: sorted(event for owner, event in rows if owner == user) for user in users}


def cut(log, split):
    """The split's answer: user -> [(time, line, item, part)]."""
    ready = sorted_log(log)
    parts = split.parts(ready)
    assert parts.dtype == np.int8
    assert ready.time is not None
    result: dict[str, list] = {user: [] for user in ready.users}
    for user, time, row, item, part in zip(ready.user, ready.time, ready.row, ready.item, parts):
        result[ready.users[user]].append((int(time), int(row), int(item), int(part)))
    return result


@given(logs)
def test_events_are_sorted_by_user_time_and_line(log):
    ready = sorted_log(log)
    assert ready.time is not None
    found = [
        (ready.users[u], int(t), int(r), int(i))
        for u, t, r, i in zip(ready.user, ready.time, ready.row, ready.item)
    ]
    assert found == [(user, *event) for user, events in by_user(log).items() for event in events]
    assert ready.lengths.tolist() == [len(events) for events in by_user(log).values()]


@given(logs)
def test_leave_one_out(log):
    for user, events in cut(log, LeaveOneOut()).items():
        expected = by_user(log)[user]
        parts = (
            [TRAIN] * (len(expected) - 2) + [VALID, TEST] if len(expected) >= 3 else [TRAIN] * len(expected)
        )
        assert events == [(*event, part) for event, part in zip(expected, parts)]


@given(logs, st.integers(1, 7))
def test_leave_one_out_with_the_validation_of_some_users(log, count):
    every, some = cut(log, LeaveOneOut()), cut(log, LeaveOneOut(valid_users=count))
    able = [user for user, events in every.items() if len(events) >= 3]
    drawn = [user for user in able if VALID in [part for *_, part in some[user]]]
    assert len(drawn) == min(count, len(able))
    for user, events in every.items():
        parts = [part if part != VALID or user in drawn else TRAIN for *_, part in events]
        assert some[user] == [(*event[:3], part) for event, part in zip(events, parts)]
    assert some == cut(log, LeaveOneOut(valid_users=count))  # they do not change from call to call


def test_the_users_of_the_validation_are_not_the_first_ones():
    log = [(user, item, item) for user in "abcdef" for item in (1, 2, 3)]
    drawn = [user for user, events in cut(log, LeaveOneOut(valid_users=3)).items() if events[1][3] == VALID]
    assert drawn != ["a", "b", "c"]


@given(logs, fractions)
def test_user_ratio(log, shares):
    valid, test = shares
    for user, events in cut(log, UserRatio(valid, test)).items():
        expected = by_user(log)[user]
        n = len(expected)
        if n < 3:
            tests = valids = 0
        else:
            tests = min(max(1, int(n * test + 1e-9)), n - 2)
            valids = min(max(1, int(n * valid + 1e-9)), n - 1 - tests)
        parts = [TRAIN] * (n - valids - tests) + [VALID] * valids + [TEST] * tests
        assert events == [(*event, part) for event, part in zip(expected, parts)]
        assert parts[0] == TRAIN


@given(logs, fractions)
def test_global_time(log, shares):
    valid, test = shares
    times = sorted(time for _, _, time in log)
    test_from = times[-max(1, int(len(log) * test + 1e-9))]
    before = [time for time in times if time < test_from]
    valid_from = before[max(0, len(before) - max(1, int(len(log) * valid + 1e-9)))] if before else test_from
    events = [event for events in cut(log, GlobalTime(valid, test)).values() for event in events]
    assert all(
        part == (TEST if t >= test_from else VALID if t >= valid_from else TRAIN) for t, _, _, part in events
    )
    for (one, _, _, early), (two, _, _, late) in itertools.permutations(events, 2):
        assert not (early < late and one >= two)


@given(logs, st.sampled_from([LeaveOneOut(), UserRatio(0.2, 0.3), GlobalTime(0.2, 0.3)]))
def test_parts_follow_each_other_within_a_user(log, split):
    for events in cut(log, split).values():
        parts = [part for *_, part in events]
        assert parts == sorted(parts)


@pytest.mark.parametrize("split", [UserRatio, GlobalTime])
@pytest.mark.parametrize(("valid", "test"), [(0.5, 0.5), (0.0, 0.1), (0.1, 1.0)])
def test_fractions_that_leave_nothing_are_refused(split, valid, test):
    with pytest.raises(FarziError, match="together below 1"):
        split(valid, test)


def test_a_split_by_time_needs_times():
    frame = frame_of([("a", 1, 0)]).drop("time")
    with pytest.raises(FarziError, match=r"as data\.time"):
        GlobalTime().parts(sort(frame, np.array([1]), "file"))


@pytest.mark.parametrize("split", [LeaveOneOut(), UserRatio(), GlobalTime()])
def test_a_split_says_its_rule(split):
    assert "test" in str(split)


@given(logs, st.integers(1, 5), st.integers(1, 5))
def test_filtering_is_removing_one_by_one(log, min_user, min_item):
    left = list(enumerate(log))
    while True:
        users = [user for _, (user, _, _) in left]
        items = [item for _, (_, item, _) in left]
        thin = [
            event
            for event in left
            if users.count(event[1][0]) < min_user or items.count(event[1][1]) < min_item
        ]
        if not thin:
            break
        left.remove(thin[0])
        # a user's or an item's other events become rarer still, so the order of removal does not matter
    remaining = filter_rare(frame_of(log), min_user, min_item)
    assert remaining["row"].to_list() == [index + 2 for index, _ in left]


@given(logs, st.randoms(use_true_random=False))
def test_random_ties_do_not_see_the_order_of_the_file(log, draw):
    shuffled = log.copy()
    draw.shuffle(shuffled)
    one, two = sorted_log(log, "random"), sorted_log(shuffled, "random")
    assert one.users == two.users
    assert (one.user == two.user).all()
    assert (one.item == two.item).all()
    assert (one.time == two.time).all()


def test_tie_keys_are_the_same_everywhere():
    """Written down once: a change of these numbers would change everybody's splits."""
    keys = tie_keys(pl.Series(["1", "1", "ä", ""]), pl.Series(["31", "1029", "31", "x, y"]))
    assert keys.tolist() == [
        8621969701788288251,
        13031286187979622532,
        14257613221018701937,
        6417698582666598844,
    ]
    swapped = tie_keys(pl.Series(["31"]), pl.Series(["1"]))
    assert swapped[0] != keys[0]


def test_random_ties_do_not_follow_the_ids():
    ids = [str(number) for number in range(2_000)]
    keys = tie_keys(pl.Series(["u"] * 2_000), pl.Series(ids))
    assert 0.45 < (np.diff(keys.astype(float)) > 0).mean() < 0.55
    assert len(set(keys.tolist())) == 2_000
