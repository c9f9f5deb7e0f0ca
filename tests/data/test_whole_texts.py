"""A text that polars cuts as a whole gives the rows that cutting line by line gives, or is not cut so."""

import io

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from farzi.data import delimited
from farzi.data.columns import choose_event_columns
from farzi.data.content import Content
from farzi.data.events import read_events
from farzi.errors import FarziError
from farzi.recipe.variants import LogData

fields = st.text("aé0 1.x", max_size=4)
lines = st.lists(st.lists(fields, min_size=2, max_size=4).map(",".join), min_size=1, max_size=8)


def read(text: bytes) -> list[tuple] | str:
    try:
        return read_events(Content(text, "log.csv", "text"), LogData(skip_bad=True)).frame.rows()
    except FarziError as error:
        return str(error)


@given(lines, st.sampled_from(["", "\n", "\n\n"]), st.booleans())
def test_as_line_by_line(rows, end, timed):
    if timed:
        rows = [f"{row},{place}" for place, row in enumerate(rows)]
    text = ("user,item,time\n" + "\n".join(rows) + end).encode()
    quick = read(text)
    whole, delimited._whole = delimited._whole, lambda *args: None
    try:
        assert read(text) == quick
    finally:
        delimited._whole = whole


def test_a_longer_line_anywhere_is_not_lost():
    for place in (0, 1, 70_000, 99_999):
        rows = ["a,b,1"] * 100_000
        rows[place] = "a,b,1,2"
        rows[(place + 1) % len(rows)] = "a,b"  # as many separators in all
        form = delimited.find_form(
            content := Content(("user,item,time\n" + "\n".join(rows)).encode(), "", "text"),
            lambda names: choose_event_columns(names, "", None, None, None),
            None,
        )
        assert delimited._whole(content.data, form, True) is None


def test_numbers_are_read_as_polars_reads_them():
    text = "user,item,time\n" + "\n".join(f"u{n % 7},{n % 11},{n * 37}" for n in range(500))
    frame = pl.read_csv(io.StringIO(text), schema_overrides={"item": pl.String})
    events = read_events(Content(text.encode(), "log.csv", "text"))
    assert events.frame.drop("row").rows() == frame.rows()


def test_ids_that_only_look_alike_stay_apart():
    for other in ("07", "+7", "-0", "7.5", "00"):
        rows = read(f"user,item,time\n7,7,1\n0,{other},2\n{other},-5,3\n".encode())
        assert isinstance(rows, list)
        assert [row[:2] for row in rows] == [("7", "7"), ("0", other), (other, "-5")]
