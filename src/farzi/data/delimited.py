"""Delimited text cut into the wanted columns, each row with its line, each misfit with its reason.

Two readers that agree: text without quotes is measured on its bytes and cut by polars; text with quotes, or
with bytes that are not UTF-8, goes through the standard library's reader, which is slower and counts lines
across quoted line ends.
"""

import csv
import io
from typing import Literal

import numpy as np
import polars as pl

from farzi.data.events import BadRow

RECODE = "save the file as UTF-8 (iconv -f LATIN1 -t UTF-8)"
Cut = tuple[pl.DataFrame, list[BadRow]]  # one String column a role and `row`; the rows that do not fit


def split_lines(data: bytes, delimiter: str, names: list[str], columns: dict[str, str], quotes: bool) -> Cut:
    r"""Cut the lines below a header.

    Args:
        data: everything after the header's line, lines ending in `\n`; the first of them is line 2.
        delimiter: one ASCII character.
        names: the header's columns.
        columns: role -> the column that is wanted for it.
        quotes: whether a field may stand in double quotes.
    """
    indices = {role: names.index(column) for role, column in columns.items()}
    if is_utf8(data) and not (quotes and b'"' in data):
        return _split_plain(data, delimiter, len(names), indices)
    return _split_quoted(data, delimiter, names, indices, csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE)


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are valid UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def shown(value: object) -> str:
    """A value as a message quotes it: in quotes, on one line, not too long."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _split_plain(data: bytes, delimiter: str, width: int, indices: dict[str, int]) -> Cut:
    if not data.endswith(b"\n"):
        data += b"\n"
    buffer = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(buffer == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    marks = np.flatnonzero(buffer == ord(delimiter))
    fields = np.searchsorted(marks, ends) - np.searchsorted(marks, starts) + 1
    blank = starts == ends
    wrong = (fields != width) & ~blank
    bad = [BadRow(int(at) + 2, None, None, _misfit(int(fields[at]), width)) for at in np.flatnonzero(wrong)]
    good = ~(wrong | blank)
    if not good.any():
        return _frame({role: [] for role in indices}, []), bad
    if not good.all():
        data = buffer[np.repeat(good, ends - starts + 1)].tobytes()
    places = sorted(set(indices.values()))
    frame = pl.read_csv(
        data,
        has_header=False,
        separator=delimiter,
        quote_char=None,
        infer_schema=False,
        columns=places,
    )
    chosen = [frame.to_series(places.index(index)).alias(role) for role, index in indices.items()]
    rows = pl.Series("row", np.flatnonzero(good) + 2, dtype=pl.UInt32)
    return pl.DataFrame([*chosen, rows]), bad


def _split_quoted(
    data: bytes, delimiter: str, names: list[str], indices: dict[str, int], quoting: Literal[0, 3]
) -> Cut:
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="\n")
    reader = csv.reader(text, delimiter=delimiter, quoting=quoting, strict=True)
    columns: dict[str, list[str]] = {role: [] for role in indices}
    chosen = [(columns[role].append, index) for role, index in indices.items()]
    width, rows, bad = len(names), [], []
    clean = is_utf8(data)
    limit = csv.field_size_limit(1 << 30)
    try:
        while True:
            line = reader.line_num + 2
            try:
                record = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                bad.append(BadRow(line, None, None, f"quotes that do not match ({error})"))
                continue
            if not record:
                continue
            if not clean and not _is_clean(record):
                bad.append(_not_utf8(line, record, names))
            elif len(record) != width:
                bad.append(BadRow(line, None, None, _misfit(len(record), width)))
            else:
                for append, index in chosen:
                    append(record[index])
                rows.append(line)
    finally:
        csv.field_size_limit(limit)
    return _frame(columns, rows), bad


def _frame(columns: dict[str, list[str]], rows: list[int]) -> pl.DataFrame:
    return pl.DataFrame({**columns, "row": rows}, {**dict.fromkeys(columns, pl.String), "row": pl.UInt32})


def _is_clean(record: list[str]) -> bool:
    return not any("\udc80" <= letter <= "\udcff" for letter in "".join(record))


def _not_utf8(line: int, record: list[str], names: list[str]) -> BadRow:
    at = next(index for index, value in enumerate(record) if not _is_clean([value]))
    value = record[at].encode("utf-8", "surrogateescape").decode("latin-1")
    column = names[at] if at < len(names) else None
    return BadRow(line, column, value, f"not UTF-8 text ({shown(value)} if it is Latin-1); {RECODE}")


def _misfit(found: int, wanted: int) -> str:
    return f"{found} field{'s' * (found != 1)} where the header has {wanted}"
