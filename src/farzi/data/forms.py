"""How a delimited text is written: its separator, its header or its columns, and where its rows begin.

What is not given is found out from the first lines, and what is guessed is put into words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from farzi.data.columns import bare, choose_event_columns, has_known_name, listed
from farzi.data.content import RECODE, Content
from farzi.data.tables import Choose, quoted, unread
from farzi.errors import FarziError

SEPARATORS = ("\t", ",", ";", "|", "::", " ")  # " ": one or more blanks or tabs
NAMES = {"\t": "tab", " ": "white space", ",": "comma"}
HEAD, SAMPLE = 1 << 20, 50
"""Bytes from which the form is found out, and rows that are compared with the header."""
GUESSES = {2: "user,item", 3: "user,item,time", 4: "user,item,rating,time"}
"""Columns of files without a header by their number, in the order that most public logs have."""
NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that are not UTF-8
NUMBER = re.compile(r"\s*-?\d+(\.\d+)?([eE][+-]?\d+)?\s*")
DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")
OPEN, INSIDE, BLANKS = re.compile(r' *"'), re.compile(r'((?:[^"]|"")*+)"'), re.compile(r"[ \xa0]*")


@dataclass(frozen=True)
class Layout:
    """What a user says about the form of a delimited text; see the settings of the same names."""

    separator: str | None = None
    columns: str | None = None
    sequences: bool | None = None
    quotes: bool = True


@dataclass(frozen=True)
class Form:
    """How a delimited text is written.

    Attributes:
        separator: between fields; " " for any number of blanks and tabs.
        names: of the columns, without RecBole types.
        columns: role -> name.
        line: number of the first line with a row, from 1.
        quotes: whether fields may stand in double quotes.
        header: whether the text itself names its columns.
        sequences: whether a line holds a user and any number of items, in place of one event.
        comments: whether lines that start with # are comments whatever they hold.
        notes: what was guessed, a sentence each.
    """

    separator: str
    names: list[str]
    columns: dict[str, str]
    line: int
    quotes: bool
    header: bool = False
    sequences: bool = False
    comments: bool = False
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The form in words."""
        between = f"fields separated by {NAMES.get(self.separator, quoted(self.separator))}"
        if self.sequences:
            return f"a user and the items of this user in each line, {between}"
        return between

    @property
    def unread(self) -> list[str]:
        """The columns that have no role."""
        return [] if self.sequences else unread(self.names, self.columns)


def plain_separator(text: str | None) -> str | None:
    r"""A separator as a user writes it: `\t` and the like for characters that are hard to type.

    Raises:
        FarziError: it is empty, a line break or a quote.
    """
    if text is None:
        return None
    if text.startswith("\\"):
        text = text.encode("latin-1", "backslashreplace").decode("unicode_escape")
    text = {"tab": "\t", "space": " ", "blank": " "}.get(text, text)
    if not text or set(text) & set('\r\n"'):
        raise FarziError(f"data.separator must be what stands between two fields, not {text!r}")
    return text


class OpenQuote(Exception):
    """A quote that begins a field has no end."""


class TextAfterQuote(Exception):
    """The quote that ends a field is followed by other text."""


def cut(record: str, separator: str, quotes: bool = True) -> list[str]:
    """The fields of one record. A field in double quotes may hold separators, line breaks and doubled quotes.

    Blanks may stand before and after the quotes. A quote inside a field that does not begin with one is text.

    Raises:
        OpenQuote: a quote that begins a field is not closed.
        TextAfterQuote: text follows the quote that closes a field.
    """
    fields, at = [], 0
    while True:
        opened = OPEN.match(record, at) if quotes else None
        if opened is None:
            end = record.find(separator, at)
            end = len(record) if end < 0 else end
            fields.append(record[at:end])
        else:
            inside = INSIDE.match(record, opened.end())
            if inside is None:
                raise OpenQuote
            end = BLANKS.match(record, inside.end()).end()  # type: ignore[union-attr]
            if end < len(record) and not record.startswith(separator, end):
                raise TextAfterQuote
            fields.append(inside[1].replace('""', '"'))
        if end >= len(record):
            return fields
        at = end + len(separator)


def find_form(content: Content, choose: Choose, layout: Layout | None) -> Form:
    """The form of a delimited text; without a layout it must have a header.

    Raises:
        FarziError: it has no header and its columns cannot be guessed; the columns given do not fit it; or
            what `choose` raises for its header.
    """
    text = content.data[:HEAD].decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    if len(content.data) > HEAD:
        lines.pop()
    hint = re.match(r'"?sep=(.)', lines[0], re.IGNORECASE)
    at, comment = int(hint is not None), False
    while at < len(lines) and (_is_comment(lines[at]) or not lines[at].strip()):
        comment |= _is_comment(lines[at])
        at += 1
    if comment and _named_by_comment(lines, at, choose):
        at, comment = at - 1, False
        lines[at] = lines[at].lstrip().removeprefix("#").lstrip()
    if at == len(lines):
        raise FarziError(f"{content.source}: has no rows, only comments")
    if NOT_UTF8.search(lines[at]):
        raise FarziError(f"{content.source}:{at + 1}: is not UTF-8 text; {RECODE}")
    given, layout = layout, layout or Layout()
    head = _Head(lines, at, content.source, layout.quotes and ":token" not in lines[at], comment)
    separators = [layout.separator] if layout.separator else [hint[1]] if hint else SEPARATORS
    if layout.columns is not None and not layout.sequences:
        return _with_columns(head, choose, separators, layout.columns)
    if layout.sequences:
        return _sequences(head, max(separators, key=head.fields_without_header))
    if layout.separator and head.fields_without_header(layout.separator) == len(head.rows(at, "\n")):
        raise FarziError(
            f"{content.source}: has no {quoted(layout.separator)} in its first lines (data.separator)"
        )
    candidates = [head.candidate(separator, choose) for separator in separators]
    best = max(candidates, key=lambda one: (one.error is None, one.visible, one.alike, len(one.names)))
    if best.error is None:
        return _with_header(head, best)
    if given is None:
        raise best.error
    return _guessed(head, best, choose, layout.sequences is None)


@dataclass(frozen=True)
class _Candidate:
    """A first record as a header, cut by one separator."""

    separator: str
    names: list[str]
    lines: int  # that the record takes
    alike: float  # the share of following rows with as many fields
    columns: dict[str, str]
    error: FarziError | None

    @property
    def visible(self) -> bool:
        """Whether it is another separator than white space, and there: white space stands in values, too."""
        return self.separator != " " and self.alike > 0


@dataclass(frozen=True)
class _Head:
    """The first lines of a file; the first record begins at index `at`."""

    lines: Sequence[str]
    at: int
    source: str
    quotes: bool
    comments: bool

    def candidate(self, separator: str, choose: Choose) -> _Candidate:
        names, end = self._record(separator)
        names = [bare(name) for name in names]
        counts = [len(row) for row in self.rows(end, separator)]
        alike = sum(count == len(names) for count in counts) / max(1, len(counts))
        columns, error = {}, None
        try:
            columns = choose(names)
        except FarziError as raised:
            error = raised
        return _Candidate(separator, names, end - self.at, alike if len(names) > 1 else 0.0, columns, error)

    def rows(self, start: int, separator: str) -> list[list[str]]:
        """The first rows from a line on, cut line by line."""
        lines = (line for line in self.lines[start:] if line.strip() and not _is_comment(line))
        return [self._fields(line, separator) for line, _ in zip(lines, range(SAMPLE), strict=False)]

    def fields_without_header(self, separator: str) -> int:
        return sum(map(len, self.rows(self.at, separator)))

    def _record(self, separator: str) -> tuple[list[str], int]:
        """The fields of the first record, which may have line breaks in quotes, and the line after it."""
        for end in range(self.at + 1, min(len(self.lines), self.at + 20) + 1):
            try:
                joined = "\n".join(self.lines[self.at : end])
                return cut(_single_blanks(joined, separator), separator, self.quotes), end
            except OpenQuote:
                continue
            except TextAfterQuote:
                break
        return self._fields(self.lines[self.at], separator), self.at + 1

    def _fields(self, line: str, separator: str) -> list[str]:
        line = _single_blanks(line, separator)
        try:
            return cut(line, separator, self.quotes)
        except (OpenQuote, TextAfterQuote):
            return line.split(separator)


def _single_blanks(line: str, separator: str) -> str:
    return re.sub(r"[ \t]+", " ", line.strip()) if separator == " " else line


def _named_by_comment(lines: Sequence[str], at: int, choose: Choose) -> bool:
    """Whether the comment before the first row names its columns, as in `# user item time`."""
    head = _Head([lines[at - 1].lstrip().lstrip("#").lstrip(), *lines[at:]], 0, "", True, False)
    candidates = (head.candidate(separator, choose) for separator in SEPARATORS)
    return _is_comment(lines[at - 1]) and any(one.error is None and one.alike == 1 for one in candidates)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _with_header(head: _Head, best: _Candidate) -> Form:
    line = head.at + best.lines + 1
    form = Form(best.separator, best.names, best.columns, line, head.quotes, True, comments=head.comments)
    if _is_header(best.names) or best.names == [str(number) for number in range(len(best.names))]:
        return form
    rows = head.rows(line - 1, best.separator)
    for name in best.columns.values():  # which the user gave: is this the first event?
        place = best.names.index(name)
        values = [row[place].strip() for row in rows if len(row) > place]
        alike = any(map(str.isdigit, name)) and all(_shape(name) == _shape(value) for value in values)
        if NUMBER.fullmatch(name) or DATE.fullmatch(name) or name in values or alike:
            raise FarziError(
                f"{head.source}:{head.at + 1}: looks like an event, not like the names of columns; "
                f"name the columns in their order: data.columns={_advice(len(best.names))}"
            )
    return form


def _shape(value: str) -> str:
    """A value with `9` for digits and `a` for letters: `u17` is `a9`."""
    return re.sub(r"[^\W\d]+", "a", re.sub(r"\d+", "9", value))


def _with_columns(head: _Head, choose: Choose, separators: Sequence[str], columns: str) -> Form:
    names = [name.strip() for name in columns.split(",")]
    if "?" in names:
        raise FarziError(
            f"{head.source}: data.columns={columns}: say what column {names.index('?') + 1} is: user, item, "
            "time, rating, or _"
        )
    chosen = choose(names)
    counts = {separator: head.rows(head.at, separator) for separator in separators}
    fits = {one: sum(len(row) == len(names) for row in rows) for one, rows in counts.items()}
    separator = max(separators, key=lambda one: (fits[one], len(counts[one][0])))
    first = counts[separator][0]
    if len(first) != len(names):
        fields = f"{len(first)} field{'s' * (len(first) != 1)}"
        raise FarziError(
            f"{head.source}:{head.at + 1}: has {fields} where data.columns has {len(names)} ({listed(names)})"
        )
    roles = {bare(cell) for cell in first}
    if not any(map(NUMBER.fullmatch, first)) and (roles >= set(chosen.values()) or _is_header(first)):
        raise FarziError(
            f"{head.source}:{head.at + 1}: is a header ({listed(first)}), so data.columns does not apply; "
            "name its columns with data.user, data.item and data.time"
        )
    return Form(separator, names, chosen, head.at + 1, head.quotes, comments=head.comments)


def _is_header(fields: Sequence[str]) -> bool:
    try:
        choose_event_columns([bare(field) for field in fields], "")
    except FarziError:
        return False
    return True


def _sequences(head: _Head, separator: str, notes: tuple[str, ...] = ()) -> Form:
    columns = {"user": "user", "item": "item"}
    return Form(
        *(separator, list(columns), columns, head.at + 1, False),
        sequences=True,
        comments=head.comments,
        notes=notes,
    )


def _guessed(head: _Head, best: _Candidate, choose: Choose, may_be_sequences: bool) -> Form:
    """The form of a file without a header, if its first lines leave no doubt."""
    place, error = f"{head.source}:{head.at + 1}", best.error
    assert error is not None
    rows = head.rows(head.at, best.separator)
    whole = all(field.strip().isdecimal() for row in rows for field in row)
    if best.alike < 1 and whole and may_be_sequences and min(map(len, rows)) > 1 and len(rows) > 1:
        if all(int(row[0]) == len(row) - 1 for row in rows):
            raise FarziError(
                f"{place}: each line begins with the number of its items and names no user; write a user "
                "before it in its place"
            )
        note = "there is no header; each line was taken for a user and this user's items in their order"
        return _sequences(head, best.separator, (f"{note} (data.format=events if it is not)",))
    cells = [field for row in rows for field in row]
    prose = "" if any(map(NUMBER.fullmatch, cells)) else "; a text is read with data.type=text"
    if best.alike < 0.8 and (len(rows) > 1 or len(best.names) < 2):
        raise FarziError(
            f"{head.source}: is not a log of events: its first line is {quoted(head.lines[head.at])}; "
            f"a log has one row for each event, with a user, an item and perhaps a time{prose}"
        )
    if best.alike < 0.8 or not any(NUMBER.fullmatch(one) or DATE.fullmatch(one) for one in best.names):
        event = f"; if line {head.at + 1} is an event: data.columns={_advice(len(best.names))}"
        doubt = best.alike >= 0.8 and not has_known_name(best.names)
        raise FarziError(f"{error}{event * doubt}{prose}") from None
    columns = _positions(rows)
    if columns is None:
        raise FarziError(
            f"{place}: has no header, and {len(best.names)} fields separated by "
            f"{NAMES.get(best.separator, quoted(best.separator))}; name the columns in their order (user, "
            f"item, time, rating, _ for others): data.columns={_by_value(rows)}; "
            f"line {head.at + 1} is {', '.join(map(quoted, rows[0]))}"
        )
    names = columns.split(",")
    try:
        chosen = choose(names)
    except FarziError:
        raise error from None
    swapped = ",".join(["item", "user", *names[2:]])
    note = (
        f"there is no header; the columns were taken for {columns} (data.columns says otherwise: "
        f"if items stand first, data.columns={swapped})"
    )
    form = Form(best.separator, names, chosen, head.at + 1, head.quotes, comments=head.comments)
    return replace(form, notes=(note,))


def _positions(rows: Sequence[Sequence[str]]) -> str | None:
    """The columns of rows without a header, if their number and values allow one guess."""
    width = len(rows[0])
    columns = GUESSES.get(width)
    if columns is None or width == 2:
        return columns
    values = [row[width - 1] for row in rows if len(row) == width]
    times = all(map(_is_time, values))
    if width == 4:
        ratings = [row[2] for row in rows if len(row) == width]
        small = all(NUMBER.fullmatch(one) and abs(float(one)) <= 100 for one in ratings)
        times |= small and all(map(NUMBER.fullmatch, values)) and max(map(float, values)) > 100
        return columns if times and small else None
    return columns if times else None


def _is_time(value: str) -> bool:
    number = NUMBER.fullmatch(value) is not None and float(value) >= 1e8  # seconds since 1970, from 1973 on
    return number or DATE.fullmatch(value) is not None


def _by_value(rows: Sequence[Sequence[str]]) -> str:
    """What the values of columns say: which is the time, and `?` for those that the user must name."""
    if len(rows[0]) == 3:
        return _advice(3)
    columns = zip(*(row for row in rows if len(row) == len(rows[0])), strict=True)
    return ",".join("time" if all(map(_is_time, values)) else "?" for values in columns)


def _advice(width: int) -> str:
    other = " or user,item,rating" if width == 3 else ""
    return GUESSES.get(width, GUESSES[4] + ",_" * (width - 4)) + other
