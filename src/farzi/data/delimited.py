r"""Delimited text cut into columns.

A text in which every line has the same number of fields, and none has a quote, is cut by polars as a whole.
Of any other, lines without double quotes are checked on their bytes and cut by polars; lines with quotes, or
with bytes that are not UTF-8, are cut one by one. No line is lost silently: a quote that would swallow rows
is text, or its lines are bad rows.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from farzi.data.columns import VALUE
from farzi.data.content import RECODE, Content
from farzi.data.forms import NOT_UTF8, Form, Layout, OpenQuote, TextAfterQuote, cut, find_form
from farzi.data.tables import BadRow, Choose, Table, quoted, text_frame

INNER = "\x1f"  # stands for separators of more than one byte; no text has it, see `content`
AS_TEXT = "data.quotes=false reads quotes as text"
BLOCK = 1 << 24
WIDEST = 50  # columns of lines with quotes that polars cuts
LONGEST = 1000  # lines with quotes that a field in quotes is followed through


def delimited_table(content: Content, choose: Choose, layout: Layout | None, numbers: bool = False) -> Table:
    """The columns that `choose` picks of a delimited text.

    Args:
        content: the text.
        choose: picks the columns from the header.
        layout: what the user says of its form.
        numbers: whether times may become whole numbers where all are.

    Raises:
        FarziError: as `find_form`.
    """
    form = find_form(content, choose, layout)
    if (frame := _whole(content.data, form, numbers)) is not None:
        return Table(frame, form.columns, unread=form.unread, form=form.words, notes=list(form.notes))
    data, separator = _from_line(content.data, form.line), form.separator
    if separator == " ":
        data, separator = re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", data), INNER
        data = re.sub(rb"[ \t]+", INNER.encode(), data)
    elif len(separator.encode()) > 1:
        data, separator = data.replace(separator.encode(), INNER.encode()), INNER
    lines = _Lines(data, separator, form.line)
    if form.sequences:
        frame, bad = _sequences(lines)
    else:
        places = {role: form.names.index(name) for role, name in form.columns.items()}
        frame, bad = cut_lines(lines, form, places)
        if form.header:  # of a file that was appended to another
            role, name = next(iter(form.columns.items()))
            like = frame.filter(pl.col(role).str.contains(name, literal=True))
            same = (pl.col(role).str.strip_chars() == name for role, name in form.columns.items())
            repeated = like.filter(pl.all_horizontal(same))["row"]
            bad += [BadRow(row, None, None, "repeats the header") for row in repeated]
            frame = frame.filter(~pl.col("row").is_in(repeated.to_list())) if len(repeated) else frame
    notes = list(form.notes)
    if lines.comments:
        notes.append(f"lines that are comments (#) were left out: {lines.comments:,}")
    if lines.texts:
        notes.append(
            f"a quote without its counterpart was read as text in {len(lines.texts):,} "
            f"line{'s' * (len(lines.texts) != 1)}, the first of which is line {lines.texts[0]}"
        )
    return Table(frame, form.columns, bad, unread=form.unread, form=form.words, notes=notes)


def _whole(data: bytes, form: Form, numbers: bool) -> pl.DataFrame | None:
    """The columns of a text without quotes and comments whose lines all fit; None of any other.

    Ids are Int64 where each is a whole number as Python writes it (007 is another id than 7), else
    Categorical. Times are Int64 where `numbers` allows it and all are whole, else String.
    """
    if form.sequences or len(form.separator.encode()) > 1 or form.separator == " ":
        return None
    width, text = len(form.names), np.frombuffer(data, np.uint8)
    lines, separators, others, odd = 0, 0, 0, data[:1] in (b"0", b"+", b"-")
    for start in range(0, len(text), BLOCK):
        block = text[start : start + BLOCK + 2]  # two bytes more, to see how the last field begins
        ends, between = block == ord("\n"), block == ord(form.separator)
        lines += np.count_nonzero(ends[:BLOCK])
        separators += np.count_nonzero(between[:BLOCK])
        others += np.count_nonzero((block == ord('"')) | (block == ord("#")))
        begins = np.flatnonzero((ends | between)[:-2] & (block[1:-1] - ord("+") <= ord("0") - ord("+")))
        first, second = block[begins + 1], block[begins + 2]
        zeros = (first == ord("0")) & (second >= ord("0")) & (second <= ord("9"))
        odd |= bool((zeros | (first == ord("+")) | (first == ord("-"))).any())
    lines += not data.endswith(b"\n")
    if others or separators != lines * (width - 1):
        return None
    places = {role: form.names.index(name) for role, name in form.columns.items()}
    read = sorted({*places.values(), width - 1})  # the last one, so that polars refuses longer lines
    for time in [pl.Int64] * numbers + [pl.String]:
        for id in [pl.Int64] * (not odd) + [pl.Categorical]:
            kinds = {"user": id, "item": id, "time": time} | {
                role: pl.Categorical for role in places if role.startswith(VALUE)
            }
            schema: dict[str, Any] = dict.fromkeys(map(str, range(width)), pl.String)
            schema |= {str(place): kinds.get(role, pl.String) for role, place in reversed(places.items())}
            try:
                frame = _read_csv(data, form.separator, None, read, form.line - 1, schema=schema)
            except pl.exceptions.PolarsError:  # of another kind, a longer line, or not UTF-8
                continue
            if len(frame) != lines - (form.line - 1):
                return None
            rows = pl.Series("row", np.arange(form.line, lines + 1, dtype=np.uint32))
            table = pl.DataFrame([frame[str(place)].alias(role) for role, place in places.items()] + [rows])
            role, name = next(iter(form.columns.items()))
            return None if form.header and id != pl.Int64 and (table[role] == name).any() else table
    return None


def _from_line(data: bytes, number: int) -> bytes:
    start = 0
    for _ in range(number - 1):
        start = data.find(b"\n", start) + 1 or len(data)
    return data[start:]


class _Lines:
    """The lines of a text from the first row on.

    Attributes:
        first: the number of the first line in the file.
        starts: int64, (lines,), where each begins.
        ends: int64, (lines,), where its line break is.
        comments: the number of lines that turned out to be comments.
        texts: numbers of lines in which a quote without counterpart is text.
    """

    def __init__(self, data: bytes, separator: str, first: int) -> None:
        self.data, self.separator, self.first = data, separator, first
        self.buffer = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(self.buffer == ord("\n"))
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        self.starts, self.ends = np.concatenate([[0], ends[:-1] + 1]), ends
        self.comments, self.texts = 0, list[int]()

    def __len__(self) -> int:
        return len(self.ends)

    def number(self, index: int) -> int:
        """The number of a line in the file, from 1."""
        return int(index) + self.first

    def text(self, index: int, end: int | None = None) -> str:
        """The text of a line, or of the lines up to `end`, which is left out; see `NOT_UTF8`."""
        last = index if end is None else end - 1
        return self.data[self.starts[index] : self.ends[last]].decode("utf-8", "surrogateescape")

    def fields(self) -> np.ndarray:
        """The number of fields of each line, without regard to quotes: int64, (lines,)."""
        separators = np.flatnonzero(self.buffer == ord(self.separator))
        return np.searchsorted(separators, self.ends) - np.searchsorted(separators, self.starts) + 1

    def with_byte(self, byte: bytes) -> np.ndarray:
        """The indices of the lines that contain a byte: int64."""
        return np.unique(np.searchsorted(self.ends, np.flatnonzero(self.buffer == ord(byte))))

    def not_utf8(self) -> list[int]:
        """The indices of the lines that are not UTF-8."""
        if self.data.isascii():
            return []
        found, begin = [], 0
        while begin < len(self):
            end = max(begin + 1, int(np.searchsorted(self.ends, self.starts[begin] + BLOCK)))
            if NOT_UTF8.search(self.text(begin, end)):
                found += [index for index in range(begin, end) if NOT_UTF8.search(self.text(index))]
            begin = end
        return found

    def select(self, mask: np.ndarray) -> bytes:
        """The lines where `mask` holds."""
        if mask.all():
            return self.data
        ends = np.minimum(self.ends + 1, len(self.buffer))
        return self.buffer[np.repeat(mask, ends - self.starts)].tobytes()


def cut_lines(lines: _Lines, form: Form, places: dict[str, int]) -> tuple[pl.DataFrame, list[BadRow]]:
    """The columns at `places`, by role, and the lines that are no rows."""
    width, bad = len(form.names), list[BadRow]()
    fields = lines.fields()
    plain = fields == width
    quotes = lines.with_byte(b'"') if form.quotes else np.empty(0, np.int64)
    foreign = lines.not_utf8()
    careful = np.union1d(quotes, foreign).astype(np.int64)
    misfits, comments = ~plain, np.zeros(len(lines), bool)
    if b"#" in lines.data:
        for index in lines.with_byte(b"#"):
            if misfits[index] or form.comments:
                comments[index] = lines.text(int(index)).lstrip().startswith("#")
        careful = careful[~comments[careful]]
    reader = _Careful(lines, form, places, fields, [int(one) for one in quotes], bad)
    plain[careful] = misfits[careful] = False
    clean = np.zeros(len(lines), bool)
    clean[careful] = not foreign
    clean = _clean(lines, clean, width)
    rows = reader.rows(careful[~clean[careful]])
    plain[list(reader.plain)] = True
    for mask in (plain, clean, misfits, comments):
        mask[list(reader.used)] = False
    lines.comments = int(comments.sum())
    plain &= ~comments
    for index in np.flatnonzero(misfits & ~comments):
        if lines.text(int(index)).strip():
            bad.append(BadRow(lines.number(int(index)), None, None, misfit(int(fields[index]), width)))
    parts = [_cut(lines, plain, places, None), _cut(lines, clean, places, '"'), text_frame(rows, places)]
    frame = next((part for part in parts if len(part) == sum(map(len, parts))), None)
    if frame is None:
        frame = pl.concat(parts).sort("row")
    return frame, sorted(bad, key=lambda row: row.line)


def _cut(lines: _Lines, chosen: np.ndarray, places: dict[str, int], quote: str | None) -> pl.DataFrame:
    """The chosen lines, which have no quotes of importance or whole fields in them, cut by polars."""
    if not chosen.any():
        return text_frame([], places)
    columns = sorted(set(places.values()))
    frame = _read_csv(lines.select(chosen), lines.separator, quote, columns)
    series = [frame.to_series(columns.index(place)).alias(role) for role, place in places.items()]
    rows = pl.Series("row", np.flatnonzero(chosen) + lines.first, dtype=pl.UInt32)
    return pl.DataFrame([*series, rows])


def _clean(lines: _Lines, chosen: np.ndarray, width: int) -> np.ndarray:
    """Which of the chosen lines have fields without quotes or in exactly two of them, and nothing else."""
    if width > WIDEST or not chosen.any():
        return np.zeros_like(chosen)
    whole = INNER if lines.separator != INNER else "\x1e"
    text = _read_csv(lines.select(chosen), whole, None, [0]).to_series()
    between = re.escape(lines.separator)
    one = rf'(?:"[^"]*"|[^"{between}]*)'
    clean = chosen.copy()
    clean[chosen] = (
        text.str.contains(rf"^{one}(?:{between}{one}){{{width - 1}}}$").fill_null(False).to_numpy()
    )
    return clean


def _read_csv(
    data: bytes, separator: str, quote: str | None, columns: list[int], skip_lines: int = 0, **more: Any
) -> pl.DataFrame:
    zlib = data[:2] in (b"x\x01", b"x^")  # text that polars takes for compressed if it begins so
    return pl.read_csv(
        b"\n" + data if zlib else data,
        has_header=False,
        skip_lines=skip_lines + zlib,
        separator=separator,
        quote_char=quote,
        infer_schema=False,
        columns=columns,
        **more,
    )


@dataclass
class _Careful:
    """Lines with quotes or with bytes that are not UTF-8, cut one by one.

    Attributes:
        quotes: the indices of all lines with quotes, rising.
        plain: indices of lines in which quotes are text, which polars may cut.
        used: indices of lines that belong to the field in quotes of an earlier line.
    """

    lines: _Lines
    form: Form
    places: dict[str, int]
    fields: np.ndarray
    quotes: list[int]
    bad: list[BadRow]
    plain: set[int] = field(default_factory=set)
    used: set[int] = field(default_factory=set)

    def rows(self, indices: Iterable[int]) -> list[list[str | int]]:
        return list(self._rows(indices))

    def _rows(self, indices: Iterable[int]) -> Iterator[list[str | int]]:
        separator, width = self.lines.separator, len(self.form.names)
        following = {index: place for place, index in enumerate(self.quotes)}
        for index in map(int, indices):
            if index in self.used:
                continue
            text, end = self.lines.text(index), index + 1
            try:
                record = cut(text, separator, self.form.quotes)
            except TextAfterQuote:
                self._stray(index, "text follows the quote that ends a field")
                continue
            except OpenQuote:
                record, end = self._over_lines(index, following[index])
                if record is None:
                    self._stray(index, "a quote that begins a field has no end")
                    continue
                inner = range(index + 1, end)
                first = self.fields[index] == 1  # then the last line has all fields if all is well
                rows = [one for one in inner[: len(inner) - first] if self.fields[one] == width]
                if self.fields[index] == width and len(rows) == len(inner):
                    self._stray(index, "a quote that begins a field ends lines later")
                    continue
                if len(record) != width and any(self.fields[one] == width for one in inner):
                    self._refuse(index, misfit(len(record), width))
                    continue
                self.used |= set(inner)
                if rows:
                    self._refuse(
                        index,
                        f"the quotes around a field hold lines {self.lines.number(index + 1)} to "
                        f"{self.lines.number(end - 1)}, some of which look like rows; {AS_TEXT}",
                    )
                    for one in inner:
                        self._refuse(one, f"stands in the quotes of line {self.lines.number(index)}")
                    continue
            if len(record) != width:
                if record != [""] and "".join(record).strip():
                    self._refuse(index, misfit(len(record), width))
                continue
            chosen = [record[place] for place in self.places.values()]
            if NOT_UTF8.search("".join(chosen)):
                self.bad.append(self._not_utf8(index, record))
            else:
                if separator == INNER:
                    chosen = [value.replace(INNER, self.form.separator) for value in chosen]
                yield [*chosen, self.lines.number(index)]

    def _over_lines(self, index: int, place: int) -> tuple[list[str] | None, int]:
        """The record that begins in a line and ends in a later one, and the line after it."""
        for last in self.quotes[place + 1 : place + 1 + LONGEST]:
            try:
                return cut(self.lines.text(index, last + 1), self.lines.separator), last + 1
            except OpenQuote:
                continue
            except TextAfterQuote:
                break
        return None, index + 1

    def _stray(self, index: int, reason: str) -> None:
        """A line whose quotes do not match: text, unless a field that is wanted begins with one."""
        values = self.lines.text(index).split(self.lines.separator)
        wanted = [values[place] for place in self.places.values() if place < len(values)]
        if len(values) == len(self.form.names) and not any(
            value.lstrip().startswith('"') for value in wanted
        ):
            if any(NOT_UTF8.search(value) for value in values):
                self.bad.append(self._not_utf8(index, values))
            else:
                self.plain.add(index)
                self.lines.texts.append(self.lines.number(index))
        else:
            self._refuse(index, f"quotes that do not match ({reason}); {AS_TEXT}")

    def _refuse(self, index: int, reason: str) -> None:
        self.bad.append(BadRow(self.lines.number(index), None, None, reason))

    def _not_utf8(self, index: int, record: list[str]) -> BadRow:
        at = next(
            place for place in (*self.places.values(), *range(len(record))) if NOT_UTF8.search(record[place])
        )
        value = record[at].encode("utf-8", "surrogateescape").decode("latin-1")
        column = self.form.names[at] if at < len(self.form.names) else None
        reason = f"not UTF-8 text ({quoted(value)} if it is Latin-1); {RECODE}"
        return BadRow(self.lines.number(index), column, value, reason)


def misfit(fields: int, width: int) -> str:
    """Why a line with another number of fields is no row."""
    return f"{fields} field{'s' * (fields != 1)} where the header has {width}"


def _sequences(lines: _Lines) -> tuple[pl.DataFrame, list[BadRow]]:
    """Users and items of lines that each hold a user and any number of items."""
    bad = [BadRow(lines.number(index), None, None, f"not UTF-8 text; {RECODE}") for index in lines.not_utf8()]
    text = pl.Series("line", lines.data.decode("utf-8", "replace").split("\n")).to_frame()
    text = text.with_row_index("row", lines.first).filter(~pl.col("row").is_in([row.line for row in bad]))
    text = text.filter(pl.col("line").str.strip_chars() != "")
    comment = pl.col("line").str.starts_with("#")
    lines.comments = int(text.select(comment.sum()).item())
    cells = text.filter(~comment).with_columns(pl.col("line").str.split(lines.separator))
    few = cells.filter(pl.col("line").list.len() < 2)
    bad += [BadRow(row, None, None, "a user without items") for row in few["row"]]
    cells = cells.filter(pl.col("line").list.len() > 1)
    line, row = pl.col("line"), pl.col("row").cast(pl.UInt32)
    frame = cells.select(user=line.list.first(), item=line.list.slice(1), row=row).explode("item")
    return frame, sorted(bad, key=lambda one: one.line)
