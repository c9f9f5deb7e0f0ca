"""From settings to sequences: what is trained on, what is held out, and how it is described."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farzi.data import load_dataset, read_events
from farzi.data.fingerprint import fingerprint
from farzi.data.times import time_facts
from farzi.errors import FarziError
from farzi.recipe.variants import LeaveOneOut, LogData, RatioSplit, TimeSplit

LOG = """user,item,time
anna,tea,3
anna,bread,1
anna,milk,2
anna,salt,4
ben,tea,10
ben,milk,11
ben,bread,12
carl,tea,5
carl,rum,6
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(text=LOG, **options):
        (tmp_path / "log.csv").write_text(text)
        return load_dataset(LogData(source="log.csv", **options))

    return load


def as_ids(dataset, sequences):
    """Original ids by user."""
    ids = dataset.vocabulary.frame["id"].to_list()
    return {user: [ids[i] for i in one] for user, one in zip(sequences.users, sequences)}


def test_leave_one_out(load):
    dataset = load(unseen="keep")
    assert as_ids(dataset, dataset.train) == {"anna": ["bread", "milk"], "ben": ["tea"]}
    assert as_ids(dataset, dataset.valid.histories) == as_ids(dataset, dataset.train)
    assert as_ids(dataset, dataset.valid.targets) == {"anna": ["tea"], "ben": ["milk"]}
    assert as_ids(dataset, dataset.test.histories) == {
        "anna": ["bread", "milk", "tea"],
        "ben": ["tea", "milk"],
    }
    assert as_ids(dataset, dataset.test.targets) == {"anna": ["salt"], "ben": ["bread"]}
    assert dataset.name == "log.csv"


def test_users_too_short_to_split_only_train_if_the_filter_lets_them(load):
    dataset = load(min_user_events=1, unseen="keep")
    assert as_ids(dataset, dataset.train)["carl"] == ["tea", "rum"]
    assert dataset.test.targets.users == ("anna", "ben")
    assert dataset.facts["split"]["users_never_held_out"] == 1


def test_facts_say_what_was_done(load):
    facts = load(unseen="keep").facts
    assert facts == {
        "name": "log.csv",
        "reading": {
            "columns": {"user": "user", "item": "item", "time": "time"},
            "not_read": [],
            "form": "fields separated by comma",
            "notes": [],
            "hints": [],
            "first_user": {
                "user": "anna",
                "of": 4,
                "items": ["bread", "milk", "tea", "salt"],
                "times": [1, 2, 3, 4],
            },
        },
        "users": 2,
        "items": 4,
        "events": 7,
        "length": {"min": 3, "median": 3.5, "mean": 3.5, "max": 4},
        "time": {"from": 1, "to": 12, "unit": "not seconds since 1970"},
        "density": 0.875,
        "sparsity": 0.125,
        "repeated_events": 0,
        "order": "by time; a user's events at the same time in the order of the file",
        "ties": {
            "rule": "file",
            "because": None,
            "tied_events": 0.0,
            "users_with_ties": 0,
            "rising_by_id": None,
        },
        "duplicates": {"rule": "keep", "events": 0},
        "filters": {
            "rule": "users with at least 3 events and items with at least 1, applied until both hold",
            "users_removed": 1,
            "items_removed": 1,
            "events_removed": 2,
        },
        "names": None,
        "skipped": {"rows": 0, "first": []},
        "split": {
            "rule": "leave one out: each user's last event is the test, the one before it the validation",
            "train": {"users": 2, "events": 3},
            "valid": {"users": 2, "events": 2, "events_without_history": 0},
            "test": {"users": 2, "events": 2, "events_without_history": 0},
            "users_never_held_out": 0,
        },
        "unseen": {"rule": "keep", "items": 1, "valid_events": 0, "test_events": 1},
        "warnings": [],
    }
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((881250949, 893286638), ("1997-12-04 15:55:49", "1998-04-22 23:10:38", "UTC")),
        ((881250949000, 893286638000), ("1997-12-04 15:55:49", "1998-04-22 23:10:38", "UTC")),
        (("1790-01-08", "2021-04-28"), ("1790-01-08 00:00:00", "2021-04-28 00:00:00", "UTC")),
        ((0, 2_276), (0, 2_276, "not seconds since 1970")),
        ((-1.5, 881250949), (-1.5, 881250949.0, "not seconds since 1970")),
    ],
)
def test_time_range(tmp_path, times, expected):
    (tmp_path / "log.csv").write_text(f"user,item,time\na,x,{times[0]}\nb,y,{times[1]}\n")
    events = read_events(tmp_path / "log.csv")
    assert tuple(time_facts(events.frame["time"].to_numpy(), events.dated).values()) == expected


def test_a_log_without_times_says_so(load):
    text = "user,item\na,x\na,y\na,x\nb,y\nb,x\nb,y\n"
    dataset = load(text, unseen="keep", ties="random")
    assert as_ids(dataset, dataset.test.histories) == {"a": ["x", "y"], "b": ["y", "x"]}
    assert dataset.facts["order"] == ("the log has no times: events are in the order of the file")
    assert dataset.facts["ties"] is None
    assert dataset.facts["time"] is None
    with pytest.raises(FarziError, match=r"the split by time needs times.*as data\.time"):
        load(text, split=TimeSplit())


def test_an_order_of_ties_that_reveals_items_is_reported(load):
    rows = [f"u{u},{item},7" for u in range(4) for item in range(2, 21, 3)]
    facts = load("user,item,time\n" + "\n".join(rows), unseen="keep").facts
    assert "the item ids rise in 100% of cases" in facts["warnings"][0]
    assert facts["ties"]["rising_by_id"] == 1.0
    assert (facts["ties"]["tied_events"], facts["ties"]["users_with_ties"]) == (1.0, 4)
    facts = load("user,item,time\n" + "\n".join(reversed(rows)), unseen="keep").facts
    assert "the item ids fall in 100% of cases" in facts["warnings"][0]
    facts = load("user,item,time\n" + "\n".join(rows), unseen="keep", ties="random").facts
    assert facts["order"] == "by time; a user's events at the same time by a fixed hash of user and item"
    assert facts["warnings"] == []


def test_unseen_items_are_kept_unless_they_are_refused(load):
    assert load().facts["unseen"] == {"rule": "keep", "items": 1, "valid_events": 0, "test_events": 1}
    with pytest.raises(FarziError) as caught:
        load(unseen="error")
    assert "data.unseen=keep" in str(caught.value)
    assert str(caught.value).startswith(
        "log.csv:5: item 'salt' is held out but never trained on, like 1 of the 4 held-out events; "
    )


def test_unseen_items_are_kept_or_dropped(load):
    kept, dropped = load(unseen="keep"), load(unseen="drop")
    assert kept.vocabulary == dropped.vocabulary
    assert as_ids(dropped, dropped.test.targets) == {"ben": ["bread"]}
    assert as_ids(dropped, dropped.valid.targets) == {"anna": ["tea"], "ben": ["milk"]}
    assert as_ids(dropped, dropped.train) == as_ids(kept, kept.train)
    assert dropped.facts["unseen"] == {"rule": "drop", "items": 1, "valid_events": 0, "test_events": 1}


def test_a_dropped_validation_event_is_not_in_the_test_history_either(load):
    text = "user,item,time\na,x,1\na,new,2\na,x,3\nb,x,1\nb,x,2\nb,x,3\n"
    dataset = load(text, unseen="drop")
    assert as_ids(dataset, dataset.test.histories) == {"a": ["x"], "b": ["x", "x"]}
    assert as_ids(dataset, dataset.valid.targets) == {"b": ["x"]}


def test_users_without_a_history_cannot_be_tested(load):
    text = "user,item,time\n" + "".join(f"a,x,{t}\nb,x,{t}\n" for t in range(8)) + "c,x,7\nc,x,8\nc,x,9\n"
    dataset = load(text, split=TimeSplit(valid=0.1, test=0.2))
    assert dataset.test.targets.users == ("a", "b")
    assert dataset.facts["split"]["test"] == {"users": 2, "events": 2, "events_without_history": 3}


def test_a_split_that_leaves_a_part_empty_is_refused(load):
    text = "user,item,time\n" + "".join(f"{u},x,1\n" * 3 for u in "ab")
    with pytest.raises(
        FarziError, match=r"log\.csv: no user has usable training events under this split \(time"
    ):
        load(text, split=TimeSplit(), unseen="keep")
    with pytest.raises(
        FarziError, match=r"log\.csv: no user has usable validation events under .*leave one out"
    ):
        load("user,item,time\na,x,1\nb,x,1\n", min_user_events=1)
    with pytest.raises(FarziError, match="together below 1"):
        load(split=RatioSplit(valid=0.5, test=0.5))


def test_skipped_rows_are_counted(load):
    dataset = load(LOG + "anna,tea,soon\n", skip_bad=True, unseen="keep")
    assert dataset.facts["skipped"] == {
        "rows": 1,
        "first": [
            "line 11: column 'time': 'soon' is not a time (a number, or a date such as 2016-10-16 17:57:24; "
            "others: data.time_format, such as %d.%m.%Y)"
        ],
    }
    with pytest.raises(FarziError, match=r"^log\.csv:11: column 'time': 'soon' is not a time"):
        load(LOG + "anna,tea,soon\n")


def test_names_from_a_side_file(load, tmp_path):
    (tmp_path / "names.tsv").write_text("item\ttitle\ntea\tGreen tea\nrum\tRum\n")
    vocabulary = load(unseen="keep", names="names.tsv").vocabulary
    assert sorted(vocabulary.label(index) for index in range(1, 5)) == ["Green tea", "bread", "milk", "salt"]


def test_a_file_is_read_where_its_copy_lies(load, tmp_path):
    here = load(unseen="keep")
    (tmp_path / "log.csv").rename(tmp_path / "copy.csv")
    copy = load_dataset(LogData(source="log.csv", file="copy.csv", unseen="keep"))
    assert fingerprint(copy) == fingerprint(here)
    assert (here.name, copy.name, copy.facts["name"]) == ("log.csv", "copy.csv", "copy.csv")


def test_options_that_do_not_apply_are_refused(load):
    with pytest.raises(FarziError, match=r"data\.item applies to files"):
        load_dataset(LogData(item="title"))


splits = st.sampled_from([LeaveOneOut(), RatioSplit(valid=0.2, test=0.2), TimeSplit(valid=0.2, test=0.2)])
logs = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(1, 5), st.integers(0, 8)), min_size=1, max_size=40
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(logs, splits, st.sampled_from(["file", "random"]))
def test_every_event_is_where_its_time_puts_it(load, log, split, ties):
    """Against plain Python: histories and targets of any log are the user's events in order, none twice."""
    text = "user,item,time\n" + "".join(f"{u},{i},{t}\n" for u, i, t in log)
    try:
        dataset = load(text, split=split, ties=ties, unseen="keep")
    except FarziError:
        return
    users = [user for user, _, _ in log]
    left = [event for event in log if users.count(event[0]) >= 3]
    assert len(dataset.vocabulary) == 1 + len({item for _, item, _ in left})
    assert dataset.facts["events"] == len(left)
    time_of = {
        user: sorted((t, str(i)) for u, i, t in left if u == user) for user in {user for user, _, _ in left}
    }
    train = as_ids(dataset, dataset.train)
    for part in (dataset.valid, dataset.test):
        known, coming = as_ids(dataset, part.histories), as_ids(dataset, part.targets)
        for user in coming:
            assert known[user]
            assert coming[user]
    for user, targets in as_ids(dataset, dataset.test.targets).items():
        history = as_ids(dataset, dataset.test.histories)[user]
        assert history[: len(train.get(user, []))] == train.get(user, [])
        assert sorted(history + targets) == sorted(item for _, item in time_of[user])
        times = [time for time, _ in time_of[user]]
        for position, item in enumerate(history + targets):  # each stands where its time allows
            assert (times[position], item) in time_of[user]
    assert (dataset.train.items > 0).all()
    assert np.bincount(dataset.train.items).size <= len(dataset.vocabulary)


def test_what_is_not_validated_is_trained_on_and_in_the_history_of_the_test(load):
    text = "user,item,time\n" + "".join(f"{user},i{k},{k}\n" for user in "abcd" for k in range(5))
    every, some = load(text), load(text, split=LeaveOneOut(valid_users=1))
    assert (len(every.valid), len(some.valid)) == (4, 1)
    assert len(some.test) == 4
    for one, other in zip(some.test.parts, every.test.parts):
        assert [events.tolist() for events in one] == [events.tolist() for events in other]
    assert some.train.lengths.tolist() == [3 if user in some.valid.histories.users else 4 for user in "abcd"]
