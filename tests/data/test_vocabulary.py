import polars as pl
import pytest

from farzi.data import Vocabulary
from farzi.errors import FarziError

EVENTS = pl.DataFrame({"item": ["b", "a", "c, d", "b", 'say "x"', "a", "b"]})
NAMES = pl.DataFrame({"id": ["a", "zzz", "b", "b"], "name": ["Ä film", "nobody", "Bee", "second"]})


def test_items_stand_by_falling_count_then_id():
    vocabulary = Vocabulary.from_events(EVENTS, NAMES)
    assert vocabulary.frame.rows() == [
        (0, "", None, 0),
        (1, "b", "Bee", 3),
        (2, "a", "Ä film", 2),
        (3, "c, d", None, 1),
        (4, 'say "x"', None, 1),
    ]
    assert vocabulary.frame.schema == {
        "index": pl.UInt32,
        "id": pl.String,
        "name": pl.String,
        "count": pl.UInt32,
    }
    assert len(vocabulary) == 5


def test_encode_and_label():
    vocabulary = Vocabulary.from_events(EVENTS, NAMES)
    assert vocabulary.encode(["c, d", "b"]).tolist() == [3, 1]
    assert vocabulary.encode(EVENTS["item"]).tolist() == [1, 2, 3, 1, 4, 2, 1]
    assert [vocabulary.label(index) for index in range(5)] == [
        "(padding)",
        "Bee",
        "Ä film",
        "c, d",
        'say "x"',
    ]
    for unknown in ("d", ""):
        with pytest.raises(FarziError, match=f"item '{unknown}' is not among the 4 items"):
            vocabulary.encode(["a", unknown])
    with pytest.raises(IndexError):
        vocabulary.label(5)


def test_a_saved_table_comes_back(tmp_path):
    vocabulary = Vocabulary.from_events(EVENTS, NAMES)
    vocabulary.save(tmp_path / "vocabulary.parquet")
    assert Vocabulary.load(tmp_path / "vocabulary.parquet") == vocabulary
    assert Vocabulary.from_events(EVENTS) != vocabulary


def test_tables_that_are_no_vocabulary_are_refused(tmp_path):
    path = tmp_path / "vocabulary.parquet"
    with pytest.raises(FarziError, match="No such file"):
        Vocabulary.load(path)
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(FarziError, match="not a Parquet file"):
        Vocabulary.load(path)
    EVENTS.write_parquet(path)
    with pytest.raises(FarziError, match="not a vocabulary: columns item"):
        Vocabulary.load(path)
    good = Vocabulary.from_events(EVENTS).frame
    for wrong in (good[1:], good[[0, 2, 1, 3, 4]], good.with_columns(pl.lit("a").alias("id")), good[:0]):
        wrong.write_parquet(path)
        with pytest.raises(FarziError, match="not a vocabulary: its indices do not count"):
            Vocabulary.load(path)


def test_a_file_that_was_cut_short_is_refused(tmp_path):
    path = tmp_path / "vocabulary.parquet"
    Vocabulary.from_events(EVENTS, NAMES).save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(FarziError, match="not a Parquet file, or a damaged one"):
            Vocabulary.load(path)


def test_unknown_ids_may_be_left_out():
    vocabulary = Vocabulary.from_tokens(["3", "7"], [None, None], [1, 0])
    assert vocabulary.encode(["7", "new", "3"], errors="ignore").tolist() == [2, 1]
    with pytest.raises(FarziError, match="item 'new' is not among the 2 items"):
        vocabulary.encode(["7", "new"])
    with pytest.raises(FarziError, match=r"item 3 is not among .*; ids are text here, as in '3'"):
        vocabulary.encode([3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(FarziError, match=r"write \['37'\]"):
        vocabulary.encode("37")
    assert vocabulary.untrained.tolist() == [2]
