"""Which columns hold users, items, times and names: given by the user, or guessed from their names alone."""

import re
from collections.abc import Collection, Iterable, Sequence

from farzi.errors import FarziError

USER = (
    "user_id", "user", "uid", "reviewer_id", "customer_id", "customer", "visitor_id", "client_id",
    "account_id", "member_id", "listener_id", "person_id", "author_id", "session_id", "session", "sid",
    "sequence_id", "sequence",
)  # fmt: skip
ITEM = (
    "item_id", "item", "iid", "movie_id", "movie", "film_id", "film", "parent_asin", "asin", "product_id",
    "product", "sku", "stock_code", "article_id", "article", "track_id", "track", "song_id", "song",
    "artist_id", "artist", "book_id", "book", "isbn", "game_id", "game", "app_id", "news_id", "video_id",
    "business_id", "poi_id", "venue_id", "ad_id", "page_id", "url",
)  # fmt: skip
TIME = (
    "timestamp", "time", "ts", "timestamp_ms", "time_ms", "time_stamp", "utc_timestamp", "unix_review_time",
    "unix_time", "event_time", "event_timestamp", "click_timestamp", "created_at", "datetime", "date_time",
    "utc_time", "date", "t_dat", "transaction_dt", "event_date", "invoice_date", "order_date", "review_date",
    "date_added", "watched_at", "played_at", "order", "position",
)  # fmt: skip
NAME = (
    "name", "title", "label", "item_name", "item_title", "movie_title", "movie_name", "film_title",
    "product_name", "product_title", "track_name", "track_title", "song_title", "song_name", "artist_name",
    "book_title", "game_title", "video_title", "description",
)  # fmt: skip
RATING = ("rating", "score", "stars", "overall", "review_score", "rate", "grade", "book_rating")
KIND = (
    "event", "event_type", "event_name", "action", "action_type", "behavior", "behaviour", "behavior_type",
    "interaction", "interaction_type", "type",
)  # fmt: skip
HISTORIES = ("history", "histories", "basket", "sequence", "sequences", "session", "interactions", "events")
"""Names of columns that hold lists of items."""
VALUE = "value of "
"""Begins the roles of columns that say which rows are events, as `value of event`."""
PARTS = {
    "year": ("year", "yr", "yyyy", "date_year"), "month": ("month", "mon", "mm", "date_month"),
    "day": ("day", "dd", "day_of_month", "date_day"), "hour": ("hour", "hh", "date_hour"),
    "minute": ("minute", "min", "date_minute"), "second": ("second", "sec", "date_second"),
}  # fmt: skip
"""Columns that hold a time in parts, largest first; the first three are needed."""


def choose_event_columns(
    columns: Sequence[str],
    source: str,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    rating: str | bool | None = None,
    where: Iterable[str] = (),
    prefix: str = "data.",
    lists: Collection[str] = (),
) -> dict[str, str]:
    """The columns of a log by role: "user", "item" and, if there is one, "time"; guessed where None.

    Without a time column, columns for year, month and day (and hour, minute, second) have these roles. A
    column "date" beside one called time has its own role. So has each column of `where`: it begins with
    `VALUE`.

    Args:
        columns: all names, without RecBole types (see `bare`).
        source: of the columns, for messages.
        user: the name of the user column.
        item: the name of the item column.
        time: the name of the time column.
        rating: the name of the rating column; True to guess it; if None or False it has no role.
        where: names of columns that say which rows are events.
        prefix: of the settings `user`, `item`, `time` and `rating` in messages.
        lists: names of columns that hold a list in each row. Their names may also be `history_item_id`,
            `item_ids` and the like.

    Raises:
        FarziError: a given column is missing or there twice, there is no column for a role that is needed,
            or items stand in one column one by one and in another in lists.
    """
    chosen: dict[str, str] = {}
    guessed = {"user": _guess(USER, columns), "item": _guess(ITEM, columns), "time": _guess(TIME, columns)}
    if item is None and (held := _guess_list(ITEM, lists)):
        if other := _guess(ITEM, [name for name in columns if name not in lists]):
            raise FarziError(
                f"{source}: has items in {other!r} and lists of items in {held!r}; {prefix}item={held} reads "
                f"the lists, {prefix}item={other} one event in each row"
            )
        guessed["item"] = held
    if bare(item or guessed["item"] or "") in lists:
        guessed["time"] = _guess_list(TIME, lists) or guessed["time"]
    roles = {"user": user, "item": item, "time": time}
    if rating:
        roles["rating"] = None if rating is True else rating
        guessed["rating"] = _guess(RATING, columns)
    for role, given in roles.items():
        column = guessed[role] if given is None else bare(given)
        if column is not None or role != "time":
            chosen[role] = _checked(column, role, columns, source, f"give its name as {prefix}{role}")
    if time is None and chosen.get("time") in ("time", "Time", "TIME") and (day := _guess(["date"], columns)):
        chosen["date"] = day  # if it turns out to be a time of the day
    if "time" not in chosen:
        parts = {part: _guess(names, columns) for part, names in PARTS.items()}
        if parts["year"] and parts["month"] and parts["day"]:
            chosen |= {part: column for part, column in parts.items() if column is not None}
    for name in where:
        chosen[VALUE + bare(name)] = _checked(bare(name), "", columns, source, "")
    return chosen


def has_known_name(columns: Sequence[str]) -> bool:
    """Whether one of the names is that of users, items or times."""
    return any(_guess(names, columns) is not None for names in (USER, ITEM, TIME))


def is_rating(column: str) -> bool:
    """Whether a column holds ratings, by its name."""
    return _guess(RATING, [column]) is not None


def may_be_times(column: str) -> bool:
    """Whether a column may hold times, by its name."""
    return re.search(r"time|date|stamp|(^|_)(day|dt)$", column, re.IGNORECASE) is not None


def is_kind(column: str) -> bool:
    """Whether a column says what kind of event a row is, by its name."""
    return _guess(KIND, [column]) is not None


def may_be_users(column: str) -> bool:
    """Whether a column may hold the users of events, by its name."""
    return _guess(USER, [column]) is not None


def may_be_items(column: str) -> bool:
    """Whether a column may hold the items of events, by its name."""
    ends = _folded(column).endswith("id") and len(column) > 3 and not may_be_users(column)
    return _guess(ITEM, [column]) is not None or ends


def choose_name_columns(columns: Sequence[str], source: str, lists: Collection[str] = ()) -> dict[str, str]:
    """The columns "id" and "name" of a table of readable names; columns of `lists` are neither.

    Raises:
        FarziError: one of them is missing or there twice.
    """
    hint = "use a header such as item_id,name"
    columns = [name for name in columns if name not in lists]
    return {
        "id": _checked(_guess((*ITEM, "id"), columns), "item", columns, source, hint),
        "name": _checked(_guess(NAME, columns), "name", columns, source, hint),
    }


def _guess(names: Sequence[str], columns: Sequence[str]) -> str | None:
    by_name = {_folded(column): column for column in reversed(columns)}
    return next((by_name[_folded(name)] for name in names if _folded(name) in by_name), None)


def _guess_list(names: Sequence[str], lists: Collection[str]) -> str | None:
    """A column of lists that is called after what it holds: `history_item_id`, `item_ids`, `item_id_list`."""
    words = r"^(history|hist|past|list_of)_|_(history|hist|list|seq|sequence|array)$"
    bare_of = {re.sub(r"s$", "", re.sub(words, "", name, flags=re.IGNORECASE)): name for name in lists}
    column = _guess(names, list(bare_of))
    if column is None and names is ITEM:
        return next((name for name in lists if name.lower() in HISTORIES), None)
    return None if column is None else bare_of[column]


def _checked(column: str | None, role: str, columns: Sequence[str], source: str, hint: str) -> str:
    if column is None:
        raise FarziError(
            f"{source}: no {role} column recognised by its name; {hint} (the columns are {listed(columns)})"
        )
    if column not in columns:
        raise FarziError(f"{source}: no column {column!r}; the columns are {listed(columns)}")
    if list(columns).count(column) > 1:
        raise FarziError(f"{source}: the column {column!r} is there twice; the columns are {listed(columns)}")
    return column


def bare(column: str) -> str:
    """A column's name in one line and without a RecBole type: `user_id:token` is `user_id`."""
    return re.sub(r":(token|float|token_seq|float_seq)$", "", " ".join(column.split()))


def _folded(column: str) -> str:
    return re.sub(r"[\s_.-]", "", column).lower()


def listed(columns: Sequence[str]) -> str:
    """The names of columns in a message, cut where they are long or many."""
    listed = ", ".join(column if len(column) <= 30 else column[:29] + "…" for column in columns[:12])
    return listed + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
